package check

import (
	"context"
	"fmt"
	"strings"
)

// The lists of messages that front ends send and that servers lose, move or
// refuse.
var listChecks = []Check{
	{"systems-leading", Lost, "several system messages at the head", listCheck(
		turn{"system", 4}, turn{"system", 8}, turn{"user", 16}, turn{"assistant", 32}, turn{"user", 64}).at(1)},
	{"system-middle", Lost, "a system message in the middle", listCheck(
		turn{"system", 4}, turn{"user", 32}, turn{"assistant", 8}, turn{"system", 16}, turn{"user", 64}).at(3, 0, 3, 1, 2, 4)},
	{"system-last", Lost, "a system message at the end", listCheck(
		turn{"system", 4}, turn{"user", 32}, turn{"assistant", 8}, turn{"user", 16}, turn{"system", 64}).at(4, 0, 4, 1, 2, 3)},
	{"system-alone", Lost, "nothing but a system message", listCheck(turn{"system", 16}).at(-1)},
	{"developer-role", Lost, "the role developer", listCheck(turn{"developer", 16}, turn{"user", 32}).at(-1)},
	{"users-in-a-row", Lost, "user messages in a row", listCheck(
		turn{"user", 8}, turn{"user", 32}, turn{"assistant", 4}, turn{"user", 16}, turn{"user", 64}).at(1)},
	{"assistants-in-a-row", Lost, "assistant messages in a row", listCheck(
		turn{"user", 8}, turn{"assistant", 32}, turn{"assistant", 16}, turn{"user", 64}).at(1)},
	{"greeting-first", Lost, "the assistant speaks first", listCheck(
		turn{"system", 8}, turn{"assistant", 32}, turn{"user", 16}).at(1)},
	{"empty-content", Lost, "messages that are empty", emptyContent},
	{"tool-history", Lost, "tool calls and results, content null", toolHistory},
	{"content-parts", Lost, "content as a list of parts", contentParts},
	{"speaker-names", Lost, "names of speakers", speakerNames},
	{"prefill", Lost, "the assistant's last message is continued", prefill},
	{"too-long", Lost, "a prompt that does not fit", tooLong},
}

// A turn is a message of so many filler words. The numbers of words of a list
// are powers of two, so that what is missing says which messages are.
type turn struct {
	role  string
	words int
}

// A list is a conversation to be sent.
type list []turn

func listCheck(turns ...turn) list { return turns }

// at makes a check of a list. probe is the message whose place is looked at,
// -1 for none; moved is the order of the list in which it would stand if the
// server moved it, where that is worth a look.
func (l list) at(probe int, moved ...int) func(context.Context, *subject) finding {
	return func(ctx context.Context, s *subject) finding {
		f, x := s.complete(ctx, l.build, l.weights(), l.labels())
		if f.verdict != Kept || probe < 0 {
			return f
		}
		switch place := s.place(ctx, l, probe, moved, x); {
		case place.verdict == Broken:
			return place
		case place.verdict == Kept:
			f.evidence += ", and " + place.evidence
		case len(moved) > 0:
			return cannotTell("nothing is lost, but %s", place.evidence)
		}
		return f
	}
}

// sentinels begin the messages of a list, so that each is another text.
var sentinels = []string{"Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord"}

func (l list) build(words []int) []message {
	messages := make([]message, len(l))
	for i, t := range l {
		messages[i] = say(t.role, sentinels[i]+fill(words[i]))
	}
	return messages
}

func (l list) weights() []int {
	w := make([]int, len(l))
	for i, t := range l {
		w[i] = t.words
	}
	return w
}

func (l list) labels() []string {
	names := make([]string, len(l))
	for i, t := range l {
		names[i] = fmt.Sprintf("message %d (%s)", i+1, t.role)
	}
	return names
}

