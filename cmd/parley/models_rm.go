package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"parley/internal/catalog"
	"parley/internal/discover"
	"parley/internal/gguf"
)

type modelsRemoveCmd struct {
	Name string `arg:"" help:"The model's name, as parley models list shows it, or the path of its file."`
	From string `placeholder:"DIR" env:"PARLEY_MODELS" help:"The folder in which parley pull keeps models. Default: the one of the user's."`
	Yes  bool   `short:"y" help:"Do not ask."`
}

func (*modelsRemoveCmd) Help() string {
	return `Removes the files of a model that parley pull fetched, all of its parts. Files that
other programs keep are left to them.

Example:

    parley models rm Llama-3.2-3B-Instruct-Q4_K_M`
}

func (c *modelsRemoveCmd) Run(a *app) error {
	here := discover.Here()
	dir := c.From
	if dir == "" {
		if dir = here.ModelsDir(); dir == "" {
			return usageError("name it with --from", "you have no folder of your own with models")
		}
	}
	dir = absolute(dir)
	f, err := c.find(discover.Files(context.Background(), here, []string{dir}), dir)
	if err != nil {
		return err
	}
	paths := gguf.PartPaths(f.Path)
	if !c.Yes {
		if !isTerminal(a.stdin) {
			return usageError("--yes removes it without asking", "%s (%s) is not removed: nobody can be asked", printable(f.Path), size(f.Size))
		}
		if !confirm(a.stdin, a.stderr, fmt.Sprintf("remove %s, %s in %s?", printable(f.Path), size(f.Size), files(len(paths)))) {
			return nil
		}
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return fileError("model file", path, err)
		}
	}
	// The folders of the repository and of its owner go with their last file.
	for d := filepath.Dir(f.Path); d != dir && within(d, dir) && os.Remove(d) == nil; {
		d = filepath.Dir(d)
	}
	fmt.Fprintf(a.stdout, "%s: removed, %s\n", printable(f.Path), size(f.Size))
	return nil
}

// find is the file that is meant. It lies in the folder.
func (c *modelsRemoveCmd) find(found discover.Found, dir string) (*discover.File, error) {
	var elsewhere *discover.File
	var names []string
	for i := range found.Files {
		f := &found.Files[i]
		meant := f.Name == c.Name || f.Path == absolute(c.Name)
		switch {
		case within(f.Path, dir) && meant:
			return f, nil
		case within(f.Path, dir):
			names = append(names, f.Name)
		case meant:
			elsewhere = f
		}
	}
	if elsewhere != nil {
		return nil, &userError{
			Message: fmt.Sprintf("%s is not one of the models that Parley fetched: it is at %s", c.Name, elsewhere.Path),
			Hint:    "remove it with the program that keeps it, or as a file",
		}
	}
	e := &userError{Message: fmt.Sprintf("there is no model %s in %s", c.Name, dir), Hint: "there is none at all"}
	if len(names) > 0 {
		e.Hint = "models there: " + catalog.Few(names)
	}
	return nil, e
}

// within reports whether a path is in a folder or is it.
func within(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(relative)
}

// confirm asks a person; all but a yes is a no.
func confirm(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprintf(out, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(in, 64)).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "y" || answer == "yes")
}
