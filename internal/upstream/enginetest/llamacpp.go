package enginetest

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"unicode/utf8"

	"parley/llm"
)

// llama.cpp's server (server README and source, 2026; observed with the build
// in the npm package node-llama-cpp 3.22.1).

var llamaDefaults = llm.Params{
	Temperature: new(0.8), TopK: new(40), TopP: new(0.95), MinP: new(0.05),
	RepetitionPenalty: new(1.0), RepetitionRange: new(64),
}

const llamaSampling = "n_predict max_tokens temperature dynatemp_range dynatemp_exponent top_k top_p min_p typical_p typ_p top_n_sigma " +
	"xtc_probability xtc_threshold repeat_penalty repeat_last_n presence_penalty frequency_penalty dry_multiplier dry_base " +
	"dry_allowed_length dry_penalty_last_n dry_sequence_breakers mirostat mirostat_tau mirostat_eta seed ignore_eos logit_bias " +
	"samplers grammar json_schema n_keep n_discard min_keep cache_prompt id_slot n_probs n_indent t_max_predict_ms return_tokens " +
	"return_progress post_sampling_probs response_fields lora timings_per_token stop stream sse_ping_interval "

var llamaCPP = &kind{
	completes: true, chats: true, recommended: true,
	server: "llama.cpp", headers: map[string]string{"Access-Control-Allow-Origin": ""},
	open: words("/health /v1/health /models /v1/models /"),
	keyed: func(r *http.Request) string {
		if key := r.Header.Get("X-Api-Key"); key != "" {
			return key
		}
		return bearer(r)
	},
	fail: llamaError,
	missing: func(w http.ResponseWriter, _ *http.Request) {
		llamaError(w, refusal{status: 404, message: "File Not Found"})
	},
	routes: func(e *Engine, m *routes) {
		llamaOpenAI.mount(m)
		list := models(e, "llamacpp", map[string]any{"aliases": []any{}, "meta": map[string]any{"vocab_type": 2, "n_ctx": e.o.Context, "n_ctx_train": e.o.Context, "n_vocab": 2048}})
		for _, path := range words("/models /v1/models") {
			m.get(path, func(r *http.Request) any {
				v := list(r).(map[string]any)
				v["models"] = []any{map[string]any{"name": e.o.Name, "model": e.o.Name}} // as Ollama's /api/tags has them
				return v
			})
		}
		for _, path := range words("/health /v1/health") {
			m.get(path, func(*http.Request) any { return map[string]any{"status": "ok"} })
		}
		m.get("/props", func(*http.Request) any {
			return map[string]any{
				"default_generation_settings": map[string]any{"n_ctx": e.o.Context, "params": map[string]any{"temperature": 0.8, "top_k": 40}},
				"total_slots":                 4, "model_alias": e.o.Name, "model_path": "/models/" + e.o.Name + ".gguf",
				"modalities": map[string]any{"vision": false, "audio": false}, "chat_template": e.o.Template,
				"bos_token": "", "eos_token": "<|im_end|>", "build_info": "b9000-fake0000", "is_sleeping": false,
			}
		})
		m.get("/slots", func(*http.Request) any {
			return []any{map[string]any{"id": 0, "n_ctx": e.o.Context, "is_processing": e.Running() > 0}}
		})
		for _, path := range words("/completion /completions") {
			m.generate(path, llamaCompletion)
		}
		m.post("/tokenize", llamaTokenize(e))
		m.post("/detokenize", func(req *Request) (any, error) {
			list, _ := ids(req.Fields["tokens"])
			s, err := e.detokenize(list)
			if err != nil {
				err = refuse(500, "", "vector::_M_range_check")
			}
			return map[string]any{"content": s}, err
		})
		m.post("/apply-template", func(req *Request) (any, error) {
			list, err := messages(req.Fields)
			if err != nil {
				return nil, err
			}
			p, err := llamaLayout(&exchange{e: e, req: req}, list)
			return map[string]any{"prompt": p.String()}, err
		})
	},
}

var llamaOpenAI = &openAI{
	prefixes: []string{"/v1"}, reasoning: "reasoning_content",
	complete: &dialect{known: words(completeFields + llamaSampling + "stream_options"), ids: true, deafWhole: true, defaults: llamaDefaults},
	chat: &dialect{known: words(chatFields + llamaSampling + "stream_options max_completion_tokens chat_template_kwargs add_generation_prompt " +
		"continue_final_message reasoning_format reasoning_effort parallel_tool_calls thinking_budget_tokens"), deafWhole: true, defaults: llamaDefaults, layout: llamaLayout},
	style: style{pings: true, usage: usageChoices, noText: true, repeats: true, chatted: true, mark: func(s step, chunk map[string]any, x *exchange) {
		if s.waiting != nil && x.req.Fields["return_progress"] == true {
			chunk["prompt_progress"] = progress(s)
		}
		chunk["system_fingerprint"] = "b9000-fake0000"
		if s.end != nil {
			chunk["timings"] = map[string]any{"cache_n": s.cached, "prompt_n": s.prompt - s.cached, "predicted_n": s.generated}
		}
	}},
}

