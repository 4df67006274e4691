package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

// openTerminal makes a pseudo-terminal: what is written to keys is typed, and
// screen is what the program's side is.
func openTerminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { keys.Close() })
	fd := int(keys.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return keys, screen
}

// TestAtATerminal types what a person types, each line when the prompt for it
// is there, and looks at what the partner was told.
func TestAtATerminal(t *testing.T) {
	keys, terminal := openTerminal(t)
	partner := chat.Script(chat.TextDelta{Text: "ok"})
	var seen []string
	partner.Seen = func(c chat.Conversation, _ llm.Params) {
		seen = append(seen, c.Messages[len(c.Messages)-1].Text())
	}
	typed := []string{
		"one\r",
		"twx\x7fo\r", // a slip, corrected
		"three\x03",  // thought better of it
		"\x1b[A\r",   // the line before
		"\x1b[200~four\rfive\rsix\x1b[201~ seven\r", // pasted, and a word added
		`"""` + "\r" + "eight\r" + `nine"""` + "\r",
		"\x04",
	}
	// Everything that the program writes is read, and a line is typed at each
	// prompt: continued lines have a prompt of another kind.
	done := make(chan struct{})
	go func() {
		defer close(done)
		var text strings.Builder
		buffer := make([]byte, 4096)
		for typedSoFar := 0; ; {
			n, err := keys.Read(buffer)
			if err != nil {
				return
			}
			text.Write(buffer[:n])
			for typedSoFar < len(typed) && strings.Count(text.String(), bracketedPaste) > typedSoFar {
				io.WriteString(keys, typed[typedSoFar])
				typedSoFar++
			}
		}
	}()
	r := &repl{screen: screen{out: terminal, notes: io.Discard, said: map[llm.Note]bool{}}, responder: partner}
	if err := r.converse(t.Context(), newTerminalReader(terminal, terminal, style{}), r.take); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	<-done
	want := []string{"one", "two", "two", "four\nfive\nsix seven", "eight\nnine"}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("the partner was told %q, want %q", seen, want)
	}
}

// bracketedPaste is what a terminal is sent at each prompt.
const bracketedPaste = "\x1b[?2004h"

// TestStoppingAReply interrupts a reply after its first words, which are kept.
func TestStoppingAReply(t *testing.T) {
	partner := chat.Script(chat.TextDelta{Text: "Once"}, chat.TextDelta{Text: " upon"})
	gate := make(chan struct{}, 2)
	gate <- struct{}{} // Accepted
	gate <- struct{}{} // the first word
	partner.Gate = gate
	out := &signalAt{text: "Once", signal: func() { unix.Kill(os.Getpid(), unix.SIGINT) }}
	r := &repl{screen: screen{out: out, notes: io.Discard, said: map[llm.Note]bool{}}, responder: partner}
	if err := r.take(context.Background(), "Tell me a story."); err != nil {
		t.Fatal(err)
	}
	if m := r.talk.Messages; len(m) != 2 || m[1].Text() != "Once" {
		t.Errorf("the conversation is %v", m)
	}
	if !strings.HasSuffix(strings.TrimSpace(out.String()), "stopped") {
		t.Errorf("printed %q", out.String())
	}
}

// TestStoppingAKeptReply does the same in a session: the server keeps the words
// and marks them.
func TestStoppingAKeptReply(t *testing.T) {
	partner := chat.Script(chat.TextDelta{Text: "Once"}, chat.TextDelta{Text: " upon"})
	gate := make(chan struct{}, 2)
	gate <- struct{}{}
	gate <- struct{}{}
	partner.Gate = gate
	out := &signalAt{text: "Once", signal: func() { unix.Kill(os.Getpid(), unix.SIGINT) }}
	talk := keptTalk(t, partner, out, nil)
	if err := talk.take(t.Context(), "Tell me a story."); err != nil {
		t.Fatal(err)
	}
	if m, err := talk.last(t.Context()); err != nil || m.Text != "Once" || m.State != session.Stopped {
		t.Errorf("the session ends with %+v, %v", m, err)
	}
	if !strings.HasSuffix(strings.TrimSpace(out.String()), "stopped") {
		t.Errorf("printed %q", out.String())
	}
}

// signalAt is a screen before which somebody sits who presses Ctrl-C when he
// reads a text.
type signalAt struct {
	strings.Builder
	text   string
	signal func()
}

func (s *signalAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.text) {
		s.signal()
	}
	return s.Builder.Write(p)
}
