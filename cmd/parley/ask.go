package main

import (
	"context"
	"io"
	"os/signal"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

type askCmd struct {
	talkFlags
	System string   `placeholder:"TEXT" help:"System message."`
	Text   []string `arg:"" optional:"" help:"The question. What comes in on standard input is put behind it."`
}

func (*askCmd) Help() string {
	return `Notes and errors go to standard error.

Example:

    parley ask "Write a haiku about apples."
    git diff | parley ask --model qwen.gguf "Write a commit message for this:"`
}

func (c *askCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	question, err := c.question(a.stdin)
	if err != nil {
		return err
	}
	partner, err := c.partner(ctx, a)
	if err != nil {
		return err
	}
	defer partner.close()

	var talk chat.Conversation
	if c.System != "" {
		talk.Messages = append(talk.Messages, chat.Say(chat.System, c.System))
	}
	talk.Messages = append(talk.Messages, chat.Say(chat.User, question))

	p := &printer{out: a.stdout, quiet: true, terminal: isTerminal(a.stdout)}
	for event, err := range partner.responder.Respond(ctx, talk, c.params()) {
		if err != nil {
			p.end()
			return err
		}
		p.print(event)
	}
	p.end()
	for _, n := range p.report {
		printNote(a.stderr, a.err, n)
	}
	if how := p.ending(); how != "" {
		printNote(a.stderr, a.err, llm.Note{Detail: how})
	}
	return nil
}

// question is the text of the arguments and of standard input, in this order.
func (c *askCmd) question(stdin io.Reader) (string, error) {
	parts := []string{strings.Join(c.Text, " ")}
	if !isTerminal(stdin) {
		piped, err := readInput(stdin)
		if err != nil {
			return "", err
		}
		parts = append(parts, strings.TrimRight(string(piped), "\n"))
	}
	question := strings.TrimSpace(strings.Join(parts, "\n\n"))
	if question == "" {
		return "", usageError(`parley ask "Write a haiku about apples."`, "there is no question")
	}
	return question, nil
}

// readInput reads all of a file or pipe, as far as a request may go.
func readInput(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limits.BodyBytes.Int64()+1))
	if err != nil {
		return nil, &userError{Message: "the input cannot be read: " + err.Error(), Err: err}
	}
	if err := limits.BodyBytes.CheckInt(len(data)); err != nil {
		return nil, &userError{Message: "the input is too long: " + err.Error(), Err: err}
	}
	return data, nil
}
