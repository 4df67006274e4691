package openai

import (
	"bytes"
	"encoding/json"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A Stream turns the events of an answer into chunks. It belongs to one
// goroutine.
type Stream struct {
	head   Head
	q      *Request
	object string
	echo   []Echo // of the prompts, where the request wants them

	choices []progress
	moulds  map[mouldOf]mould
	usage   usage
	first   llm.Finish // of choice 0
	stops   []string   // that the client did not send
}

// progress is what has to be remembered of one choice.
type progress struct {
	reasoning int // tokens
	offset    int // characters of the text so far
	calls     int // tool calls that have begun and are not broken
}

// NewChat makes the chunks of a chat completion.
func NewChat(h Head, q *Request) *Stream {
	return &Stream{head: h, q: q, object: "chat.completion.chunk", choices: make([]progress, q.Choices)}
}

// NewCompletion makes the chunks of a completion. Where the request wants an
// echo, echo holds each prompt.
func NewCompletion(h Head, q *Request, echo []Echo) *Stream {
	return &Stream{head: h, q: q, object: "text_completion", echo: echo, choices: make([]progress, q.Choices*len(q.Prompts))}
}

// Event is the chunk for an event of choice i, or nil for an event that has
// none.
func (s *Stream) Event(i int, e chat.Event) []byte {
	if text, thought, ok := s.plain(i, e); ok {
		return s.mould(i, thought).around(text)
	}
	if w, ok := e.(chat.Waiting); ok {
		return s.waiting(w)
	}
	if a, ok := e.(chat.Accepted); ok {
		s.stops = a.Stops
	}
	c := choice{Index: i}
	var say bool
	if s.object == "text_completion" {
		say = s.text(&c, e)
	} else {
		say = s.delta(&c, e)
	}
	if done, ok := e.(chat.Done); ok {
		say = true
		c.finish(done.Finish, s.choices[i].calls > 0)
		s.usage.add(done.Finish.Usage, s.choices[i].reasoning, i%s.q.Choices == 0, s.q.Params.Prediction != "")
		if i == 0 {
			s.first = done.Finish
		}
	}
	if !say {
		return nil
	}
	return s.chunk([]choice{c})
}

// waiting is the chunk that tells how much of the prompt has been read, for
// those who ask. Its list of choices is empty.
func (s *Stream) waiting(w chat.Waiting) []byte {
	if !s.q.Progress || w.Total == 0 {
		return nil
	}
	a := s.answer([]choice{})
	a.Reading = &reading{Total: w.Total, Processed: w.Done}
	return wire.Encode(a)
}

// plain is the text of an event that says nothing else, as most do.
func (s *Stream) plain(i int, e chat.Event) (text string, thought, ok bool) {
	switch e := e.(type) {
	case chat.TextDelta:
		return e.Text, false, e.Text != "" && s.q.Params.LogProbs == nil
	case chat.ReasoningDelta:
		if s.object == "text_completion" || e.Text == "" {
			return "", false, false
		}
		s.choices[i].reasoning += len(e.Tokens)
		return e.Text, true, true
	}
	return "", false, false
}

// A mould is what stands around the text of a chunk: all chunks of a choice
// that only say text are the same but for that.
type mould struct{ before, behind []byte }

type mouldOf struct {
	choice  int
	thought bool
}

func (m mould) around(text string) []byte {
	out := make([]byte, 0, len(m.before)+len(text)+2+len(m.behind))
	out = append(out, m.before...)
	out = wire.AppendString(out, text)
	return append(out, m.behind...)
}

func (s *Stream) mould(i int, thought bool) mould {
	if m, ok := s.moulds[mouldOf{i, thought}]; ok {
		return m
	}
	const place, encoded = "\x00", `"\u0000"`
	c := choice{Index: i}
	switch {
	case s.object == "text_completion":
		c.Text = new(place)
	case thought:
		c.Delta = &delta{Reasoning: place}
	default:
		c.Delta = &delta{Content: new(place)}
	}
	whole := s.chunk([]choice{c})
	at := bytes.LastIndex(whole, []byte(encoded)) // nothing behind a text is a client's or an engine's
	m := mould{whole[:at], whole[at+len(encoded):]}
	if s.moulds == nil {
		s.moulds = map[mouldOf]mould{}
	}
	s.moulds[mouldOf{i, thought}] = m
	return m
}

// delta fills a chat completion's choice and reports whether there is
// anything in it.
func (s *Stream) delta(c *choice, e chat.Event) bool {
	state := &s.choices[c.Index]
	c.Delta = &delta{}
	switch e := e.(type) {
	case chat.Accepted:
		c.Delta.Role, c.Delta.Content = chat.Assistant, new("")
		return true
	case chat.TextDelta:
		if e.Text != "" {
			c.Delta.Content = &e.Text
		}
		if s.q.Params.LogProbs != nil && len(e.Tokens) > 0 {
			c.LogProbs = chatLogProbs(e.Tokens)
		}
		return e.Text != "" || c.LogProbs != nil
	case chat.ReasoningDelta:
		state.reasoning += len(e.Tokens)
		c.Delta.Reasoning = e.Text
		return e.Text != ""
	case chat.ToolCallDelta:
		if e.Broken { // what was given away cannot be taken back: its arguments are no whole JSON text
			state.calls--
			return false
		}
		if e.ID != "" || e.Name != "" {
			state.calls++
		}
		call := toolCall{Index: &e.Index, ID: e.ID, Function: toolFunction{e.Name, e.Arguments}}
		if e.ID != "" || e.Name != "" {
			call.Type = "function"
		}
		c.Delta.ToolCalls = []toolCall{call}
		return true
	}
	return false
}

// text fills a completion's choice.
func (s *Stream) text(c *choice, e chat.Event) bool {
	state := &s.choices[c.Index]
	c.Text = new("")
	switch e := e.(type) {
	case chat.Accepted:
		if s.q.Echo {
			echo := s.echo[c.Index/s.q.Choices]
			*c.Text = echo.Text
			if s.q.Params.LogProbs != nil {
				c.LogProbs, state.offset = echo.logProbs()
			}
		}
	case chat.TextDelta:
		*c.Text = e.Text
		if s.q.Params.LogProbs != nil && len(e.Tokens) > 0 {
			c.LogProbs = textLogProbs(e.Tokens, &state.offset)
		}
	}
	return *c.Text != "" || c.LogProbs != nil
}

// End gives the chunk after the last choice has finished, or nil: the count of
// tokens and the report, each where the client asked for it. Its list of
// choices is empty.
func (s *Stream) End(report llm.Report) []byte {
	if !s.q.IncludeUsage && !s.q.WantReport {
		return nil
	}
	var d *details
	if s.q.WantReport {
		d = detailsOf(s.first, s.stops, report)
	}
	a := s.answer([]choice{})
	a.Parley = d
	if s.q.IncludeUsage {
		a.Usage = &s.usage
	}
	return wire.Encode(a)
}

func (s *Stream) chunk(choices []choice) []byte { return wire.Encode(s.answer(choices)) }

// answer is a chunk that does not count tokens.
func (s *Stream) answer(choices []choice) answer {
	a := answer{ID: s.head.ID, Object: s.object, Created: s.head.Created, Model: s.head.Model, Choices: choices}
	if s.q.IncludeUsage {
		a.Usage = json.RawMessage("null")
	}
	return a
}
