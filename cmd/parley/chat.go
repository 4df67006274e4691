package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"parley/chat"
	"parley/llm"
)

type chatCmd struct {
	Characters []string `arg:"" optional:"" name:"character" help:"With whom: characters by name or id, or the file of one. The talk is kept, and goes on where it was left."`
	talkFlags
	System  string `placeholder:"TEXT" help:"System message to begin with."`
	Session string `placeholder:"NAME" help:"The session that goes on, by its id or a name of your own; one that is not there begins."`
	New     bool   `help:"Begin another session with the characters."`
	User    string `placeholder:"NAME" help:"What you are called."`
	Persona string `placeholder:"TEXT" help:"Who you are."`
	dataFlag
}

func (*chatCmd) Help() string {
	return `The partner is a model in this process or a server. Commands begin with a slash: /help lists them. Ctrl-C stops a reply and keeps
what was said, Ctrl-D leaves. Three quotation marks begin and end a message of
several lines; what is pasted stays together. With input from a pipe, each line
is a message and only replies are printed.

With a character or --session the talk is a session: kept by the server, or without one in a folder of yours, the one parley serve
keeps, too.

Example:

    parley chat --system "You are Mira, a pirate captain."
    parley chat --server http://127.0.0.1:7275
    parley chat ada --user Tom
    parley chat ada bob --session tavern --server http://127.0.0.1:7275`
}

