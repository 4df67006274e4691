package upstream_test

import (
	"slices"
	"strings"
	"testing"

	"parley/internal/upstream"
	"parley/internal/upstream/enginetest"
	"parley/llm"
)

// eachModel runs a test with the model of every kind of engine that continues
// prompts.
func eachModel(t *testing.T, o enginetest.Options, test func(t *testing.T, fake *enginetest.Engine, opened *upstream.Opened)) {
	for _, kind := range enginetest.Kinds() {
		if completes, _ := enginetest.Ways(kind); completes {
			t.Run(kind, func(t *testing.T) {
				fake := enginetest.Start(t, kind, o)
				test(t, fake, open(t, fake, upstream.Options{Way: upstream.AsModel}))
			})
		}
	}
}

func noted(report llm.Report, code, value string) bool {
	return slices.ContainsFunc(report, func(n llm.Note) bool { return n.Code == code && n.Value == value })
}

func TestNothingIsCutWhereNobodyNamedANumber(t *testing.T) {
	long := strings.Split(strings.Repeat("word ", 100), " ")
	for i := range long {
		long[i] = string(rune('a'+i%26)) + long[i] + " "
	}
	eachModel(t, enginetest.Options{Model: llm.Script(long...), Context: 2048}, func(t *testing.T, fake *enginetest.Engine, opened *upstream.Opened) {
		text, f, err := say(t.Context(), opened.Model, llm.Params{})
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(long, ""); text != want || f.Reason != llm.ReasonEnd {
			t.Errorf("%s after %d bytes of %d", f.Reason, len(text), len(want))
		}
	})
}

func TestWhatEnginesDoNotCountIsReported(t *testing.T) {
	eachModel(t, enginetest.Options{}, func(t *testing.T, fake *enginetest.Engine, opened *upstream.Opened) {
		_, f, err := say(t.Context(), opened.Model, llm.Params{})
		if err != nil {
			t.Fatal(err)
		}
		if f.Usage.PromptTokens == 0 != noted(f.Report, "usage", "prompt_tokens") {
			t.Errorf("%d tokens of the prompt, report %v", f.Usage.PromptTokens, f.Report)
		}
		if estimated := noted(f.Report, "usage", "completion_tokens"); f.Usage.CompletionTokens == 0 || estimated && !slices.Contains([]string{"koboldcpp", "koboldai", "simpleai", "llamacpppython", "basaran"}, fake.Kind) {
			t.Errorf("%d tokens of output, report %v", f.Usage.CompletionTokens, f.Report)
		}
	})
}

func TestAnEngineThatCutsLongPromptsGetsNone(t *testing.T) {
	prompt := llm.Text(strings.Repeat("word ", 200))
	for _, kind := range []string{"koboldcpp", "textgen"} {
		t.Run(kind, func(t *testing.T) {
			fake := enginetest.Start(t, kind, enginetest.Options{Context: 128})
			opened := open(t, fake, upstream.Options{Way: upstream.AsModel, Context: 128})
			for _, err := range opened.Model.Complete(t.Context(), prompt, llm.Params{MaxTokens: new(16)}) {
				if e := llm.AsError(err); err == nil || e.Code != llm.TooLong {
					t.Errorf("got %v", err)
				}
			}
			if n := len(fake.Begun()); n != 0 {
				t.Errorf("the engine was asked %d times", n)
			}
		})
	}
}

func TestMoreTokensThanFitAreCapped(t *testing.T) {
	fake := enginetest.Start(t, "vllm", enginetest.Options{Context: 64})
	opened := open(t, fake, upstream.Options{Way: upstream.AsModel})
	for piece, err := range opened.Model.Complete(t.Context(), llm.Tokens([]int{1, 2, 3}), llm.Params{MaxTokens: new(1000)}) {
		if err != nil {
			t.Fatal(err)
		}
		if a := piece.Accepted; a != nil && (a.PromptTokens != 3 || !noted(a.Report, "max_tokens_capped", "61")) {
			t.Errorf("accepted %+v", a)
		}
	}
	if got := fake.Generations()[0].Fields["max_tokens"]; got != 61.0 {
		t.Errorf("asked for %v tokens", got)
	}
}

