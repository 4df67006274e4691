package anthropic

import (
	"encoding/json"
	"net/http"
	"time"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A Head is what an answer says of itself.
type Head struct {
	ID    string // "msg_…"
	Model string
}

type message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      []block `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
	Usage        usage   `json:"usage"`
}

// A block is a part of an answer: text, thoughts, or a tool's call.
type block struct {
	Type      string          `json:"type"`
	Text      *string         `json:"text,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"`
	Signature *string         `json:"signature,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
}

type usage struct {
	Input       int `json:"input_tokens"` // those that had to be read
	CacheMade   int `json:"cache_creation_input_tokens"`
	CacheRead   int `json:"cache_read_input_tokens"`
	OutputCount int `json:"output_tokens"`
}

func usageOf(u llm.Usage) usage {
	return usage{Input: u.PromptTokens - u.CachedTokens, CacheRead: u.CachedTokens, OutputCount: u.CompletionTokens}
}

// signature stands where clients expect proof that thoughts are the server's
// own. Nothing here depends on it.
const signature = "parley"

// stopReason says why an answer ended.
func stopReason(f llm.Finish, calls bool) (reason string, sequence *string) {
	switch {
	case f.Reason == llm.ReasonLength:
		return "max_tokens", nil
	case calls:
		return "tool_use", nil
	case f.Reason == llm.ReasonStop:
		return "stop_sequence", &f.Stop
	}
	return "end_turn", nil
}

// Message is the body of a whole answer. A stop string of the chat format is
// no stop sequence: the model ended its turn.
func Message(h Head, q *Request, r chat.Reply) []byte {
	m := message{ID: h.ID, Type: "message", Role: "assistant", Model: h.Model, Content: []block{}, Usage: usageOf(r.Finish.Usage)}
	if r.Message.Reasoning != "" {
		m.Content = append(m.Content, block{Type: "thinking", Thinking: &r.Message.Reasoning, Signature: new(signature)})
	}
	if text := r.Message.Text(); text != "" || len(r.Message.ToolCalls) == 0 && r.Message.Reasoning == "" {
		m.Content = append(m.Content, block{Type: "text", Text: &text})
	}
	for _, call := range r.Message.ToolCalls {
		m.Content = append(m.Content, block{Type: "tool_use", ID: call.ID, Name: call.Name, Input: inputOf(call.Arguments)})
	}
	reason, sequence := stopReason(q.own(r.Finish), len(r.Message.ToolCalls) > 0)
	m.StopReason, m.StopSequence = &reason, sequence
	return wire.Encode(m)
}

// own is a finish in which the format's stop strings are the model's own end.
func (q *Request) own(f llm.Finish) llm.Finish {
	if f.Reason != llm.ReasonStop {
		return f
	}
	for _, s := range q.Params.Stop {
		if s == f.Stop {
			return f
		}
	}
	f.Reason = llm.ReasonEnd
	return f
}

func inputOf(arguments string) json.RawMessage {
	if !json.Valid([]byte(arguments)) {
		return json.RawMessage("{}")
	}
	return json.RawMessage(arguments)
}

// Count is the body that tells how many tokens a request has.
func Count(tokens int) []byte {
	return wire.Encode(struct {
		Input int `json:"input_tokens"`
	}{tokens})
}

// A Model is a row of the list of models.
type Model struct {
	ID, Name string
	Created  time.Time
}

// Models is the body that lists models.
func Models(all []Model) []byte {
	type row struct {
		Type    string `json:"type"`
		ID      string `json:"id"`
		Name    string `json:"display_name"`
		Created string `json:"created_at"`
	}
	list := struct {
		Data    []row   `json:"data"`
		HasMore bool    `json:"has_more"`
		First   *string `json:"first_id"`
		Last    *string `json:"last_id"`
	}{Data: []row{}}
	for _, m := range all {
		list.Data = append(list.Data, row{"model", m.ID, m.Name, m.Created.UTC().Format(time.RFC3339)})
	}
	if n := len(list.Data); n > 0 {
		list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
	}
	return wire.Encode(list)
}

// Problem is the body of an error with a status, and the status that clients
// of this dialect expect for it.
func Problem(status int, text string) (int, []byte) {
	kind := "api_error"
	switch status {
	case http.StatusUnauthorized:
		kind = "authentication_error"
	case http.StatusForbidden:
		kind = "permission_error"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		kind = "not_found_error"
	case http.StatusRequestEntityTooLarge:
		kind = "request_too_large"
	case http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case http.StatusServiceUnavailable:
		const overloaded = 529
		status, kind = overloaded, "overloaded_error"
	default:
		if status < http.StatusInternalServerError {
			status, kind = http.StatusBadRequest, "invalid_request_error"
		}
	}
	type inner struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	return status, wire.Encode(struct {
		Type  string `json:"type"`
		Error inner  `json:"error"`
	}{"error", inner{kind, text}})
}