// complete finds out whether every text of a conversation reaches the prompt:
// it builds the conversation without and with filler words in each text and
// compares the counts.
func (s *subject) complete(ctx context.Context, build func(words []int) []message, weights []int, labels []string) (finding, *exchange) {
	without, x, err := s.count(ctx, build(make([]int, len(weights))))
	if err != nil {
		return failed(x, err), x
	}
	if err := s.calibrate(ctx); err != nil {
		return cannotTell("%v", err), x
	}
	with, x2, err := s.count(ctx, build(weights))
	if err != nil {
		return failed(x2, err), x2
	}
	total := 0
	for _, w := range weights {
		total += w
	}
	got, want := with-without, s.tokens(total)
	if near(got, want) {
		return kept("each text adds its tokens to the prompt, %d in all", got), x2
	}
	names := s.culprits(abs(float64(got)-want), weights, labels)
	what := "not in the prompt"
	if float64(got) > want {
		what = "in the prompt more than once"
	}
	if names == "" {
		names = "some of the text"
	}
	return broken(of(x, x2), "%s: %s (%d tokens more were sent, %d more are counted)", names, what, round(want), got), x2
}

// culprits names the fewest texts that together have so many tokens, or gives
// "" if none do.
func (s *subject) culprits(tokens float64, weights []int, labels []string) string {
	var best []string
	for set := 1; set < 1<<len(weights); set++ {
		words := 0
		var names []string
		for i, w := range weights {
			if set&(1<<i) != 0 {
				words += w
				names = append(names, labels[i])
			}
		}
		if near(round(tokens), s.tokens(words)) && (best == nil || len(names) < len(best)) {
			best = names
		}
	}
	return strings.Join(best, ", ")
}

func emptyContent(ctx context.Context, s *subject) finding {
	f, _ := s.complete(ctx, func(w []int) []message {
		return []message{
			say("system", ""), say("user", "Amber"+fill(w[0])), say("assistant", ""), say("user", "Birch"+fill(w[1])),
		}
	}, []int{8, 16}, []string{"message 2 (user)", "message 4 (user)"})
	return f
}

func contentParts(ctx context.Context, s *subject) finding {
	f, _ := s.complete(ctx, func(w []int) []message {
		return []message{
			{Role: "system", Content: []part{{"text", "Amber" + fill(w[0])}}},
			{Role: "user", Content: []part{{"text", "Birch" + fill(w[1])}, {"text", "Cedar" + fill(w[2])}}},
		}
	}, []int{4, 8, 16}, []string{"message 1 (system)", "the first part of message 2", "the second part of message 2"})
	return f
}

func toolHistory(ctx context.Context, s *subject) finding {
	f, _ := s.complete(ctx, func(w []int) []message {
		call := toolCall{ID: "call00001", Type: "function", Function: toolFunction{"look", `{"at": "Birch` + fill(w[1]) + `"}`}}
		return []message{
			say("user", "Amber"+fill(w[0])),
			{Role: "assistant", ToolCalls: []toolCall{call}},
			{Role: "tool", Content: "Cedar" + fill(w[2]), ToolCallID: "call00001"},
			say("user", "Delta"+fill(w[3])),
		}
	}, []int{4, 32, 8, 16}, []string{"message 1 (user)", "the call's arguments", "the tool's result", "message 4 (user)"})
	return f
}

// speakerNames looks at the words of those who have names, and then at the
// names.
func speakerNames(ctx context.Context, s *subject) finding {
	named := func(name string) func(w []int) []message {
		return func(w []int) []message {
			return []message{
				{Role: "user", Name: name, Content: "Amber" + fill(w[0])},
				{Role: "user", Name: "Bob", Content: "Birch" + fill(w[1])},
			}
		}
	}
	weights := []int{8, 16}
	f, _ := s.complete(ctx, named("Ann"), weights, []string{"message 1 (user)", "message 2 (user)"})
	if f.verdict != Kept {
		return f
	}
	brief, x, err := s.count(ctx, named("Ann")(weights))
	if err != nil {
		return failed(x, err)
	}
	long, x2, err := s.count(ctx, named("Annabella_Montgomery_Fitzgerald")(weights))
	switch {
	case err != nil:
		return failed(x2, err)
	case long > brief:
		return kept("a longer name makes a longer prompt (%d tokens more)", long-brief)
	case strings.Contains(x2.header.Get("Parley-Report"), "names"):
		return kept("the name is left out, and that is reported")
	}
	return broken(of(x, x2), "the name is left out in silence: Ann and Annabella_Montgomery_Fitzgerald make the same %d tokens", brief)
}

func abs(f float64) float64 { return max(f, -f) }

func round(f float64) int { return int(f + 0.5) }
