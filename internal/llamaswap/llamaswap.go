// Package llamaswap reads the configuration of llama-swap, for those who come
// from there. What it means is as of llama-swap's documentation; what it is
// turned into is decided elsewhere.
package llamaswap

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A Config is what a file says, with macros filled in. {port} stands for a
// model's port and {pid} for its process id.
type Config struct {
	StartSeconds int // that a model has to become ready; 0: not said
	Keys         int // API keys, which are not repeated
	Models       []Model
	Groups       []Group
	Peers        []Peer
	Notes        []string // settings without a meaning elsewhere
}

// A Model is an entry of models.
type Model struct {
	ID           string
	Command      []string
	Stop         []string
	Env          []string // "NAME=value"
	URL          string   // "" is http://localhost:{port}
	Health       string   // "" is /health, "none" is not to look
	Idle         int      // seconds; 0: never
	StopSeconds  int      // 0: not said
	StartSeconds int      // 0: as for all
	Aliases      []string
	Model        string // its name at the engine
	Unlisted     bool
	Preload      bool
	Priority     int
	Parallel     int // 0: not said
	Context      int // 0: not said
	Set          []Param
	Notes        []string
}

// A Param is a parameter that is set in requests.
type Param struct {
	Name  string
	Value any
}

// A Group is a group of models. Members that are in no group of the file are
// in one of their own here, as they are there.
type Group struct {
	Name      string
	Members   []string
	Swap      bool // one of them at a time
	Exclusive bool // loading one of them unloads other groups
	Keep      bool // other groups do not unload them
}

// A Peer is another server that has models.
type Peer struct {
	Name, URL string
	Models    []string
	Key       bool // it wants a key, which is not repeated
}

// Env gives the value of a variable of the environment.
type Env func(name string) (value string, found bool)

const (
	mostText   = 1 << 20 // bytes of one value when its macros are filled in
	mostValues = 100_000 // values of the file when its aliases are filled in
	mostDepth  = 64      // values within values, as far as they stand in one line
)

// Parse reads a file. Keys in it are counted, not repeated; what it takes from
// the environment is noted.
func Parse(data []byte, env Env) (c *Config, err error) {
	defer func() {
		if p := recover(); p != nil { // of the YAML library, on a file that nobody has thought of
			c, err = nil, fmt.Errorf("the file is no YAML that can be read: %v", p)
		}
	}()
	if err := nesting(lexer.Tokenize(string(data))); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, notYAML(err)
	}
	w := weigher{anchors: map[string]int{}}
	for _, doc := range file.Docs {
		w.weigh(doc.Body)
	}
	if w.total > mostValues {
		return nil, fmt.Errorf("the file has more than %d values when its aliases are filled in", mostValues)
	}
	var root yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(data, &root, yaml.UseOrderedMap()); err != nil {
		return nil, notYAML(err)
	}
	r := &reader{config: &Config{}, env: env}
	r.root(root)
	if r.err != nil {
		return nil, r.err
	}
	return r.config, nil
}

func notYAML(err error) error {
	return fmt.Errorf("%s", strings.TrimSpace(yaml.FormatError(err, false, false)))
}

// nesting refuses what would take the YAML library too deep. Values that are
// nested by lines are bounded by the length of the file, since each level
// needs a longer line.
func nesting(tokens token.Tokens) error {
	depth, entries, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			entries, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType:
			entries++
		}
		if depth > mostDepth || entries > mostDepth {
			return fmt.Errorf("line %d: values are nested more than %d deep", line, mostDepth)
		}
	}
	return nil
}

// A weigher counts values, those that aliases stand for included.
type weigher struct {
	anchors map[string]int
	total   int
}

// weigh gives the values within a node, itself included.
func (w *weigher) weigh(n ast.Node) (weight int) {
	before := w.total
	w.total++
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			w.weigh(v)
		}
	case *ast.MappingValueNode:
		w.weigh(n.Key)
		w.weigh(n.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			w.weigh(v)
		}
	case *ast.TagNode:
		w.weigh(n.Value)
	case *ast.AnchorNode:
		w.anchors[n.Name.GetToken().Value] = w.weigh(n.Value)
	case *ast.AliasNode:
		w.total += w.anchors[n.Value.GetToken().Value]
	}
	w.total = min(w.total, 2*mostValues)
	return w.total - before
}
