package upstream

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parley/chat"
	"parley/chat/chattest"
	"parley/chatformat"
	"parley/internal/server"
	"parley/llm"
)

// oneModel serves a model under the name "m". It cannot do what nothing here
// asks for.
type oneModel struct {
	server.Models
	target server.Target
}

func (o oneModel) List(context.Context) ([]server.Listed, error) {
	return []server.Listed{{ID: "m", Created: time.Unix(1, 0)}}, nil
}
func (o oneModel) Resolve(context.Context, string) (server.Target, error) { return o.target, nil }
func (o oneModel) Ready() error                                           { return nil }

// anotherParley serves a model in a chat format and is opened as an engine.
func anotherParley(t *testing.T, model llm.Model) *Opened {
	t.Helper()
	format, err := chatformat.Lookup("chatml")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(oneModel{target: server.Target{ID: "m", Model: model, Responder: chatformat.NewResponder(model, format, chatformat.Options{})}}, server.Options{})
	h := httptest.NewServer(s.Handler(server.Own))
	t.Cleanup(h.Close)
	e, err := Dial(t.Context(), Options{URL: h.URL, Way: AsChat})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if e.Kind().Name != "parley" {
		t.Fatalf("it was taken for %s", e.Kind().Name)
	}
	o, err := e.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnotherParleyKeepsTheContract(t *testing.T) {
	chattest.Run(t, chattest.Subject{
		Responder:    anotherParley(t, llm.Script("I", " am", " here", ".")).Responder,
		Conversation: frontEnd(),
	})
}

// Parley behind Parley: what the second one is given, and what it shows, is
// what it would have been given by the client.
func TestAnotherParleyGetsTheConversationAsItIs(t *testing.T) {
	var seen llm.Prompt
	var asked llm.Params
	model := llm.Script("<think>", "Hm.", "</think>", "I", " am", " here", ".")
	model.Seen = func(p llm.Prompt, params llm.Params) { seen, asked = p, params }
	o := anotherParley(t, model)
	c := frontEnd()
	c.Messages[5].Name = "Ann Lee"
	r := respond(t, o, c, llm.Params{TopK: new(0), DRYMultiplier: new(0.5), DRYBreakers: []string{"\n"}, WordBias: map[string]float64{"no": -1000}, MinTokens: new(2),
		BannedStrings: []string{"x"}, Stop: []string{" here"}, Seed: new(int64(7)), LoopGuard: new(9), LogProbs: new(0)})
	for _, m := range c.Messages {
		if !strings.Contains(seen.String(), m.Text()) {
			t.Errorf("%q is lost", m.Text())
		}
	}
	if len(r.Accepted.Report) > 0 {
		t.Errorf("the report is %v", r.Accepted.Report)
	}
	if asked.TopK == nil || *asked.DRYMultiplier != 0.5 || asked.WordBias["no"] != -1000 || *asked.MinTokens != 2 || len(asked.BannedStrings) != 1 || *asked.Seed != 7 || *asked.LoopGuard != 9 {
		t.Errorf("it was asked for %+v", asked)
	}
	if r.Message.Text() != "<think>Hm.</think>I am" && r.Message.Text() != "I am" {
		t.Errorf("got %q", r.Message.Text())
	}
	shown, err := o.Responder.(chat.Renderer).Render(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if shown.Prompt.String() != seen.String() || shown.Format != "chatml" || len(shown.Stop) == 0 {
		t.Errorf("shown\n%s\nseen\n%s\n%+v", shown.Prompt.String(), seen.String(), shown)
	}
	for i, s := range shown.Prompt.Segments {
		if want := seen.Segments[i]; s.Control != want.Control || s.Trust != want.Trust || s.Source != want.Source {
			t.Errorf("segment %d is %+v, want %+v", i, s, want)
		}
	}
}

func TestAnotherParleyContinuesTheLastMessage(t *testing.T) {
	o := anotherParley(t, llm.Script(" so", "."))
	c := chat.Conversation{Messages: []chat.Message{say(chat.User, "Is it?"), say(chat.Assistant, "I think")}, Continue: true}
	if r := respond(t, o, c, llm.Params{}); r.Message.Text() != " so." {
		t.Errorf("got %q", r.Message.Text())
	}
}
