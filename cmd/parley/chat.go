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
	talkFlags
	System string `placeholder:"TEXT" help:"System message to begin with."`
}

func (*chatCmd) Help() string {
	return `The partner is a model in this process or a server. Commands begin with a slash: /help lists them. Ctrl-C stops a reply and keeps
what was said, Ctrl-D leaves. Three quotation marks begin and end a message of
several lines; what is pasted stays together. With input from a pipe, each line
is a message and only replies are printed.

Example:

    parley chat --system "You are Mira, a pirate captain."
    parley chat --server http://127.0.0.1:7275`
}

func (c *chatCmd) Run(a *app) error {
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
	ctx = context.Background()

	r := &repl{
		out:       a.stdout,
		style:     style{a.out.on && isTerminal(a.stdin)},
		responder: partner.responder,
		params:    c.params(),
		quiet:     !isTerminal(a.stdin) || !isTerminal(a.stdout),
		notes:     a.stderr,
		noteStyle: a.err,
		said:      map[llm.Note]bool{},
	}
	if c.System != "" {
		r.setSystem(c.System)
	}
	if in, ok := a.stdin.(*os.File); ok && !r.quiet {
		r.in = newTerminalReader(in, a.stdout, r.style)
		fmt.Fprintf(a.stdout, "%s %s\n%s\n\n", r.style.bold(partner.name), r.style.dim(partner.about), r.style.dim("/help for commands, Ctrl-D leaves"))
	} else {
		r.in = newPlainReader(a.stdin)
	}
	return r.run(ctx)
}

// A repl is a conversation with a person, one message at a time.
type repl struct {
	in        messageReader
	out       io.Writer
	style     style
	responder chat.Responder
	params    llm.Params
	talk      chat.Conversation
	quiet     bool // nobody watches: replies alone are printed

	notes     io.Writer
	noteStyle style
	said      map[llm.Note]bool // notes that were shown
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

func (r *repl) run(ctx context.Context) error {
	for {
		text, err := r.in.read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(r.out, r.style.dim("Ctrl-D or /quit leaves"))
			continue
		case err != nil:
			return err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		err = r.take(ctx, text)
		switch {
		case errors.Is(err, errQuit):
			return nil
		case errors.Is(err, errStopped):
		case err != nil && r.quiet:
			return err
		case err != nil:
			report(r.out, r.style, err)
			fmt.Fprintln(r.out)
		}
	}
}

// take handles one message or command.
func (r *repl) take(ctx context.Context, text string) error {
	if name, ok := strings.CutPrefix(text, "/"); ok && !strings.Contains(text, "\n") {
		name, argument, _ := strings.Cut(name, " ")
		return r.command(ctx, name, strings.TrimSpace(argument))
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
	p.end()
	r.show(p.report)
	if !r.quiet {
		if how := p.ending(); how != "" {
			printNote(r.notes, r.noteStyle, llm.Note{Detail: how})
		}
		fmt.Fprintln(r.out)
	}
	r.talk.Messages = append(r.talk.Messages, chat.Say(chat.Assistant, text.String()))
	return nil
}

// show prints notes that were not shown before: a repair that every turn
// needs is said once.
func (r *repl) show(notes llm.Report) {
	for _, n := range notes {
		if !r.said[n] {
			r.said[n] = true
			printNote(r.notes, r.noteStyle, n)
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
		e := &userError{Message: "there is no command /" + name, Hint: "/help lists them"}
		if best := nearest(name, []string{"help", "system", "regenerate", "save", "quit"}); best != "" {
			e.Hint = "did you mean /" + best + "?"
		}
		return e
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
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return &userError{Message: path + " exists already", Hint: "choose another name"}
	}
	if err != nil {
		return fileError("file", path, err)
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return &userError{Message: fmt.Sprintf("%s cannot be written: %v", path, err), Err: err}
	}
	fmt.Fprintln(r.out, r.style.dim("saved to "+path))
	return nil
}
