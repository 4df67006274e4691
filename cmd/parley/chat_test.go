package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

// talkTo runs a conversation with a scripted partner and gives what was
// printed and the conversations that the partner saw.
func talkTo(t *testing.T, partner *chat.Scripted, input string, quiet bool) (string, [][]string) {
	t.Helper()
	var seen [][]string
	partner.Seen = func(c chat.Conversation, _ llm.Params) {
		var lines []string
		for _, m := range c.Messages {
			lines = append(lines, string(m.Role)+": "+m.Text())
		}
		seen = append(seen, lines)
	}
	var out strings.Builder
	r := &repl{screen: screen{out: &out, quiet: quiet, notes: &out, said: map[llm.Note]bool{}}, responder: partner}
	if err := r.converse(t.Context(), newPlainReader(strings.NewReader(input)), r.take); err != nil {
		t.Fatal(err)
	}
	return out.String(), seen
}

func TestAConversation(t *testing.T) {
	out, seen := talkTo(t, chat.Script(chat.TextDelta{Text: "Yes"}, chat.TextDelta{Text: "!"}), "one\n\ntwo\n", true)
	if out != "Yes!\nYes!\n" {
		t.Errorf("printed %q", out)
	}
	want := [][]string{{"user: one"}, {"user: one", "assistant: Yes!", "user: two"}}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("the partner saw %q, want %q", seen, want)
	}
}

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "talk.json")
	input := strings.Join([]string{
		"/regenerate",
		"/system Be brief.",
		"hello",
		"/regenerate",
		"/system Be long.",
		"/system",
		"/save " + file,
		"/save " + file,
		"/regenrate",
		"/quit",
		"never said",
	}, "\n")
	out, seen := talkTo(t, chat.Script(chat.TextDelta{Text: "Hi."}), input, false)
	want := [][]string{{"system: Be brief.", "user: hello"}, {"system: Be brief.", "user: hello"}}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("the partner saw %q, want %q", seen, want)
	}
	for _, line := range []string{"there is no reply yet", "Be long.", "exists already", "did you mean /regenerate?"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in\n%s", line, out)
		}
	}
	var saved struct{ Messages []wireMessage }
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &saved); err != nil {
		t.Fatal(err)
	}
	wantSaved := []wireMessage{{chat.System, "Be long."}, {chat.User, "hello"}, {chat.Assistant, "Hi."}}
	if !reflect.DeepEqual(saved.Messages, wantSaved) {
		t.Errorf("saved %v, want %v", saved.Messages, wantSaved)
	}
}

func TestAFailedReplyTakesItsMessageBack(t *testing.T) {
	partner := chat.Script()
	partner.Err = errors.New("broken")
	var talk [][]string
	_, talk = talkTo(t, partner, "one\ntwo\n", false)
	if want := [][]string{{"user: one"}, {"user: two"}}; !reflect.DeepEqual(talk, want) {
		t.Errorf("the partner saw %q, want %q", talk, want)
	}
}

func TestANoteIsShownOnce(t *testing.T) {
	report := llm.Report{{Code: "repair", Detail: "two messages merged"}}
	out, _ := talkTo(t, chat.Script(chat.Accepted{Report: report}, chat.TextDelta{Text: "ok"}), "one\ntwo\n", true)
	if n := strings.Count(out, "two messages merged"); n != 1 {
		t.Errorf("the note was shown %d times:\n%s", n, out)
	}
}

func TestSeveralLines(t *testing.T) {
	tests := []struct {
		input string
		want  []string
	}{
		{"one\ntwo\n", []string{"one", "two"}},
		{`"""` + "\none\n\ntwo\n" + `"""` + "\nthree\n", []string{"one\n\ntwo", "three"}},
		{`"""one` + "\n" + `two"""` + "\nthree", []string{"one\ntwo", "three"}},
		{`"""one"""` + "\n", []string{"one"}},
		{`"""never` + "\nclosed", []string{"never\nclosed"}},
		{`say """ in a line` + "\n", []string{`say """ in a line`}},
		{`"""` + "\n  indented\n" + `"""` + "\n", []string{"  indented"}},
	}
	for _, tt := range tests {
		r := newPlainReader(strings.NewReader(tt.input))
		var got []string
		for {
			text, err := r.read()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("%q: %v", tt.input, err)
				}
				break
			}
			got = append(got, text)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q was read as %q, want %q", tt.input, got, tt.want)
		}
	}
}
