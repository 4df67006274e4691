package openai

import (
	"bytes"
	"encoding/json"
	"fmt"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A ResponseStream turns the events of an answer into those of a streamed
// response. It belongs to one goroutine.
type ResponseStream struct {
	Head ResponseHead // set before the first event

	p      *ResponseRequest
	now    func() int64 // seconds since 1970
	number int          // of the next event
	out    bytes.Buffer

	items     []outputItem
	open      int                   // index of the message or of the thoughts being written, or -1
	calls     map[int]int           // items of calls, by their index in the reply
	said      map[int]*bytes.Buffer // of items that are being written
	probs     []tokenProb           // of the message being written
	reasoning int                   // tokens
	begun     bool
	stops     []string // that the client did not send
	finish    llm.Finish

	// Body is the whole response, when End has told it.
	Body []byte
}

// NewResponseStream prepares to tell a response as it comes.
func NewResponseStream(p *ResponseRequest, now func() int64) *ResponseStream {
	return &ResponseStream{p: p, now: now, open: -1, calls: map[int]int{}, said: map[int]*bytes.Buffer{}}
}

// An itemEvent is every event but those about the whole response.
type itemEvent struct {
	Type         string       `json:"type"`
	Sequence     int          `json:"sequence_number"`
	OutputIndex  int          `json:"output_index"`
	ItemID       string       `json:"item_id,omitempty"`
	ContentIndex *int         `json:"content_index,omitempty"`
	Item         *outputItem  `json:"item,omitempty"`
	Part         *outputPart  `json:"part,omitempty"`
	Delta        *string      `json:"delta,omitempty"`
	Text         *string      `json:"text,omitempty"`
	Name         string       `json:"name,omitempty"`
	Arguments    *string      `json:"arguments,omitempty"`
	LogProbs     *[]tokenProb `json:"logprobs,omitempty"`
}

func (s *ResponseStream) write(kind string, v any) {
	fmt.Fprintf(&s.out, "event: %s\ndata: %s\n\n", kind, wire.Encode(v))
	s.number++
}

// tell writes an event about item i.
func (s *ResponseStream) tell(kind string, i int, e itemEvent) {
	e.Type, e.Sequence, e.OutputIndex = kind, s.number, i
	if e.Item == nil {
		e.ItemID = s.items[i].ID
	}
	s.write(kind, e)
}

// part writes an event about the one part of item i.
func (s *ResponseStream) part(kind string, i int, e itemEvent) {
	e.ContentIndex = new(0)
	s.tell(kind, i, e)
}

// whole writes an event about the response.
func (s *ResponseStream) whole(kind string, r any) {
	s.write(kind, struct {
		Type     string `json:"type"`
		Sequence int    `json:"sequence_number"`
		Response any    `json:"response"`
	}{kind, s.number, r})
}

func (s *ResponseStream) flush() []byte {
	if s.out.Len() == 0 {
		return nil
	}
	out := bytes.Clone(s.out.Bytes())
	s.out.Reset()
	return out
}

// Event is what is sent for an event of the answer, or nil.
func (s *ResponseStream) Event(_ int, e chat.Event) []byte {
	switch e := e.(type) {
	case chat.Accepted:
		s.begun, s.stops = true, e.Stops
		r := s.p.begun(s.Head)
		s.whole("response.created", r)
		s.whole("response.in_progress", r)
	case chat.ReasoningDelta:
		s.reasoning += len(e.Tokens)
		if e.Text != "" {
			s.think(e.Text)
		}
	case chat.TextDelta:
		var probs []tokenProb
		if s.p.Params.LogProbs != nil {
			probs = chatLogProbs(e.Tokens).Content
		}
		if e.Text != "" || len(probs) > 0 {
			s.speak(e.Text, probs)
		}
	case chat.ToolCallDelta:
		s.call(e)
	case chat.Done:
		s.done(e.Finish)
	}
	return s.flush()
}

// think continues the thoughts.
func (s *ResponseStream) think(text string) {
	i := s.opened("reasoning", s.Head.thoughts, thought(""))
	s.said[i].WriteString(text)
	s.part("response.reasoning_text.delta", i, itemEvent{Delta: &text})
}

// speak continues the text.
func (s *ResponseStream) speak(text string, probs []tokenProb) {
	i := s.opened("message", s.Head.message, spoken("", nil))
	s.said[i].WriteString(text)
	s.probs = append(s.probs, probs...)
	if probs == nil {
		probs = []tokenProb{}
	}
	s.part("response.output_text.delta", i, itemEvent{Delta: &text, LogProbs: &probs})
}

// opened is the item of this type that is being written, which is begun if it
// is not there.
func (s *ResponseStream) opened(kind string, begin func(number int, status string) outputItem, part outputPart) int {
	if s.open >= 0 && s.items[s.open].Type == kind {
		return s.open
	}
	s.close(completed)
	s.open = len(s.items)
	item := begin(s.open, inProgress)
	s.items = append(s.items, item)
	s.said[s.open] = &bytes.Buffer{}
	s.tell("response.output_item.added", s.open, itemEvent{Item: new(item)})
	s.part("response.content_part.added", s.open, itemEvent{Part: &part})
	*s.items[s.open].Content = append(*item.Content, part)
	return s.open
}

// close ends the message or the thoughts being written, if there are any.
func (s *ResponseStream) close(status string) {
	i := s.open
	if i < 0 {
		return
	}
	item := &s.items[i]
	part := &(*item.Content)[0]
	part.Text = s.said[i].String()
	delete(s.said, i)
	if item.Type == "message" {
		*part = spoken(part.Text, s.probs)
		s.part("response.output_text.done", i, itemEvent{Text: &part.Text, LogProbs: part.LogProbs})
	} else {
		s.part("response.reasoning_text.done", i, itemEvent{Text: &part.Text})
	}
	s.part("response.content_part.done", i, itemEvent{Part: part})
	item.Status = status
	s.tell("response.output_item.done", i, itemEvent{Item: item})
	s.open, s.probs = -1, nil
}

// call begins or continues a call. Several may be written at the same time.
func (s *ResponseStream) call(d chat.ToolCallDelta) {
	s.close(completed)
	i, known := s.calls[d.Index]
	if !known {
		i = len(s.items)
		s.calls[d.Index] = i
		s.said[i] = &bytes.Buffer{}
		s.items = append(s.items, s.Head.call(i, inProgress, chat.ToolCall{ID: d.ID, Name: d.Name}))
		s.tell("response.output_item.added", i, itemEvent{Item: &s.items[i]})
	}
	if d.Arguments != "" {
		s.said[i].WriteString(d.Arguments)
		s.tell("response.function_call_arguments.delta", i, itemEvent{Delta: &d.Arguments})
	}
	if d.Broken { // what was given away cannot be taken back
		s.closeCall(i, incomplete)
	}
}

func (s *ResponseStream) closeCall(i int, status string) {
	item := &s.items[i]
	item.Status, item.Arguments = status, new(s.said[i].String())
	delete(s.said, i)
	s.tell("response.function_call_arguments.done", i, itemEvent{Name: item.Name, Arguments: item.Arguments})
	s.tell("response.output_item.done", i, itemEvent{Item: item})
}

// closeAll ends all items. status is that of the last one.
func (s *ResponseStream) closeAll(status string) {
	if s.open >= 0 {
		s.close(status)
	}
	for i := range s.items {
		switch {
		case s.items[i].Status != inProgress:
		case i == len(s.items)-1:
			s.closeCall(i, status)
		default:
			s.closeCall(i, completed)
		}
	}
}

// done ends all items. What was cut off was cut off in the last one.
func (s *ResponseStream) done(f llm.Finish) {
	s.finish = f
	if len(s.items) == 0 {
		s.opened("message", s.Head.message, spoken("", nil))
	}
	s.closeAll(statusOf(f))
}

// End is the last event: the whole response.
func (s *ResponseStream) End(report llm.Report) []byte {
	r := s.p.ended(s.Head, s.items, s.finish, s.stops, s.reasoning, report, s.now())
	s.Body = wire.Encode(r)
	s.whole("response."+r.Status, json.RawMessage(s.Body))
	return s.flush()
}

// Fail is what a stream ends with that has come to nothing: the error, and the
// response as far as there is one.
func (s *ResponseStream) Fail(problem Problem) []byte {
	type inner struct {
		Type    string  `json:"type"`
		Code    *string `json:"code"`
		Message string  `json:"message"`
		Param   *string `json:"param"`
	}
	s.closeAll(incomplete)
	code, param := orNull(problem.Code), orNull(problem.Param)
	s.write("error", struct {
		Type     string  `json:"type"`
		Sequence int     `json:"sequence_number"`
		Code     *string `json:"code"`
		Message  string  `json:"message"`
		Param    *string `json:"param"`
		Error    inner   `json:"error"` // the same again, as those read it who look for it in every dialect
	}{"error", s.number, code, problem.Message, param, inner{problem.Type, code, problem.Message, param}})
	if s.begun {
		r := s.p.begun(s.Head)
		r.Status, r.Output = failed, append(r.Output, s.items...)
		r.Error = &responseError{Code: "server_error", Message: problem.Message, Param: param}
		s.whole("response.failed", r)
	}
	return s.flush()
}