func TestKoboldCppIsToldThatNobodyListens(t *testing.T) {
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	model := llm.Script("Hello", " there")
	model.Gate = gate
	fake := enginetest.Start(t, "koboldcpp", enginetest.Options{Model: model, Deaf: true})
	opened := open(t, fake, upstream.Options{Way: upstream.AsModel})
	for piece, err := range opened.Model.Complete(t.Context(), llm.Text("Hi"), llm.Params{}) {
		if err != nil {
			t.Fatal(err)
		}
		if piece.Text != "" {
			break
		}
	}
	if got := fake.Generations()[0].Outcome; got != enginetest.Aborted {
		t.Errorf("the request was %s", got)
	}
}

func TestNoEngineLooksForStopsThatCanBeCutOff(t *testing.T) {
	eachModel(t, enginetest.Options{}, func(t *testing.T, fake *enginetest.Engine, opened *upstream.Opened) {
		if _, _, err := say(t.Context(), opened.Model, llm.Params{Stop: []string{"fake"}}); err != nil {
			t.Fatal(err)
		}
		if sent, whole := len(fake.Begun()[0].Stops) > 0, fake.Kind == "koboldai"; sent != whole {
			t.Errorf("stops were sent: %v", sent)
		}
		if _, _, err := say(t.Context(), opened.Model, llm.Params{Stop: []string{"fake"}, StopAfter: "</think>"}); err != nil {
			t.Fatal(err)
		}
		if stops := fake.Begun()[1].Stops; len(stops) > 0 {
			t.Errorf("stops that sleep were sent: %q", stops)
		}
	})
}

func TestChoicesOfOneSeedDiffer(t *testing.T) {
	fake := enginetest.Start(t, "llamacpp", enginetest.Options{})
	opened := open(t, fake, upstream.Options{Way: upstream.AsModel})
	for _, p := range []llm.Params{{Seed: new(int64(7))}, {Seed: new(int64(7)), Choice: 1}, {Seed: new(int64(7)), Choice: 2}, {Seed: new(int64(-1))}, {Seed: new(int64(1 << 60))}} {
		if _, f, err := say(t.Context(), opened.Model, p); err != nil || f.Seed != *p.Seed {
			t.Errorf("got %+v, %v", f, err)
		}
	}
	sent := map[any]bool{}
	for _, g := range fake.Generations() {
		seed, ok := g.Fields["seed"].(float64)
		if !ok || seed < 0 || seed >= 1<<31 {
			t.Errorf("sent %v", g.Fields["seed"])
		}
		sent[seed] = true
	}
	if len(sent) != 5 || !sent[7.0] {
		t.Errorf("sent %v", sent)
	}
}

func TestALoopIsEndedHere(t *testing.T) {
	var again []string
	for range 600 {
		again = append(again, "and", " so", " on", " ")
	}
	fake := enginetest.Start(t, "llamacpp", enginetest.Options{Model: llm.Script(again...)})
	opened := open(t, fake, upstream.Options{Way: upstream.AsModel})
	_, f, err := say(t.Context(), opened.Model, llm.Params{LoopGuard: new(64)})
	if err != nil || f.Reason != llm.ReasonLoop || !noted(f.Report, "loop", "64") {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, f, err = say(t.Context(), opened.Model, llm.Params{LoopGuard: new(0)}); err != nil || f.Reason != llm.ReasonEnd {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestABeginningOfTextIsNotPutTwice(t *testing.T) {
	for kind, want := range map[string]string{"ollama": "Hi", "llamacpppython": "Hi", "vllm": "<s>Hi"} {
		fake := enginetest.Start(t, kind, enginetest.Options{})
		opened := open(t, fake, upstream.Options{Way: upstream.AsModel})
		for _, err := range opened.Model.Complete(t.Context(), llm.Text("<s>Hi"), llm.Params{}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		g := fake.Generations()[0]
		if got := g.Fields["prompt"]; got != want || kind == "vllm" && g.Fields["add_special_tokens"] != false {
			t.Errorf("%s got %q, %v", kind, got, g.Fields)
		}
	}
}
