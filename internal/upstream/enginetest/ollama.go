package enginetest

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"parley/llm"
)

// Ollama (fb3076099, 0.17). NDJSON, streaming unless told otherwise, Go
// templates. It shortens what is too long and says nothing, unless truncate is
// false.

// OllamaLegacy is a template as many of its older models have it: a system
// message behind the last user's is lost.
const OllamaLegacy = `{{ if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ if .Prompt }}<|im_start|>user
{{ .Prompt }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ .Response }}<|im_end|>
`

const ollamaChatML = `{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
`

const ollamaOptions = "num_keep seed num_predict top_k top_p min_p typical_p repeat_last_n temperature repeat_penalty presence_penalty frequency_penalty stop " +
	"num_ctx num_batch num_gpu main_gpu use_mmap num_thread mirostat mirostat_tau mirostat_eta"

var ollamaDefaults = llm.Params{Temperature: new(0.8), TopK: new(40), TopP: new(0.9), RepetitionPenalty: new(1.0), RepetitionRange: new(64)}

var ollama = &kind{
	completes: true, chats: true,
	fail: func(w http.ResponseWriter, f refusal) {
		if f.status == 422 || f.kind == "json" {
			f.status = 400
		}
		if strings.HasPrefix(f.path, "/v1/") {
			kind := "invalid_request_error"
			if f.status == 404 {
				kind = "api_error"
			}
			writeJSON(w, f.status, map[string]any{"error": map[string]any{"message": f.message, "type": kind, "param": nil, "code": nil}})
			return
		}
		writeJSON(w, f.status, map[string]any{"error": f.message})
	},
	missing: func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(words("/api/generate /api/chat /api/show /v1/chat/completions /v1/completions /api/tags /api/version"), r.URL.Path) {
			writeText(w, 405, "text/plain", "405 method not allowed")
			return
		}
		writeText(w, 404, "text/plain", "404 page not found")
	},
	routes: func(e *Engine, m *routes) {
		ollamaOpenAI.mount(m)
		m.handle("GET /", func(w http.ResponseWriter, _ *http.Request) {
			writeText(w, 200, "text/plain; charset=utf-8", "Ollama is running")
		})
		m.get("/api/version", func(*http.Request) any { return map[string]any{"version": "0.17.4"} })
		details := map[string]any{"parent_model": "", "format": "gguf", "family": "llama", "families": []string{"llama"}, "parameter_size": "3.5M", "quantization_level": "Q8_0"}
		m.get("/api/tags", func(*http.Request) any {
			return map[string]any{"models": []any{map[string]any{"name": e.ollamaName(), "model": e.ollamaName(), "modified_at": "2026-01-01T00:00:00Z", "size": 3736576, "digest": strings.Repeat("ab", 32), "details": details}}}
		})
		m.get("/api/ps", func(*http.Request) any {
			return map[string]any{"models": []any{map[string]any{"name": e.ollamaName(), "model": e.ollamaName(), "size": 3736576, "digest": strings.Repeat("ab", 32), "details": details, "expires_at": "2026-01-01T00:05:00Z", "size_vram": 0, "context_length": e.o.Context}}}
		})
		m.get("/v1/models", models(e, "library", map[string]any{"id": e.ollamaName()}))
		m.get("/v1/models/"+e.o.Name, func(*http.Request) any {
			return map[string]any{"id": e.o.Name, "object": "model", "created": time.Now().Unix(), "owned_by": "library"}
		})
		m.post("/api/show", func(req *Request) (any, error) {
			if err := e.ollamaModel(req.Fields); err != nil {
				return nil, err
			}
			return map[string]any{"modelfile": "FROM fake", "parameters": "stop \"<|im_end|>\"", "template": e.ollamaTemplate(), "details": details,
				"model_info": map[string]any{"general.architecture": "llama", "llama.context_length": e.o.Context, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": nil,
					"tokenizer.ggml.eos_token_id": 2, "tokenizer.chat_template": e.o.Template},
				"capabilities": []string{"completion"}, "modified_at": "2026-01-01T00:00:00Z"}, nil
		})
		m.generate("/api/generate", func(x *exchange) error { return ollamaGenerate(x, false) })
		m.generate("/api/chat", func(x *exchange) error { return ollamaGenerate(x, true) })
	},
}

func (e *Engine) ollamaName() string {
	if strings.Contains(e.o.Name, ":") {
		return e.o.Name
	}
	return e.o.Name + ":latest"
}

