package enginetest

import (
	"fmt"
	"net/http"

	"parley/llm"
)

// Servers in Python: MLC-LLM, llama-cpp-python, simpleAI, Basaran.

// MLC-LLM (protocol and entry points at 79d603f0). Its errors are JSON in a
// JSON string, a system message is only allowed at the beginning, and every
// delta names the role.
var mlc = &kind{
	completes: true, chats: true,
	server: "uvicorn", missing: fastAPI404,
	fail: func(w http.ResponseWriter, f refusal) {
		switch {
		case f.status == 401:
			writeJSON(w, 401, map[string]any{"detail": "Invalid API Key"})
		case f.invalid():
			validation(w, f)
		case f.kind == "model":
			writeJSON(w, 400, compact(map[string]any{"object": "error", "message": "The requested model is not served.", "code": 400}))
		default:
			if f.kind == "too_long" {
				f.message = fmt.Sprintf("Request prompt has %v tokens in total, larger than the model input length limit %v.", f.more["n_prompt_tokens"], f.more["n_ctx"])
			}
			writeJSON(w, f.status, compact(map[string]any{"object": "error", "message": f.message, "code": f.status}))
		}
	},
	routes: func(e *Engine, m *routes) {
		mlcOpenAI.mount(m)
		m.get("/v1/models", models(e, "MLC-LLM", nil))
	},
}

var mlcOpenAI = &openAI{
	prefixes: []string{"/v1"},
	complete: &dialect{known: words(completeFields + "stream_options response_format debug_config"), ids: true, named: true, check: mlcCheck},
	chat: &dialect{known: words(chatFields + "stream_options debug_config"), named: true, check: mlcCheck,
		layout: func(x *exchange, list []message) (llm.Prompt, error) {
			for i, m := range list {
				switch {
				case m.role != "system" && m.role != "user" && m.role != "assistant" && m.role != "tool":
					return llm.Prompt{}, &refusal{status: 422, kind: "literal_error", field: "role", message: "Input should be 'system', 'user', 'assistant' or 'tool'"}
				case m.role == "system" && i != 0:
					return llm.Prompt{}, refuse(400, "messages", "System prompt at position %d in the message list is invalid.", i)
				case m.parts != nil && m.role != "user":
					return llm.Prompt{}, refuse(400, "messages", "Non-user message having a list of content is invalid.")
				case m.fields["tool_calls"] != nil:
					return llm.Prompt{}, refuse(400, "messages", "Assistant message having `tool_calls` is not supported yet.")
				case m.hasMedia():
					return llm.Prompt{}, refuse(400, "messages", "the model takes no images")
				}
			}
			s, err := render(chatML, list, true, nil) // its conversation templates are its own
			return llm.Text(s), err
		}},
	style: style{role: roleEach},
}

func mlcCheck(x *exchange) error {
	f := x.req.Fields
	if f["stream_options"] != nil && f["stream"] != true {
		return &refusal{status: 422, kind: "value_error", field: "stream_options", message: "stream must be set to True when stream_options is present"}
	}
	for _, name := range words("presence_penalty frequency_penalty") {
		if n, _ := number(f, name); n != nil && (*n < -2 || *n > 2) {
			return &refusal{status: 422, kind: "value_error", field: name, message: "Penalty value should be in range [-2, 2]."}
		}
	}
	if n, _ := integer(f, "best_of"); n != nil && *n != 1 {
		return refuse(400, "best_of", "Request fields \"best_of\" are not supported right now.")
	}
	return nil
}

// llama-cpp-python's server (0.3.35). Sixteen tokens unless told otherwise,
// prompts are text, and the stream is sse_starlette's, whose lines end in CRLF.
var llamaCPPPython = &kind{
	completes: true, chats: true,
	server: "uvicorn", missing: fastAPI404,
	fail: func(w http.ResponseWriter, f refusal) {
		switch {
		case f.status == 401:
			writeJSON(w, 401, map[string]any{"detail": "Invalid API key"})
		case f.kind == "json":
			writeText(w, 500, "text/plain; charset=utf-8", "Internal Server Error")
		case f.kind == "too_long":
			f.message = fmt.Sprintf("This model's maximum context length is %v tokens, however you requested %v tokens (%v in your prompt; 0 for the completion). Please reduce your prompt; or completion length.",
				f.more["n_ctx"], f.more["n_prompt_tokens"], f.more["n_prompt_tokens"])
			openAIError(w, f)
		case f.invalid(): // also what a validator finds
			f.message = fmt.Sprintf("1 validation error:\n  {'type': '%s', 'loc': ('body', '%s'), 'msg': '%s'}", f.kind, f.field, f.message)
			fallthrough
		default:
			writeJSON(w, 500, map[string]any{"error": map[string]any{"message": f.message, "type": "internal_server_error", "param": nil, "code": nil}})
		}
	},
	routes: func(e *Engine, m *routes) {
		pythonOpenAI.mount(m)
		m.get("/v1/models", models(e, "me", map[string]any{"permissions": []any{}}))
		m.post("/extras/tokenize", func(req *Request) (any, error) {
			input, err := text(req.Fields, "input")
			if err != nil {
				return nil, err
			}
			tokens, err := e.tokenize(input, true, true)
			return map[string]any{"tokens": idsOf(tokens)}, err
		})
		m.post("/extras/tokenize/count", func(req *Request) (any, error) {
			input, err := text(req.Fields, "input")
			if err != nil {
				return nil, err
			}
			tokens, err := e.tokenize(input, true, true)
			return map[string]any{"count": len(tokens)}, err
		})
		m.post("/extras/detokenize", func(req *Request) (any, error) {
			list, _ := ids(req.Fields["tokens"])
			s, err := e.detokenize(list)
			return map[string]any{"text": s}, err
		})
	},
}

