package main

import (
	"bufio"
	"context"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/server"
	"parley/internal/session"
)

func TestTheBotCarriesATalkOfManyPeople(t *testing.T) {
	carries(t, func(url, lines string) (string, error) {
		var out strings.Builder
		err := run(Loopback{bufio.NewScanner(strings.NewReader(lines)), &out}, url, "sally")
		return out.String(), err
	})
}

// carries has a bot, which gets lines of a channel, carry a talk.
func carries(t *testing.T, bot func(url, lines string) (said string, err error)) {
	sessions := session.Open(session.NewMemory(), session.Options{Models: models{}})
	api := httptest.NewServer(server.New(nil, server.Options{Sessions: sessions}).Handler(server.Own))
	defer api.Close()
	defer sessions.Close(t.Context())
	if _, err := sessions.SaveDocument(t.Context(), session.Characters, "sally", 0, "sally.yaml", []byte("name: Sally\ngreeting: Hello everyone!\n")); err != nil {
		t.Fatal(err)
	}
	channel := func(lines ...string) string {
		t.Helper()
		said, err := bot(api.URL, strings.Join(lines, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(said, "\r\n", "\n")
	}
	if got := channel("Ann: hi all", "Bob: Sally, who are you?", "Bob: !again"); got != "Hello everyone!\nI am a bot.\nI am a bot.\n" {
		t.Errorf("the bot said %q", got)
	}
	// It comes again: the server knows the talk.
	if got := channel("Ann: !undo", "Ann: and me, SALLY?", "Tom: !more"); got != "I am a bot.\nI am a bot.\nI am a bot.I am a bot.\n" {
		t.Errorf("the bot said %q", got)
	}
	x, talk, err := readTalk(t, sessions)
	if err != nil || x.Now().Character != "sally" {
		t.Fatal(x, err)
	}
	var lines []string
	for _, m := range talk {
		lines = append(lines, m.Author.Name+": "+m.Text)
	}
	if got := strings.Join(lines, "|"); got != "Sally: Hello everyone!|Ann: hi all|Bob: Sally, who are you?|Ann: and me, SALLY?|Sally: I am a bot.I am a bot." {
		t.Errorf("the talk is %q", got)
	}
}

func readTalk(t *testing.T, s *session.Sessions) (session.Session, []session.Message, error) {
	x, err := s.External(t.Context(), "channel of sally")
	if err != nil {
		return x, nil, err
	}
	return s.Read(t.Context(), x.ID)
}

func TestTheBotsAreShort(t *testing.T) {
	for _, file := range []string{"main.go", "bot.py"} {
		data, err := os.ReadFile(file)
		if n := strings.Count(string(data), "\n"); err != nil || n >= 150 {
			t.Errorf("%s has %d lines, %v", file, n, err)
		}
	}
}

var script = chat.Script(chat.TextDelta{Text: "I am a bot."})

// models answer always the same.
type models struct{}

func (models) Answerer(context.Context, string) (session.Answerer, error) {
	return session.Answerer{Model: "tiny", Responder: script}, nil
}
