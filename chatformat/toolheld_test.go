package chatformat_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// heldCalls says by syntax which demanded calls of the corpus' templates are
// held to their tools' schemas: n a named one, r any one of several, - not.
// Syntaxes that are not there have no template in which a call can be demanded.
var heldCalls = map[string]string{
	"apertus": "nr", "command-r7b": "nr", "gigachat": "nr", "hermes": "nr", "jamba": "nr", "json": "nr", "mistral": "nr", "nemotron": "nr",
	"deepseek": "-n", "functionary-v3.1": "-n", "functionary-v3.2": "n", "harmony": "-n",
	"deepseek-v3.2": "-", "deepseek-v4": "-", "gemma": "-", "glm": "-", "hunyuan": "-", "lfm": "-", "minicpm": "-", "minimax": "-", "qwen-coder": "-",
}

// TestDemandedCallsAreHeld has every template that takes tools demand a call:
// what it is held to reads back as that call, and which syntaxes are held is
// what docs/tool-calls.md says.
func TestDemandedCallsAreHeld(t *testing.T) {
	templates := corpus(t)
	got := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		f := templates[name]
		for _, choice := range []chat.ToolChoice{{Mode: chat.ToolNamed, Name: "get_weather"}, {Mode: chat.ToolRequired}} {
			c := chat.Conversation{Tools: corpusTools, Messages: []chat.Message{chat.Say(chat.User, "Sentinel question.")}, Choice: choice}
			held, _, err := demanded(t, f, c, "x")
			if err != nil {
				continue // refused by name
			}
			if held == nil {
				got[f.CallSyntax()] += "-"
				continue
			}
			got[f.CallSyntax()] += string(choice.Mode[:1])
			for _, call := range held.Calls {
				const arguments = `{"location": "Ulm"}`
				_, r, err := demanded(t, f, c, call.Before+" "+arguments)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if m := r.Message; len(m.ToolCalls) != 1 || m.ToolCalls[0].Name != call.Name || m.ToolCalls[0].Arguments != arguments || m.Text() != "" {
					t.Errorf("%s, %s: %q reads as %+v", name, choice.Mode, call.Before, m)
				}
			}
		}
	}
	for s, kinds := range got {
		letters := strings.Split(kinds, "")
		slices.Sort(letters)
		got[s] = strings.Join(slices.Compact(letters), "")
	}
	if !maps.Equal(got, heldCalls) {
		t.Errorf("got  %v\nwant %v", got, heldCalls)
	}
}

// demanded is what a reply to a conversation is held to, and how one reads.
func demanded(t *testing.T, f chatformat.Format, c chat.Conversation, says string) (*llm.Constraint, chat.Reply, error) {
	t.Helper()
	m := llm.Script(says)
	var held *llm.Constraint
	m.Seen = func(_ llm.Prompt, p llm.Params) { held = p.Constraint }
	r, err := chat.Collect(chatformat.NewResponder(m, f, chatformat.Options{}).Respond(t.Context(), c, llm.Params{}))
	return held, r, err
}
