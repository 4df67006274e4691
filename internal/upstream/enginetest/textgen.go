package enginetest

import (
	"net/http"
	"time"

	"parley/llm"
)

// text-generation-webui (1dcde41d). It shortens a prompt that is too long from
// the front and says nothing, and its fields may be left out but not be null.

const textgenSampling = "preset dynatemp_low dynatemp_high dynatemp_exponent smoothing_factor smoothing_curve min_p top_k typical_p xtc_threshold xtc_probability " +
	"epsilon_cutoff eta_cutoff tfs top_a top_n_sigma adaptive_target adaptive_decay dry_multiplier dry_allowed_length dry_base repetition_penalty " +
	"encoder_repetition_penalty no_repeat_ngram_size repetition_penalty_range penalty_alpha guidance_scale mirostat_mode mirostat_tau mirostat_eta " +
	"prompt_lookup_num_tokens max_tokens_second do_sample dynamic_temperature temperature_last auto_max_new_tokens ban_eos_token add_bos_token enable_thinking " +
	"reasoning_effort preserve_thinking skip_special_tokens static_cache truncation_length seed sampler_priority custom_token_bans negative_prompt " +
	"dry_sequence_breakers grammar_string stream_options "

var textgen = &kind{
	completes: true, chats: true,
	server: "uvicorn", missing: fastAPI404,
	fail: func(w http.ResponseWriter, f refusal) {
		switch {
		case f.status == 401:
			writeJSON(w, 401, map[string]any{"detail": "Unauthorized"})
		case f.invalid():
			validation(w, f)
		case f.kind == "template":
			writeText(w, 500, "text/plain; charset=utf-8", "Internal Server Error")
		default:
			openAIError(w, f)
		}
	},
	routes: func(e *Engine, m *routes) {
		textgenOpenAI.mount(m)
		m.get("/v1/models", models(e, "user", nil))
		m.get("/v1/internal/health", func(*http.Request) any { return map[string]any{"status": "ok"} })
		m.get("/v1/internal/model/info", func(*http.Request) any {
			return map[string]any{"model_name": e.o.Name, "lora_names": []any{}, "loader": "llama.cpp"}
		})
		m.get("/v1/internal/model/list", func(*http.Request) any { return map[string]any{"model_names": []string{e.o.Name}} })
		encode := func(req *Request) ([]llm.Token, error) {
			s, err := text(req.Fields, "text")
			if err != nil {
				return nil, err
			}
			return e.tokenize(s, true, true)
		}
		m.post("/v1/internal/encode", func(req *Request) (any, error) {
			tokens, err := encode(req)
			return map[string]any{"tokens": idsOf(tokens), "length": len(tokens)}, err
		})
		m.post("/v1/internal/token-count", func(req *Request) (any, error) {
			tokens, err := encode(req)
			return map[string]any{"length": len(tokens)}, err
		})
		m.post("/v1/internal/decode", func(req *Request) (any, error) {
			list, _ := ids(req.Fields["tokens"])
			s, err := e.detokenize(list)
			return map[string]any{"text": s}, err
		})
		m.post("/v1/internal/chat-prompt", func(req *Request) (any, error) {
			list, err := messages(req.Fields)
			if err != nil {
				return nil, err
			}
			p, err := textgenLayout(&exchange{e: e, req: req}, list)
			return map[string]any{"prompt": p.String()}, err
		})
		m.handle("POST /v1/internal/stop-generation", func(w http.ResponseWriter, _ *http.Request) {
			e.abortAll("")
			writeJSON(w, 200, "OK")
		})
	},
}

var textgenOpenAI = &openAI{
	prefixes: []string{"/v1"}, reasoning: "reasoning_content",
	complete: &dialect{known: words(completeFields + textgenSampling + "messages"), cuts: true, defaults: llm.Params{MaxTokens: new(512)},
		check: func(x *exchange) error {
			if err := textgenCheck(x); err != nil {
				return err
			}
			if n, _ := integer(x.req.Fields, "max_tokens"); n != nil && *n <= 0 {
				return refuse(400, "max_tokens", "max_tokens is 0 but no logprobs parameter was specified.")
			}
			return nil
		}},
	chat: &dialect{known: words(chatFields + textgenSampling + "max_completion_tokens functions function_call mode instruction_template instruction_template_str " +
		"character bot_name name2 context greeting user_name name1 user_bio chat_template_str chat_instruct_command continue_"),
		cuts: true, check: textgenCheck, layout: textgenLayout},
	style: style{pings: true, mark: func(_ step, chunk map[string]any, _ *exchange) { chunk["created"] = time.Now().Unix() }},
}

func textgenCheck(x *exchange) error {
	for _, name := range words("min_p top_k typical_p xtc_threshold xtc_probability top_n_sigma dry_multiplier dry_allowed_length dry_base repetition_penalty " +
		"repetition_penalty_range mirostat_mode mirostat_tau mirostat_eta dynatemp_exponent seed ban_eos_token custom_token_bans truncation_length") {
		if v, said := x.req.Fields[name]; said && v == nil {
			return wrongType(name, "number")
		}
	}
	if v, said := x.req.Fields["dry_sequence_breakers"]; said {
		if _, ok := v.(string); !ok {
			return wrongType("dry_sequence_breakers", "string")
		}
	}
	return nil
}

// textgenLayout opens a new turn behind an assistant's message, unless
// continue_ is set.
func textgenLayout(x *exchange, list []message) (llm.Prompt, error) {
	for _, m := range list {
		if m.role == "function" {
			return llm.Prompt{}, refuse(400, "messages", "role: function is not supported.")
		}
		if m.fields["content"] == nil && m.fields["tool_calls"] == nil {
			return llm.Prompt{}, refuse(400, "messages", "messages: missing content")
		}
	}
	if x.req.Fields["continue_"] == true && list[len(list)-1].role == "assistant" {
		return prefilled(x.e, list, nil)
	}
	s, err := render(x.e.o.Template, list, true, nil)
	return llm.Text(s), err
}
