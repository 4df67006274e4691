package ollama

import (
	"encoding/json"
	"time"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// Version is the one of Ollama whose behaviour this dialect has: clients look
// at it before they use what is newer.
const Version = "0.17.4"

// A Head is what all lines of an answer say.
type Head struct {
	Model string // as the client wrote it
	Now   func() time.Time
	Began time.Time
}

type line struct {
	Model    string       `json:"model"`
	Created  string       `json:"created_at"`
	Message  *said        `json:"message,omitempty"`
	Response *string      `json:"response,omitempty"`
	Thinking string       `json:"thinking,omitempty"`
	LogProbs []tokenProbs `json:"logprobs,omitempty"`
	Done     bool         `json:"done"`
	Reason   string       `json:"done_reason,omitempty"`
	Context  []int        `json:"context,omitempty"`

	Total          int64 `json:"total_duration,omitempty"` // nanoseconds, as all durations
	Load           int64 `json:"load_duration,omitempty"`
	PromptCount    int   `json:"prompt_eval_count,omitempty"`
	PromptDuration int64 `json:"prompt_eval_duration,omitempty"`
	EvalCount      int   `json:"eval_count,omitempty"`
	EvalDuration   int64 `json:"eval_duration,omitempty"`
}

type said struct {
	Role      chat.Role  `json:"role"`
	Content   string     `json:"content"`
	Thinking  string     `json:"thinking,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type toolCall struct {
	ID       string   `json:"id,omitempty"`
	Function function `json:"function"`
}

type function struct {
	Index     int             `json:"index"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

type tokenProbs struct {
	tokenProb
	Top []tokenProb `json:"top_logprobs,omitempty"`
}

type tokenProb struct {
	Token   string  `json:"token"`
	LogProb float64 `json:"logprob"`
	Bytes   []int   `json:"bytes,omitempty"`
}

func probsOf(tokens []llm.Token) (all []tokenProbs) {
	one := func(text string, p float64) tokenProb {
		t := tokenProb{Token: text, LogProb: p}
		for _, b := range []byte(text) {
			t.Bytes = append(t.Bytes, int(b))
		}
		return t
	}
	for _, t := range tokens {
		x := tokenProbs{tokenProb: one(t.Text, t.LogProb)}
		for _, other := range t.Top {
			x.Top = append(x.Top, one(other.Text, other.LogProb))
		}
		all = append(all, x)
	}
	return all
}

// A Stream turns the events of an answer into lines. It belongs to one
// goroutine.
type Stream struct {
	head Head
	q    *Request

	// Context gives the tokens of prompt and answer for /api/generate, once the
	// answer has ended; nil: they are not told.
	Context func(reply []int) []int

	calls []chat.ToolCall // the last of them is not whole before the answer, or the next, has come
	sent  int
	ids   []int
}

// NewStream makes the lines of an answer.
func NewStream(h Head, q *Request) *Stream { return &Stream{head: h, q: q} }

func (s *Stream) line() line {
	l := line{Model: s.head.Model, Created: s.head.Now().UTC().Format(time.RFC3339Nano)}
	if s.q.Generate {
		l.Response = new("")
	} else {
		l.Message = &said{Role: chat.Assistant}
	}
	return l
}

func (l *line) text(s string) {
	if l.Message != nil {
		l.Message.Content = s
	} else {
		l.Response = &s
	}
}

func (l *line) think(s string) {
	if l.Message != nil {
		l.Message.Thinking = s
	} else {
		l.Thinking = s
	}
}

// Event is what is sent for an event of the answer; nil is nothing.
func (s *Stream) Event(_ int, e chat.Event) []byte {
	l := s.line()
	switch e := e.(type) {
	case chat.TextDelta:
		s.note(e.Tokens)
		if e.Text == "" {
			return nil
		}
		l.text(e.Text)
		if s.q.Params.LogProbs != nil {
			l.LogProbs = probsOf(e.Tokens)
		}
	case chat.ReasoningDelta:
		s.note(e.Tokens)
		if e.Text == "" {
			return nil
		}
		l.think(e.Text)
	case chat.ToolCallDelta:
		if !s.call(&l, e) {
			return nil
		}
	case chat.Done:
		return s.done(l, e.Finish)
	default:
		return nil
	}
	return wire.Encode(l)
}

func (s *Stream) note(tokens []llm.Token) {
	for _, t := range tokens {
		s.ids = append(s.ids, t.ID)
	}
}

// call takes a part of a tool's call, which this dialect sends whole, and
// fills a line with those that are.
func (s *Stream) call(l *line, e chat.ToolCallDelta) (whole bool) {
	if e.Broken {
		s.calls = s.calls[:min(e.Index, len(s.calls))]
		return false
	}
	for len(s.calls) <= e.Index {
		s.calls = append(s.calls, chat.ToolCall{})
	}
	c := &s.calls[e.Index]
	c.ID, c.Name, c.Arguments = c.ID+e.ID, c.Name+e.Name, c.Arguments+e.Arguments
	return s.flush(l, len(s.calls)-1)
}

func (s *Stream) flush(l *line, end int) bool {
	from := s.sent
	for ; s.sent < end; s.sent++ {
		if l.Message != nil {
			l.Message.ToolCalls = append(l.Message.ToolCalls, callOf(s.sent, s.calls[s.sent]))
		}
	}
	return s.sent > from && l.Message != nil
}

func callOf(i int, c chat.ToolCall) toolCall {
	arguments := json.RawMessage(c.Arguments)
	if !json.Valid(arguments) {
		arguments = json.RawMessage("{}")
	}
	return toolCall{ID: c.ID, Function: function{i, c.Name, arguments}}
}

func (s *Stream) done(l line, f llm.Finish) []byte {
	var out []byte
	if s.flush(&l, len(s.calls)) {
		out = append(wire.Encode(l), '\n')
		l = s.line()
	}
	s.finish(&l, f)
	return append(out, wire.Encode(l)...)
}

func (s *Stream) finish(l *line, f llm.Finish) {
	l.Done, l.Reason = true, "stop"
	if f.Reason == llm.ReasonLength {
		l.Reason = "length"
	}
	u := f.Usage
	l.Total = int64(s.head.Now().Sub(s.head.Began))
	l.PromptCount, l.EvalCount = u.PromptTokens, u.CompletionTokens
	l.PromptDuration, l.EvalDuration = int64(u.Prefill), int64(u.Decode)
	l.Load = int64(u.Queued)
	if s.Context != nil {
		l.Context = s.Context(s.ids)
	}
}

// End is what is sent when the answer has ended: all has been said.
func (s *Stream) End(llm.Report) []byte { return nil }

// Whole is the body of a whole answer.
func (s *Stream) Whole(r chat.Reply) []byte {
	l := s.line()
	l.text(r.Message.Text())
	l.think(r.Message.Reasoning)
	if l.Message != nil {
		for i, c := range r.Message.ToolCalls {
			l.Message.ToolCalls = append(l.Message.ToolCalls, callOf(i, c))
		}
	}
	if s.q.Params.LogProbs != nil {
		l.LogProbs = probsOf(r.Tokens)
	}
	s.ids = r.Message.Tokens
	s.finish(&l, r.Finish)
	return wire.Encode(l)
}

// Moved is the body that says that a model was loaded or unloaded.
func Moved(h Head, q *Request) []byte {
	s := Stream{head: h, q: q}
	l := s.line()
	l.Done, l.Reason = true, "load"
	if q.Unload {
		l.Reason = "unload"
	}
	return wire.Encode(l)
}

// Problem is the body of an error.
func Problem(text string) []byte {
	return wire.Encode(struct {
		Error string `json:"error"`
	}{text})
}

// Status is a line that tells how a task of the server goes.
func Status(text string) []byte {
	return wire.Encode(struct {
		Status string `json:"status"`
	}{text})
}

// Vectors is the body that answers a request for them.
func Vectors(e Embed, vectors [][]float32, tokens int, took time.Duration) []byte {
	if e.One {
		var one []float32
		if len(vectors) > 0 {
			one = vectors[0]
		}
		return wire.Encode(struct {
			Embedding []float32 `json:"embedding"`
		}{one})
	}
	return wire.Encode(struct {
		Model      string      `json:"model"`
		Embeddings [][]float32 `json:"embeddings"`
		Total      int64       `json:"total_duration"`
		Count      int         `json:"prompt_eval_count"`
	}{e.Model, vectors, int64(took), tokens})
}
