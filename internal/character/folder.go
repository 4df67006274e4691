package character

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A Folder is where characters lie, each in a file by its name: NAME.yaml,
// NAME.yml, NAME.json, NAME.toml, NAME.png or NAME.charx. Files are read when
// they are asked for, so that a change counts at once.
type Folder string

// A LorebookFolder is where lorebooks lie, each in a file by its name,
// NAME.json. They are read when they are asked for, too.
type LorebookFolder string

// files are those of one kind in a folder.
type files struct {
	dir     string
	kind    string   // "character" or "lorebook"
	endings []string // of their names, in the order in which they count
	hint    string   // what the files are called, and where the folder is said
}

func (f Folder) files() files {
	return files{string(f), "character", []string{".yaml", ".yml", ".json", ".toml", ".png", ".charx"},
		"characters are NAME.yaml, NAME.json, NAME.toml, NAME.png or NAME.charx in the folder that [characters] of the configuration names"}
}

func (f LorebookFolder) files() files {
	return files{string(f), "lorebook", []string{".json"}, "lorebooks are NAME.json in the folder that [lorebooks] of the configuration names"}
}

// Character finds a character by the name of its file without the ending. One
// that is not there is an *llm.Error with Code NotFound.
func (f Folder) Character(ctx context.Context, name string) (Character, error) {
	file, data, err := f.Read(ctx, name)
	if err != nil {
		return Character{}, err
	}
	return Parse(file, data)
}

// Read gives the file of a character by its name without the ending, and what
// stands in it. One that is not there is an *llm.Error with Code NotFound.
func (f Folder) Read(_ context.Context, name string) (file string, data []byte, err error) {
	return f.files().read(name)
}

// Read gives the file of a lorebook by its name without the ending, and what
// stands in it. One that is not there is an *llm.Error with Code NotFound.
func (f LorebookFolder) Read(_ context.Context, name string) (file string, data []byte, err error) {
	return f.files().read(name)
}

// Names lists the characters of the folder, in order. A folder that does not
// exist has none.
func (f Folder) Names() ([]string, error) { return f.files().names() }

// Names lists the lorebooks of the folder, in order. A folder that does not
// exist has none.
func (f LorebookFolder) Names() ([]string, error) { return f.files().names() }

func (f files) read(name string) (file string, data []byte, err error) {
	missing := &llm.Error{Code: llm.NotFound, Field: f.kind, Message: "there is no " + f.kind + " of this name", Hint: f.hint}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\:\x00") || limits.NameBytes.CheckInt(len(name)) != nil {
		return "", nil, missing
	}
	root, err := os.OpenRoot(f.dir) // no link leads out of it
	if err != nil {
		return "", nil, &llm.Error{Code: llm.Broken, Message: "the folder of " + f.kind + "s cannot be opened", Err: err}
	}
	defer root.Close()
	for _, ending := range f.endings {
		file, err := root.Open(name + ending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, &llm.Error{Code: llm.Broken, Message: "the " + f.kind + "'s file cannot be opened", Err: err}
		}
		data, err := io.ReadAll(io.LimitReader(file, limits.CardFileBytes.Int64()+1))
		file.Close()
		if err != nil {
			return "", nil, &llm.Error{Code: llm.Broken, Message: "the " + f.kind + "'s file cannot be read", Err: err}
		}
		return name + ending, data, nil
	}
	return "", nil, missing
}

func (f files) names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &llm.Error{Code: llm.Broken, Message: "the folder of " + f.kind + "s cannot be read", Err: err}
	}
	var names []string
	for _, e := range entries {
		ending := path.Ext(e.Name())
		if slices.Contains(f.endings, ending) && !e.IsDir() {
			names = append(names, strings.TrimSuffix(e.Name(), ending))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
