package engine

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"parley/internal/demo"
	"parley/internal/gguf"
	"parley/llm"
)

func texts(of ...string) (list []llm.Prompt) {
	for _, s := range of {
		list = append(list, llm.Prompt{Segments: []llm.Segment{{Text: s}}})
	}
	return list
}

func vectors(t *testing.T, e *Engine, prompts []llm.Prompt) ([][]float32, llm.Usage) {
	t.Helper()
	v, usage, err := e.Embed(t.Context(), prompts)
	if err != nil {
		t.Fatal(err)
	}
	return v, usage
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// TestVectorsLikeLlamaCpp compares with vectors of llama.cpp's server, whose
// origin the file tells.
func TestVectorsLikeLlamaCpp(t *testing.T) {
	var golden struct {
		Texts   []string
		Tokens  int
		Vectors map[string][][]float32
	}
	b, err := os.ReadFile("testdata/embeddings.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	e, err := OpenBytes(demo.Model(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, kind := range map[string]pooling{"mean": poolMean, "cls": poolFirst, "last": poolLast} {
		for i, p := range texts(golden.Texts...) {
			into := &pool{pooling: kind}
			r, err := e.embedding(t.Context(), p, into)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.loop.read(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			v, err := into.vector()
			if err != nil {
				t.Fatal(err)
			}
			if want := golden.Vectors[name][i]; len(v) != len(want) || dot(v, want) < 0.9995 {
				t.Errorf("%s of %q: the cosine is %.5f", name, golden.Texts[i], dot(v, want))
			}
		}
	}
	v, usage := vectors(t, e, texts(golden.Texts...))
	if usage.PromptTokens != golden.Tokens {
		t.Errorf("%d tokens, want %d", usage.PromptTokens, golden.Tokens)
	}
	for i := range v {
		if dot(v[i], golden.Vectors["mean"][i]) < 0.9995 || math.Abs(dot(v[i], v[i])-1) > 1e-6 {
			t.Errorf("%q: cosine %v with the mean, length %v", golden.Texts[i], dot(v[i], golden.Vectors["mean"][i]), dot(v[i], v[i]))
		}
	}
}

func TestTheFileSaysHowStatesArePooled(t *testing.T) {
	text := texts("the inner thing")
	of := func(meta ...gguf.KV) []float32 {
		v, _ := vectors(t, tiny{meta: meta}.open(t, Options{}), text)
		return v[0]
	}
	kind := func(n int) gguf.KV { return gguf.KV{Key: "llama.pooling_type", Value: gguf.ValueOf(uint32(n))} }
	silent, none, mean, first, last := of(), of(kind(0)), of(kind(1)), of(kind(2)), of(kind(3))
	if !slices.Equal(silent, mean) || !slices.Equal(none, mean) {
		t.Error("where the file leaves it open it is not the mean")
	}
	if slices.Equal(mean, first) || slices.Equal(first, last) || slices.Equal(mean, last) {
		t.Error("two kinds of pooling give the same")
	}
	ended := of(kind(3), gguf.KV{Key: "tokenizer.ggml.add_eos_token", Value: gguf.ValueOf(true)})
	if slices.Equal(ended, last) {
		t.Error("a text that is to end with EOS does not")
	}
	for _, meta := range []gguf.KV{kind(4), kind(300), {Key: "llama.attention.causal", Value: gguf.ValueOf(false)}} {
		_, _, err := tiny{meta: []gguf.KV{meta}}.open(t, Options{}).Embed(t.Context(), text)
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Code != llm.Unsupported {
			t.Errorf("%s: %v", meta.Key, err)
		}
	}
}

// A text has the same vector alone, in chunks, among others, and while
// replies are generated beside it; and replies do not change beside it.
func TestVectorsAreTheSameWhateverElseGoesOn(t *testing.T) {
	e := tiny{}.open(t, Options{Sequences: 3})
	long := strings.Repeat("the inner thing he ate in there ", 12)
	all := texts(long, "the", long+"a", "inner", "he ate", long, "x", long+"the end")
	var alone [][]float32
	for _, p := range all {
		v, _ := vectors(t, e, []llm.Prompt{p})
		alone = append(alone, v[0])
	}
	ask := func() reply {
		return complete(t, e, llm.Text("the thing"), llm.Params{MaxTokens: new(60), IgnoreEOS: true, Seed: new(int64(1))})
	}
	want := ask()
	done := make(chan reply)
	for range 3 {
		go func() { done <- ask() }()
		v, _ := vectors(t, e, all)
		for i := range v {
			if !slices.Equal(v[i], alone[i]) {
				t.Errorf("text %d has another vector among others", i)
			}
		}
		if got := <-done; got.text != want.text {
			t.Errorf("a reply beside it is %q, want %q", got.text, want.text)
		}
	}
	if s := e.Stats(); s.Running != 0 || s.Queued != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTextsThatHaveNoVector(t *testing.T) {
	e := tiny{}.open(t, Options{Context: 32})
	for _, c := range []struct {
		prompts []llm.Prompt
		code    llm.Code
		field   string
	}{
		{texts(""), llm.Invalid, "input"},
		{texts("a", ""), llm.Invalid, "input[1]"},
		{texts("a", strings.Repeat("x", 40), "b"), llm.TooLong, "input[1]"},
		{[]llm.Prompt{llm.Tokens([]int{5, 1 << 20})}, llm.Invalid, "input"},
	} {
		_, _, err := e.Embed(t.Context(), c.prompts)
		if got, ok := errors.AsType[*llm.Error](err); !ok || got.Code != c.code || got.Field != c.field {
			t.Errorf("%d texts: %v, want %s at %s", len(c.prompts), err, c.code, c.field)
		}
	}
	if v, _ := vectors(t, e, texts(strings.Repeat("x", 31))); len(v) != 1 { // and BOS: as many as the context holds
		t.Errorf("%d vectors", len(v))
	}
	if v, u := vectors(t, e, nil); len(v) != 0 || u.PromptTokens != 0 {
		t.Errorf("no text: %v, %+v", v, u)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if _, _, err := e.Embed(ctx, texts("a")); !errors.Is(err, gone) {
		t.Errorf("cancelled: %v", err)
	}
	e.Close()
	if _, _, err := e.Embed(t.Context(), texts("a", "b")); llm.AsError(err).Code != llm.Unavailable {
		t.Errorf("closed: %v", err)
	}
}