func progress(s step) map[string]any {
	return map[string]any{"total": s.prompt, "cache": s.cached, "processed": s.waiting.Done, "time_ms": 1}
}

// llamaLayout takes an assistant's message at the end as the beginning of the
// reply, without being asked.
func llamaLayout(x *exchange, list []message) (llm.Prompt, error) {
	for _, m := range list {
		if m.hasMedia() {
			return llm.Prompt{}, refuse(500, "messages", "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj")
		}
	}
	n := len(list)
	if list[n-1].role == "assistant" {
		if n > 1 && list[n-2].role == "assistant" {
			return llm.Prompt{}, refuse(400, "messages", "Cannot have 2 or more assistant messages at the end of the list.")
		}
		arguments, _ := x.req.Fields["chat_template_kwargs"].(map[string]any)
		return prefilled(x.e, list, arguments)
	}
	return byTemplate(x, list)
}

func llamaTokenize(e *Engine) func(*Request) (any, error) {
	return func(req *Request) (any, error) {
		content, err := text(req.Fields, "content")
		if err != nil {
			return nil, err
		}
		begin, _ := flag(req.Fields, "add_special")
		special := req.Fields["parse_special"] != false
		tokens, err := e.tokenize(content, special, begin)
		if err != nil {
			return nil, err
		}
		if req.Fields["with_pieces"] != true {
			return map[string]any{"tokens": idsOf(tokens)}, nil
		}
		list := make([]any, len(tokens))
		for i, t := range tokens {
			list[i] = map[string]any{"id": t.ID, "piece": t.Text}
			if !utf8.ValidString(t.Text) {
				list[i] = map[string]any{"id": t.ID, "piece": bytesOf(t.Text)}
			}
		}
		return map[string]any{"tokens": list}, nil
	}
}

// llamaCompletion is the server's own route, whose prompt may be a text, token
// ids, or both in turn.
func llamaCompletion(x *exchange) error {
	f := x.req.Fields
	known := words(llamaSampling + "prompt model")
	x.req.knows(known)
	params, err := sampling(f, known, x.e.defaults(llamaDefaults))
	if err != nil {
		return err
	}
	if n, _ := integer(f, "n_probs"); n != nil && *n > 0 {
		params.LogProbs = n
	}
	if params.MaxTokens != nil && *params.MaxTokens == 0 {
		params.MaxTokens = new(1) // it has generated one before it looks
	}
	j := job{params: params, deaf: f["stream"] != true} // who waits for a whole answer is looked after once a second at best
	if j.stops, err = texts(f, "stop"); err != nil {
		return err
	}
	if j.prompt, err = mixed(x.e, f["prompt"]); err != nil {
		return err
	}
	streamed, err := flag(f, "stream")
	if err != nil {
		return err
	}
	c := &llamaContent{x: x, returns: f["return_tokens"] == true || streamed, probes: params.LogProbs != nil}
	if !streamed {
		var all strings.Builder
		var tokens []llm.Token
		var last step
		if err := x.generate(j, func(s step) error {
			all.WriteString(s.text)
			tokens, last = append(tokens, s.tokens...), s
			return nil
		}); err != nil {
			return err
		}
		last.text, last.tokens = all.String(), tokens
		writeJSON(x.w, 200, c.value(last))
		return nil
	}
	s := x.events()
	defer s.end()
	shown := f["return_progress"] != true
	return x.generate(j, func(now step) error {
		s.begin(x.e.o.Ping)
		if !shown || now.waiting != nil {
			if now.waiting == nil {
				now.waiting = &llm.Waiting{Done: now.prompt, Total: now.prompt}
			}
			if f["return_progress"] == true {
				read := step{prompt: now.prompt, cached: now.cached, waiting: now.waiting}
				v := c.value(read)
				v["prompt_progress"], v["tokens"] = progress(read), []int{0} // that is no token of the reply
				if err := s.data(v); err != nil {
					return err
				}
			}
			shown = true
		}
		if now.end != nil && now.end.Reason == llm.ReasonLength && len(j.stops) > 0 {
			now.text, now.tokens = "", nil // what is held back for a stop string is lost at the limit
		}
		if now.end != nil && now.text != "" { // the end comes in an event of its own
			said := now
			said.end = nil
			if err := s.data(c.value(said)); err != nil {
				return err
			}
			now.text, now.tokens = "", nil
		}
		if last := x.e.endToken(now.end); last != nil {
			v := c.value(step{prompt: now.prompt, generated: now.generated})
			v["tokens"] = last
			if err := s.data(v); err != nil {
				return err
			}
			v = c.value(now)
			v["tokens"] = []int{}
			return s.data(v)
		}
		if now.end == nil && now.text == "" && len(now.tokens) == 0 {
			return nil
		}
		return s.data(c.value(now))
	})
}

