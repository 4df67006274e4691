package main

import (
	"context"
	"fmt"
	"strings"

	"parley/chatformat"
	"parley/engine"
	"parley/internal/demo"
	"parley/internal/session"
	"parley/llm"
)

// card is a character with a lorebook: what is told stands before the
// character, or before the last messages.
const card = `{"spec": "chara_card_v2", "spec_version": "2.0", "data": {"name": "Mira",
	"description": "{{char}} keeps the clock in the tower. She is patient and exact, and has a cat that knows the time.",
	"personality": "Calm, curious.", "scenario": "{{user}} has climbed up to her.", "first_mes": "Mind the last step.",
	"character_book": {"entries": [
		{"keys": ["harbour"], "content": "The harbour freezes in January, and the ships wait until March.", "enabled": true, "insertion_order": 1, %s},
		{"keys": ["bell"], "content": "The bell has been cracked since the great storm.", "enabled": true, "insertion_order": 2, %[1]s},
		{"keys": ["clock"], "constant": true, "content": "The clock is four minutes slow on purpose.", "enabled": true, "insertion_order": 3, "position": "before_char"}]}}}`

const (
	inFront = `"position": "before_char"`
	atDepth = `"extensions": {"position": 4, "depth": 4}`
)

// A chatting is a way to chat whose prompts are looked at.
type chatting struct {
	name    string
	lore    string // where what is told stands; "": nobody names what lorebooks know
	note    bool   // four messages from the end
	context int
	turns   int
}

// prefix is how much of the prompts of a long chat came from the cache.
func prefix(o options) error {
	short := min(o.turns, 60) // so many have room in 4,096 tokens
	fmt.Println("| chat | turns | prompt tokens | from the cache | of what a prompt begins with as one before it | of all that stood in the one before |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, c := range []chatting{
		{"a character", "", false, 4096, short},
		{"with a note, 4 messages from the end", "", true, 4096, short},
		{"with lore, 4 messages from the end", atDepth, false, 4096, short},
		{"with lore before the character", inFront, false, 4096, short},
		{"a character, 2,048 tokens of context", "", false, 2048, o.turns},
		{"the same with lore and a note, both 4 messages from the end", atDepth, true, 2048, o.turns},
		{"the same with the lore before the character", inFront, true, 2048, o.turns},
	} {
		if err := c.measure(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// alone is the built-in model for sessions.
type alone struct{ model session.Answerer }

func (a alone) Answerer(context.Context, string) (session.Answerer, error) { return a.model, nil }

func (c chatting) measure() error {
	ctx := context.Background()
	e, err := engine.OpenBytes(demo.Model(), engine.Options{Name: demo.Name, Context: c.context})
	if err != nil {
		return err
	}
	defer e.Close()
	info := e.Describe()
	format, err := chatformat.Detect(info)
	if err != nil {
		return err
	}
	model := alone{session.Answerer{Model: demo.Name, Info: info, Responder: chatformat.NewResponder(e, format, chatformat.Options{}), Tokenizer: e}}
	s := session.Open(session.NewMemory(), session.Options{Models: model})
	defer s.Close(ctx)
	where := c.lore
	if where == "" {
		where = inFront
	}
	if _, err := s.SaveDocument(ctx, session.Characters, "mira", 0, "mira.json", fmt.Appendf(nil, card, where)); err != nil {
		return err
	}
	settings := session.Settings{Character: "mira", User: "Tom"}
	if c.note {
		settings.Note, settings.NoteDepth = "Speak as in an old tale, in one sentence.", 4
	}
	x, _, err := s.Create(ctx, session.New{Settings: settings})
	if err != nil {
		return err
	}
	params := llm.Params{MaxTokens: new(24), Temperature: new(0.8), Seed: new(int64(1))}
	var prompts, cached, begins, stood int
	var before [][]int
	for i := range c.turns {
		receipt, err := s.Send(ctx, x.ID, session.Write{}, session.Send{Text: c.says(i)}, session.Ask{Params: params})
		if err != nil {
			return err
		}
		run, err := s.Run(ctx, receipt.Run)
		if err != nil {
			return err
		}
		if _, err := run.Wait(ctx); err != nil {
			return err
		}
		seen, err := s.Inspect(ctx, session.Place{Session: x.ID, Message: receipt.Reply, Version: -1})
		if err != nil {
			return err
		}
		prompt, err := e.Tokenize(ctx, seen.Rendered.Prompt)
		if err != nil {
			return err
		}
		u := seen.Reply.Usage
		if seen.Digest != seen.Then || u.Prompt != len(prompt) || u.Cached == nil {
			return fmt.Errorf("the prompt of turn %d is not the one that was: %d tokens, not %d", i, len(prompt), u.Prompt)
		}
		var ids []int
		for _, t := range prompt {
			ids = append(ids, t.ID)
		}
		prompts, cached = prompts+u.Prompt, cached+*u.Cached
		longest := 0
		for _, old := range before {
			longest = max(longest, same(ids, old))
		}
		begins += longest
		if i > 0 {
			stood += common(ids, before[i-1])
		}
		before = append(before, append(ids, seen.Reply.Tokens...))
	}
	share := func(of int) string { return fmt.Sprintf("%.1f %%", 100*float64(cached)/float64(of)) }
	fmt.Printf("| %s | %d | %d | %s | %s | %s |\n", c.name, c.turns, prompts, share(prompts), share(begins), share(stood))
	return nil
}

// says is what the user says, and now and then names what the lorebook knows.
func (c chatting) says(i int) string {
	text := fmt.Sprintf("And what came after the year %d? ", 1700+i) + strings.Repeat("Tell me. ", i%3)
	if c.lore != "" && i%15 == 5 {
		text += "What of the harbour?"
	}
	if c.lore != "" && i%25 == 12 {
		text += "Why does the bell sound so?"
	}
	return text
}

// same is how many elements two lists begin with that are the same.
func same(a, b []int) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// common is how many elements two lists have in common, in their order.
func common(a, b []int) int {
	n := same(a, b)
	a, b = a[n:], b[n:]
	last, now := make([]int, len(b)+1), make([]int, len(b)+1)
	for i := range a {
		for j := range b {
			if now[j+1] = max(last[j+1], now[j]); a[i] == b[j] {
				now[j+1] = last[j] + 1
			}
		}
		last, now = now, last
	}
	return n + last[len(b)]
}
