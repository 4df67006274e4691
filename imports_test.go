package parley_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "parley"

// allowed is the direction of the tree: which of our packages each package may
// import outside its tests. Every package may import internal/limits. A new
// package, or a new arrow, is a decision: it is made here and in
// ARCHITECTURE.md together.
var allowed = map[string][]string{
	// 6
	"cmd/parley":   {"*"},
	"examples/bot": {},
	// 5
	"internal/catalog": {"chat", "chatformat", "engine", "internal/demo", "internal/process", "internal/server", "internal/upstream", "llm"},
	// 4
	"internal/server":            {"chat", "internal/anthropic", "internal/apikey", "internal/character", "internal/kobold", "internal/llamaserver", "internal/ollama", "internal/openai", "internal/roleplay", "internal/scene", "internal/session", "internal/textgen", "internal/wire", "llm"},
	"internal/sqlite":            {"internal/session", "llm"},
	"internal/session/storetest": {"chat", "internal/session", "llm"},
	// 3
	"internal/session":             {"chat", "internal/character", "internal/lorebook", "internal/openai", "internal/scene", "internal/wire", "llm"},
	"internal/upstream":            {"chat", "chatformat", "internal/textmatch", "internal/vocab", "llm"},
	"internal/upstream/enginetest": {"internal/jinja", "llm"},
	"internal/hub":                 {"internal/gguf", "llm"},
	"internal/discover":            {"engine", "internal/gguf"},
	// 2
	"chatformat":           {"chat", "internal/jinja", "internal/textmatch", "llm"},
	"engine":               {"internal/gguf", "internal/grammar", "internal/kernel", "internal/textmatch", "internal/tokenizer", "internal/transformer", "internal/vocab", "llm"},
	"internal/anthropic":   {"chat", "internal/wire", "llm"},
	"internal/kobold":      {"chat", "internal/wire", "llm"},
	"internal/llamaserver": {"chat", "internal/wire", "llm"},
	"internal/ollama":      {"chat", "internal/wire", "llm"},
	"internal/scene":       {"chat", "internal/character", "internal/lorebook", "internal/macro", "llm"},
	"internal/openai":      {"chat", "internal/roleplay", "internal/wire", "llm"},
	"internal/textgen":     {"chat", "internal/roleplay", "internal/wire", "llm"},
	// 1
	"chat":                 {"llm"},
	"chat/chattest":        {"chat", "llm"},
	"internal/lorebook":    {"internal/character"},
	"internal/process":     {"llm"},
	"internal/roleplay":    {"internal/character", "llm"},
	"internal/transformer": {"internal/gguf", "internal/kernel"},
	"internal/wire":        {"internal/roleplay", "llm"},
	"internal/vocab":       {"internal/gguf", "internal/tokenizer", "llm"},
	// 0
	"llm":                {},
	"llm/llmtest":        {"llm"},
	"internal/character": {"llm"},
	"internal/macro":     {"llm"},
	"internal/apikey":    {},
	"internal/check":     {},
	"internal/demo":      {},
	"internal/gguf":      {},
	"internal/grammar":   {},
	"internal/jinja":     {},
	"internal/llamaswap": {},
	"internal/kernel":    {},
	"internal/textmatch": {},
	"internal/tokenizer": {},
	"internal/limits":    {},
	"internal/otlp":      {},
}

// tools are programs for developers: they may import everything and nothing
// imports them.
func isTool(dir string) bool { return strings.HasPrefix(dir, "tools/") }

func TestImportsGoDownward(t *testing.T) {
	for dir, files := range packages(t) {
		if isTool(dir) || dir == "." {
			continue
		}
		may, known := allowed[dir]
		if !known {
			t.Errorf("package %s is not in the table of imports_test.go: decide where it stands", dir)
			continue
		}
		for file, f := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, spec := range f.Imports {
				name, _ := strconv.Unquote(spec.Path.Value)
				ours, isOurs := strings.CutPrefix(name, module+"/")
				if !isOurs || ours == "internal/limits" || slices.Contains(may, ours) || slices.Contains(may, "*") && !isTool(ours) {
					continue
				}
				t.Errorf("%s/%s imports %s, which package %s may not", dir, file, name, dir)
			}
		}
	}
}

func TestTheTableNamesOnlyPackagesThatExist(t *testing.T) {
	have := packages(t)
	for dir, may := range allowed {
		for _, d := range append([]string{dir}, may...) {
			if _, ok := have[d]; !ok && d != "*" {
				t.Errorf("the table names package %s, which does not exist", d)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for dir, files := range packages(t) {
		if dir == "." {
			continue
		}
		said := 0
		for file, f := range files {
			if f.Doc != nil && !strings.HasSuffix(file, "_test.go") {
				said++
			}
		}
		if said != 1 {
			t.Errorf("package %s has %d package comments, want 1", dir, said)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for dir, files := range packages(t) {
		if isTool(dir) || strings.HasPrefix(dir, "cmd/") {
			continue
		}
		for _, file := range slices.Sorted(maps.Keys(files)) {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, name := range undocumented(files[file]) {
				t.Errorf("%s/%s: %s has no comment", dir, file, name)
			}
		}
	}
}

// undocumented lists exported functions, methods and types without a comment.
// A group of constants or variables may share one.
func undocumented(f *ast.File) (names []string) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnown[d.Name.Name] {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
					names = append(names, ts.Name.Name)
				}
			}
		}
	}
	return names
}

// wellKnown methods have the meaning that their interface in the standard
// library gives them.
var wellKnown = map[string]bool{"String": true, "Error": true, "Unwrap": true, "Len": true, "Less": true, "Swap": true}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// packages parses every Go file of the module, by folder.
func packages(t *testing.T) map[string]map[string]*ast.File {
	t.Helper()
	found := map[string]map[string]*ast.File{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(p))
		if found[dir] == nil {
			found[dir] = map[string]*ast.File{}
		}
		found[dir][name] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
