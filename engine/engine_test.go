package engine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/internal/gguf"
	"parley/llm"
	"parley/llm/llmtest"
)

func TestEngineKeepsTheContract(t *testing.T) {
	for name, m := range map[string]tiny{"bpe": {}, "spm": {spm: true}} {
		t.Run(name, func(t *testing.T) {
			e := m.open(t, Options{Threads: 2})
			mark, ok := e.words.ID("<think>")
			if !ok {
				t.Fatal("the tiny model has no <think>")
			}
			llmtest.Run(t, llmtest.Subject{Model: e, Prompt: llm.Text("the cat in the hat"), Mark: "<think>", MarkID: mark})
		})
	}
}

type reply struct {
	text     string
	ids      []int
	accepted *llm.Accepted
	finish   llm.Finish
}

func (r reply) String() string { return fmt.Sprintf("%q %v %s", r.text, r.ids, r.finish.Reason) }

func complete(t *testing.T, e *Engine, p llm.Prompt, params llm.Params) (r reply) {
	t.Helper()
	for piece, err := range e.Complete(t.Context(), p, params) {
		if err != nil {
			t.Error(err)
			return r
		}
		if piece.Accepted != nil {
			r.accepted = piece.Accepted
		}
		r.text += piece.Text
		for _, tok := range piece.Tokens {
			r.ids = append(r.ids, tok.ID)
		}
		if piece.Finish != nil {
			r.finish = *piece.Finish
		}
	}
	return r
}

func failure(t *testing.T, e *Engine, p llm.Prompt, params llm.Params) *llm.Error {
	t.Helper()
	for piece, err := range e.Complete(t.Context(), p, params) {
		if err != nil {
			return llm.AsError(err)
		}
		t.Fatalf("got %+v, want an error", piece)
	}
	return nil
}

// The promise that matters most: alone, among others, after others have gone,
// warm, cold, in other chunks, on other numbers of threads: the same tokens.
func TestTheSameTokensAloneAndInCompany(t *testing.T) {
	text := func(i int) llm.Prompt {
		return llm.Text(strings.Repeat("the cat in the hat ", 2+i) + fmt.Sprint(i))
	}
	params := func(i int) llm.Params {
		return llm.Params{Seed: new(int64(i)), MaxTokens: new(25), Temperature: new(0.8), TopK: new(40), TopP: new(0.95), RepetitionPenalty: new(1.1), IgnoreEOS: true}
	}
	var alone [8]string
	for i := range alone {
		alone[i] = complete(t, tiny{}.open(t, Options{Threads: 1 + i%3}), text(i), params(i)).String()
	}
	e := tiny{}.open(t, Options{Threads: 2})
	for round := range 3 {
		var wg sync.WaitGroup
		for i := range alone {
			wg.Go(func() {
				if i%2 == 0 { // a neighbour that leaves
					n := 0
					for range e.Complete(t.Context(), text(i+1), params(i+50)) {
						if n++; n > 3+i {
							break
						}
					}
				}
				if got := complete(t, e, text(i), params(i)).String(); got != alone[i] {
					t.Errorf("round %d, request %d:\n got %s\nwant %s", round, i, got, alone[i])
				}
			})
		}
		wg.Wait()
	}
	if s := e.Stats(); s.CachedTokens == 0 || s.GeneratedTokens == 0 || s.PromptTokens <= s.CachedTokens {
		t.Errorf("the cache was of no use: %+v", s)
	}
}

func TestChoicesDifferAndRepeat(t *testing.T) {
	e := tiny{}.open(t, Options{})
	texts := map[string]bool{}
	for choice := range 5 {
		p := llm.Params{Seed: new(int64(1)), MaxTokens: new(20), Choice: choice, IgnoreEOS: true}
		a, b := complete(t, e, llm.Text("the"), p), complete(t, e, llm.Text("the"), p)
		if a.String() != b.String() {
			t.Errorf("choice %d: %s, then %s", choice, a, b)
		}
		texts[a.text] = true
	}
	if len(texts) != 5 {
		t.Errorf("5 choices made %d texts", len(texts))
	}
}

