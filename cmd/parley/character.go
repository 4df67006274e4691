package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"parley/internal/character"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/llm"
)

type characterCmd struct {
	Import characterImportCmd `cmd:"" help:"Put character cards into the folder."`
	List   characterListCmd   `cmd:"" help:"List the characters."`
	Show   characterShowCmd   `cmd:"" help:"Show a character, or the prompt that it makes."`
	Export characterExportCmd `cmd:"" help:"Write a character as a card that other programs read."`
}

func (*characterCmd) Help() string {
	return `Characters are files in a folder: cards as SillyTavern and its kin have them (V1,
V2 and V3, in JSON, PNG or CHARX), characters of text-generation-webui (YAML, JSON)
and of Parley's own (TOML). docs/characters.md describes them.

Example:

    parley character import Mira.png
    parley character show Mira`
}

// A characterFolder is where the characters are.
type characterFolder struct {
	Dir string `placeholder:"FOLDER" env:"PARLEY_CHARACTERS" help:"The folder of characters. Default: the configuration's, else characters, here."`
}

func (f characterFolder) folder(a *app) (character.Folder, error) {
	if f.Dir != "" {
		return character.Folder(f.Dir), nil
	}
	cfg, err := a.config()
	if err != nil || cfg.Characters.Dir != "" {
		return character.Folder(cfg.Characters.Dir), err
	}
	return "characters", nil
}

type characterImportCmd struct {
	characterFolder

	Files   []string `arg:"" help:"Files of characters."`
	Replace bool     `help:"Replace characters that are there already."`
}

func (*characterImportCmd) Help() string {
	return `A file is kept as it is, so that nothing of it is lost. What was wrong in it, and
what has no effect here, is said.

Example:

    parley character import Mira.png
    parley character import --dir ~/characters --replace *.json`
}

func (c *characterImportCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	return importFiles(a, c.Files, string(folder), func(file string, data []byte) (string, character.ImportReport, error) {
		return folder.Save(file, data, c.Replace)
	})
}

// importFiles puts files into a folder and says what was found in them.
func importFiles(a *app, files []string, folder string, save func(file string, data []byte) (string, character.ImportReport, error)) error {
	failed := 0
	for _, path := range files {
		data, err := readCharacterFile(path)
		if err != nil {
			return err
		}
		saved, found, err := save(filepath.Base(path), data)
		if err != nil {
			failed++
			if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.Invalid {
				e.Hint = "--replace replaces it"
			}
			fmt.Fprintf(a.stderr, "%s: ", path)
			report(a.stderr, a.err, err)
			continue
		}
		fmt.Fprintf(a.stdout, "%s: %s, now %s\n", path, printable(found.Format), printable(filepath.Join(folder, saved)))
		for _, n := range found.Notes {
			fmt.Fprintf(a.stdout, "  %s %s\n", noteStyle(a.out, n.Code), printable(strings.TrimSpace(n.Value+": "+n.Detail)))
		}
	}
	if failed > 0 {
		return &userError{Message: fmt.Sprintf("%d of %d files were not taken", failed, len(files))}
	}
	return nil
}

func noteStyle(s style, code string) string {
	if code == "ignored" {
		return s.yellow(code)
	}
	return s.dim(code)
}

func readCharacterFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("character", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limits.CardFileBytes.Int64()+1))
	if err != nil {
		return nil, fileError("character", path, err)
	}
	return data, nil
}

type characterListCmd struct {
	characterFolder
}

func (*characterListCmd) Help() string {
	return `Example:

    parley character list`
}

func (c *characterListCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	names, err := folder.Names()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return &userError{Message: "there are no characters in " + string(folder), Hint: "parley character import FILE puts one there"}
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, name := range names {
		card, found, err := readCharacter(folder, name)
		if err != nil {
			fmt.Fprintf(table, "%s\t%s\n", printable(name), printable(sentence(err)))
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", printable(name), found.Format, printable(firstLine(card)))
	}
	return table.Flush()
}

// firstLine is what a character is in one line.
func firstLine(card character.Card) string {
	line, _, _ := strings.Cut(strings.TrimSpace(card.Description), "\n")
	const most = 60
	if runes := []rune(line); len(runes) > most {
		line = string(runes[:most-1]) + "…"
	}
	return line
}

func readCharacter(folder character.Folder, name string) (character.Card, character.ImportReport, error) {
	file, data, err := folder.Read(context.Background(), name)
	if err != nil {
		return character.Card{}, character.ImportReport{}, err
	}
	return character.ReadCard(file, data)
}

type characterShowCmd struct {
	characterFolder

	Name   string `arg:"" help:"The character's file without its ending, or a file anywhere."`
	JSON   bool   `name:"json" help:"Print the card as JSON (V3)." xor:"form"`
	Prompt bool   `help:"Print the beginning of a chat with it as JSON, for parley render." xor:"form"`
	User   string `placeholder:"NAME" default:"User" help:"What you are called in that chat."`
}

func (*characterShowCmd) Help() string {
	return `Example:

    parley character show Mira
    parley character show Mira.png
    parley character show Mira --prompt --user Tom | parley render --format llama-3`
}

func (c *characterShowCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	card, found, err := findCharacter(folder, c.Name)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		data, err := card.JSON(3)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(data)
		return err
	case c.Prompt:
		return showScene(a.stdout, card, c.User)
	}
	showCard(a, card, found)
	return nil
}

