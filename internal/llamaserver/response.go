package llamaserver

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

type part struct {
	Index         int       `json:"index"`
	Content       string    `json:"content"`
	Tokens        []int     `json:"tokens"`
	Slot          int       `json:"id_slot"`
	Stop          bool      `json:"stop"`
	Predicted     int       `json:"tokens_predicted"`
	Evaluated     int       `json:"tokens_evaluated"`
	Probabilities []prob    `json:"completion_probabilities,omitempty"`
	Progress      *progress `json:"prompt_progress,omitempty"`
	Timings       *timings  `json:"timings,omitempty"`
}

type progress struct {
	Total     int `json:"total"`
	Cache     int `json:"cache"`
	Processed int `json:"processed"`
}

// The last part of a stream, and a whole answer, say more.
type last struct {
	part
	Model        string         `json:"model"`
	Settings     map[string]any `json:"generation_settings"`
	Prompt       string         `json:"prompt"`
	HasNewLine   bool           `json:"has_new_line"`
	Truncated    bool           `json:"truncated"`
	StopType     string         `json:"stop_type"`
	StoppingWord string         `json:"stopping_word"`
	Cached       int            `json:"tokens_cached"`
}

type prob struct {
	ID      int     `json:"id"`
	Token   string  `json:"token"`
	Bytes   []int   `json:"bytes"`
	LogProb float64 `json:"logprob"`
	Top     []prob  `json:"top_logprobs,omitempty"`
}

type timings struct {
	CacheN       int     `json:"cache_n"`
	PromptN      int     `json:"prompt_n"`
	PromptMS     float64 `json:"prompt_ms"`
	PromptEach   float64 `json:"prompt_per_token_ms"`
	PromptRate   float64 `json:"prompt_per_second"`
	PredictedN   int     `json:"predicted_n"`
	PredictedMS  float64 `json:"predicted_ms"`
	PredictedOne float64 `json:"predicted_per_token_ms"`
	Rate         float64 `json:"predicted_per_second"`
	DraftN       int     `json:"draft_n,omitempty"`
	DraftRight   *int    `json:"draft_n_accepted,omitempty"` // where anything was drafted
}

func timingsOf(u llm.Usage) *timings {
	t := &timings{CacheN: u.CachedTokens, PromptN: u.PromptTokens - u.CachedTokens, PredictedN: u.CompletionTokens}
	t.PromptMS, t.PromptEach, t.PromptRate = rates(u.Prefill, t.PromptN)
	t.PredictedMS, t.PredictedOne, t.Rate = rates(u.Decode, t.PredictedN)
	if t.DraftN = u.DraftedTokens; t.DraftN > 0 {
		t.DraftRight = &u.AcceptedTokens
	}
	return t
}

// rates gives a time in milliseconds, for one of n, and how many of n a second.
func rates(d time.Duration, n int) (ms, each, rate float64) {
	ms = d.Seconds() * 1000
	if n > 0 && d > 0 {
		each, rate = ms/float64(n), float64(n)/d.Seconds()
	}
	return ms, each, rate
}

func probsOf(tokens []llm.Token) (all []prob) {
	one := func(id int, text string, p float64) prob {
		x := prob{ID: id, Token: strings.ToValidUTF8(text, "\ufffd"), Bytes: []int{}, LogProb: p}
		for _, b := range []byte(text) {
			x.Bytes = append(x.Bytes, int(b))
		}
		return x
	}
	for _, t := range tokens {
		p := one(t.ID, t.Text, t.LogProb)
		for _, other := range t.Top {
			p.Top = append(p.Top, one(other.ID, other.Text, other.LogProb))
		}
		all = append(all, p)
	}
	return all
}

// A Stream turns the events of answers into parts. It belongs to one goroutine.
type Stream struct {
	model string
	q     *Request
	told  []told // of each prompt
}

type told struct {
	evaluated, predicted int
	newLine              bool
}

// NewStream makes the parts of the answers to all prompts of a request.
func NewStream(model string, q *Request) *Stream {
	return &Stream{model: model, q: q, told: make([]told, len(q.Prompts))}
}

// Event is what is sent for an event of the answer to prompt i; nil is nothing.
func (s *Stream) Event(i int, e chat.Event) []byte {
	t := &s.told[i]
	p := part{Index: i, Tokens: []int{}, Slot: -1, Evaluated: t.evaluated}
	switch e := e.(type) {
	case chat.Accepted:
		t.evaluated = e.PromptTokens
		return nil
	case chat.Waiting:
		if !s.q.Progress || e.Total == 0 {
			return nil
		}
		p.Progress = &progress{Total: e.Total, Processed: e.Done}
	case chat.TextDelta:
		p.Content = e.Text
		for _, tok := range e.Tokens {
			p.Tokens = append(p.Tokens, tok.ID)
		}
		t.predicted += len(e.Tokens)
		t.newLine = t.newLine || strings.Contains(e.Text, "\n")
		p.Predicted = t.predicted
		if s.q.Params.LogProbs != nil {
			p.Probabilities = probsOf(e.Tokens)
		}
	case chat.Done:
		l := s.last(i, e.Finish)
		l.HasNewLine = t.newLine
		return s.picked(l)
	default:
		return nil
	}
	return wire.Encode(p)
}

// End is what is sent when all answers have ended: all has been said.
func (s *Stream) End(llm.Report) []byte { return nil }

