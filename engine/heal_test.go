package engine_test

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/engine"
	"parley/internal/demo"
	"parley/llm"
)

func chatML(t *testing.T, e *engine.Engine) *chatformat.Responder {
	t.Helper()
	f, err := chatformat.Lookup("chatml")
	if err != nil {
		t.Fatal(err)
	}
	return chatformat.NewResponder(e, f, chatformat.Options{})
}

func reply(t *testing.T, r chat.Responder, c chat.Conversation, p llm.Params) chat.Reply {
	t.Helper()
	got, err := chat.Collect(r.Respond(t.Context(), c, p))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAReplyGoesOnTheSameFromWhereverItIsCut(t *testing.T) {
	e := builtIn(t)
	r := chatML(t, e)
	for _, words := range []string{"Write a haiku about apples.", "Hello! Who are you?", "Tell me a story."} {
		ask := chat.Say(chat.User, words)
		whole := reply(t, r, chat.Conversation{Messages: []chat.Message{ask}}, llm.Params{}).Message.Text()
		if len(whole) < 40 {
			t.Fatalf("the reply %q is too short to be cut", whole)
		}
		for at := 1; at < len(whole); at++ {
			c := chat.Conversation{Messages: []chat.Message{ask, chat.Say(chat.Assistant, whole[:at])}, Continue: true}
			if got := reply(t, r, c, llm.Params{}).Message.Text(); got != whole[at:] {
				t.Errorf("behind %q: %q, want %q", whole[:at], got, whole[at:])
			}
		}
	}
}

func TestRawPromptsAreHealedOnlyIfAsked(t *testing.T) {
	e := builtIn(t)
	prompt := "<|im_start|>user\nWrite a haiku about apples.<|im_end|>\n<|im_start|>assistant\n"
	whole, _ := complete(t, e, llm.Text(prompt), llm.Params{MaxTokens: new(100)})
	healed, differ := 0, 0
	for at := 1; at < len(whole); at++ {
		cut := llm.Text(prompt + whole[:at])
		if got, _ := complete(t, e, cut, llm.Params{MaxTokens: new(100), TokenHealing: new(true)}); got == whole[at:] {
			healed++
		}
		plain, _ := complete(t, e, cut, llm.Params{MaxTokens: new(20)})
		off, _ := complete(t, e, cut, llm.Params{MaxTokens: new(20), TokenHealing: new(false)})
		if plain != off {
			t.Errorf("behind %q: %q without a word about healing, %q with none", whole[:at], plain, off)
		}
		if !strings.HasPrefix(whole[at:], plain) {
			differ++
		}
		tokens, err := e.Tokenize(t.Context(), cut)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int
		for _, tok := range tokens {
			ids = append(ids, tok.ID)
		}
		if got, _ := complete(t, e, llm.Tokens(ids), llm.Params{MaxTokens: new(20), TokenHealing: new(true)}); got != plain {
			t.Errorf("behind %q as token ids: %q, want %q", whole[:at], got, plain)
		}
	}
	if healed != len(whole)-1 || differ == 0 {
		t.Errorf("%d of %d cuts went on as the whole with healing, %d not without", healed, len(whole)-1, differ)
	}
}

func TestHealingCountsThePromptAsItIsTokenised(t *testing.T) {
	e := builtIn(t)
	r := chatML(t, e)
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Write a haiku about apples."), chat.Say(chat.Assistant, "I dream of app")}, Continue: true}
	shown, err := r.Render(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	whole, n := "", 0
	for i := range 6 {
		got := reply(t, r, c, llm.Params{MaxTokens: new(i)})
		u := got.Finish.Usage
		if u.PromptTokens != len(shown.Tokens) || got.Accepted.PromptTokens != len(shown.Tokens) || u.CompletionTokens != i || u.CachedTokens > u.PromptTokens {
			t.Errorf("%d tokens asked for, %d tokens of prompt shown: %+v", i, len(shown.Tokens), u)
		}
		text := got.Message.Text()
		joined := ""
		for _, tok := range got.Tokens {
			joined += tok.Text
		}
		if joined != text || !strings.HasPrefix(text, whole) || i > 0 && len(text) <= n {
			t.Errorf("%d tokens: text %q of tokens %q, after %q", i, text, joined, whole)
		}
		whole, n = text, len(text)
	}
}

func TestHealingAtTheEdgeOfTheContext(t *testing.T) {
	e, err := engine.OpenBytes(demo.Model(), engine.Options{Context: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for n := 1; n < 64; n++ {
		p := llm.Prompt{Segments: []llm.Segment{
			{Text: "<|im_start|>", Control: true, Trust: llm.TrustFormat},
			{Text: strings.Repeat(" a", n) + "pples,apples", Trust: llm.TrustModel},
		}}
		tokens, err := e.Tokenize(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(tokens) >= 64 {
			break
		}
		_, finish := complete(t, e, p, llm.Params{IgnoreEOS: true})
		if total := finish.Usage.PromptTokens + finish.Usage.CompletionTokens; finish.Reason != llm.ReasonLength || total > 64 || total < 64-16 || len(tokens) > 60 && total < 64 {
			t.Errorf("%d tokens of prompt: %+v", len(tokens), finish)
		}
	}
}

func TestAConstraintHoldsWhatComesBehindThePrompt(t *testing.T) {
	e := builtIn(t)
	r := chatML(t, e)
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "Write a haiku about apples."), chat.Say(chat.Assistant, "I dream of app")}, Continue: true}
	for _, choices := range [][]string{{"les"}, {"lications", "endixes"}, {" "}, {"\n{}"}} {
		got := reply(t, r, c, llm.Params{Constraint: &llm.Constraint{Kind: llm.ConstrainChoice, Choices: choices}}).Message.Text()
		if len(choices) == 1 && got != choices[0] || !strings.Contains("\x00"+strings.Join(choices, "\x00")+"\x00", "\x00"+got+"\x00") {
			t.Errorf("%q of %q", got, choices)
		}
	}
	whole := reply(t, r, c, llm.Params{}).Message.Text()
	got := reply(t, r, c, llm.Params{BannedStrings: []string{whole[:3]}})
	if strings.Contains(got.Message.Text(), whole[:3]) || got.Message.Text() == "" {
		t.Errorf("%q, with %q banned", got.Message.Text(), whole[:3])
	}
	// The prompt's own words are not the output's.
	if got := reply(t, r, c, llm.Params{BannedStrings: []string{"dream", "app"}}).Message.Text(); got != whole {
		t.Errorf("%q, want %q", got, whole)
	}
}

func complete(t *testing.T, e *engine.Engine, p llm.Prompt, params llm.Params) (text string, finish llm.Finish) {
	t.Helper()
	for piece, err := range e.Complete(t.Context(), p, params) {
		if err != nil {
			t.Fatal(err)
		}
		text += piece.Text
		if piece.Finish != nil {
			finish = *piece.Finish
		}
	}
	return text, finish
}