// findCharacter reads a character of the folder, or a file anywhere.
func findCharacter(folder character.Folder, name string) (character.Card, character.ImportReport, error) {
	if filepath.Ext(name) != "" {
		data, err := readCharacterFile(name)
		if err == nil {
			return character.ReadCard(filepath.Base(name), data)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return character.Card{}, character.ImportReport{}, err
		}
	}
	card, found, err := readCharacter(folder, name)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.NotFound {
		err = &userError{Message: fmt.Sprintf("there is no character %s in %s", name, string(folder)), Hint: "parley character list shows which there are", Err: err}
	}
	return card, found, err
}

func showCard(a *app, card character.Card, found character.ImportReport) {
	fmt.Fprintf(a.stdout, "%s  %s\n", a.out.bold(printable(card.Name)), a.out.dim(found.Format))
	show := func(what, text string) {
		if text = strings.TrimSpace(text); text != "" {
			fmt.Fprintf(a.stdout, "\n%s\n%s\n", a.out.cyan(what), printable(text))
		}
	}
	show("nickname", card.Nickname)
	show("description", card.Description)
	show("personality", card.Personality)
	show("scenario", card.Scenario)
	show("system prompt", card.SystemPrompt)
	show("post-history instructions", card.PostHistory)
	show("note among the last messages", card.DepthPrompt().Text)
	show("examples", card.Examples)
	for _, text := range card.Greetings(false) {
		show("greeting", text)
	}
	for _, text := range card.GroupGreetings {
		show("greeting in company", text)
	}
	if card.Book != nil {
		show("lorebook", fmt.Sprintf("%d entries", len(card.Book.Entries)))
	}
	show("tags", strings.Join(card.Tags, ", "))
	show("creator", strings.TrimSpace(card.Creator+" "+card.Version))
	show("creator's notes", card.CreatorNotes)
}

// showScene prints the conversation with which a chat with a character begins.
func showScene(w io.Writer, card character.Card, user string) error {
	s := scene.Scene{Cards: []character.Card{card}, User: user, Started: time.Now(), Lore: scene.LoreSettings{Greeting: -1}}
	greetings, err := s.Greetings(0)
	if err != nil {
		return err
	}
	if len(greetings) > 0 {
		s.Messages = []scene.Message{scene.Greeting(greetings[0])}
	}
	composed, err := scene.Compose(s)
	if err != nil {
		return err
	}
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var messages []message
	for _, m := range composed.Conversation.Messages {
		messages = append(messages, message{string(m.Role), m.Text()})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{"messages": messages})
}

type characterExportCmd struct {
	characterFolder

	Name    string `arg:"" help:"The character's file without its ending, or a file anywhere."`
	File    string `arg:"" optional:"" help:"Where to: a name that ends in .png or .json, or - for JSON on standard output. Default: NAME.png."`
	V2      bool   `name:"v2" help:"JSON as V2 has it, for older programs. A picture holds both."`
	Replace bool   `help:"Replace a file that is there already."`
}

func (*characterExportCmd) Help() string {
	return `A picture holds the card twice, as V2 and as V3 have it, and opens in SillyTavern
and its kin. The picture is drawn anew: nothing hidden in it goes along.

Example:

    parley character export Mira
    parley character export Mira mira.json --v2`
}

func (c *characterExportCmd) Run(a *app) error {
	folder, err := c.folder(a)
	if err != nil {
		return err
	}
	card, _, err := findCharacter(folder, c.Name)
	if err != nil {
		return err
	}
	to := c.File
	if to == "" {
		to = strings.TrimSuffix(filepath.Base(c.Name), filepath.Ext(c.Name)) + ".png"
	}
	var data []byte
	switch ending := strings.ToLower(filepath.Ext(to)); {
	case ending == ".png":
		var picture []byte
		if picture, err = c.picture(folder); err == nil {
			data, err = card.PNG(picture)
		}
	case ending == ".json" || to == "-":
		data, err = card.JSON(map[bool]int{true: 2, false: 3}[c.V2])
	default:
		return usageError("parley character export --help", "a character is written as .png or .json, and not as %s", to)
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
	fmt.Fprintf(a.stdout, "%s: %s\n", printable(card.Name), to)
	return nil
}

// writeNew writes a file that is not there yet, or with replace one that is.
func writeNew(to string, data []byte, replace bool) error {
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if replace {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(to, how, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return &userError{Message: to + " is there already", Hint: "--replace replaces it", Err: err}
	}
	if err != nil {
		return &userError{Message: fmt.Sprintf("%s cannot be written: %v", to, err), Err: err}
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return &userError{Message: fmt.Sprintf("%s cannot be written: %v", to, err), Err: err}
	}
	return nil
}

// picture is the character's own, drawn anew, or nil.
func (c *characterExportCmd) picture(folder character.Folder) ([]byte, error) {
	if filepath.Ext(c.Name) != "" {
		if data, err := readCharacterFile(c.Name); err == nil {
			return character.Avatar(data)
		}
	}
	_, data, err := folder.Read(context.Background(), c.Name)
	if err != nil {
		return nil, err
	}
	return character.Avatar(data)
}