var pythonDefaults = llm.Params{Temperature: new(0.8), TopP: new(0.95), MinP: new(0.05), TopK: new(40), RepetitionPenalty: new(1.1)}

const pythonSampling = "min_tokens min_p top_k repeat_penalty logit_bias_type mirostat_mode mirostat_tau mirostat_eta grammar "

var pythonOpenAI = &openAI{
	prefixes: []string{"/v1"},
	complete: &dialect{known: words(completeFields + pythonSampling), deafWhole: true, interrupts: true, check: pythonCheck,
		defaults: pythonDefaults.WithDefaults(llm.Params{MaxTokens: new(16)})},
	chat: &dialect{known: words(chatFields + pythonSampling + "functions function_call"), deafWhole: true, interrupts: true, check: pythonCheck, defaults: pythonDefaults,
		layout: func(x *exchange, list []message) (llm.Prompt, error) { // there is no way to begin the reply
			for _, m := range list {
				if m.hasMedia() {
					return llm.Prompt{}, refuse(500, "messages", "no handler for images")
				}
			}
			s, err := render(x.e.o.Template, list, true, nil)
			return llm.Text(s), err
		}},
	style: style{eol: "\r\n", usage: usageNever},
}

func pythonCheck(x *exchange) error {
	if n, _ := number(x.req.Fields, "max_tokens"); n != nil && *n <= 0 {
		x.req.Fields["max_tokens"] = -1.0 // as many as fit
	}
	return nil
}

// simpleAI (6532471): without /v1, seven tokens unless told otherwise, stop
// strings and penalties go to a backend that may ignore them.
var simpleAI = &kind{
	completes: true, chats: true,
	server: "uvicorn", missing: fastAPI404,
	fail: func(w http.ResponseWriter, f refusal) {
		switch {
		case f.status == 401: // it has no keys of its own, but may stand behind something that has
			writeJSON(w, 401, map[string]any{"detail": "Not authenticated"})
			return
		case f.invalid():
			validation(w, f)
			return
		}
		writeText(w, 500, "text/plain; charset=utf-8", "Internal Server Error")
	},
	routes: func(e *Engine, m *routes) {
		simpleOpenAI.mount(m)
		m.get("/models", func(*http.Request) any {
			return map[string]any{"data": []any{map[string]any{"id": e.o.Name, "object": "model", "owned_by": "", "permission": []any{}}}, "object": "list"}
		})
	},
}

var simpleOpenAI = &openAI{
	prefixes: []string{""},
	complete: &dialect{known: words("model prompt suffix max_tokens temperature top_p n stream logprobs echo stop presence_penalty frequence_penalty best_of logit_bias user"),
		named: true, mute: true, slow: true, deafWhole: true, defaults: llm.Params{MaxTokens: new(7)}},
	chat: &dialect{known: words("model messages temperature top_p n stream max_tokens stop presence_penalty frequence_penalty logit_bias user"),
		named: true, slow: true, deafWhole: true, defaults: llm.Params{MaxTokens: new(7)},
		layout: func(x *exchange, list []message) (llm.Prompt, error) {
			s, err := render(x.e.o.Template, list, true, nil)
			return llm.Text(s), err
		}},
	style: style{usage: usageNever, done: "data: [DONE]\n"},
}

// Basaran (a73dc6e): completions only, no stop strings, fields of the wrong
// type are dropped in silence, prompts are cut after so many characters.
var basaran = &kind{
	completes: true,
	server:    "waitress",
	fail: func(w http.ResponseWriter, f refusal) {
		writeJSON(w, f.status, map[string]any{"error": map[string]any{"message": f.message}})
	},
	missing: func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 404, map[string]any{"error": map[string]any{"message": "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again."}})
	},
	routes: func(e *Engine, m *routes) {
		basaranOpenAI.mount(m)
		m.get("/v1/models", func(*http.Request) any {
			return map[string]any{"data": []any{map[string]any{"id": e.o.Name, "object": "model"}}, "object": "list"}
		})
	},
}

// BasaranPrompt is how many characters of a prompt Basaran reads.
const BasaranPrompt = 4096

var basaranOpenAI = &openAI{
	prefixes: []string{"/v1"},
	complete: &dialect{known: words("prompt min_tokens max_tokens temperature top_p n stream logprobs echo"), slow: true, deafWhole: true, defaults: llm.Params{MaxTokens: new(16)},
		check: func(x *exchange) error {
			f := x.req.Fields
			if list, ok := f["prompt"].([]any); ok && len(list) > 1 {
				return refuse(400, "prompt", "only one prompt is supported")
			}
			for name := range f {
				if _, isNumber := f[name].(float64); name != "prompt" && name != "stream" && name != "echo" && !isNumber {
					delete(f, name)
				}
			}
			prompt, _ := f["prompt"].(string)
			f["prompt"] = string([]rune(prompt)[:min(len([]rune(prompt)), BasaranPrompt)])
			if n, _ := integer(f, "max_tokens"); n != nil && *n > 4096 {
				f["max_tokens"] = 4096.0
			}
			return nil
		}},
	style: style{usage: usageNever, joined: true},
}
