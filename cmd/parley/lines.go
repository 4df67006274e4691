package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"parley/internal/limits"
)

// quotes begin and end a message of several lines.
const quotes = `"""`

// plainReader reads one message a line from a pipe.
type plainReader struct{ lines *bufio.Scanner }

func newPlainReader(r io.Reader) *plainReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, limits.BodyBytes.Int())
	return &plainReader{lines}
}

func (p *plainReader) read() (string, error) {
	return joinQuoted(func(bool) (string, error) {
		if p.lines.Scan() {
			return p.lines.Text(), nil
		}
		if err := p.lines.Err(); err != nil {
			return "", &userError{Message: "the input cannot be read: " + err.Error(), Err: err}
		}
		return "", io.EOF
	})
}

// joinQuoted reads a message that is one line, or several between quotes.
// What comes after the input ended is what there is.
func joinQuoted(next func(more bool) (string, error)) (string, error) {
	line, err := next(false)
	if err != nil {
		return line, err
	}
	rest, quoted := strings.CutPrefix(strings.TrimSpace(line), quotes)
	if !quoted {
		return line, nil
	}
	var lines []string
	for {
		if text, ended := strings.CutSuffix(strings.TrimRight(rest, " \t"), quotes); ended {
			return trimBlankEnds(append(lines, text)), nil
		}
		lines = append(lines, rest)
		rest, err = next(true)
		if errors.Is(err, io.EOF) {
			return trimBlankEnds(lines), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// trimBlankEnds joins lines without the empty ones that come from quotes
// standing on lines of their own.
func trimBlankEnds(lines []string) string {
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// terminalReader edits lines with history on a terminal, which is in raw mode
// only while it reads: while a reply is printed, Ctrl-C is a signal again.
type terminalReader struct {
	in      *os.File
	out     io.Writer
	keys    *interruptReader
	term    *term.Terminal
	history term.History
	prompt  string
	more    string
}

func newTerminalReader(in *os.File, out io.Writer, s style) *terminalReader {
	t := &terminalReader{
		in: in, out: out,
		keys:   &interruptReader{in: in},
		prompt: s.wrap("1;36", "›") + " ",
		more:   s.dim("…") + " ",
	}
	t.reset()
	return t
}

// reset begins with a new line: a Terminal that has seen Ctrl-C cannot go on.
func (t *terminalReader) reset() {
	t.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t.keys, t.out}, t.prompt)
	if t.history != nil {
		t.term.History = t.history
	}
	t.history = t.term.History
}

func (t *terminalReader) read() (string, error) {
	state, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return "", err
	}
	if w, h, err := term.GetSize(int(t.in.Fd())); err == nil && w > 0 {
		t.term.SetSize(w, h)
	}
	t.term.SetBracketedPasteMode(true)
	defer func() {
		t.term.SetBracketedPasteMode(false)
		term.Restore(int(t.in.Fd()), state)
	}()
	return joinQuoted(t.message)
}

// message reads one line, or the lines that were pasted together and the one
// with which they were sent.
func (t *terminalReader) message(more bool) (string, error) {
	t.term.SetPrompt(t.prompt)
	if more {
		t.term.SetPrompt(t.more)
	}
	var pasted []string
	for {
		line, err := t.term.ReadLine()
		switch {
		case errors.Is(err, term.ErrPasteIndicator):
			pasted = append(pasted, line)
			t.term.SetPrompt(t.more)
		case err != nil && t.keys.takeInterrupt():
			io.WriteString(t.out, "\r\n")
			t.reset()
			return "", errInterrupted
		case err != nil:
			io.WriteString(t.out, "\r\n")
			return "", err
		default:
			return strings.TrimRight(strings.Join(append(pasted, line), "\n"), "\n"), nil
		}
	}
}

// interruptReader remembers that Ctrl-C was typed, which a Terminal reports as
// the end of the input.
type interruptReader struct {
	in          io.Reader
	interrupted bool
}

func (r *interruptReader) Read(p []byte) (int, error) {
	const ctrlC = 3
	n, err := r.in.Read(p)
	if bytes.IndexByte(p[:n], ctrlC) >= 0 {
		r.interrupted = true
	}
	return n, err
}

func (r *interruptReader) takeInterrupt() bool {
	was := r.interrupted
	r.interrupted = false
	return was
}
