package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"parley/chatformat"
	"parley/internal/catalog"
	"parley/internal/demo"
	"parley/internal/gguf"
)

type modelsCmd struct {
	List modelsListCmd `cmd:"" help:"List the models that there are."`
	Info modelsInfoCmd `cmd:"" help:"Show what is in a model file."`

	Remove modelsRemoveCmd `cmd:"" name:"rm" help:"Remove a model that parley pull fetched."`

	Load   modelsLoadCmd   `cmd:"" help:"Have a running server load a model."`
	Unload modelsUnloadCmd `cmd:"" help:"Have a running server unload a model."`
}

func (*modelsCmd) Help() string {
	return `Example:

    parley models list ~/models`
}

type modelsListCmd struct {
	Folder string `arg:"" optional:"" help:"Also list the GGUF files in this folder."`
	Server string `placeholder:"URL" env:"PARLEY_SERVER" help:"List those of this running server instead, and what becomes of them."`
	APIKey string `name:"api-key" placeholder:"KEY" env:"PARLEY_API_KEY" help:"The server's key."`
}

func (*modelsListCmd) Help() string {
	return `Those of the configuration, those in a folder if one is given, those found where
people and programs keep them, and the built-in one; or those of a running server, with what is loaded, used and waited for.

Example:

    parley models list ~/models
    parley models list --server http://127.0.0.1:7275`
}

func (c *modelsListCmd) Run(a *app) error {
	if c.Server != "" {
		r, err := newRemote(c.Server, c.APIKey, "")
		if err != nil {
			return err
		}
		return listServer(a, r)
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tARCHITECTURE\tPARAMETERS\tTYPE\tSIZE\tCONTEXT\tFORMAT\tFILE\t")
	seen := map[string]bool{}
	for _, m := range cfg.Models {
		if len(m.Command) > 0 && m.Path == "" {
			fmt.Fprintf(table, "%s\t\t\t\t\t\t\t%s\n", printable(m.name()), printable(m.Command[0])) // and not started to look
			continue
		}
		if len(m.Command) == 0 && m.URL != "" {
			listRemote(table, &m, cfg)
			continue
		}
		seen[absolute(m.Path)] = true
		listFile(table, m.name(), m.Path)
	}
	if c.Folder != "" {
		entries, err := os.ReadDir(c.Folder)
		if err != nil {
			return fileError("folder", c.Folder, err)
		}
		for _, e := range entries {
			path := filepath.Join(c.Folder, e.Name())
			if strings.EqualFold(filepath.Ext(path), ".gguf") && !seen[absolute(path)] {
				for _, part := range gguf.PartPaths(path) {
					seen[absolute(part)] = true
				}
				listFile(table, gguf.NameOf(path), path)
			}
		}
	}
	found := cfg.foundFiles(context.Background())
	listFound(table, &cfg, found, seen)
	if f, err := gguf.Parse(demo.Model()); err == nil {
		listSummary(table, catalog.BuiltInName, summarise(f), "built in")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	listNotes(a.stdout, found.Notes, seen)
	return nil
}

// absolute is a path from the root on, so that one file has one path.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func listFile(table io.Writer, name, path string) {
	f, err := openGGUF(path)
	if err != nil {
		fmt.Fprintf(table, "%s\t\t\t\t\t\t\t%s\n", printable(name), printable(err.Error()))
		return
	}
	defer f.Close()
	listSummary(table, name, summarise(f), path)
}

func listSummary(table io.Writer, name string, s summary, where string) {
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(name), printable(s.Architecture),
		short(s.Parameters), s.Quantisation, size(s.Bytes), count(int64(s.Trained)), detected(s), printable(where))
}

