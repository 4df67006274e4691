package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"parley/chat"
	"parley/chatformat"
	"parley/internal/limits"
	"parley/llm"
)

type formatsCmd struct {
	List  formatsListCmd  `cmd:"" help:"List the built-in chat formats."`
	Show  formatsShowCmd  `cmd:"" help:"Show how a chat format lays a conversation out."`
	Check formatsCheckCmd `cmd:"" help:"Check files with chat formats."`
}

func (*formatsCmd) Help() string {
	return `Example:

    parley formats show llama-3`
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
	Format string `arg:"" help:"Name of a format, or a TOML or Jinja file."`
}

func (*formatsShowCmd) Help() string {
	return `Colours tell whose words are whose.

Example:

    parley formats show llama-3
    parley formats show my-format.toml`
}

func (c *formatsShowCmd) Run(a *app) error {
	format, err := formatAlone(c.Format)
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
	Files []string `arg:"" help:"TOML or Jinja files."`
}

func (*formatsCheckCmd) Help() string {
	return `Says what is wrong or suspicious in them, and what they leave open.

Example:

    parley formats check my-format.toml`
}

func (c *formatsCheckCmd) Run(a *app) error {
	wrong := 0
	for _, path := range c.Files {
		data, err := readFormatFile(path)
		if err != nil {
			return err
		}
		findings := checkFormat(path, data)
		for _, f := range findings {
			where := path
			if f.Line > 0 {
				where = fmt.Sprintf("%s:%d", path, f.Line)
			}
			fmt.Fprintf(a.stdout, "%s: %s: %s\n", where, colourOfSeverity(a.out, f.Severity), f.Message)
		}
		if slices.ContainsFunc(findings, func(f chatformat.Finding) bool { return f.Severity == chatformat.SeverityError }) {
			wrong++
		} else {
			fmt.Fprintf(a.stdout, "%s: %s\n", path, a.out.green("a format"))
		}
	}
	if wrong > 0 {
		return &userError{Message: fmt.Sprintf("%d of %d files are no formats", wrong, len(c.Files)), Hint: "docs/formats.md describes these files"}
	}
	return nil
}

// checkFormat looks into a file of either kind. A template is wrong or it is
// not: what it lays out only a conversation can tell.
func checkFormat(path string, data []byte) []chatformat.Finding {
	if filepath.Ext(path) == ".toml" {
		return chatformat.Check(formatName(path), data)
	}
	template, err := templateIn(path, data)
	if err == nil {
		_, err = chatformat.NewTemplate(filepath.Base(path), template, chatformat.SpecialTokens{})
	}
	if err != nil {
		return []chatformat.Finding{{Severity: chatformat.SeverityError, Message: sentence(err)}}
	}
	return nil
}

func colourOfSeverity(s style, severity chatformat.Severity) string {
	switch severity {
	case chatformat.SeverityError:
		return s.red(string(severity))
	case chatformat.SeverityWarning:
		return s.yellow(string(severity))
	}
	return s.dim(string(severity))
}

// formatAlone is a format without a model.
func formatAlone(arg string) (chatformat.Format, error) {
	find, err := findFormat(arg)
	if err != nil {
		return nil, err
	}
	return find(llm.Info{})
}

// A layout gives the chat format that is meant, once the model is known:
// templates spell out the model's own tokens.
type layout = func(llm.Info) (chatformat.Format, error)

// findFormat is what --format means: a file with a format in TOML or a Jinja
// template, or a built-in format. "" gives nil: the model's own. What can be
// wrong without a model is said before one is loaded.
func findFormat(arg string) (layout, error) {
	switch {
	case arg == "":
		return nil, nil
	case isFormatFile(arg):
		find, err := formatInFile(arg)
		if err == nil {
			_, err = find(llm.Info{})
		}
		return find, err
	}
	m, err := chatformat.Lookup(arg)
	return func(llm.Info) (chatformat.Format, error) { return m, nil }, err
}

func isFormatFile(arg string) bool { return slices.Contains(formatFiles, filepath.Ext(arg)) }

// formatFiles are the endings of files with chat formats; of JSON, a
// tokenizer's configuration.
var formatFiles = []string{".toml", ".jinja", ".j2", ".json"}

// besideModel are the files with a chat template that models are published
// with, the first one that is there first.
var besideModel = []string{"chat_template.jinja", "tokenizer_config.json"}

// modelsOwn is the format of a model for which none was chosen: the chat
// template in its file, or in a file beside it. The file's own goes first,
// since a folder may hold the files of several models. A model that comes without
// one, as those do that only continue texts or turn them into vectors, is served for
// what it can do.
func modelsOwn(path string) layout {
	return func(info llm.Info) (chatformat.Format, error) {
		if path == "" || strings.TrimSpace(info.ChatTemplate) != "" {
			return chatformat.Detect(info)
		}
		for _, name := range besideModel {
			beside := filepath.Join(filepath.Dir(path), name)
			data, err := readFormatFile(beside)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if template, err := templateIn(beside, data); err == nil && template == "" {
				continue // a tokenizer's configuration need not have one
			}
			find, err := formatInFile(beside)
			if err != nil {
				return nil, err
			}
			return find(info)
		}
		if f, err := chatformat.Detect(info); err == nil { // by its architecture
			return f, nil
		}
		return chatformat.None(), nil
	}
}

// templateIn is the chat template in a file.
func templateIn(path string, data []byte) (string, error) {
	if filepath.Ext(path) == ".json" {
		return chatformat.TemplateOfTokenizerConfig(data)
	}
	return string(data), nil
}

func formatInFile(path string) (layout, error) {
	data, err := readFormatFile(path)
	if err != nil {
		return nil, err
	}
	name := formatName(path)
	return func(info llm.Info) (f chatformat.Format, err error) {
		if filepath.Ext(path) == ".toml" {
			f, err = chatformat.ParseMarkup(name, data)
		} else {
			var template string
			if template, err = templateIn(path, data); err == nil {
				f, err = chatformat.NewTemplate(filepath.Base(path), template, chatformat.SpecialTokens{BOS: info.BOS, EOS: info.EOS})
			}
		}
		if err != nil {
			return nil, &userError{Message: path + ": " + sentence(err), Hint: "parley formats check " + path, Err: err}
		}
		return f, nil
	}, nil
}

func formatName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

func readFormatFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("chat format", path, err)
	}
	defer f.Close()
	most := limits.FormatFileBytes
	if filepath.Ext(path) == ".json" {
		most = limits.TokenizerConfigBytes
	}
	data, err := io.ReadAll(io.LimitReader(f, most.Int64()+1))
	if err != nil {
		return nil, fileError("chat format", path, err)
	}
	if err := most.CheckInt(len(data)); err != nil {
		return nil, &userError{Message: fmt.Sprintf("%s: the file is too large for a chat format: %v", path, err), Err: err}
	}
	return data, nil
}
