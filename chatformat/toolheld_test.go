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

// strictCalls are the syntaxes in which calls of strict tools are held to their
// schemas without being demanded.
var strictCalls = []string{"gigachat", "hermes"}

// TestStrictToolsAreHeldWhereACallBegins has every template that takes tools
// offer a strict one and another: what the reply is held to reads back as a
// call behind other text, or the report says that it is not held.
func TestStrictToolsAreHeldWhereACallBegins(t *testing.T) {
	templates := corpus(t)
	held := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		f := templates[name]
		tools := slices.Clone(corpusTools)
		tools[0].Strict = true
		c := chat.Conversation{Tools: tools, Messages: []chat.Message{chat.Say(chat.User, "Sentinel question.")}}
		k, r, err := demanded(t, f, c, "x")
		if err != nil {
			continue
		}
		if k == nil {
			if len(r.Accepted.Report) == 0 || !slices.ContainsFunc(r.Accepted.Report, func(n llm.Note) bool { return n.Code == llm.CodeArgumentsUnheld && n.Value == tools[0].Name }) {
				t.Errorf("%s: nothing is held and nothing said: %v", name, r.Accepted.Report)
			}
			continue
		}
		held[f.CallSyntax()] = true
		if len(k.Calls) != len(tools) || k.Calls[0].Schema != string(tools[0].Parameters) || k.Calls[1].Schema != "" {
			t.Errorf("%s: %+v", name, k.Calls)
		}
		for _, call := range k.Calls {
			const arguments = `{"location": "Ulm"}`
			thought := ""
			if k.Open == "" {
				thought = k.After
			}
			_, r, err := demanded(t, f, c, thought+"I look."+k.Behind+call.Before+arguments)
			if err != nil {
				t.Fatal(err)
			}
			if m := r.Message; len(m.ToolCalls) != 1 || m.ToolCalls[0].Name != call.Name || m.ToolCalls[0].Arguments != arguments || m.Text() != "I look." {
				t.Errorf("%s: %q reads as %+v", name, k.Behind+call.Before, m)
			}
		}
		c.Choice.Mode = chat.ToolNone
		if k, _, _ := demanded(t, f, c, "x"); k != nil {
			t.Errorf("%s: held although no tool may be called", name)
		}
	}
	if got := slices.Sorted(maps.Keys(held)); !slices.Equal(got, strictCalls) {
		t.Errorf("held are %v, want %v", got, strictCalls)
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
