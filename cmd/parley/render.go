package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/chatformat"
	"parley/internal/openai"
	"parley/internal/server"
	"parley/llm"
)

type renderCmd struct {
	modelFlags
	Diff string `placeholder:"NAME" xor:"print" help:"Show by which lines the prompt of this format differs."`
	JSON bool   `name:"json" xor:"print" help:"Print the answer of POST /parley/v1/render."`
	File string `arg:"" optional:"" help:"The conversation as JSON: the body of a chat completion, or its list of messages. Default: standard input."`
}

func (*renderCmd) Help() string {
	return `The prompt goes to standard output as the model would read it, to the byte. At
which strings the reply stops, how many tokens the prompt has and what had to be
repaired go to standard error. On a terminal, colours tell whose words are
whose: the format's, the client's, the model's. With --format and no --model
nothing is loaded, and tokens are not counted.

Example:

    parley render conversation.json
    echo '[{"role":"user","content":"Hi"}]' | parley render --format llama-3
    parley render --format llama-3 --diff chatml conversation.json`
}

func (c *renderCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	talk, err := c.conversation(a.stdin)
	if err != nil {
		return err
	}
	rendered, name, err := c.render(ctx, a, talk.Conversation)
	if err != nil {
		return err
	}
	if c.Diff != "" {
		format, err := formatAlone(c.Diff)
		if err != nil {
			return err
		}
		talk.Conversation.Layout.Format = ""
		other, err := chatformat.NewResponder(nil, format, chatformat.Options{}).Render(ctx, talk.Conversation)
		if err != nil {
			return err
		}
		return showDiff(a, rendered, other)
	}
	talk.Report.Merge(rendered.Report)
	rendered.Report = talk.Report
	if c.JSON {
		body, err := server.EncodeRendered(name, rendered)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(append(body, '\n'))
		return err
	}
	return showPrompt(a, rendered)
}

func (c *renderCmd) conversation(stdin io.Reader) (*openai.Request, error) {
	in := stdin
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, fileError("conversation", c.File, err)
		}
		defer f.Close()
		in = f
	}
	body, err := readInput(in)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		body = fmt.Appendf(nil, `{"messages":%s}`, body)
	}
	return openai.ParseChat(body)
}

// render lays the conversation out with a model, which has a name, or by a
// format alone.
func (c *renderCmd) render(ctx context.Context, a *app, talk chat.Conversation) (r chat.Rendered, name string, err error) {
	if c.Format != "" && c.Model == "" {
		format, err := formatAlone(c.Format)
		if err != nil {
			return r, "", err
		}
		r, err := chatformat.NewResponder(nil, format, chatformat.Options{RequestFormats: true}).Render(ctx, talk)
		return r, "", err
	}
	loaded, name, err := c.load(a)
	if err != nil {
		return r, name, err
	}
	defer loaded.Close()
	renderer, ok := loaded.Responder.(chat.Renderer)
	if !ok {
		return r, name, &userError{Message: "this model cannot show its prompts"}
	}
	r, err = renderer.Render(ctx, talk)
	return r, name, err
}

// showPrompt prints a prompt, with colours for a person; what is known of it
// goes to standard error, so that a pipe gets the prompt and nothing else.
func showPrompt(a *app, r chat.Rendered) error {
	w := bufio.NewWriter(a.stdout)
	for _, s := range r.Prompt.Segments {
		text := s.Text
		if isTerminal(a.stdout) {
			text = printable(text)
		}
		w.WriteString(colourOf(a.out, s)(text))
	}
	if isTerminal(a.stdout) {
		w.WriteString("\n")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	showFacts(a, r)
	return nil
}

// showFacts prints what is known of a prompt.
func showFacts(a *app, r chat.Rendered) {
	facts := []string{"format " + r.Format}
	if r.Tokens != nil {
		facts = append(facts, fmt.Sprintf("%s tokens", count(int64(len(r.Tokens)))))
	}
	if len(r.Stop) > 0 {
		quoted := make([]string, len(r.Stop))
		for i, s := range r.Stop {
			quoted[i] = strconv.Quote(s)
		}
		facts = append(facts, "stops at "+strings.Join(quoted, ", "))
	}
	fmt.Fprintln(a.stderr, a.err.dim(strings.Join(facts, "; ")))
	for _, n := range r.Report {
		printNote(a.stderr, a.err, n)
	}
	if cannot := unable(r.Abilities); len(cannot) > 0 {
		fmt.Fprintln(a.stderr, a.err.dim("has to be repaired for this format: "+strings.Join(cannot, ", ")))
	}
}

// unable lists what a format cannot express, in words.
func unable(abilities map[string]bool) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(abilities)) {
		if !abilities[name] {
			list = append(list, strings.ReplaceAll(name, "_", " "))
		}
	}
	return list
}

// colourOf tells by colour whose words a segment holds.
func colourOf(s style, segment llm.Segment) func(string) string {
	lines := func(colour func(string) string) func(string) string {
		// A colour that runs over the end of a line paints the rest of it.
		return func(text string) string {
			parts := strings.Split(text, "\n")
			for i := range parts {
				parts[i] = colour(parts[i])
			}
			return strings.Join(parts, "\n")
		}
	}
	switch segment.Trust {
	case llm.TrustFormat:
		return lines(s.cyan)
	case llm.TrustModel:
		return lines(s.green)
	}
	return lines(s.bold)
}
