package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"parley/chat"
	"parley/chatformat"
	"parley/internal/limits"
)

type formatsCmd struct {
	List  formatsListCmd  `cmd:"" help:"List the built-in chat formats."`
	Show  formatsShowCmd  `cmd:"" help:"Show how a chat format lays a conversation out."`
	Check formatsCheckCmd `cmd:"" help:"Check chat formats in TOML files."`
}

type formatsListCmd struct{}

func (*formatsListCmd) Help() string {
	return `Example:

    parley formats list`
}

func (c *formatsListCmd) Run(a *app) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, name := range chatformat.Names() {
		if m, err := chatformat.Lookup(name); err == nil {
			fmt.Fprintf(table, "%s\t%s\n", name, m.About())
		}
	}
	return table.Flush()
}

type formatsShowCmd struct {
	Format string `arg:"" help:"Name of a format, or a TOML file."`
}

func (*formatsShowCmd) Help() string {
	return `The format of a short conversation.

Example:

    parley formats show llama-3
    parley formats show my-format.toml`
}

func (c *formatsShowCmd) Run(a *app) error {
	format, err := findFormat(c.Format)
	if err != nil {
		return err
	}
	rendering, err := format.Render(sample())
	if err != nil {
		return err
	}
	return showPrompt(a, chat.Rendered{Format: format.Name(), Prompt: rendering.Prompt, Stop: rendering.Stop, Report: rendering.Report})
}

// sample is a conversation with everything that most formats can express.
func sample() chat.Conversation {
	return chat.Conversation{Messages: []chat.Message{
		chat.Say(chat.System, "You are a helpful assistant."),
		chat.Say(chat.User, "Hello!"),
		chat.Say(chat.Assistant, "Hi. What can I do for you?"),
		chat.Say(chat.User, "Write a haiku about apples."),
	}}
}

type formatsCheckCmd struct {
	Files []string `arg:"" help:"TOML files."`
}

func (*formatsCheckCmd) Help() string {
	return `They are read as a server would read them.

Example:

    parley formats check my-format.toml`
}

func (c *formatsCheckCmd) Run(a *app) error {
	var first error
	for _, path := range c.Files {
		m, err := readFormat(path)
		if err == nil {
			_, err = m.Render(sample())
		}
		if err != nil {
			if first != nil {
				report(a.stderr, a.err, first)
			}
			first = err
			continue
		}
		fmt.Fprintf(a.stdout, "%s: %s, %s\n", path, m.Name(), a.out.green("good"))
	}
	return first
}

// findFormat is what --format means: a TOML file, or a built-in format. ""
// gives nil: the model's own.
func findFormat(arg string) (chatformat.Format, error) {
	if arg == "" {
		return nil, nil
	}
	if strings.HasSuffix(arg, ".toml") {
		return readFormat(arg)
	}
	m, err := chatformat.Lookup(arg)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func readFormat(path string) (*chatformat.Markup, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("chat format", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limits.FormatFileBytes.Int64()+1))
	if err != nil {
		return nil, fileError("chat format", path, err)
	}
	if err := limits.FormatFileBytes.CheckInt(len(data)); err != nil {
		return nil, &userError{Message: fmt.Sprintf("%s: the file is too large for a chat format: %v", path, err), Err: err}
	}
	m, err := chatformat.ParseMarkup(strings.TrimSuffix(path, ".toml"), data)
	if err != nil {
		e := &userError{Message: sentence(err), Hint: "docs/formats.md describes these files", Err: err}
		if !strings.Contains(e.Message, path) {
			e.Message = path + ": " + e.Message
		}
		return nil, e
	}
	return m, nil
}
