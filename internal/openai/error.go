package openai

import (
	"encoding/json"
	"net/http"

	"parley/internal/wire"
	"parley/llm"
)

// A Problem is an error as OpenAI's envelope has it, with its status.
type Problem struct {
	Status  int
	Message string
	Type    string
	Param   string // null if empty
	Code    string // null if empty
}

// JSON is the body, and in a stream the event, that carries the problem.
func (p Problem) JSON() []byte {
	return wire.Encode(map[string]json.RawMessage{"error": p.Envelope()})
}

// Envelope is what stands in the body under "error".
func (p Problem) Envelope() json.RawMessage {
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	return wire.Encode(inner{p.Message, p.Type, orNull(p.Param), orNull(p.Code)})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// own are the fields of our extension that the packages below name in errors
// without knowing where a request has them.
var own = map[string]bool{"format": true, "policy": true}

// Explain is the one place where an error gets its status and its words. The
// cause stays behind: it is for the log.
func Explain(err error) Problem {
	e := llm.AsError(err)
	field := e.Field
	if own[field] {
		field = "parley." + field
	}
	p := Problem{Message: e.Message, Param: field, Code: string(e.Code)}
	if field != "" {
		p.Message = field + ": " + p.Message
	}
	if e.Hint != "" {
		p.Message += " (" + e.Hint + ")"
	}
	switch e.Code {
	case llm.Invalid:
		p.Status, p.Type, p.Code = http.StatusBadRequest, "invalid_request_error", "invalid_value"
	case llm.TooLong:
		// agents look for this code, some of them in the message
		p.Status, p.Type, p.Code = http.StatusBadRequest, "invalid_request_error", "context_length_exceeded"
		p.Message += " [context_length_exceeded]"
	case llm.NotFound:
		p.Status, p.Type = http.StatusNotFound, "invalid_request_error"
		if e.Field == "model" {
			p.Code = "model_not_found"
		}
		if own[e.Field] { // a choice that the request makes, not what it is for
			p.Status = http.StatusBadRequest
		}
	case llm.Unsupported:
		// not 501: SDKs send a request again after any 5xx
		p.Status, p.Type = http.StatusBadRequest, "invalid_request_error"
	case llm.Unreadable:
		p.Status, p.Type = http.StatusUnprocessableEntity, "invalid_request_error"
	case llm.Forbidden:
		p.Status, p.Type = http.StatusForbidden, "permission_error"
	case llm.Conflict:
		p.Status, p.Type = http.StatusConflict, "invalid_request_error"
	case llm.Overloaded, llm.Unavailable:
		p.Status, p.Type = http.StatusServiceUnavailable, "server_error"
	default:
		p.Status, p.Type = http.StatusInternalServerError, "server_error"
	}
	return p
}