func (e *Engine) ollamaTemplate() string {
	if strings.Contains(e.o.Template, "{{ ") && !strings.Contains(e.o.Template, "{%") {
		return e.o.Template
	}
	return ollamaChatML
}

func (e *Engine) ollamaModel(f map[string]any) error {
	name, _ := text(f, "model")
	if name == "" {
		name, _ = text(f, "name")
	}
	if name != e.o.Name && name != e.ollamaName() {
		return refuse(404, "model", "model '%s' not found", name)
	}
	return nil
}

func ollamaGenerate(x *exchange, chat bool) error {
	f := x.req.Fields
	x.req.knows(words("model prompt suffix images system template context raw stream format options keep_alive think truncate shift logprobs top_logprobs messages tools dimensions"))
	if err := x.e.ollamaModel(f); err != nil {
		return err
	}
	options, _ := f["options"].(map[string]any)
	for name := range options {
		if !slices.Contains(words(ollamaOptions), name) {
			x.req.Unknown = append(x.req.Unknown, "options."+name)
		}
	}
	params, err := sampling(options, words(ollamaOptions), ollamaDefaults)
	if err != nil {
		return refuse(500, "options", "option %q must be of type integer", err.(*refusal).field)
	}
	if params.MaxTokens != nil && *params.MaxTokens == 0 {
		params.MaxTokens = nil // as many as it likes
	}
	if f["logprobs"] == true {
		top, _ := integer(f, "top_logprobs")
		if params.LogProbs = top; top == nil {
			params.LogProbs = new(0)
		}
	}
	j := job{params: params}
	if j.stops, err = texts(options, "stop"); err != nil {
		return err
	}
	if f["raw"] == true && (f["context"] != nil || f["system"] != nil || f["template"] != nil) {
		return refuse(400, "raw", "raw mode does not support template, system, or context")
	}
	if f["tools"] != nil {
		return refuse(400, "tools", "registry.ollama.ai/library/%s does not support tools", x.e.ollamaName())
	}
	if on, _ := f["think"].(bool); on {
		return refuse(400, "think", "%q does not support thinking", x.e.o.Name)
	}
	prompt, err := x.ollamaPrompt(chat)
	if err != nil {
		return err
	}
	if f["truncate"] == false {
		j.prompt = x.e.prompt(prompt, true)
		if tokens, err := x.e.tokenize(prompt, true, true); err == nil && len(tokens) >= x.e.o.Context {
			return refuse(400, "prompt", "the input length exceeds the context length")
		}
	} else {
		j.prompt = x.e.shortened(prompt, 1)
	}
	if prompt == "" { // it only loads the model
		writeJSON(x.w, 200, map[string]any{"model": x.e.ollamaName(), "created_at": now(), "response": "", "done": true, "done_reason": "load"})
		return nil
	}
	w := ollamaWriter{x: x, chat: chat}
	if f["stream"] == false {
		var all step
		var tokens []llm.Token
		var text strings.Builder
		if err := x.generate(j, func(s step) error {
			text.WriteString(s.text)
			tokens, all = append(tokens, s.tokens...), s
			return nil
		}); err != nil {
			return err
		}
		all.text, all.tokens = text.String(), tokens
		writeJSON(x.w, 200, w.value(all))
		return nil
	}
	s := x.lines()
	defer s.end()
	return x.generate(j, func(now step) error {
		s.begin(0)
		if now.text == "" && now.end == nil {
			return nil
		}
		if now.text != "" {
			said := now
			said.end = nil
			if err := s.line(w.value(said)); err != nil {
				return err
			}
		}
		if now.end == nil {
			return nil
		}
		now.text, now.tokens = "", nil
		return s.line(w.value(now))
	})
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

type ollamaWriter struct {
	x        *exchange
	chat     bool
	thinking bool
}

func (w *ollamaWriter) value(s step) map[string]any {
	v := map[string]any{"model": w.x.e.ollamaName(), "created_at": now(), "done": s.end != nil}
	if w.chat {
		v["message"] = map[string]any{"role": "assistant", "content": s.text}
		switch {
		case s.text == "<think>", s.text == "</think>":
			w.thinking = s.text == "<think>"
			v["message"] = map[string]any{"role": "assistant", "content": ""}
		case w.thinking:
			v["message"] = map[string]any{"role": "assistant", "content": "", "thinking": s.text}
		}
	} else {
		v["response"] = s.text
	}
	if w.x.req.Params.LogProbs != nil && len(s.tokens) > 0 {
		r := openAIReply{chat: true, o: ollamaOpenAI}
		v["logprobs"] = r.logprobs(s.tokens).(map[string]any)["content"]
	}
	if s.end != nil {
		v["done_reason"] = finishWord(s.end)
		v["total_duration"], v["load_duration"] = 1000, 100
		v["prompt_eval_count"], v["prompt_eval_duration"] = s.prompt, 100
		v["eval_count"], v["eval_duration"] = s.generated, 100
	}
	return v
}

func (x *exchange) ollamaPrompt(chat bool) (string, error) {
	f := x.req.Fields
	if !chat {
		prompt, err := text(f, "prompt")
		if err != nil || f["raw"] == true || prompt == "" {
			return prompt, err
		}
		f["messages"] = []any{map[string]any{"role": "user", "content": prompt}}
	}
	list, err := messages(f)
	if err != nil {
		return "", err
	}
	for _, m := range list {
		if m.parts != nil {
			return "", refuse(400, "messages", "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string")
		}
		if m.fields["images"] != nil {
			return "", refuse(400, "messages", "this model is missing data required for image input")
		}
	}
	return ollamaLayout(x.e.ollamaTemplate(), list)
}

// ollamaLayout renders a Go template: over all messages, neighbours of one role
// merged, or turn by turn where the template knows only a system text, a prompt
// and a response.
func ollamaLayout(source string, list []message) (string, error) {
	type turn struct{ Role, Content string }
	var turns []turn
	for _, m := range list {
		if n := len(turns); n > 0 && turns[n-1].Role == m.role && m.role != "tool" {
			turns[n-1].Content += "\n\n" + m.content
			continue
		}
		turns = append(turns, turn{m.role, m.content})
	}
	t, err := texttemplate.New("").Parse(source)
	if err != nil {
		return "", &refusal{status: 500, message: err.Error()}
	}
	var b bytes.Buffer
	if strings.Contains(source, ".Messages") {
		err := t.Execute(&b, map[string]any{"Messages": turns, "System": "", "Prompt": "", "Response": ""})
		return b.String(), err
	}
	var system, prompt, response string
	say := func(t *texttemplate.Template) error {
		err := t.Execute(&b, map[string]any{"System": system, "Prompt": prompt, "Response": response})
		system, prompt, response = "", "", ""
		return err
	}
	for _, m := range turns {
		var err error
		switch m.Role {
		case "system":
			if prompt != "" || response != "" {
				err = say(t)
			}
			system = m.Content
		case "user":
			if response != "" {
				err = say(t)
			}
			prompt = m.Content
		case "assistant":
			response = m.Content
		}
		if err != nil {
			return "", err
		}
	}
	open, _, _ := strings.Cut(source, "{{ .Response }}")
	last, err := texttemplate.New("").Parse(open)
	if err != nil {
		return "", err
	}
	if prompt == "" && response == "" {
		system = "" // a system text without a prompt behind it is lost
	}
	err = say(last)
	return b.String(), err
}

var ollamaOpenAI = &openAI{
	prefixes: []string{"/v1"}, reasoning: "reasoning",
	complete: &dialect{known: words("model prompt frequency_penalty max_tokens presence_penalty seed stop stream stream_options temperature top_p suffix logprobs top_logprobs"),
		defaults: llm.Params{Temperature: new(1.0), TopP: new(1.0), TopK: new(40)}, cuts: true,
		check: func(x *exchange) error { // the prompt is a user's message: there is no raw route in this shape
			if err := x.e.ollamaModel(x.req.Fields); err != nil {
				return err
			}
			prompt, err := text(x.req.Fields, "prompt")
			if err != nil {
				return err
			}
			x.req.Fields["prompt"], err = ollamaLayout(x.e.ollamaTemplate(), []message{{role: "user", content: prompt}})
			return err
		}},
	chat: &dialect{known: words("model messages stream stream_options max_tokens seed stop temperature frequency_penalty presence_penalty top_p response_format tools reasoning reasoning_effort logprobs top_logprobs"),
		defaults: llm.Params{Temperature: new(1.0), TopP: new(1.0), TopK: new(40)}, cuts: true, check: ollamaNamed,
		layout: func(x *exchange, list []message) (llm.Prompt, error) {
			s, err := ollamaLayout(x.e.ollamaTemplate(), list)
			return llm.Text(s), err
		}},
	style: style{role: roleEach, mark: func(_ step, chunk map[string]any, _ *exchange) { chunk["system_fingerprint"] = "fp_ollama" }},
}

func ollamaNamed(x *exchange) error { return x.e.ollamaModel(x.req.Fields) }
