package enginetest

import (
	"fmt"
	"net/http"

	"parley/llm"
)

// vLLM and SGLang: servers of Hugging Face models behind FastAPI (vLLM's
// protocol classes and documentation 2026, SGLang's likewise).

const vllmSampling = "stream_options max_completion_tokens top_k min_p repetition_penalty min_tokens ignore_eos stop_token_ids include_stop_str_in_output " +
	"skip_special_tokens spaces_between_special_tokens add_special_tokens prompt_logprobs bad_words allowed_token_ids guided_json guided_regex guided_grammar " +
	"structured_outputs priority request_id return_token_ids return_tokens_as_token_ids cache_salt kv_transfer_params length_penalty use_beam_search "

const vllmChat = "chat_template chat_template_kwargs add_generation_prompt continue_final_message documents echo reasoning_effort include_reasoning parallel_tool_calls mm_processor_kwargs "

var vLLM = &kind{
	completes: true, chats: true,
	server:  "uvicorn",
	open:    words("/health /version /ping"),
	missing: fastAPI404,
	fail:    vllmError,
	routes: func(e *Engine, m *routes) {
		vllmOpenAI.mount(m)
		m.get("/v1/models", models(e, "vllm", map[string]any{"root": "/models/" + e.o.Name, "parent": nil, "max_model_len": e.o.Context, "permission": []any{}}))
		m.get("/version", func(*http.Request) any { return map[string]any{"version": "0.11.0"} })
		m.handle("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		m.post("/tokenize", vllmTokenize(e))
		m.post("/detokenize", func(req *Request) (any, error) {
			list, _ := ids(req.Fields["tokens"])
			s, err := e.detokenize(list)
			return map[string]any{"prompt": s}, err
		})
	},
}

var vllmOpenAI = &openAI{
	prefixes: []string{"/v1"}, reasoning: "reasoning_content",
	complete: &dialect{known: words(completeFields + vllmSampling), ids: true, named: true, defaults: llm.Params{MaxTokens: new(16)}},
	chat:     &dialect{known: words(chatFields + vllmSampling + vllmChat), named: true, layout: byTemplate},
	style: style{mark: func(s step, chunk map[string]any, x *exchange) {
		choices, _ := chunk["choices"].([]any)
		if x.req.Fields["return_token_ids"] == true && len(choices) > 0 {
			choices[0].(map[string]any)["token_ids"] = idsOf(s.tokens)
		}
	}},
}

// vllmTokenize tokenises as Hugging Face's tokenizers do: tokens that were
// added to the vocabulary match in every text; add_special_tokens is about the
// beginning of the text alone.
func vllmTokenize(e *Engine) func(*Request) (any, error) {
	return func(req *Request) (any, error) {
		prompt, err := text(req.Fields, "prompt")
		if err != nil {
			return nil, err
		}
		if req.Fields["messages"] != nil {
			list, err := messages(req.Fields)
			if err != nil {
				return nil, err
			}
			p, err := byTemplate(&exchange{e: e, req: req}, list)
			if err != nil {
				return nil, err
			}
			prompt = p.String()
		}
		tokens, err := e.tokenize(prompt, true, req.Fields["add_special_tokens"] != false)
		if err != nil {
			return nil, err
		}
		var pieces any
		if req.Fields["return_token_strs"] == true {
			var list []string
			for _, t := range tokens {
				list = append(list, t.Text)
			}
			pieces = list
		}
		return map[string]any{"count": len(tokens), "max_model_len": e.o.Context, "tokens": idsOf(tokens), "token_strs": pieces}, nil
	}
}

func vllmError(w http.ResponseWriter, f refusal) {
	if f.status == 401 {
		writeJSON(w, 401, map[string]any{"error": "Unauthorized"})
		return
	}
	status, kind := f.status, "BadRequestError"
	switch {
	case f.invalid():
		status = 400
	case status == 404:
		kind = "NotFoundError"
	case status >= 500:
		kind = "InternalServerError"
	}
	var param any
	if f.field != "" {
		param = f.field
	}
	message := f.message
	if f.status == 422 {
		message = fmt.Sprintf("[{'type': '%s', 'loc': ('body', '%s'), 'msg': '%s'}]", f.kind, f.field, f.message)
	}
	writeJSON(w, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "param": param, "code": status}})
}

var sgLang = &kind{
	completes: true, chats: true,
	server:  "uvicorn",
	open:    words("/health /metrics"),
	missing: fastAPI404,
	fail: func(w http.ResponseWriter, f refusal) {
		if f.status == 401 {
			writeJSON(w, 401, map[string]any{"error": "Unauthorized"})
			return
		}
		status := f.status
		if f.invalid() {
			status = 400
		}
		writeJSON(w, status, map[string]any{"object": "error", "message": f.message, "type": "BadRequestError", "param": nil, "code": status})
	},
	routes: func(e *Engine, m *routes) {
		sgOpenAI.mount(m)
		m.get("/v1/models", models(e, "sglang", map[string]any{"root": e.o.Name, "parent": nil, "max_model_len": e.o.Context}))
		info := func(*http.Request) any {
			return map[string]any{"model_path": "/models/" + e.o.Name, "tokenizer_path": "/models/" + e.o.Name, "is_generation": true, "preferred_sampling_params": nil, "weight_version": "default"}
		}
		m.get("/get_model_info", info)
		m.get("/model_info", info)
		server := func(*http.Request) any {
			return map[string]any{"model_path": "/models/" + e.o.Name, "served_model_name": e.o.Name, "context_length": e.o.Context, "version": "0.5.4"}
		}
		m.get("/get_server_info", server)
		m.get("/server_info", server)
		m.handle("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		m.post("/tokenize", vllmTokenize(e))
		m.post("/v1/tokenize", vllmTokenize(e))
		detokenize := func(req *Request) (any, error) {
			list, _ := ids(req.Fields["tokens"])
			s, err := e.detokenize(list)
			return map[string]any{"text": s}, err
		}
		m.post("/detokenize", detokenize)
		m.post("/v1/detokenize", detokenize)
	},
}

const sgSampling = "stream_options max_completion_tokens top_k min_p repetition_penalty min_tokens ignore_eos stop_token_ids stop_regex regex ebnf json_schema no_stop_trim " +
	"skip_special_tokens lora_path session_params return_hidden_states rid priority "

var sgOpenAI = &openAI{
	prefixes: []string{"/v1"}, reasoning: "reasoning_content",
	complete: &dialect{known: words(completeFields + sgSampling), ids: true, defaults: llm.Params{MaxTokens: new(16)}},
	chat: &dialect{known: words(chatFields + sgSampling + "chat_template_kwargs continue_final_message separate_reasoning stream_reasoning reasoning_effort parallel_tool_calls"),
		layout: func(x *exchange, list []message) (llm.Prompt, error) {
			if x.req.Fields["continue_final_message"] == true && list[len(list)-1].role == "assistant" {
				return prefilled(x.e, list, nil)
			}
			return byTemplate(x, list)
		}},
}
