package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/session"
	"parley/llm"
)

type sessionCmd struct {
	List   sessionListCmd   `cmd:"" help:"List the sessions, those changed last first."`
	Show   sessionShowCmd   `cmd:"" help:"Show what was talked in a session."`
	Export sessionExportCmd `cmd:"" help:"Write a session, or all that is kept, to standard output."`
	Import sessionImportCmd `cmd:"" help:"Make sessions of files: exports of Parley, of SillyTavern, text-generation-webui, llama.cpp's page, messages of OpenAI's clients, Markdown."`

	Backup  sessionBackupCmd  `cmd:"" help:"Copy all sessions and characters into a file, also while a server keeps them."`
	Restore sessionRestoreCmd `cmd:"" help:"Bring a backup back. What is there now is moved aside."`
	Check   sessionCheckCmd   `cmd:"" help:"Look whether everything is there and sound."`
}

// dataFlag says whose sessions are meant.
type dataFlag struct {
	Data string `placeholder:"DIR" env:"PARLEY_DATA" help:"The folder in which a server keeps its sessions. Default: a folder of yours."`
}

type sessionListCmd struct {
	dataFlag
	JSON bool `help:"For programs: one JSON object a line."`
}

func (*sessionListCmd) Help() string {
	return `Examples:

    parley session list
    parley session list --data /srv/parley --json`
}

func (c *sessionListCmd) Run(a *app) (err error) {
	s, done, err := c.lookAt()
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, done()) }()
	q := session.Query{Limit: limits.ListItems.Int()}
	for {
		list, err := s.List(context.Background(), q)
		if err != nil {
			return err
		}
		for i := range list {
			x := &list[i]
			if c.JSON {
				line, err := encodeJSON(x)
				if err != nil {
					return err
				}
				fmt.Fprintln(a.stdout, string(line))
				continue
			}
			fmt.Fprintf(a.stdout, "%s  %s  %4d  %s\n", a.out.cyan(x.ID), x.Updated.Local().Format("2006-01-02 15:04"), x.Messages, printable(x.Title))
		}
		if len(list) < q.Limit {
			return nil
		}
		q.After = &list[len(list)-1]
	}
}

// orElse is the first error that there is.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

type sessionShowCmd struct {
	ID string `arg:"" help:"The session, as parley session list shows it."`
	dataFlag
}

func (*sessionShowCmd) Help() string {
	return `Example:

    parley session show k3jx5l2m7q4nbaiz`
}

func (c *sessionShowCmd) Run(a *app) (err error) {
	s, done, err := c.lookAt()
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, done()) }()
	x, talk, err := s.Read(context.Background(), c.ID)
	if err != nil {
		return err
	}
	for _, m := range talk {
		who := m.Author.Name
		if who == "" && m.Role == chat.User {
			who = x.Now().User
		}
		if who == "" {
			who = string(m.Role)
		}
		note := ""
		if m.State != session.Complete {
			note = " " + a.out.dim("("+string(m.State)+")")
		}
		if n := len(m.Alternatives); n > 1 {
			note += " " + a.out.dim(fmt.Sprintf("(one of %d)", n))
		}
		fmt.Fprintf(a.stdout, "%s%s %s\n", a.out.bold(printable(who)+":"), note, printableLines(m.Marked()))
	}
	return nil
}

// printableLines is a text for a terminal: what would move its cursor or
// change its colours is shown instead.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}

type sessionExportCmd struct {
	ID     string `arg:"" optional:"" help:"The session, as parley session list shows it."`
	All    bool   `help:"All sessions and all characters, lorebooks, personas and presets, in lines of JSON."`
	Format string `enum:"parley,sillytavern,textgen,messages,llamacpp,markdown" default:"parley" help:"parley (everything), sillytavern (lines of JSON), textgen (text-generation-webui's history), messages (OpenAI's), llamacpp (its page's) or markdown (to read)."`
	dataFlag
}

func (*sessionExportCmd) Help() string {
	return `Examples:

    parley session export k3jx5l2m7q4nbaiz > talk.json
    parley session export k3jx5l2m7q4nbaiz --format sillytavern > Ada.jsonl
    parley session export --all > everything.jsonl`
}

func (c *sessionExportCmd) Run(a *app) (err error) {
	if c.All == (c.ID != "") {
		return &userError{Message: "one session, or --all, is to be named", Hint: "parley session list shows the sessions"}
	}
	s, done, err := c.lookAt()
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, done()) }()
	if c.All {
		return s.ExportAll(context.Background(), a.stdout)
	}
	data, err := s.Export(context.Background(), c.ID, session.Format(c.Format))
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(data)
	return err
}

type sessionImportCmd struct {
	Files []string `arg:"" name:"file" help:"Files to read."`
	dataFlag
}

func (*sessionImportCmd) Help() string {
	return `What a file is, its content says. Of what parley session export --all wrote, everything is
added that is not here, under its own id. Examples:

    parley session import ~/SillyTavern/data/default-user/chats/Ada/*.jsonl
    parley session import ~/text-generation-webui/user_data/logs/chat/Ada/20260101-10-00-00.json
    parley session import everything.jsonl`
}

func (c *sessionImportCmd) Run(a *app) (err error) {
	s, done, err := c.addTo()
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, done()) }()
	for _, path := range c.Files {
		whole, err := importWhole(a, s, path)
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		data, err := readFile("talk", path)
		if err != nil {
			return err
		}
		x, report, err := s.Import(context.Background(), data)
		if err != nil {
			return &userError{Message: path + ": " + sentence(err), Hint: llm.AsError(err).Hint, Err: err}
		}
		for _, n := range report {
			fmt.Fprintf(a.stderr, "%s: left out %s: %s\n", path, n.Value, n.Detail)
		}
		fmt.Fprintln(a.stdout, x.ID)
	}
	return nil
}

// importWhole takes over the archive of a server, if a file is one.
func importWhole(a *app, s *session.Sessions, path string) (is bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fileError("talk", path, err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if first, _ := r.Peek(16); !session.IsWhole(first) {
		return false, nil
	}
	m, err := s.ImportAll(context.Background(), r)
	if err != nil {
		return true, &userError{Message: path + ": " + sentence(err), Hint: llm.AsError(err).Hint, Err: err}
	}
	for _, k := range []struct {
		what string
		session.MergedKind
	}{{"documents", m.Documents}, {"sessions", m.Sessions}} {
		fmt.Fprintf(a.stdout, "%s: %d added, %d were here, %d are different here and stay so\n", k.what, k.Added, k.Same, k.Different)
		for _, name := range k.Names {
			fmt.Fprintln(a.stdout, "  "+printable(name))
		}
	}
	return true, nil
}

// readFile reads a file that may not be larger than the body of a request.
func readFile(what, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(what, path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limits.BodyBytes.Int64()+1))
	if err != nil {
		return nil, fileError(what, path, err)
	}
	if err := limits.BodyBytes.CheckInt(len(data)); err != nil {
		return nil, &userError{Message: fmt.Sprintf("%s: %v", path, err), Err: err}
	}
	return data, nil
}