func (c *chatCmd) Run(a *app) error {
	if c.kept() {
		return c.runSession(a)
	}
	for flag, value := range map[string]string{"--user": c.User, "--persona": c.Persona} {
		if value != "" {
			return usageError("name a character or a --session", "%s is for talks that are kept", flag)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	partner, err := c.partner(ctx, a)
	if err != nil {
		return err
	}
	defer partner.close()
	// From here on Ctrl-C belongs to the conversation: it ends a reply, not
	// the program.
	stop()
	r := &repl{screen: newScreen(a), responder: partner.responder, params: c.params()}
	if c.System != "" {
		r.setSystem(c.System)
	}
	r.welcome(partner.name, partner.about)
	return r.converse(context.Background(), r.reader(a), r.take)
}

// A screen is where a conversation is shown.
type screen struct {
	out   io.Writer
	style style
	quiet bool // nobody watches: replies alone are printed

	notes     io.Writer
	noteStyle style
	said      map[llm.Note]bool // notes that were shown
}

func newScreen(a *app) screen {
	return screen{
		out:       a.stdout,
		style:     style{a.out.on && isTerminal(a.stdin)},
		quiet:     !isTerminal(a.stdin) || !isTerminal(a.stdout),
		notes:     a.stderr,
		noteStyle: a.err,
		said:      map[llm.Note]bool{},
	}
}

func (s *screen) welcome(name, about string) {
	if !s.quiet {
		fmt.Fprintf(s.out, "%s %s\n%s\n\n", s.style.bold(name), s.style.dim(about), s.style.dim("/help for commands, Ctrl-D leaves"))
	}
}

func (s *screen) reader(a *app) messageReader {
	if in, ok := a.stdin.(*os.File); ok && !s.quiet {
		return newTerminalReader(in, a.stdout, s.style)
	}
	return newPlainReader(a.stdin)
}

// tell says that something is done.
func (s *screen) tell(format string, args ...any) {
	fmt.Fprintln(s.out, s.style.dim(printable(fmt.Sprintf(format, args...))))
}

// A repl is a conversation with a person, one message at a time, that nobody
// keeps.
type repl struct {
	screen
	responder chat.Responder
	params    llm.Params
	talk      chat.Conversation
}

// A messageReader reads what a person says: io.EOF when he is gone,
// errInterrupted when he pressed Ctrl-C.
type messageReader interface {
	read() (string, error)
}

var (
	errInterrupted = errors.New("interrupted")
	errQuit        = errors.New("quit")
	errStopped     = errors.New("stopped before the first word")
)

// converse has each message and command taken that is read, until there are no
// more.
func (s *screen) converse(ctx context.Context, in messageReader, take func(context.Context, string) error) error {
	for {
		text, err := in.read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errInterrupted):
			s.tell("Ctrl-D or /quit leaves")
			continue
		case err != nil:
			return err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		err = take(ctx, text)
		switch {
		case errors.Is(err, errQuit):
			return nil
		case errors.Is(err, errStopped):
		case err != nil && s.quiet:
			return err
		case err != nil:
			report(s.out, s.style, err)
			fmt.Fprintln(s.out)
		}
	}
}

// asCommand takes a command apart; false is a message.
func asCommand(text string) (name, argument string, ok bool) {
	name, ok = strings.CutPrefix(text, "/")
	if !ok || strings.Contains(text, "\n") {
		return "", "", false
	}
	name, argument, _ = strings.Cut(name, " ")
	return name, strings.TrimSpace(argument), true
}

// noCommand is the error for a command that is not there.
func noCommand(name string, known []string) error {
	e := &userError{Message: "there is no command /" + name, Hint: "/help lists them"}
	if best := nearest(name, known); best != "" {
		e.Hint = "did you mean /" + best + "?"
	}
	return e
}

// take handles one message or command.
func (r *repl) take(ctx context.Context, text string) error {
	if name, argument, ok := asCommand(text); ok {
		return r.command(ctx, name, argument)
	}
	r.talk.Messages = append(r.talk.Messages, chat.Say(chat.User, text))
	r.params.Choice = 0
	err := r.reply(ctx)
	if err != nil {
		// A message without an answer would make the next one the second of two.
		r.talk.Messages = r.talk.Messages[:len(r.talk.Messages)-1]
	}
	return err
}

// reply prints the answer to the conversation as it comes and adds it. An
// answer that was interrupted is kept as far as it went; errStopped is one
// that went nowhere.
func (r *repl) reply(ctx context.Context) error {
	if !r.quiet {
		var cancel context.CancelFunc
		ctx, cancel = signal.NotifyContext(ctx, os.Interrupt)
		defer cancel()
	}
	p := &printer{out: r.out, style: r.style, quiet: r.quiet, terminal: !r.quiet}
	var text strings.Builder
	for event, err := range r.responder.Respond(ctx, r.talk, r.params) {
		if err != nil && ctx.Err() != nil {
			p.end()
			fmt.Fprintln(r.out, r.style.dim("stopped"))
			if text.Len() == 0 {
				return errStopped
			}
			break
		}
		if err != nil {
			p.end()
			return err
		}
		if d, ok := event.(chat.TextDelta); ok {
			text.WriteString(d.Text)
		}
		p.print(event)
	}
	r.ended(p)
	r.talk.Messages = append(r.talk.Messages, chat.Say(chat.Assistant, text.String()))
	return nil
}

// ended ends a reply, with notes on it.
func (s *screen) ended(p *printer) {
	p.end()
	s.show(p.report)
	if !s.quiet {
		if how := p.ending(); how != "" {
			printNote(s.notes, s.noteStyle, llm.Note{Detail: how})
		}
		fmt.Fprintln(s.out)
	}
}

// show prints notes that were not shown before: a repair that every turn
// needs is said once.
func (s *screen) show(notes llm.Report) {
	for _, n := range notes {
		if !s.said[n] {
			s.said[n] = true
			printNote(s.notes, s.noteStyle, n)
		}
	}
}

func printNote(w io.Writer, s style, n llm.Note) {
	text := n.Detail
	if text == "" {
		text = strings.TrimSuffix(n.Code+" "+n.Value, " ")
	}
	fmt.Fprintln(w, s.dim("note: "+printable(text)))
}

// setSystem replaces the first message if it is the system's.
func (r *repl) setSystem(text string) {
	message := chat.Say(chat.System, text)
	if m := r.talk.Messages; len(m) > 0 && m[0].Role == chat.System {
		m[0] = message
		return
	}
	r.talk.Messages = append([]chat.Message{message}, r.talk.Messages...)
}

const replHelp = `/system [TEXT]   show or set the system message
/regenerate      answer the last message again
/save FILE       write the conversation as JSON, as parley render reads it
/quit            leave, as does Ctrl-D
"""              begins and ends a message of several lines`

func (r *repl) command(ctx context.Context, name, argument string) error {
	switch name {
	case "help", "?":
		fmt.Fprintln(r.out, replHelp)
	case "system":
		if argument == "" {
			fmt.Fprintln(r.out, r.system())
			return nil
		}
		r.setSystem(argument)
		fmt.Fprintln(r.out, r.style.dim("system message set"))
	case "regenerate":
		return r.regenerate(ctx)
	case "save":
		return r.save(argument)
	case "quit":
		return errQuit
	default:
		return noCommand(name, []string{"help", "system", "regenerate", "save", "quit"})
	}
	return nil
}

func (r *repl) system() string {
	if m := r.talk.Messages; len(m) > 0 && m[0].Role == chat.System {
		return m[0].Text()
	}
	return r.style.dim("no system message")
}

// regenerate asks again with another seed: at a temperature of 0 the answer
// stays the same, as it should.
func (r *repl) regenerate(ctx context.Context) error {
	n := len(r.talk.Messages)
	if n == 0 || r.talk.Messages[n-1].Role != chat.Assistant {
		return &userError{Message: "there is no reply yet to make again"}
	}
	last := r.talk.Messages[n-1]
	r.talk.Messages = r.talk.Messages[:n-1]
	r.params.Choice++
	err := r.reply(ctx)
	if err != nil {
		r.talk.Messages = append(r.talk.Messages, last)
	}
	return err
}

// save writes the conversation as the body of a request.
func (r *repl) save(path string) error {
	if path == "" {
		return &userError{Message: "/save needs the name of a file"}
	}
	data, err := json.MarshalIndent(map[string]any{"messages": wireMessages(r.talk.Messages)}, "", "  ")
	if err != nil {
		return err
	}
	return r.saveAs(path, append(data, '\n'))
}

// saveAs writes a new file.
func (s *screen) saveAs(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return &userError{Message: path + " exists already", Hint: "choose another name"}
	}
	if err != nil {
		return fileError("file", path, err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return &userError{Message: fmt.Sprintf("%s cannot be written: %v", path, err), Err: err}
	}
	s.tell("saved to %s", path)
	return nil
}
