package character

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A Folder is where characters lie, each in a file by its name: NAME.yaml,
// NAME.yml or NAME.json. Files are read when they are asked for, so that a
// change counts at once.
type Folder string

// Character finds a character by the name of its file without the ending. One
// that is not there is an *llm.Error with Code NotFound.
func (f Folder) Character(ctx context.Context, name string) (Character, error) {
	missing := &llm.Error{Code: llm.NotFound, Field: "character", Message: "there is no character of this name",
		Hint: "characters are NAME.yaml or NAME.json in the folder that [characters] of the configuration names"}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\:\x00") || limits.NameBytes.CheckInt(len(name)) != nil {
		return Character{}, missing
	}
	root, err := os.OpenRoot(string(f)) // no link leads out of it
	if err != nil {
		return Character{}, &llm.Error{Code: llm.Broken, Message: "the folder of characters cannot be opened", Err: err}
	}
	defer root.Close()
	for _, ending := range []string{".yaml", ".yml", ".json"} {
		file, err := root.Open(name + ending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Character{}, &llm.Error{Code: llm.Broken, Message: "the character's file cannot be opened", Err: err}
		}
		data, err := io.ReadAll(io.LimitReader(file, limits.CharacterBytes.Int64()+1))
		file.Close()
		if err != nil {
			return Character{}, &llm.Error{Code: llm.Broken, Message: "the character's file cannot be read", Err: err}
		}
		return Parse(name+ending, data)
	}
	return Character{}, missing
}