func TestATurnCostsItsNewTokens(t *testing.T) {
	e := tiny{}.open(t, Options{})
	p := llm.Params{Seed: new(int64(1)), MaxTokens: new(10), Temperature: new(0.0), IgnoreEOS: true}
	first := llm.Text("<|im_start|>the cat in the hat<|im_end|>")
	a := complete(t, e, first, p)
	if u := a.finish.Usage; u.CachedTokens != 0 || u.CompletionTokens != 10 {
		t.Errorf("first turn: %+v", u)
	}
	// The reply handed back as tokens, and a new message.
	second := llm.Prompt{Segments: []llm.Segment{
		first.Segments[0], {Tokens: a.ids, Trust: llm.TrustModel}, {Text: "<|im_end|><|im_start|>a hat", Control: true},
	}}
	if u := complete(t, e, second, p).finish.Usage; u.CachedTokens < a.finish.Usage.PromptTokens+9 {
		t.Errorf("second turn: %+v", u)
	}
	if u := complete(t, e, first, p).finish.Usage; u.CachedTokens != u.PromptTokens-1 {
		t.Errorf("regenerated: %+v", u)
	}
}

// A message was changed: what is known of the old prompt behind it is of no use, and
// the answer says where that begins.
func TestWhereAPromptDepartsFromOneInMemory(t *testing.T) {
	e := tiny{}.open(t, Options{})
	p := llm.Params{Seed: new(int64(1)), MaxTokens: new(4), Temperature: new(0.0), IgnoreEOS: true}
	chat := func(first, second string) llm.Prompt {
		return llm.Prompt{Segments: []llm.Segment{
			{Text: "<|im_start|>", Control: true},
			{Text: first, Source: llm.Source{Kind: llm.FromMessage, Field: "content"}},
			{Text: "<|im_end|><|im_start|>", Control: true},
			{Text: second, Source: llm.Source{Kind: llm.FromMessage, Index: 1, Field: "content"}},
		}}
	}
	long, short := strings.Repeat("#", 100), strings.Repeat("#", 20)
	for _, c := range []struct {
		name string
		p    llm.Prompt
		want *llm.Source
		in   int // tokens of the changed segment before the change
	}{
		{"the first", chat(long, "a hat"+long), nil, 0},
		{"the same again", chat(long, "a hat"+long), nil, 0},
		{"it goes on", chat(long, "a hat"+long+"!!"), nil, 0},
		{"a shorter one", chat(long, "a hat"+short), nil, 0},
		{"the second message has changed", chat(long, "! hat"+long), &llm.Source{Kind: llm.FromMessage, Index: 1, Field: "content"}, 0},
		{"the first message has changed", chat(short+"!"+long, "a hat"+long), &llm.Source{Kind: llm.FromMessage, Field: "content"}, 20},
		{"little is lost", chat(short+"!"+long, "a hat"+long+"??"), nil, 0},
		{"nothing begins like it", llm.Tokens([]int{5, 6, 7}), nil, 0},
	} {
		got := complete(t, e, c.p, p).finish.Usage
		if c.want == nil {
			if got.Broke != nil {
				t.Errorf("%s: %+v", c.name, got.Broke)
			}
			continue
		}
		tokens, err := e.Tokenize(t.Context(), c.p)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(tokens, func(t llm.Token) bool { return t.Segment >= 0 && c.p.Segments[t.Segment].Source == *c.want }) + c.in
		if b := got.Broke; b == nil || b.Source != *c.want || b.Token != at || b.Unused < 64 || got.CachedTokens != at {
			t.Errorf("%s: %+v, want token %d; %+v", c.name, b, at, got)
		}
	}
}

