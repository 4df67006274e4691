package upstream_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/upstream"
	"parley/internal/upstream/enginetest"
	"parley/llm"
)

func forEachMode(t *testing.T, do func(t *testing.T, m mode)) {
	for _, m := range modes() {
		t.Run(m.kind+" "+m.String(), func(t *testing.T) { do(t, m) })
	}
}

// everything is a choice for all parameters that are numbers, none of them
// neutral.
func everything(t *testing.T) llm.Params {
	p := llm.Params{
		MaxTokens: new(12), Temperature: new(0.7), TopK: new(30), TopP: new(0.9), MinP: new(0.1), TypicalP: new(0.95), TopNSigma: new(2.0),
		DynamicTemperatureRange: new(0.2), DynamicTemperatureExponent: new(1.5), XTCProbability: new(0.1), XTCThreshold: new(0.2),
		RepetitionPenalty: new(1.1), RepetitionRange: new(128), PresencePenalty: new(0.2), FrequencyPenalty: new(0.3),
		DRYMultiplier: new(0.8), DRYBase: new(1.7), DRYAllowedLength: new(3), DRYRange: new(256), MinTokens: new(1), LoopGuard: new(100), TokenHealing: new(true),
		Mirostat: new(0), MirostatTau: new(4.0), MirostatEta: new(0.2), Seed: new(int64(3)), LogProbs: new(2),
		Stop: []string{"\nUser:", "never"}, BannedStrings: []string{"certainly"}, LogitBias: map[int]float64{5: -1},
	}
	for i := range reflect.TypeFor[llm.Params]().NumField() {
		f := reflect.TypeFor[llm.Params]().Field(i)
		if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() != reflect.Struct && reflect.ValueOf(p).Field(i).IsNil() {
			t.Errorf("the test chooses nothing for %s", f.Name)
		}
	}
	return p
}

// Whatever a client chooses, an engine is sent only what it knows, in the form
// that it takes. What it lacks is reported.
func TestAnEngineIsSentOnlyWhatItKnows(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		for name, p := range map[string]llm.Params{
			"all":     everything(t),
			"none":    {},
			"neutral": {Temperature: new(0.0), TopK: new(0), TopP: new(1.0), MinP: new(0.0), TypicalP: new(1.0), RepetitionPenalty: new(1.0), MaxTokens: new(5)},
		} {
			x := m.try(t, enginetest.Options{Model: recital{llm.Script("Hi", " there", ".")}})
			got := m.ask(t.Context(), x.opened, "Hello", p)
			if got.err != nil {
				t.Errorf("%s: %v", name, got.err)
				continue
			}
			for _, r := range x.fake.Generations() {
				unknown := slices.DeleteFunc(r.Unknown, func(s string) bool { return s == "model" || s == "stream_options" }) // all pass over these
				if len(unknown) > 0 {
					t.Errorf("%s: %s is sent %v, which it does not know", name, r.Path, unknown)
				}
			}
		}
	})
}

// A parameter that is chosen as neutral must not become the engine's default.
func TestWhatIsChosenHoldsAgainstTheEnginesDefaults(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		x := m.try(t, enginetest.Options{})
		p := llm.Params{Temperature: new(1.0), TopK: new(0), TopP: new(1.0), MinP: new(0.0), RepetitionPenalty: new(1.0), MaxTokens: new(5), Seed: new(int64(3))}
		got := m.ask(t.Context(), x.opened, "Hello", p)
		if got.err != nil {
			t.Fatal(got.err)
		}
		used := x.fake.Generations()[0].Params
		reported := got.report.Header()
		for name, c := range map[string]struct {
			used    *float64
			neutral float64
		}{"temperature": {used.Temperature, 1}, "top_p": {used.TopP, 1}, "min_p": {used.MinP, 0}, "top_k": {asFloat(used.TopK), 0}, "repetition_penalty": {used.RepetitionPenalty, 1}} {
			if c.used != nil && *c.used != c.neutral && !strings.Contains(reported, name) {
				t.Errorf("%s: the engine used %v, chosen was %v, and the report is %q", name, *c.used, c.neutral, reported)
			}
		}
	})
}

func asFloat(n *int) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}

// Where nobody says how long an answer may be, it is not as short as engines
// make it then.
func TestAnswersAreNotAsShortAsEnginesMakeThem(t *testing.T) {
	var script []string
	for range 600 {
		script = append(script, "word ")
	}
	forEachMode(t, func(t *testing.T, m mode) {
		want := len(script)
		if m.kind == "koboldai" {
			want = 512 // it gives no more at a time
		}
		x := m.try(t, enginetest.Options{Model: recital{llm.Script(script...)}})
		got := m.ask(t.Context(), x.opened, "Hello", llm.Params{LoopGuard: new(0)})
		if n := strings.Count(got.text, "word"); got.err != nil || n < want {
			t.Errorf("%d of %d words came, %v", n, len(script), got.err)
		}
	})
}

