package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"parley/engine"
	"parley/internal/demo"
	"parley/internal/limits"
	"parley/internal/vocab"
	"parley/llm"
)

type tokensCmd struct {
	Model   string   `short:"m" placeholder:"PATH" env:"PARLEY_MODEL" help:"GGUF file, tokenizer.json or a folder with one, or the name of a model in the configuration. Default: the configuration's first, else the built-in one."`
	Special bool     `help:"Control tokens match in the text. Without it, <|im_end|> is nothing but its characters."`
	JSONL   bool     `name:"jsonl" help:"Read one JSON value a line and write one a line: strings become lists of ids, with --decode the reverse."`
	Decode  bool     `short:"d" help:"Turn token ids into text."`
	Text    []string `arg:"" optional:"" help:"Text, or with --decode ids. Default: standard input."`
}

func (*tokensCmd) Help() string {
	return `One token a line, without the token that may begin
every prompt (BOS). A file that holds a vocabulary and no weights will do.

Example:

    parley tokens "Hello, world"
    parley tokens --decode 15496 11 995
    printf '"Hello"\n"world"\n' | parley tokens --model llama.gguf --jsonl`
}

func (c *tokensCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	tokenizer, err := c.tokenizer(a)
	if err != nil {
		return err
	}
	t := &tokenTool{tokenizer, c.Special}
	switch {
	case c.JSONL:
		if len(c.Text) > 0 {
			return usageError("give the JSON on standard input", "--jsonl takes no text on the command line")
		}
		return t.lines(ctx, a.stdin, a.stdout, c.Decode)
	case c.Decode:
		return t.decode(ctx, c, a)
	}
	text := strings.Join(c.Text, " ")
	if len(c.Text) == 0 {
		data, err := readInput(a.stdin)
		if err != nil {
			return err
		}
		text = string(data)
	}
	tokens, err := t.encode(ctx, text)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(a.stdout)
	for _, token := range tokens {
		shown := strconv.Quote(token.Text)
		if token.Control {
			shown = a.out.cyan(shown)
		}
		fmt.Fprintf(w, "%7d  %s\n", token.ID, shown)
	}
	return w.Flush()
}

// tokenizer opens the vocabulary of the chosen model, not its weights.
func (c *tokensCmd) tokenizer(a *app) (llm.Tokenizer, error) {
	path := c.Model
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		m, _, err := (&engineFlags{Model: c.Model}).choose(a)
		if err != nil {
			return nil, err
		}
		if err := m.here(); err != nil {
			return nil, err
		}
		if path = m.Path; path == "" {
			return engine.OpenTokenizerBytes(demo.Model())
		}
	}
	t, err := vocab.Open(path)
	if err != nil {
		return nil, modelFileError(path, err)
	}
	return t, nil
}

type tokenTool struct {
	llm.Tokenizer
	special bool
}

// encode gives the tokens of a text alone, without those that the model's file
// wants around it.
func (t *tokenTool) encode(ctx context.Context, text string) ([]llm.Token, error) {
	all, err := t.Tokenize(ctx, llm.Prompt{Segments: []llm.Segment{{Text: text, Control: t.special}}})
	var tokens []llm.Token
	for _, token := range all {
		if token.Segment >= 0 {
			tokens = append(tokens, token)
		}
	}
	return tokens, err
}

func (t *tokenTool) decode(ctx context.Context, c *tokensCmd, a *app) error {
	written := strings.Join(c.Text, " ")
	if len(c.Text) == 0 {
		data, err := readInput(a.stdin)
		if err != nil {
			return err
		}
		written = string(data)
	}
	var ids []int
	for _, word := range strings.FieldsFunc(written, func(r rune) bool { return strings.ContainsRune(" \t\r\n,[]", r) }) {
		id, err := strconv.Atoi(word)
		if err != nil {
			return usageError("parley tokens --decode 15496 11 995", "%q is not a token id", word)
		}
		ids = append(ids, id)
	}
	text, err := t.Detokenize(ctx, ids)
	if err != nil {
		return err
	}
	if isTerminal(a.stdout) {
		text = printable(text) + "\n"
	}
	_, err = io.WriteString(a.stdout, text)
	return err
}

// lines turns one JSON value a line into another.
func (t *tokenTool) lines(ctx context.Context, in io.Reader, out io.Writer, decode bool) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, limits.BodyBytes.Int())
	w := bufio.NewWriter(out)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		answer, err := t.line(ctx, lines.Bytes(), decode)
		if err != nil {
			return &userError{Message: fmt.Sprintf("line %d: %s", n, sentence(err)), Err: err}
		}
		w.Write(answer)
		w.WriteByte('\n')
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return &userError{Message: "the input cannot be read: " + err.Error(), Err: err}
	}
	return nil
}

func (t *tokenTool) line(ctx context.Context, line []byte, decode bool) ([]byte, error) {
	if decode {
		var ids []int
		if err := json.Unmarshal(line, &ids); err != nil {
			return nil, &userError{Message: "not a JSON list of token ids", Err: err}
		}
		text, err := t.Detokenize(ctx, ids)
		if err != nil {
			return nil, err
		}
		return encodeJSON(text)
	}
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		return nil, &userError{Message: "not a JSON string", Err: err}
	}
	tokens, err := t.encode(ctx, text)
	if err != nil {
		return nil, err
	}
	ids := make([]int, len(tokens))
	for i, token := range tokens {
		ids[i] = token.ID
	}
	return encodeJSON(ids)
}

// encodeJSON leaves "<" as it is: control tokens are full of it, and this is
// no HTML.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