func (s *Stream) last(i int, f llm.Finish) last {
	u := f.Usage
	l := last{
		part:  part{Index: i, Tokens: []int{}, Slot: -1, Stop: true, Predicted: u.CompletionTokens, Evaluated: u.PromptTokens, Timings: timingsOf(u)},
		Model: s.model, Settings: settings(s.q.Params, f.Seed), Prompt: wholePrompt(s.q.Prompts[i]),
		StopType: stopType(f), Cached: u.PromptTokens + u.CompletionTokens,
	}
	if f.Reason == llm.ReasonStop {
		l.StoppingWord = f.Stop
	}
	return l
}

// settings tells what was chosen; what was left to the model is left out.
func settings(p llm.Params, seed int64) map[string]any {
	m := map[string]any{"seed": seed, "stop": p.Stop, "ignore_eos": p.IgnoreEOS}
	if p.Stop == nil {
		m["stop"] = []string{}
	}
	put := func(name string, v any, set bool) {
		if set {
			m[name] = v
		}
	}
	put("n_predict", value(p.MaxTokens), p.MaxTokens != nil)
	put("temperature", value(p.Temperature), p.Temperature != nil)
	put("top_k", value(p.TopK), p.TopK != nil)
	put("top_p", value(p.TopP), p.TopP != nil)
	put("min_p", value(p.MinP), p.MinP != nil)
	put("repeat_penalty", value(p.RepetitionPenalty), p.RepetitionPenalty != nil)
	put("repeat_last_n", value(p.RepetitionRange), p.RepetitionRange != nil)
	put("presence_penalty", value(p.PresencePenalty), p.PresencePenalty != nil)
	put("frequency_penalty", value(p.FrequencyPenalty), p.FrequencyPenalty != nil)
	return m
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// picked leaves out what the client did not ask for. A name with slashes leads
// into objects, and keeps its name.
func (s *Stream) picked(v any) []byte {
	whole := wire.Encode(v)
	if s.q.Fields == nil {
		return whole
	}
	var all map[string]any
	if json.Unmarshal(whole, &all) != nil {
		return whole
	}
	some := map[string]any{}
	for _, name := range s.q.Fields {
		var at any = all
		for step := range strings.SplitSeq(name, "/") {
			inner, _ := at.(map[string]any)
			at = inner[step]
		}
		if at != nil {
			some[name] = at
		}
	}
	return wire.Encode(some)
}

// Whole is the body of whole answers.
func (s *Stream) Whole(replies []chat.Reply) []byte {
	bodies := make([]json.RawMessage, len(replies))
	for i, r := range replies {
		l := s.last(i, r.Finish)
		l.Content = r.Message.Text()
		l.HasNewLine = strings.Contains(l.Content, "\n")
		if s.q.Tokens {
			l.Tokens = append(l.Tokens, r.Message.Tokens...)
		}
		if s.q.Params.LogProbs != nil {
			l.Probabilities = probsOf(r.Tokens)
		}
		bodies[i] = s.picked(l)
	}
	if !s.q.Many {
		return bodies[0]
	}
	return wire.Encode(bodies)
}

// Tokens is the body that answers /tokenize. context is how many a model takes.
func Tokens(t Tokenize, tokens []llm.Token, context int) []byte {
	ids, texts := []int{}, []string{}
	pieces := []any{}
	for _, tok := range tokens {
		ids = append(ids, tok.ID)
		texts = append(texts, strings.ToValidUTF8(tok.Text, "\ufffd"))
		var piece any = tok.Text
		if !utf8.ValidString(tok.Text) {
			bytes := []int{}
			for _, b := range []byte(tok.Text) {
				bytes = append(bytes, int(b))
			}
			piece = bytes
		}
		pieces = append(pieces, map[string]any{"id": tok.ID, "piece": piece})
	}
	switch {
	case t.VLLM:
		body := map[string]any{"count": len(ids), "max_model_len": context, "tokens": ids}
		if t.Pieces {
			body["token_strs"] = texts
		}
		return wire.Encode(body)
	case t.Pieces:
		return wire.Encode(map[string]any{"tokens": pieces})
	}
	return wire.Encode(map[string]any{"tokens": ids})
}

// Text is the body that answers /detokenize, for llama.cpp's clients and vLLM's.
func Text(text string) []byte {
	return wire.Encode(map[string]any{"content": text, "prompt": text})
}

// Prompt is the body that answers /apply-template.
func Prompt(text string) []byte { return wire.Encode(map[string]any{"prompt": text}) }

// Embeddings is the body that answers /embedding.
func Embeddings(vectors [][]float32) []byte {
	rows := []any{}
	for i, v := range vectors {
		rows = append(rows, map[string]any{"index": i, "embedding": [][]float32{v}})
	}
	return wire.Encode(rows)
}

// Props is the body that describes the server by one model.
func Props(id string, i llm.Info, slots int, build string) []byte {
	return wire.Encode(map[string]any{
		"default_generation_settings": map[string]any{"n_ctx": i.Context, "params": settings(i.Sampling, -1)},
		"total_slots":                 slots,
		"model_alias":                 id,
		"model_path":                  id,
		"modalities":                  map[string]bool{"vision": false, "audio": false},
		"chat_template":               i.ChatTemplate,
		"bos_token":                   i.BOS,
		"eos_token":                   i.EOS,
		"build_info":                  build,
		"is_sleeping":                 false,
	})
}

// Slots is the body that tells what the server works on.
func Slots(context, slots, running int) []byte {
	rows := []any{}
	for i := range max(slots, running) {
		rows = append(rows, map[string]any{"id": i, "n_ctx": context, "is_processing": i < running})
	}
	return wire.Encode(rows)
}

// Problem is the body of an error.
func Problem(status int, kind, text string) []byte {
	return wire.Encode(map[string]any{"error": map[string]any{"code": status, "message": text, "type": kind}})
}
