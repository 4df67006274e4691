package enginetest

import (
	"net/http"
	"time"

	"parley/llm"
)

// Services and applications with OpenAI's routes: OpenAI itself, LM Studio,
// LocalAI.

// hosted is OpenAI: fields that it does not know are refused, four stop
// strings at most, no other samplers, and its marks cannot be forged.
var hosted = &kind{
	completes: false, chats: true,
	fail: openAIError,
	missing: func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, 404, map[string]any{"error": map[string]any{
			"message": "Invalid URL (" + r.Method + " " + r.URL.Path + ")", "type": "invalid_request_error", "param": nil, "code": nil}})
	},
	headers: map[string]string{"Openai-Version": "2020-10-01", "X-Request-Id": "req_fake"},
	routes: func(e *Engine, m *routes) {
		hostedOpenAI.mount(m)
		m.get("/v1/models", models(e, "system", nil))
	},
}

var hostedOpenAI = &openAI{
	prefixes: []string{"/v1"},
	chat: &dialect{strict: true, named: true, mostStops: 4,
		known: words(chatFields + "stream_options max_completion_tokens parallel_tool_calls reasoning_effort service_tier store metadata modalities prediction verbosity prompt_cache_key safety_identifier"),
		check: func(x *exchange) error {
			f := x.req.Fields
			for _, limit := range []struct {
				name        string
				least, most float64
			}{{"temperature", 0, 2}, {"top_p", 0, 1}, {"presence_penalty", -2, 2}, {"frequency_penalty", -2, 2}, {"top_logprobs", 0, 20}} {
				if n, _ := number(f, limit.name); n != nil && (*n < limit.least || *n > limit.most) {
					return refuse(400, limit.name, "Invalid '%s': decimal out of range. Expected a value between %v and %v, but got %v instead.", limit.name, limit.least, limit.most, *n)
				}
			}
			if f["stream_options"] != nil && f["stream"] != true {
				return refuse(400, "stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
			}
			return nil
		},
		layout: func(x *exchange, list []message) (llm.Prompt, error) {
			for i, m := range list {
				switch m.role {
				case "system", "developer", "user", "assistant", "tool", "function":
				default:
					return llm.Prompt{}, refuse(400, "messages", "Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'. (messages[%d])", m.role, i)
				}
				if name, ok := m.fields["name"].(string); ok && !oneWord(name) {
					return llm.Prompt{}, refuse(400, "messages", "Invalid 'messages[%d].name': string does not match pattern. Expected a string that matches the pattern '^[^\\s<|\\\\/>]+$'.", i)
				}
				for field := range m.fields {
					if field != "role" && field != "content" && field != "name" && field != "tool_calls" && field != "tool_call_id" && field != "refusal" && field != "audio" && field != "function_call" {
						return llm.Prompt{}, refuse(400, "messages", "Unrecognized request argument supplied: messages[%d].%s", i, field)
					}
				}
			}
			return shielded(list), nil
		}},
	style: style{nullUse: true},
}

// oneWord reports whether a name has only such characters as OpenAI allows.
func oneWord(name string) bool {
	for _, r := range name {
		switch r {
		case ' ', '\t', '\n', '<', '|', '\\', '/', '>':
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// LM Studio: a path that is not there is answered with 200, and the error
// stands in the body.
var lmStudio = &kind{
	completes: true, chats: true,
	headers: map[string]string{"X-Powered-By": "Express"},
	missing: func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, 200, map[string]any{"error": "Unexpected endpoint or method. (" + r.Method + " " + r.URL.Path + ")"})
	},
	fail: func(w http.ResponseWriter, f refusal) {
		if f.status == 422 {
			f.status = 400
		}
		if f.kind == "too_long" {
			f.message = "Trying to keep the first tokens when context the overflows. However, the model is loaded with context length of only fewer tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input"
		}
		writeJSON(w, f.status, map[string]any{"error": f.message})
	},
	routes: func(e *Engine, m *routes) {
		studioOpenAI.mount(m)
		m.get("/v1/models", func(*http.Request) any {
			return map[string]any{"object": "list", "data": []any{
				map[string]any{"id": e.o.Name, "object": "model", "owned_by": "organization_owner"},
				map[string]any{"id": "text-embedding-nomic-embed-text-v1.5", "object": "model", "owned_by": "organization_owner"},
			}}
		})
		m.get("/api/v0/models", func(*http.Request) any {
			return map[string]any{"object": "list", "data": []any{
				map[string]any{"id": e.o.Name, "object": "model", "type": "llm", "publisher": "fake", "arch": "llama", "compatibility_type": "gguf",
					"quantization": "Q8_0", "state": "loaded", "max_context_length": 4 * e.o.Context, "loaded_context_length": e.o.Context},
				map[string]any{"id": "text-embedding-nomic-embed-text-v1.5", "object": "model", "type": "embeddings", "publisher": "nomic-ai", "arch": "nomic-bert",
					"compatibility_type": "gguf", "quantization": "Q4_0", "state": "not-loaded", "max_context_length": 2048},
			}}
		})
	},
}

const studioSampling = "stream_options top_k repeat_penalty ttl draft_model reasoning_effort "

var studioOpenAI = &openAI{
	prefixes: []string{"/v1"}, reasoning: "reasoning_content",
	complete: &dialect{known: words(completeFields + studioSampling), defaults: llm.Params{Temperature: new(0.8), TopK: new(40), TopP: new(0.95), RepetitionPenalty: new(1.1)}},
	chat: &dialect{known: words(chatFields + studioSampling + "max_completion_tokens"), defaults: llm.Params{Temperature: new(0.8), TopK: new(40), TopP: new(0.95), RepetitionPenalty: new(1.1)},
		layout: byTemplate},
}

// LocalAI (82c191afa): its /version looks like vLLM's, its errors have a number
// for a code.
var localAI = &kind{
	completes: true, chats: true,
	open: words("/healthz /readyz"),
	missing: func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 404, map[string]any{"error": map[string]any{"code": 404, "message": "Resource not found", "type": ""}})
	},
	fail: func(w http.ResponseWriter, f refusal) {
		if f.status == 422 || f.kind == "json" {
			f.status = 400
		}
		if f.kind == "too_long" || f.kind == "template" {
			f.status = 500
		}
		writeJSON(w, f.status, map[string]any{"error": map[string]any{"code": f.status, "message": f.message, "type": ""}})
	},
	keyed: func(r *http.Request) string {
		for _, name := range words("X-Api-Key Xi-Api-Key") {
			if key := r.Header.Get(name); key != "" {
				return key
			}
		}
		return bearer(r)
	},
	routes: func(e *Engine, m *routes) {
		localOpenAI.mount(m)
		list := func(*http.Request) any {
			return map[string]any{"object": "list", "data": []any{map[string]any{"id": e.o.Name, "object": "model"}}}
		}
		m.get("/v1/models", list)
		m.get("/models", list)
		m.get("/version", func(*http.Request) any { return map[string]any{"version": "v3.6.0 (fake)"} })
		m.get("/system", func(*http.Request) any {
			return map[string]any{"backends": []any{"llama-cpp"}, "loaded_models": []any{map[string]any{"id": e.o.Name}}}
		})
		for _, path := range words("/healthz /readyz") {
			m.handle("GET "+path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		}
		m.post("/v1/tokenize", func(req *Request) (any, error) {
			content, err := text(req.Fields, "content")
			if err != nil {
				return nil, err
			}
			tokens, err := e.tokenize(content, true, false)
			return map[string]any{"tokens": idsOf(tokens)}, err
		})
	},
}

const localSampling = "stream_options top_k min_p typical_p repeat_penalty repeat_last_n ignore_eos mirostat mirostat_tau mirostat_eta n_keep tfz negative_prompt grammar grammar_json_functions backend mode step instruction input "

var localOpenAI = &openAI{
	prefixes: []string{"/v1", ""},
	complete: &dialect{known: words(completeFields + localSampling), defaults: llm.Params{Temperature: new(0.9), TopK: new(40), TopP: new(0.95)}},
	chat: &dialect{known: words(chatFields + localSampling + "max_completion_tokens reasoning_effort"), defaults: llm.Params{Temperature: new(0.9), TopK: new(40), TopP: new(0.95)},
		layout: func(x *exchange, list []message) (llm.Prompt, error) {
			s, err := render(x.e.o.Template, list, true, nil)
			return llm.Text(s), err
		}},
	style: style{mark: func(_ step, chunk map[string]any, _ *exchange) { chunk["created"] = time.Now().Unix() }},
}
