package textgen

import (
	"math"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

type results[T any] struct {
	Results []T `json:"results"`
}

type text struct {
	Text string `json:"text"`
}

type talk struct {
	History wireHistory `json:"history"`
}

type wireHistory struct {
	Internal [][2]string `json:"internal"`
	Visible  [][2]string `json:"visible"`
}

func (h History) wire() wireHistory {
	w := wireHistory(h)
	if w.Internal == nil {
		w.Internal, w.Visible = [][2]string{}, [][2]string{}
	}
	return w
}

// Text is the body of an answer to a prompt.
func Text(s string) []byte { return wire.Encode(results[text]{[]text{{s}}}) }

// JSON is the body of an answer in a talk: its history.
func (h History) JSON() []byte { return wire.Encode(results[talk]{[]talk{{h.wire()}}}) }

// Count is the body that tells how many tokens a text has.
func Count(n int) []byte {
	type count struct {
		Tokens int `json:"tokens"`
	}
	return wire.Encode(results[count]{[]count{{n}}})
}

// Stopped is the body of an answer to a request to stop.
func Stopped() []byte { return wire.Encode(map[string]string{"results": "success"}) }

// Model is the body that names the model, or lists all of them.
func Model(v any) []byte { return wire.Encode(map[string]any{"result": v}) }

// Info is what is told of a model.
func Info(id string, info llm.Info) map[string]any {
	return map[string]any{
		"model_name": id, "lora_names": []string{},
		"shared.settings": map[string]any{"truncation_length": info.Context, "max_new_tokens": usualLength, "mode": "chat"},
		"shared.args":     map[string]any{"model": id},
	}
}

// Today's bodies, beside OpenAI's routes.

// Encoded is the body that shows a text's tokens.
func Encoded(ids []int) []byte {
	if ids == nil {
		ids = []int{}
	}
	return wire.Encode(map[string]any{"tokens": ids, "length": len(ids)})
}

// Decoded is the body that shows the text of tokens.
func Decoded(s string) []byte { return wire.Encode(text{s}) }

// Length is the body that tells how many tokens a text has.
func Length(n int) []byte { return wire.Encode(map[string]int{"length": n}) }

// Prompt is the body that shows how messages are laid out.
func Prompt(s string) []byte { return wire.Encode(map[string]string{"prompt": s}) }

// Logits is the body that tells how probable which next token is.
func Logits(top []llm.TokenProb) []byte {
	all := map[string]float64{}
	for _, t := range top {
		all[t.Text] += math.Exp(t.LogProb)
	}
	return wire.Encode(map[string]any{"logits": all})
}

// ModelInfo is the body that names the model.
func ModelInfo(id string) []byte {
	return wire.Encode(map[string]any{"model_name": id, "lora_names": []string{}, "loader": "parley"})
}

// Names is the body that lists what there is of a kind.
func Names(kind string, names []string) []byte {
	if names == nil {
		names = []string{}
	}
	return wire.Encode(map[string]any{kind: names})
}

// OK is the body that says that something was done.
func OK() []byte { return wire.Encode("OK") }

// A Stream turns the events of an answer into the frames of a WebSocket.
type Stream struct {
	chat   *Chat // of a talk; nil: the answer to a prompt
	user   string
	said   string
	frames int
}

// NewStream makes the frames of an answer to a prompt.
func NewStream() *Stream { return &Stream{} }

// NewChatStream makes the frames of an answer in a talk, each of which holds
// the whole history. user is as for With.
func NewChatStream(c *Chat, user string) *Stream { return &Stream{chat: c, user: user} }

type frame struct {
	Event   string       `json:"event"`
	Number  int          `json:"message_num"`
	Text    *string      `json:"text,omitempty"`
	History *wireHistory `json:"history,omitempty"`
	Error   *problem     `json:"error,omitempty"`
}

type problem struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    string `json:"code,omitempty"`
}

func (s *Stream) frame(f frame) []byte {
	f.Number = s.frames
	s.frames++
	return wire.Encode(f)
}

// Event is what is sent for an event of the answer; nil is nothing.
func (s *Stream) Event(_ int, e chat.Event) []byte {
	switch e := e.(type) {
	case chat.Accepted: // a history with what the user has said
	case chat.TextDelta:
		if s.chat == nil && e.Text != "" {
			return s.frame(frame{Event: "text_stream", Text: &e.Text})
		}
		s.said += e.Text
	default:
		return nil
	}
	if s.chat == nil {
		return nil
	}
	return s.frame(frame{Event: "text_stream", History: new(s.chat.With(s.said, s.user).wire())})
}

// End is what is sent when the answer has ended.
func (s *Stream) End(llm.Report) []byte {
	return s.frame(frame{Event: "stream_end"})
}

// Unchanged is what is sent where there was nothing to answer.
func (s *Stream) Unchanged() []byte {
	return s.frame(frame{Event: "text_stream", History: new(s.chat.History.wire())})
}

// Fail is what is sent when the answer has failed.
func (s *Stream) Fail(message, kind, code string) []byte {
	return s.frame(frame{Event: "error", Error: &problem{message, kind, code}})
}
