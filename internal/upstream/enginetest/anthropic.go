package enginetest

import (
	"net/http"
	"strings"

	"parley/llm"
)

// Anthropic's messages: max_tokens is demanded, there is no system role, the
// first message is the user's, fields that it does not know are refused.

const anthropicFields = "model messages max_tokens system temperature top_p top_k stop_sequences stream tools tool_choice thinking metadata service_tier container context_management mcp_servers"

var anthropic = &kind{
	chats: true,
	keyed: func(r *http.Request) string { return r.Header.Get("X-Api-Key") },
	fail: func(w http.ResponseWriter, f refusal) {
		kind := map[int]string{400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
			413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error"}[f.status]
		if f.invalid() {
			f.status, kind = 400, "invalid_request_error"
			if f.field != "" {
				f.message = f.field + ": " + f.message
			}
		}
		if f.status == 401 {
			f.message = "invalid x-api-key"
		}
		if kind == "" {
			kind = "api_error"
		}
		writeJSON(w, f.status, map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": f.message}, "request_id": "req_fake"})
	},
	missing: func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 404, map[string]any{"type": "error", "error": map[string]any{"type": "not_found_error", "message": "Not Found"}})
	},
	routes: func(e *Engine, m *routes) {
		m.get("/v1/models", func(*http.Request) any {
			return map[string]any{"data": []any{map[string]any{"type": "model", "id": e.o.Name, "display_name": e.o.Name, "created_at": "2026-01-01T00:00:00Z"}}, "has_more": false, "first_id": e.o.Name, "last_id": e.o.Name}
		})
		m.generate("/v1/messages", anthropicMessages)
		m.post("/v1/messages/count_tokens", func(req *Request) (any, error) {
			p, err := anthropicPrompt(req.Fields)
			if err != nil {
				return nil, err
			}
			tokens, err := e.tokenize(p.String(), true, true)
			return map[string]any{"input_tokens": len(tokens)}, err
		})
	},
}

func anthropicMessages(x *exchange) error {
	f := x.req.Fields
	known := words(anthropicFields)
	x.req.knows(known)
	if x.req.Header.Get("Anthropic-Version") == "" {
		return refuse(400, "", "anthropic-version: header is required")
	}
	if len(x.req.Unknown) > 0 {
		return refuse(400, "", "%s: Extra inputs are not permitted", x.req.Unknown[0])
	}
	if name, _ := text(f, "model"); name != x.e.o.Name {
		return refuse(404, "model", "model: %s", name)
	}
	params, err := sampling(f, known, llm.Params{})
	if err != nil {
		return err
	}
	switch {
	case params.MaxTokens == nil:
		return refuse(400, "", "max_tokens: Field required")
	case *params.MaxTokens < 1:
		return refuse(400, "", "max_tokens: must be greater than or equal to 1")
	case params.Temperature != nil && (*params.Temperature < 0 || *params.Temperature > 1):
		return refuse(400, "", "temperature: range: 0..1")
	}
	j := job{params: params}
	if j.stops, err = texts(f, "stop_sequences"); err != nil {
		return err
	}
	for i, s := range j.stops {
		if strings.TrimSpace(s) == "" {
			return refuse(400, "", "stop_sequences: each stop sequence must contain non-whitespace (%d)", i)
		}
	}
	if j.prompt, err = anthropicPrompt(f); err != nil {
		return err
	}
	w := anthropicWriter{x: x}
	if f["stream"] != true {
		return w.whole(j)
	}
	return w.stream(j)
}