// mixed reads a prompt of text, of token ids, or a list of both.
func mixed(e *Engine, v any) (p llm.Prompt, err error) {
	switch v := v.(type) {
	case string:
		return e.prompt(v, true), nil
	case []any:
		for _, item := range v {
			switch item := item.(type) {
			case float64:
				p.Segments = append(p.Segments, llm.Segment{Tokens: []int{int(item)}, Control: true})
			case string:
				p.Segments = append(p.Segments, llm.Segment{Text: item, Control: true})
			default:
				return p, refuse(400, "prompt", "\"prompt\" must be a string, an list of tokens, a list of mixed strings & tokens, or a list of prompts")
			}
		}
		return p, nil
	}
	return p, refuse(400, "prompt", "\"prompt\" must be a string, an list of tokens, a list of mixed strings & tokens, or a list of prompts")
}

type llamaContent struct {
	x               *exchange
	returns, probes bool
}

func (c *llamaContent) value(s step) map[string]any {
	v := map[string]any{"index": 0, "content": s.text, "tokens": []int{}, "stop": s.end != nil, "id_slot": 0,
		"tokens_predicted": s.generated, "tokens_evaluated": s.prompt}
	if c.returns {
		v["tokens"] = append(idsOf(s.tokens), c.x.e.endToken(s.end)...)
	}
	if c.probes && len(s.tokens) > 0 {
		var list []any
		for _, t := range s.tokens {
			var top []any
			for _, p := range t.Top {
				top = append(top, map[string]any{"id": p.ID, "token": p.Text, "bytes": bytesOf(p.Text), "logprob": p.LogProb})
			}
			list = append(list, map[string]any{"id": t.ID, "token": t.Text, "bytes": bytesOf(t.Text), "logprob": t.LogProb, "top_logprobs": top})
		}
		v["completion_probabilities"] = list
	}
	if s.end == nil {
		return v
	}
	kind, word := "eos", ""
	switch s.end.Reason {
	case llm.ReasonStop:
		kind, word = "word", s.end.Stop
	case llm.ReasonLength:
		kind = "limit"
	}
	maps.Copy(v, map[string]any{
		"stop_type": kind, "stopping_word": word, "model": c.x.e.o.Name, "prompt": c.x.req.Prompt, "has_new_line": strings.Contains(s.text, "\n"),
		"truncated": false, "tokens_cached": s.prompt + s.generated - 1,
		"generation_settings": map[string]any{"seed": s.end.Seed},
		"timings":             map[string]any{"cache_n": s.cached, "prompt_n": s.prompt - s.cached, "predicted_n": s.generated},
	})
	return c.picked(v)
}

// picked is what response_fields leave of the last value: those with a slash
// are inside of an object and keep their name.
func (c *llamaContent) picked(v map[string]any) map[string]any {
	fields, err := texts(c.x.req.Fields, "response_fields")
	if err != nil || len(fields) == 0 {
		return v
	}
	left := map[string]any{}
	for _, name := range fields {
		outer, inner, nested := strings.Cut(name, "/")
		value, ok := v[outer]
		if object, isObject := value.(map[string]any); nested && isObject {
			value, ok = object[inner]
		}
		if ok {
			left[name] = value
		}
	}
	return left
}

func llamaError(w http.ResponseWriter, f refusal) {
	kind := map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
		500: "server_error", 501: "not_supported_error", 503: "unavailable_error",
	}
	status := f.status
	if status == 422 || f.kind == "json" {
		status = 400
	}
	body := map[string]any{"code": status, "message": f.message, "type": kind[status]}
	if f.kind == "json" || f.kind == "template" {
		status = 500
		body["code"], body["type"] = 500, "server_error"
	}
	if f.kind == "type" {
		body["message"] = "Field '" + f.field + "': [json.exception.type_error.302] " + f.message
	}
	if f.kind == "too_long" {
		body["type"] = "exceed_context_size_error"
		body["message"] = fmt.Sprintf("request (%v tokens) exceeds the available context size (%v tokens), try increasing it", f.more["n_prompt_tokens"], f.more["n_ctx"])
		maps.Copy(body, f.more)
	}
	writeJSON(w, status, map[string]any{"error": body})
}

// endToken is the id of the token with which a model ended its reply.
func (e *Engine) endToken(f *llm.Finish) []int {
	if f == nil || f.Reason != llm.ReasonEnd || f.Stop == "" {
		return nil
	}
	tokens, err := e.tokenize(f.Stop, true, false)
	if err != nil || len(tokens) != 1 {
		return nil
	}
	return idsOf(tokens)
}