func TestBOS(t *testing.T) {
	e := tiny{}.open(t, Options{})
	bos, _ := e.words.ID("<s>")
	first := func(p llm.Prompt) llm.Token {
		t.Helper()
		tokens, err := e.Tokenize(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(slices.DeleteFunc(slices.Clone(tokens), func(t llm.Token) bool { return t.ID != bos })); n > 1 {
			t.Errorf("%d BOS tokens", n)
		}
		return tokens[0]
	}
	if tok := first(llm.Text("the")); tok.ID != bos || tok.Segment != -1 || !tok.Control {
		t.Errorf("text: %+v", tok)
	}
	if tok := first(llm.Text("<s>the")); tok.ID != bos || tok.Segment != 0 {
		t.Errorf("text with BOS: %+v", tok)
	}
	if tok := first(llm.Text("")); tok.ID != bos {
		t.Errorf("no text: %+v", tok)
	}
	if tok := first(llm.Tokens([]int{7, 8})); tok.ID != 7 || tok.Segment != 0 {
		t.Errorf("tokens: %+v", tok)
	}
	silent := tiny{meta: []gguf.KV{{Key: "tokenizer.ggml.add_bos_token", Value: gguf.ValueOf(false)}}}.open(t, Options{})
	if tokens, _ := silent.Tokenize(t.Context(), llm.Text("the")); len(tokens) != 1 || tokens[0].Text != "the" {
		t.Errorf("a file that wants none: %+v", tokens)
	}
	if tokens, err := silent.Tokenize(t.Context(), llm.Text("")); err != nil || len(tokens) != 0 {
		t.Errorf("no text for a file that wants none: %+v, %v", tokens, err)
	}
}

func TestSegmentsDivideNothingAndKeepTheirPlace(t *testing.T) {
	e := tiny{}.open(t, Options{})
	p := llm.Prompt{Segments: []llm.Segment{
		{Text: "<|im_start|>", Control: true},
		{Text: "t"}, {Text: ""}, {Text: "h"}, {Text: "e<|im_start|>"},
		{Text: "<|im_", Control: true}, {Text: "end|>", Control: true},
		{Tokens: []int{9}},
		{Text: "<think>", Trust: llm.TrustModel}, {Text: "<think>"},
	}, Marks: llm.Marks{Reply: []string{"<think>"}}}
	tokens, err := e.Tokenize(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tok := range tokens {
		got = append(got, fmt.Sprintf("%d:%s:%t", tok.Segment, tok.Text, tok.Control))
	}
	want := "-1:<s>:true 0:<|im_start|>:true 1:the:false 4:<:false"
	if !strings.HasPrefix(strings.Join(got, " "), want) {
		t.Errorf("got %v, want first %s", got, want)
	}
	if !slices.Contains(got, "5:<|im_end|>:true") || !slices.Contains(got, "7:%:false") {
		t.Errorf("the control token of two segments, or the token passed through, is missing: %v", got)
	}
	if i := slices.IndexFunc(got, func(s string) bool { return strings.HasPrefix(s, "8:") }); i < 0 || !strings.HasPrefix(got[i], "8:<think>") || got[i+1] != "9:<:false" {
		t.Errorf("the model's mark must match and the client's must not: %v", got)
	}
}

func TestReplyMarksAreText(t *testing.T) {
	e := tiny{}.open(t, Options{})
	id, _ := e.words.ID("<think>")
	p := llm.Params{LogitBias: map[int]float64{id: 1000}, MaxTokens: new(2), Temperature: new(0.0)}
	prompt := llm.Text("the")
	if r := complete(t, e, prompt, p); r.text != "" || !slices.Equal(r.ids, []int{id, id}) {
		t.Errorf("a control token was shown: %s", r)
	}
	prompt.Marks.Reply = []string{"<think>"}
	if r := complete(t, e, prompt, p); r.text != "<think><think>" {
		t.Errorf("a mark was not shown: %s", r)
	}
}

func TestDetokenizeUndoesTokenize(t *testing.T) {
	for name, m := range map[string]tiny{"bpe": {}, "spm": {spm: true}} {
		e := m.open(t, Options{})
		const text = "<|im_start|>the hat"
		tokens, _ := e.Tokenize(t.Context(), llm.Text(text))
		var list []int
		for _, tok := range tokens {
			if tok.Segment >= 0 {
				list = append(list, tok.ID)
			}
		}
		got, err := e.Detokenize(t.Context(), list)
		if want := map[string]string{"bpe": text, "spm": "<|im_start|> the hat"}[name]; err != nil || got != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if _, err := e.Detokenize(t.Context(), []int{1, 9999}); llm.AsError(err).Field != "tokens[1]" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	e := tiny{}.open(t, Options{Context: 64})
	long := strings.Repeat("!", 63)
	cases := []struct {
		name   string
		prompt llm.Prompt
		params llm.Params
		code   llm.Code
		field  string
	}{
		{"empty", llm.Text(""), llm.Params{}, llm.Invalid, "prompt"},
		{"token id too great", llm.Tokens([]int{1, 100000}), llm.Params{}, llm.Invalid, "prompt"},
		{"negative token id", llm.Tokens([]int{-1}), llm.Params{}, llm.Invalid, "prompt"},
		{"bias of no token", llm.Text("a"), llm.Params{LogitBias: map[int]float64{100000: 1}}, llm.Invalid, "logit_bias.100000"},
		{"temperature", llm.Text("a"), llm.Params{Temperature: new(-1.0)}, llm.Invalid, "temperature"},
		{"a picture", llm.Prompt{Segments: []llm.Segment{
			{Text: "see"}, {Media: &llm.Media{MIME: "image/png"}, Source: llm.Source{Kind: llm.FromMessage, Index: 2, Part: 1, Field: "content"}},
		}}, llm.Params{}, llm.Unsupported, "messages[2].content[1]"},
		{"too long", llm.Text(long), llm.Params{}, llm.TooLong, ""},
	}
	for _, c := range cases {
		if err := failure(t, e, c.prompt, c.params); err == nil || err.Code != c.code || err.Field != c.field {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	var tooLong *llm.ContextError
	if err := failure(t, e, llm.Text(long), llm.Params{}); !errors.As(err, &tooLong) || tooLong.PromptTokens != 64 || tooLong.Context != 64 {
		t.Errorf("got %v", err)
	}
	if r := complete(t, e, llm.Text(long[1:]), llm.Params{IgnoreEOS: true}); r.finish.Reason != llm.ReasonLength || r.finish.Usage.CompletionTokens != 1 {
		t.Errorf("a prompt that just fits: %s", r)
	}
}

func TestMoreTokensThanFitAreCappedAndReported(t *testing.T) {
	e := tiny{}.open(t, Options{Context: 64})
	r := complete(t, e, llm.Text("!!!!"), llm.Params{MaxTokens: new(8192), IgnoreEOS: true})
	if n := r.accepted.Report; len(n) != 1 || n[0].Code != "max_tokens_capped" || n[0].Value != "59" {
		t.Errorf("report %+v", n)
	}
	if r.finish.Usage.CompletionTokens != 59 || r.finish.Reason != llm.ReasonLength {
		t.Errorf("finish %+v", r.finish)
	}
	for _, n := range []*int{nil, new(-1), new(59)} {
		if r := complete(t, e, llm.Text("!!!!"), llm.Params{MaxTokens: n, IgnoreEOS: true}); len(r.accepted.Report) != 0 || r.finish.Usage.CompletionTokens != 59 {
			t.Errorf("report %+v, finish %+v", r.accepted.Report, r.finish)
		}
	}
}

func TestLogProbs(t *testing.T) {
	e := tiny{}.open(t, Options{})
	for piece, err := range e.Complete(t.Context(), llm.Text("the"), llm.Params{LogProbs: new(3), MaxTokens: new(5), Temperature: new(0.0), IgnoreEOS: true}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range piece.Tokens {
			if len(tok.Top) != 3 || tok.LogProb > 0 || tok.LogProb < -20 || tok.Top[0].LogProb < tok.Top[1].LogProb {
				t.Errorf("token %+v", tok)
			}
			if tok.Top[0].ID == tok.ID && (tok.Top[0].LogProb != tok.LogProb || tok.Top[0].Text != tok.Text) {
				t.Errorf("two probabilities of one token: %+v", tok)
			}
		}
	}
}

func TestWordsAreBiasedByTheirTokens(t *testing.T) {
	e := tiny{}.open(t, Options{})
	p := llm.Params{Temperature: new(0.0), MaxTokens: new(6), WordBias: map[string]float64{" the": 1000}}
	if r := complete(t, e, llm.Text("a"), p); r.text != strings.Repeat(" the", 6) {
		t.Errorf("biased: %q", r.text)
	}
	ids := e.words.EncodeText("hat", false)
	got := e.words.Bias(llm.Params{WordBias: map[string]float64{"hat": 2, "h": 1}, LogitBias: map[int]float64{ids[0]: 4, 1: 7}})
	want := map[int]float64{1: 7}
	for _, id := range append(ids, e.words.EncodeText("h", false)...) {
		want[id] = 2
	}
	want[ids[0]] = 7 // 4 + 2 + 1
	if len(ids) != 3 || !maps.Equal(got, want) {
		t.Errorf("biases %v, want %v", got, want)
	}
	if p.LogitBias != nil {
		t.Error("the caller's map was written to")
	}
}

// The end comes by an end token, or a control token that is a stop string.
func TestNoEndBeforeTheLeastLength(t *testing.T) {
	e := tiny{}.open(t, Options{})
	eos, mark := e.words.EOS(), "<|im_start|>"
	id, _ := e.words.ID(mark)
	for _, p := range []llm.Params{{LogitBias: map[int]float64{eos: 500}}, {LogitBias: map[int]float64{id: 500}, Stop: []string{mark}}} {
		p.Seed = new(int64(1))
		if r := complete(t, e, llm.Text("a"), p); r.finish.Usage.CompletionTokens != 1 {
			t.Errorf("%+v", r.finish)
		}
		p.MinTokens = new(5)
		if r := complete(t, e, llm.Text("a"), p); r.finish.Usage.CompletionTokens != 6 || r.finish.Reason == llm.ReasonLength {
			t.Errorf("at least 5: %+v", r.finish)
		}
	}
}

// On a real model: banned phrases cost no determinism and leave the caches
// usable.
func TestBannedPhrasesOnAModel(t *testing.T) {
	e := tiny{}.open(t, Options{})
	p := llm.Params{Temperature: new(0.0), MaxTokens: new(60), IgnoreEOS: true}
	plain := complete(t, e, llm.Text("the cat"), p)
	p.BannedStrings = []string{strings.ToUpper(plain.text[3:6]), plain.text[20:23], plain.text[40:42]}
	banned := complete(t, tiny{}.open(t, Options{}), llm.Text("the cat"), p)
	for _, b := range p.BannedStrings {
		if strings.Contains(strings.ToLower(banned.text), strings.ToLower(b)) {
			t.Errorf("%q contains %q", banned.text, b)
		}
	}
	if banned.text[:2] != plain.text[:2] || banned.text == plain.text {
		t.Errorf("%q, without %q", banned.text, plain.text)
	}
	if again := complete(t, e, llm.Text("the cat"), p); again.String() != banned.String() {
		t.Errorf("warm %s\ncold %s", again, banned)
	}
	p.BannedStrings = []string{"no such thing"}
	if r := complete(t, e, llm.Text("the cat"), p); r.text != plain.text {
		t.Errorf("%q, without %q", r.text, plain.text)
	}
}

func TestDescribe(t *testing.T) {
	var log bytes.Buffer
	m := tiny{meta: []gguf.KV{
		{Key: "tokenizer.chat_template", Value: gguf.ValueOf("{{ messages }}")},
		{Key: "general.sampling.temp", Value: gguf.ValueOf(float32(0))},
		{Key: "general.sampling.top_k", Value: gguf.ValueOf(int32(40))},
		{Key: "general.sampling.top_p", Value: gguf.ValueOf(float32(7))},
		{Key: "general.sampling.penalty_repeat", Value: gguf.ValueOf(float32(1.5))},
		{Key: "general.sampling.penalty_last_n", Value: gguf.ValueOf(int32(32))},
		{Key: "general.sampling.xtc_threshold", Value: gguf.ValueOf(float32(0.25))},
		{Key: "general.sampling.mirostat", Value: gguf.ValueOf(int32(1))},
		{Key: "general.sampling.mirostat_tau", Value: gguf.ValueOf(float32(4))},
	}}
	e := m.open(t, Options{Context: 100_000, Sampling: llm.Params{TopK: new(7)}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	i := e.Describe()
	if i.Name != "Tiny" || i.Architecture != "llama" || i.Quantisation != "F32" || i.Context != tinyContext || i.Trained != tinyContext ||
		i.Vocabulary != len(m.vocabulary()) || i.BOS != "<s>" || i.EOS != "<|im_end|>" || !i.AddsBOS || i.ChatTemplate != "{{ messages }}" ||
		!slices.Contains(i.EndTokens, "<|im_end|>") || i.Bytes != 4*i.Parameters || i.Parameters < 50_000 {
		t.Errorf("%+v", i)
	}
	if s := i.Sampling; *s.Temperature != 0 || *s.TopK != 7 || s.TopP != nil || *s.RepetitionPenalty != 1.5 || *s.RepetitionRange != 32 ||
		*s.XTCThreshold != 0.25 || s.Mirostat != nil || *s.MirostatTau != 4 {
		t.Errorf("recommended %+v", s)
	}
	for _, want := range []string{"trained=512", "general.sampling.top_p", "general.sampling.mirostat", "kernels=" + e.Kernels()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s: %s", want, &log)
		}
	}
	greedy := complete(t, e, llm.Text("the"), llm.Params{MaxTokens: new(20)})
	if again := complete(t, e, llm.Text("the"), llm.Params{MaxTokens: new(20)}); greedy.text != again.text {
		t.Error("the recommended temperature was not used")
	}
	if named := m.open(t, Options{Name: "other"}).Describe().Name; named != "other" {
		t.Errorf("name %q", named)
	}
}

func TestOpenReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, tiny{}.file(t), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	complete(t, e, llm.Text("the"), llm.Params{MaxTokens: new(3)})
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	if err := failure(t, e, llm.Text("the"), llm.Params{}); err.Code != llm.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	if tokens, err := e.Tokenize(t.Context(), llm.Text("the")); err != nil || len(tokens) == 0 {
		t.Errorf("after Close: %v, %v", tokens, err)
	}
}

func TestATokenizerNeedsNoWeights(t *testing.T) {
	m := tiny{change: func(*gguf.TensorSource) bool { return false }}
	path := filepath.Join(t.TempDir(), "vocabulary.gguf")
	if err := os.WriteFile(path, m.file(t), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := OpenTokenizer(path)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := tiny{}.open(t, Options{}).Tokenize(t.Context(), llm.Text("<s>the hat"))
	if got, err := w.Tokenize(t.Context(), llm.Text("<s>the hat")); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := OpenTokenizerBytes([]byte("GGUF")); err == nil {
		t.Error("four bytes are no file")
	}
	if _, err := OpenTokenizer(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestFilesThatCannotRunAreRefused(t *testing.T) {
	text := func(key, s string) []gguf.KV { return []gguf.KV{{Key: key, Value: gguf.ValueOf(s)}} }
	drop := func(name string) func(*gguf.TensorSource) bool {
		return func(s *gguf.TensorSource) bool { return s.Name != name }
	}
	cases := []struct {
		name string
		m    tiny
		o    Options
		want string
	}{
		{"architecture", tiny{meta: text("general.architecture", "gpt17")}, Options{}, "gpt17"},
		{"vocabulary", tiny{meta: text("tokenizer.ggml.model", "bert")}, Options{}, "bert"},
		{"pre-tokenizer", tiny{meta: text("tokenizer.ggml.pre", "strange")}, Options{}, "strange"},
		{"no vocabulary", tiny{meta: text("tokenizer.ggml.model", "")}, Options{}, "tokenizer.ggml.model"},
		{"type of a key", tiny{meta: text("tokenizer.ggml.bos_token_id", "one")}, Options{}, "bos_token_id"},
		{"a tensor is missing", tiny{change: drop("blk.1.ffn_up.weight")}, Options{}, "blk.1.ffn_up.weight"},
		{"context", tiny{}, Options{Context: 1}, "context"},
		{"sequences", tiny{}, Options{Sequences: 100_000}, "sequences"},
		{"sampling", tiny{}, Options{Sampling: llm.Params{TopP: new(7.0)}}, "top_p"},
	}
	for _, c := range cases {
		if _, err := OpenBytes(c.m.file(t), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	whole := tiny{}.file(t)
	path := filepath.Join(t.TempDir(), "half.gguf")
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "half.gguf") {
		t.Errorf("half a file: %v", err)
	}
}

func TestCheckSaysWhatOpenWouldSay(t *testing.T) {
	text := func(key, s string) []gguf.KV { return []gguf.KV{{Key: key, Value: gguf.ValueOf(s)}} }
	for _, c := range []struct {
		m    tiny
		want string // "" if it can run
	}{
		{tiny{}, ""},
		{tiny{meta: text("general.architecture", "gpt17")}, "gpt17"},
		{tiny{meta: text("tokenizer.ggml.model", "bert")}, "bert"},
		{tiny{meta: text("tokenizer.ggml.model", "")}, "tokenizer.ggml.model"},
		{tiny{meta: text("tokenizer.ggml.pre", "strange")}, "strange"},
		{tiny{change: func(s *gguf.TensorSource) bool { return s.Name != "blk.1.ffn_up.weight" }}, "blk.1.ffn_up.weight"},
	} {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := os.WriteFile(path, c.m.file(t), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Check(path)
		e, openErr := Open(path, Options{})
		if openErr == nil {
			e.Close()
		}
		if (err == nil) != (openErr == nil) || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Check: %v, Open: %v, want %q", err, openErr, c.want)
		}
	}
	if err := Check(filepath.Join(t.TempDir(), "none.gguf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