// anthropicPrompt lays the messages out; what they hold can never become a
// mark. A message of the assistant at the end is the beginning of the reply.
func anthropicPrompt(f map[string]any) (llm.Prompt, error) {
	list, err := messages(f)
	if err != nil {
		return llm.Prompt{}, err
	}
	var all []message
	switch s := f["system"].(type) {
	case string:
		all = append(all, message{role: "system", content: s})
	case []any:
		blocks := message{role: "system"}
		for _, b := range s {
			if block, ok := b.(map[string]any); ok {
				t, _ := block["text"].(string)
				blocks.content += t
			}
		}
		all = append(all, blocks)
	}
	for i, m := range list {
		switch {
		case m.role != "user" && m.role != "assistant":
			return llm.Prompt{}, refuse(400, "", "messages: Unexpected role \"%s\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role.", m.role)
		case i == 0 && m.role != "user":
			return llm.Prompt{}, refuse(400, "", "messages: first message must use the \"user\" role")
		case m.content == "" && m.parts == nil && i < len(list)-1:
			return llm.Prompt{}, refuse(400, "", "messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		for field := range m.fields {
			if field != "role" && field != "content" {
				return llm.Prompt{}, refuse(400, "", "messages.%d.%s: Extra inputs are not permitted", i, field)
			}
		}
		if n := len(all); n > 0 && all[n-1].role == m.role { // neighbours are one turn
			all[n-1].content += "\n\n" + m.content
			continue
		}
		all = append(all, m)
	}
	last := all[len(all)-1]
	if last.role != "assistant" {
		return shielded(all), nil
	}
	if strings.TrimRight(last.content, " \n\t") != last.content {
		return llm.Prompt{}, refuse(400, "", "messages: final assistant content cannot end with trailing whitespace")
	}
	p := shielded(all[:len(all)-1])
	p.Segments = append(p.Segments, llm.Segment{Text: last.content})
	return p, nil
}

type anthropicWriter struct{ x *exchange }

func (w anthropicWriter) message() map[string]any {
	return map[string]any{"id": "msg_fake", "type": "message", "role": "assistant", "model": w.x.e.o.Name, "content": []any{}, "stop_reason": nil, "stop_sequence": nil}
}

func anthropicFinish(f *llm.Finish) (reason string, stop any) {
	switch f.Reason {
	case llm.ReasonLength:
		return "max_tokens", nil
	case llm.ReasonStop:
		return "stop_sequence", f.Stop
	}
	return "end_turn", nil
}

func anthropicUsage(s step) map[string]any {
	return map[string]any{"input_tokens": s.prompt - s.cached, "cache_read_input_tokens": s.cached, "cache_creation_input_tokens": 0, "output_tokens": s.generated}
}

func (w anthropicWriter) whole(j job) error {
	var all strings.Builder
	var last step
	if err := w.x.generate(j, func(s step) error { all.WriteString(s.text); last = s; return nil }); err != nil {
		return err
	}
	v := w.message()
	v["content"] = []any{map[string]any{"type": "text", "text": all.String()}}
	v["stop_reason"], v["stop_sequence"] = anthropicFinish(last.end)
	v["usage"] = anthropicUsage(last)
	writeJSON(w.x.w, 200, v)
	return nil
}

func (w anthropicWriter) stream(j job) error {
	s := w.x.events()
	defer s.end()
	event := func(name string, v map[string]any) error {
		v["type"] = name
		return s.event(name, v)
	}
	return w.x.generate(j, func(now step) error {
		if !w.x.begun {
			s.begin(0)
			m := w.message()
			m["usage"] = anthropicUsage(step{prompt: now.prompt, cached: now.cached, generated: 1})
			event("message_start", map[string]any{"message": m})
			event("content_block_start", map[string]any{"index": 0, "content_block": map[string]any{"type": "text", "text": ""}})
			event("ping", map[string]any{})
		}
		if now.text != "" {
			if err := event("content_block_delta", map[string]any{"index": 0, "delta": map[string]any{"type": "text_delta", "text": now.text}}); err != nil {
				return err
			}
		}
		if now.end == nil {
			return nil
		}
		event("content_block_stop", map[string]any{"index": 0})
		reason, stop := anthropicFinish(now.end)
		event("message_delta", map[string]any{"delta": map[string]any{"stop_reason": reason, "stop_sequence": stop}, "usage": map[string]any{"output_tokens": now.generated}})
		return event("message_stop", map[string]any{})
	})
}
