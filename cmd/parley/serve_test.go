package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/catalog"
	"parley/internal/server"
	"parley/llm"
)

// TestTwoSignals lets a request run that never ends of its own accord: the
// first signal leaves it alone, the second ends it.
func TestTwoSignals(t *testing.T) {
	begun := make(chan struct{})
	partner := chat.Script(chat.TextDelta{Text: "Once upon a time"})
	partner.Gate = make(chan struct{})
	partner.Seen = func(chat.Conversation, llm.Params) { close(begun) }
	models, err := catalog.New([]catalog.Entry{{Name: "slow", Load: func(context.Context) (*catalog.Loaded, error) {
		return &catalog.Loaded{Responder: partner}, nil
	}}}, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer models.Close()
	where, err := places([]string{"127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	open, err := listen(t.Context(), where, false)
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 2)
	served := make(chan error, 1)
	go func() {
		served <- serve(server.New(models, server.Options{}), open, slog.New(slog.DiscardHandler), signals)
	}()

	answered := make(chan string, 1)
	go func() {
		body := `{"messages":[{"role":"user","content":"Tell me a story."}],"stream":true}`
		resp, err := http.Post(open[0].url()+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		said, err := io.ReadAll(resp.Body)
		answered <- string(said)
		if err != nil {
			t.Error(err)
		}
	}()
	<-begun
	signals <- os.Interrupt
	select {
	case err := <-served:
		t.Fatalf("the first signal ended the server: %v", err)
	case said := <-answered:
		t.Fatalf("the first signal ended the request: %s", said)
	case signals <- os.Interrupt:
	}
	if said := <-answered; !strings.Contains(said, `"error"`) || strings.Contains(said, "[DONE]") {
		t.Errorf("the client was told %q", said)
	}
	if err := <-served; err != nil && !errors.Is(err, errHurried) {
		t.Error(err)
	}
}

func TestTheLogOfATerminal(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: forPerson}))
	log.Info("request", "id", "ABC", "client", "127.0.0.1", "path", "/v1/models", "bytes", 7)
	log.Warn("request", "client", "192.168.1.9")
	if line := out.String(); strings.Contains(line, "ABC") || strings.Contains(line, "127.0.0.1") || strings.Contains(line, "bytes") || strings.Contains(line, "INFO") {
		t.Errorf("too much is in %s", line)
	}
	for _, want := range []string{"path=/v1/models", "level=WARN", "client=192.168.1.9"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, out.String())
		}
	}
}
