package anthropic

import (
	"bytes"
	"encoding/json"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A Stream turns the events of an answer into server-sent events, each with
// its name. It belongs to one goroutine.
type Stream struct {
	head  Head
	q     *Request
	out   bytes.Buffer
	index int    // of the block that is open, or comes next
	open  string // its type; "": none is
	call  int    // which tool call is open
	calls int    // that have begun and are not broken
	said  bool   // there was a block
}

// NewStream makes the events of an answer.
func NewStream(h Head, q *Request) *Stream { return &Stream{head: h, q: q} }

// Ping is a sign of life.
var Ping = Event("ping", []byte(`{"type":"ping"}`))

// Event is one server-sent event with a name.
func Event(name string, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("event: ")
	b.WriteString(name)
	b.WriteString("\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return b.Bytes()
}

func (s *Stream) put(name string, body any) { s.out.Write(Event(name, wire.Encode(body))) }

// Event is what is sent for an event of the answer; nil is nothing.
func (s *Stream) Event(_ int, e chat.Event) []byte {
	switch e := e.(type) {
	case chat.Accepted:
		m := message{ID: s.head.ID, Type: "message", Role: "assistant", Model: s.head.Model, Content: []block{}, Usage: usage{Input: e.PromptTokens}}
		s.put("message_start", struct {
			Type    string  `json:"type"`
			Message message `json:"message"`
		}{"message_start", m})
	case chat.TextDelta:
		if e.Text != "" {
			s.begin("text", block{Type: "text", Text: new("")})
			s.delta(delta{Type: "text_delta", Text: &e.Text})
		}
	case chat.ReasoningDelta:
		if e.Text != "" {
			s.begin("thinking", block{Type: "thinking", Thinking: new(""), Signature: new("")})
			s.delta(delta{Type: "thinking_delta", Thinking: &e.Text})
		}
	case chat.ToolCallDelta:
		s.toolCall(e)
	case chat.Done:
		s.end(e.Finish)
	}
	if s.out.Len() == 0 {
		return nil
	}
	out := bytes.Clone(s.out.Bytes())
	s.out.Reset()
	return out
}

// End is what is sent when the answer has ended.
func (s *Stream) End(llm.Report) []byte {
	return Event("message_stop", []byte(`{"type":"message_stop"}`))
}

func (s *Stream) toolCall(e chat.ToolCallDelta) {
	if e.Broken { // what was given away cannot be taken back
		s.calls--
		s.close()
		return
	}
	if e.ID != "" || e.Name != "" || s.open != "tool_use" || s.call != e.Index {
		s.close()
		s.call = e.Index
		s.calls++
		s.begin("tool_use", block{Type: "tool_use", ID: e.ID, Name: e.Name, Input: json.RawMessage("{}")})
	}
	if e.Arguments != "" {
		s.delta(delta{Type: "input_json_delta", JSON: &e.Arguments})
	}
}

// begin opens a block of a type, unless one is open.
func (s *Stream) begin(kind string, b block) {
	if s.open == kind {
		return
	}
	s.close()
	s.open, s.said = kind, true
	s.put("content_block_start", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Block block  `json:"content_block"`
	}{"content_block_start", s.index, b})
}

type delta struct {
	Type      string  `json:"type"`
	Text      *string `json:"text,omitempty"`
	Thinking  *string `json:"thinking,omitempty"`
	Signature *string `json:"signature,omitempty"`
	JSON      *string `json:"partial_json,omitempty"`
}

func (s *Stream) delta(d delta) {
	s.put("content_block_delta", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Delta delta  `json:"delta"`
	}{"content_block_delta", s.index, d})
}

// close ends the block that is open.
func (s *Stream) close() {
	if s.open == "" {
		return
	}
	if s.open == "thinking" {
		s.delta(delta{Type: "signature_delta", Signature: new(signature)})
	}
	s.put("content_block_stop", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
	}{"content_block_stop", s.index})
	s.open = ""
	s.index++
}

func (s *Stream) end(f llm.Finish) {
	if !s.said {
		s.begin("text", block{Type: "text", Text: new("")})
	}
	s.close()
	reason, sequence := stopReason(s.q.own(f), s.calls > 0)
	type change struct {
		Reason   string  `json:"stop_reason"`
		Sequence *string `json:"stop_sequence"`
	}
	s.put("message_delta", struct {
		Type  string `json:"type"`
		Delta change `json:"delta"`
		Usage usage  `json:"usage"`
	}{"message_delta", change{reason, sequence}, usageOf(f.Usage)})
}