// listRemote asks the engine that runs a model.
func listRemote(table io.Writer, m *modelConfig, cfg config) {
	loaded, err := m.connect(context.Background(), cfg, nil)
	if err != nil {
		fmt.Fprintf(table, "%s\t\t\t\t\t\t\t%s\n", printable(m.name()), printable(sentence(err)))
		return
	}
	defer loaded.Close()
	format := "its own"
	if loaded.Format != "" {
		format = loaded.Format
	}
	i, e := loaded.Info, loaded.Engine
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(m.name()), printable(i.Architecture),
		unless0(i.Parameters, short), printable(i.Quantisation), unless0(i.Bytes, size), unless0(int64(i.Context), count), printable(format),
		printable(strings.Join(strings.Fields(e.Kind+" "+e.Version+" at "+e.URL), " ")))
}

// unless0 is a number as a person reads it; what an engine does not tell is
// left out.
func unless0(n int64, as func(int64) string) string {
	if n == 0 {
		return ""
	}
	return as(n)
}

// detected is the chat format that a model would get, or "?".
func detected(s summary) string {
	format, err := chatformat.Detect(s.Info)
	if err != nil {
		return "?"
	}
	return formatOf(format)
}

func formatOf(f chatformat.Format) string {
	if _, ok := f.(*chatformat.Template); ok {
		return "its template"
	}
	return f.Name()
}

type modelsInfoCmd struct {
	File string `arg:"" optional:"" help:"A GGUF file, or the name of a model in the configuration. Default: the built-in model."`
}

func (*modelsInfoCmd) Help() string {
	return `Its metadata, tokenizer, tensors and chat template, and the chat format that is
found from them. Nothing is loaded.

Example:

    parley models info llama-3.2-3b-instruct-q4_k_m.gguf`
}

func (c *modelsInfoCmd) Run(a *app) error {
	f, err := c.open(a)
	if err != nil {
		return err
	}
	defer f.Close()
	s := summarise(f)
	o, out := a.out, a.stdout

	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(value))
		}
	}
	line("name", s.Name)
	line("description", s.Description)
	line("architecture", fmt.Sprintf("%s, %d layers of %s", s.Architecture, s.layers, count(int64(s.embedding))))
	line("parameters", short(s.Parameters))
	line("weights", fmt.Sprintf("%s, %s", s.Quantisation, size(s.Bytes)))
	line("trained for", count(int64(s.Trained))+" tokens")
	line("vocabulary", fmt.Sprintf("%s tokens (%s)", count(int64(s.Vocabulary)), s.tokenizer))
	line("BOS, EOS", strings.TrimSuffix(s.BOS+", "+s.EOS, ", "))
	format, err := chatformat.Detect(s.Info)
	if err == nil {
		line("chat format", formatOf(format))
	} else {
		line("chat format", "none found: "+sentence(err))
	}
	if err := table.Flush(); err != nil {
		return err
	}

	fmt.Fprintf(out, "\n%s\n", o.bold(fmt.Sprintf("Metadata (%d)", len(f.Keys()))))
	for _, key := range f.Keys() {
		if v, ok := f.Value(key); ok && key != "tokenizer.chat_template" {
			fmt.Fprintf(table, "  %s\t%s\n", printable(key), printable(v.String()))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}

	fmt.Fprintf(out, "\n%s\n", o.bold(fmt.Sprintf("Tensors (%d)", len(f.Tensors))))
	for i := range f.Tensors {
		t := &f.Tensors[i]
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", printable(t.Name), t.Type, shape(t.Shape), size(int64(len(t.Data))))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if s.ChatTemplate != "" {
		fmt.Fprintf(out, "\n%s\n%s\n", o.bold("Chat template"), printable(strings.TrimSuffix(s.ChatTemplate, "\n")))
	}
	return nil
}

func (c *modelsInfoCmd) open(a *app) (*gguf.File, error) {
	if c.File == "" {
		return gguf.Parse(demo.Model())
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	m, err := cfg.model(c.File)
	if err != nil {
		return nil, err
	}
	if err := m.here(); err != nil {
		return nil, err
	}
	return openGGUF(m.Path)
}

func shape(dims []uint64) string {
	text := make([]string, len(dims))
	for i, d := range dims {
		text[i] = fmt.Sprint(d)
	}
	return strings.Join(text, " × ")
}
