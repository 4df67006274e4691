package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"parley/internal/character"
	"parley/llm"
)

type lorebookCmd struct {
	Import lorebookImportCmd `cmd:"" help:"Put lorebooks into the folder."`
	List   lorebookListCmd   `cmd:"" help:"List the lorebooks."`
	Show   lorebookShowCmd   `cmd:"" help:"Show what a lorebook holds."`
	Export lorebookExportCmd `cmd:"" help:"Write a lorebook as a file that other programs read."`
	Remove lorebookRemoveCmd `cmd:"" name:"rm" help:"Remove lorebooks from the folder."`
}

func (*lorebookCmd) Help() string {
	return `Lorebooks are files in a folder: SillyTavern's worlds and the lorebooks of V3. A
session or a card names one, or it holds everywhere. docs/characters.md says how.

Example:

    parley lorebook import Eldoria.json
    parley lorebook show Eldoria`
}

// A lorebookFolder is where the lorebooks are.
type lorebookFolder struct {
	Dir string `placeholder:"FOLDER" env:"PARLEY_LOREBOOKS" help:"The folder of lorebooks. Default: the configuration's, else lorebooks, here."`
}

func (f lorebookFolder) folder(a *app) (character.LorebookFolder, error) {
	if f.Dir != "" {
		return character.LorebookFolder(f.Dir), nil
	}
	cfg, err := a.config()
	if err != nil || cfg.Lorebooks.Dir != "" {
		return character.LorebookFolder(cfg.Lorebooks.Dir), err
	}
	return "lorebooks", nil
}

type lorebookImportCmd struct {
	lorebookFolder

	Files   []string `arg:"" help:"Files of lorebooks, or of cards in JSON that hold one."`
	Replace bool     `help:"Replace lorebooks that are there already."`
}

func (*lorebookImportCmd) Help() string {
	return `A file is kept as it is, so that nothing of it is lost. What was wrong in it is said.

Example:

    parley lorebook import Eldoria.json
    parley lorebook import --dir ~/lorebooks --replace *.json`
}

func (c *lorebookImportCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	return importFiles(a, c.Files, string(folder), func(file string, data []byte) (string, character.ImportReport, error) {
		return folder.Save(file, data, c.Replace)
	})
}

type lorebookListCmd struct {
	lorebookFolder
}

func (*lorebookListCmd) Help() string {
	return `Example:

    parley lorebook list`
}

func (c *lorebookListCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	names, err := folder.Names()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return &userError{Message: "there are no lorebooks in " + string(folder), Hint: "parley lorebook import FILE puts one there"}
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, name := range names {
		book, found, err := readLorebook(folder, name)
		if err != nil {
			fmt.Fprintf(table, "%s\t%s\n", printable(name), printable(sentence(err)))
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", printable(name), found.Format, entriesOf(book))
	}
	return table.Flush()
}

func entriesOf(b character.Book) string {
	if len(b.Entries) == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", len(b.Entries))
}

// readLorebook reads a lorebook of the folder, or a file anywhere.
func readLorebook(folder character.LorebookFolder, name string) (character.Book, character.ImportReport, error) {
	if filepath.Ext(name) != "" {
		data, err := readCharacterFile(name)
		if err == nil {
			return character.ReadBook(data)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return character.Book{}, character.ImportReport{}, err
		}
	}
	_, data, err := folder.Read(context.Background(), name)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.NotFound {
		err = noLorebook(folder, name, err)
	}
	if err != nil {
		return character.Book{}, character.ImportReport{}, err
	}
	return character.ReadBook(data)
}

func noLorebook(folder character.LorebookFolder, name string, err error) error {
	return &userError{Message: fmt.Sprintf("there is no lorebook %s in %s", name, string(folder)), Hint: "parley lorebook list shows which there are", Err: err}
}

type lorebookShowCmd struct {
	lorebookFolder

	Name string `arg:"" help:"The lorebook's file without its ending, or a file anywhere."`
	JSON bool   `name:"json" help:"Print it as a lorebook of V3."`
}

func (*lorebookShowCmd) Help() string {
	return `Example:

    parley lorebook show Eldoria`
}

func (c *lorebookShowCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	book, found, err := readLorebook(folder, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		data, err := book.JSON()
		if err == nil {
			_, err = a.stdout.Write(data)
		}
		return err
	}
	fmt.Fprintf(a.stdout, "%s  %s\n", a.out.bold(printable(book.Called(c.Name))), a.out.dim(found.Format+", "+entriesOf(book)))
	if text := strings.TrimSpace(book.Description); text != "" {
		fmt.Fprintf(a.stdout, "\n%s\n", printable(text))
	}
	for _, e := range book.Entries {
		called := strings.Join(e.Keys, ", ")
		switch {
		case !e.Enabled:
			called = "disabled"
		case e.Constant:
			called = "always"
		}
		fmt.Fprintf(a.stdout, "\n%s  %s\n%s\n", a.out.cyan(printable(e.Label())), a.out.dim(printable(called)), printable(strings.TrimSpace(e.Content)))
	}
	return nil
}

type lorebookExportCmd struct {
	lorebookFolder

	Name    string `arg:"" help:"The lorebook's file without its ending, or a file anywhere."`
	File    string `arg:"" optional:"" help:"Where to: a name that ends in .json, or - for standard output. Default: NAME.json."`
	World   bool   `help:"As a world of SillyTavern. Without it, as a lorebook of V3."`
	Replace bool   `help:"Replace a file that is there already."`
}

func (*lorebookExportCmd) Help() string {
	return `Example:

    parley lorebook export Eldoria --world
    parley lorebook export Eldoria - | jq .data.entries`
}

func (c *lorebookExportCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	book, _, err := readLorebook(folder, c.Name)
	if err != nil {
		return err
	}
	to := c.File
	if to == "" {
		to = strings.TrimSuffix(filepath.Base(c.Name), filepath.Ext(c.Name)) + ".json"
	}
	if to != "-" && strings.ToLower(filepath.Ext(to)) != ".json" {
		return usageError("parley lorebook export --help", "a lorebook is written as .json, and not as %s", to)
	}
	data, err := book.JSON()
	if c.World {
		data, err = book.World()
	}
	if err != nil {
		return err
	}
	if to == "-" {
		_, err := a.stdout.Write(data)
		return err
	}
	if err := writeNew(to, data, c.Replace); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: %s\n", printable(book.Called(c.Name)), to)
	return nil
}

type lorebookRemoveCmd struct {
	lorebookFolder

	Names []string `arg:"" help:"The lorebooks' files without their endings."`
}

func (*lorebookRemoveCmd) Help() string {
	return `Sessions that used a lorebook keep what they were told of it.

Example:

    parley lorebook rm Eldoria`
}

func (c *lorebookRemoveCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	for _, name := range c.Names {
		file, _, err := folder.Read(context.Background(), name)
		if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.NotFound {
			return noLorebook(folder, name, err)
		}
		if err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(string(folder), file)); err != nil {
			return &userError{Message: fmt.Sprintf("%s cannot be removed: %v", file, err), Err: err}
		}
	}
	return nil
}
