package upstream

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"parley/llm"
)

// What each engine is told, for each kind of constraint, on the route for raw
// prompts and on that for conversations: one line each, in testdata.
func TestWhatHoldsAnOutputToALanguageIsSaidOrRefused(t *testing.T) {
	all := []*llm.Constraint{
		{Kind: llm.ConstrainJSON, Field: "response_format.type"},
		{Kind: llm.ConstrainSchema, Source: `{"type":"number"}`, Field: "json_schema"},
		{Kind: llm.ConstrainGBNF, Source: `root ::= "x"`, Field: "grammar"},
		{Kind: llm.ConstrainRegexp, Source: `x+`, Field: "regex"},
		{Kind: llm.ConstrainChoice, Choices: []string{"a.b", "say \"c\"\n"}, Field: "guided_choice"},
	}
	var b strings.Builder
	say := func(kind, way string, e *endpoint, k *llm.Constraint) {
		body := map[string]any{}
		if e == tgiStream {
			body["parameters"] = map[string]any{}
		}
		err := e.constrained(&call{params: llm.Params{Constraint: k}}, kind, body)
		got, _ := json.Marshal(body)
		if err != nil {
			if e := llm.AsError(err); e.Code != llm.Unsupported || e.Field != k.Field {
				t.Errorf("%s, %s, %s: %v", kind, way, k.Kind, err)
			}
			got = []byte("refused")
		} else if string(got) == "{}" {
			t.Errorf("%s, %s, %s: nothing is said", kind, way, k.Kind)
		}
		fmt.Fprintf(&b, "%-14s %-4s %-11s %s\n", kind, way, k.Kind, got)
	}
	for _, kind := range kinds {
		for _, k := range all {
			if kind.complete != nil {
				say(kind.Name, "raw", kind.complete, k)
			}
		}
		for _, k := range all {
			if kind.chat != nil {
				say(kind.Name, "chat", kind.chat.endpoint, k)
			}
		}
	}
	const file = "testdata/constraints.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(want), "\r\n", "\n") != b.String() {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestThoughtsAreNotHeldToAnAnswersLanguage(t *testing.T) {
	inside := &llm.Constraint{Kind: llm.ConstrainJSON, Field: "response_format", After: "</think>"}
	if err := llamaCompletion.constrained(&call{params: llm.Params{Constraint: inside}}, "x", map[string]any{}); err == nil || llm.AsError(err).Code != llm.Unsupported {
		t.Errorf("got %v", err)
	}
	mayThink := &llm.Constraint{Kind: llm.ConstrainJSON, After: "</think>", Open: "<think>"}
	if err := llamaCompletion.constrained(&call{params: llm.Params{Constraint: mayThink}}, "x", map[string]any{}); err != nil {
		t.Errorf("got %v", err)
	}
}

// A call that the prompt begins comes as well as the engine can: that its
// arguments are not held to their schema is no reason to refuse it.
func TestAnEngineIsNotToldOfArguments(t *testing.T) {
	c, body := &call{params: llm.Params{Constraint: &llm.Constraint{Kind: llm.ConstrainCall, Calls: []llm.Call{{Name: "look", Schema: "{}"}}}}}, map[string]any{}
	if err := llamaCompletion.constrained(c, "x", body); err != nil || len(body) > 0 {
		t.Errorf("the engine is told %v, %v", body, err)
	}
	if len(c.report) != 1 || c.report[0].Code != llm.CodeArgumentsUnheld || c.report[0].Value != "look" {
		t.Errorf("report %v", c.report)
	}
}

func TestAConstraintIsSentWithTheCall(t *testing.T) {
	o, _ := picky(t, func(string) (int, string) { return 0, "" }, fine)
	if _, err := o.Responder.(*responder).engine.Models(t.Context()); err != nil {
		t.Fatal(err)
	}
	for e, err := range chatAnthropicOn(o).Respond(t.Context(), frontEnd(), llm.Params{Constraint: &llm.Constraint{Kind: llm.ConstrainJSON, Field: "response_format.type"}}) {
		if err == nil || llm.AsError(err).Field != "response_format.type" {
			t.Errorf("got %v, %v", e, err)
		}
	}
}

// chatAnthropicOn is a responder that speaks Anthropic's dialect, which knows
// no constraints, with an engine that does not.
func chatAnthropicOn(o *Opened) *responder {
	r := unshown(KindNamed("anthropic"))
	r.engine = o.Responder.(*responder).engine
	return r
}