// At temperature 0 an answer through an engine is the one that its model gives
// by itself, token for token where the engine tells them.
func TestAnswersAreThoseOfTheModelItself(t *testing.T) {
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.System, "Be kind."), chat.Say(chat.User, "Hi")}}
	p := llm.Params{Temperature: new(0.0), MaxTokens: new(24)}
	own, err := chat.Collect(trial{}.over(t, builtIn()).Respond(t.Context(), c, p))
	if err != nil {
		t.Fatal(err)
	}
	forEachMode(t, func(t *testing.T, m mode) {
		got, err := m.try(t, enginetest.Options{}).respond(t, c, p)
		if err != nil {
			t.Fatal(err)
		}
		if got.Message.Text() != own.Message.Text() || got.Finish.Reason == llm.ReasonLength && m.kind != "koboldcpp" {
			t.Errorf("%q, %s; the model itself says %q, %s", got.Message.Text(), got.Finish.Reason, own.Message.Text(), own.Finish.Reason)
		}
		if want := own.Message.Tokens; m.kind == "llamacpp" && m.way == upstream.AsModel && !slices.Equal(got.Message.Tokens, want[:min(len(want), len(got.Message.Tokens))]) {
			t.Errorf("tokens %v, the model's own %v", got.Message.Tokens, want)
		}
	})
}

func TestEveryKindIsRecognised(t *testing.T) {
	for _, kind := range enginetest.Kinds() {
		if kind == "anthropic" {
			continue // by its host alone
		}
		fake := enginetest.Start(t, kind, enginetest.Options{})
		found, err := upstream.Probe(t.Context(), fake.URL)
		if err != nil || found.Kind.Name != kind {
			t.Errorf("%s is taken for %+v, %v", kind, found.Kind, err)
			continue
		}
		if len(found.Models) != 1 || !strings.Contains(found.Models[0], "fake-model") {
			t.Errorf("%s: models %v", kind, found.Models)
		}
		if asked := fake.Begun(); len(asked) > 0 {
			t.Errorf("%s: it was made to generate by being looked at", kind)
		}
	}
}

func TestAKeyIsSentAsEachKindWantsIt(t *testing.T) {
	for _, u := range uses() {
		fake := enginetest.Start(t, u.kind, enginetest.Options{Key: key})
		opened := u.openAt(t, fake.URL, upstream.Options{Key: key})
		if got := u.ask(t.Context(), opened, "Hello", llm.Params{MaxTokens: new(50)}); got.err != nil {
			t.Errorf("%s: %v", u, got.err)
		}
		_, err := upstream.Dial(t.Context(), upstream.Options{URL: fake.URL, Kind: u.kind, Key: "sk-another-key"})
		if err == nil {
			continue // some show what they are without a key
		}
		if strings.Contains(err.Error(), "sk-another-key") || !strings.Contains(err.Error(), "key") {
			t.Errorf("%s with a wrong key: %v", u, err)
		}
	}
}

// llama-cpp-python's server ends the stream that runs when another request
// comes, as if it were whole.
func TestAnAnswerThatAnotherRequestEndsHasBrokenOff(t *testing.T) {
	for _, way := range []upstream.Way{upstream.AsModel, upstream.AsChat} {
		u := use{"llamacpppython", way}
		gate := make(chan struct{}, 1)
		gate <- struct{}{}
		model := llm.Script("one ", "two ", "three.")
		model.Gate = gate
		opened := u.openAt(t, enginetest.Start(t, u.kind, enginetest.Options{Model: model}).URL, patient)
		var first said
		second := make(chan said, 1)
		for x, err := range u.stream(t.Context(), opened, "Hello", llm.Params{MaxTokens: new(10)}) {
			if first.text += x.text; x.text != "" {
				go func() { second <- u.ask(t.Context(), opened, "Hello", llm.Params{MaxTokens: new(10)}) }()
			}
			if first.err = err; err != nil {
				close(gate)
			}
		}
		if e := llm.AsError(first.err); first.err == nil || e.Code != llm.Broken || first.text != "one " {
			t.Errorf("%s: the first got %q, %v", u, first.text, first.err)
		}
		if got := <-second; got.err != nil || got.text != "one two three." {
			t.Errorf("%s: the second got %q, %v", u, got.text, got.err)
		}
	}
}
