package enginetest

import (
	"net/http"
	"strings"

	"parley/llm"
)

// KoboldCpp (1.76, 2da346a5) and KoboldAI United (its API's schemas).
//
// KoboldCpp shortens a prompt that is too long from the front and says
// nothing, drops stop strings beyond 32 likewise, tells "length" for every end
// but the model's own, and counts 100 tokens for every request.

const koboldStops = 32

var koboldDefaults = llm.Params{
	MaxTokens: new(180), Temperature: new(0.7), TopK: new(100), TopP: new(0.92), RepetitionPenalty: new(1.0), RepetitionRange: new(320),
}

const koboldFields = "prompt memory max_length max_context_length n temperature top_p top_k top_a typical tfs min_p rep_pen rep_pen_range rep_pen_slope " +
	"presence_penalty sampler_order sampler_seed stop_sequence trim_stop ban_eos_token bypass_eos render_special grammar grammar_retain_state logit_bias " +
	"banned_tokens banned_strings custom_token_bans images mirostat mirostat_tau mirostat_eta dry_multiplier dry_base dry_allowed_length dry_penalty_last_n " +
	"dry_sequence_breakers nsigma xtc_threshold xtc_probability dynatemp_range dynatemp_exponent smoothing_factor genkey quiet "

// Fields of the graphical interface, which must be accepted.
const koboldGUI = "singleline use_story use_memory use_authors_note use_world_info use_userscripts use_default_badwordsids disable_input_formatting " +
	"disable_output_formatting frmttriminc frmtrmblln frmtrmspch frmtadsnsp soft_prompt sampler_full_determinism "

var koboldCPP = &kind{
	completes: true, chats: true,
	server: "ConcedoLlamaForKoboldServer",
	open: words("/api/v1/model /api/v1/info/version /api/extra/version /api/v1/config/max_length /api/v1/config/max_context_length " +
		"/api/extra/true_max_context_length /api/extra/perf /v1/models /api/tags /"),
	fail: func(w http.ResponseWriter, f refusal) {
		kind, status := "bad_input", 500
		switch f.status {
		case 401:
			writeJSON(w, 401, map[string]any{"error": "Unauthorized", "detail": map[string]any{"msg": "Authentication key is missing or invalid.", "type": "unauthorized"}})
			return
		case 503:
			kind, status = "service_unavailable", 503
		}
		writeJSON(w, status, map[string]any{"detail": map[string]any{"msg": f.message, "type": kind}})
	},
	missing: func(w http.ResponseWriter, _ *http.Request) { writeText(w, 404, "text/html", "") },
	routes: func(e *Engine, m *routes) {
		koboldOpenAI.mount(m)
		m.get("/v1/models", models(e, "koboldcpp", map[string]any{"permission": []any{}, "root": "koboldcpp"}))
		koboldCommon(e, m, "koboldcpp/"+e.o.Name, "1.2.5")
		m.get("/api/extra/version", func(*http.Request) any {
			return map[string]any{"result": "KoboldCpp", "version": "1.76", "protected": e.o.Key != "", "txt2img": false, "vision": false, "transcribe": false}
		})
		m.get("/api/extra/true_max_context_length", func(*http.Request) any { return map[string]any{"value": e.o.Context} })
		m.get("/api/extra/perf", func(*http.Request) any {
			return map[string]any{"last_token_count": 0, "total_gens": len(e.Begun()), "stop_reason": 0, "queue": 0, "idle": map[bool]int{true: 0, false: 1}[e.Running() > 0]}
		})
		m.get("/api/tags", func(*http.Request) any {
			return map[string]any{"models": []any{map[string]any{"name": "koboldcpp", "model": e.o.Name, "details": map[string]any{"family": "koboldcpp", "format": "gguf"}}}}
		})
		count := func(req *Request) (any, error) {
			prompt, err := text(req.Fields, "prompt")
			if err != nil {
				return nil, err
			}
			tokens, err := e.tokenize(prompt, true, req.Fields["special"] != false)
			return map[string]any{"value": len(tokens), "ids": idsOf(tokens)}, err
		}
		m.post("/api/extra/tokencount", count)
		m.post("/api/extra/tokenize", count)
		m.post("/api/extra/detokenize", func(req *Request) (any, error) {
			list, _ := ids(req.Fields["ids"])
			s, err := e.detokenize(list)
			return map[string]any{"result": s, "success": err == nil}, nil
		})
		m.handle("POST /api/extra/abort", func(w http.ResponseWriter, r *http.Request) {
			req := requestOf(r)
			decode(req) // an empty body aborts whatever runs
			key, _ := req.Fields["genkey"].(string)
			e.abortAll(key)
			writeJSON(w, 200, map[string]any{"success": "true", "done": "true"})
		})
		for _, path := range words("/api/v1/generate /api/latest/generate") {
			m.generate(path, func(x *exchange) error { return koboldGenerate(x, false) })
		}
		m.generate("/api/extra/generate/stream", func(x *exchange) error { return koboldGenerate(x, true) })
	},
}

// koboldCommon are the routes that both have.
func koboldCommon(e *Engine, m *routes, name, version string) {
	for _, base := range words("/api/v1 /api/latest") {
		m.get(base+"/model", func(*http.Request) any { return map[string]any{"result": name} })
		m.get(base+"/info/version", func(*http.Request) any { return map[string]any{"result": version} })
		m.get(base+"/config/max_length", func(*http.Request) any { return map[string]any{"value": 512} })
		m.get(base+"/config/max_context_length", func(*http.Request) any { return map[string]any{"value": e.o.Context} })
	}
}

func koboldGenerate(x *exchange, streamed bool) error {
	f := x.req.Fields
	x.req.knows(words(koboldFields + koboldGUI))
	known := words(koboldFields)
	params, err := sampling(f, known, koboldDefaults)
	if err != nil {
		return err
	}
	prompt, err := text(f, "prompt")
	if err != nil {
		return err
	}
	memory, _ := text(f, "memory")
	j := job{params: params, deaf: !streamed}
	j.genkey, _ = text(f, "genkey")
	if j.stops, err = texts(f, "stop_sequence"); err != nil {
		return err
	}
	j.stops = j.stops[:min(len(j.stops), koboldStops)]
	j.leaks = f["trim_stop"] != true
	j.prompt = x.e.shortened(memory+prompt, *params.MaxTokens)
	if !streamed {
		var all strings.Builder
		var last step
		if err := x.generate(j, func(s step) error { all.WriteString(s.text); last = s; return nil }); err != nil && !x.aborted() {
			return err
		}
		writeJSON(x.w, 200, map[string]any{"results": []any{map[string]any{"text": all.String(), "finish_reason": koboldFinish(last.end)}}})
		return nil
	}
	s := x.events()
	defer s.end()
	s.begin(0) // the header goes out before the prompt is read
	err = x.generate(j, func(now step) error {
		if now.text == "" && now.end == nil {
			return nil
		}
		reason := any("null")
		if now.end != nil {
			reason = koboldFinish(now.end)
		}
		return s.event("message", map[string]any{"token": now.text, "finish_reason": reason})
	})
	if x.aborted() {
		return s.event("message", map[string]any{"token": "", "finish_reason": "length"})
	}
	return err
}

func koboldFinish(f *llm.Finish) string {
	if f != nil && f.Reason == llm.ReasonEnd {
		return "stop"
	}
	return "length"
}

// shortened is a prompt of which only as much is kept, from its end, as fits
// beside the reply.
func (e *Engine) shortened(prompt string, reply int) llm.Prompt {
	tokens, err := e.tokenize(prompt, true, true)
	room := max(e.o.Context-reply, 1)
	if err != nil || len(tokens) <= room {
		return e.prompt(prompt, true)
	}
	if _, script := e.o.Model.(*llm.Scripted); script {
		var b strings.Builder
		for _, t := range tokens[len(tokens)-room:] {
			b.WriteString(t.Text)
		}
		return e.prompt(b.String(), true)
	}
	return llm.Tokens(idsOf(tokens[len(tokens)-room:]))
}

var koboldOpenAI = &openAI{
	prefixes: []string{"/v1"},
	complete: &dialect{known: words(completeFields + koboldFields), dropsStops: koboldStops, deafWhole: true, cuts: true, defaults: koboldDefaults},
	chat: &dialect{known: words(chatFields + koboldFields + "adapter"), dropsStops: koboldStops - 2, deafWhole: true, cuts: true, defaults: koboldDefaults,
		layout: func(x *exchange, list []message) (llm.Prompt, error) { // an adapter for ChatML
			var b strings.Builder
			for _, m := range list {
				b.WriteString("<|im_start|>" + m.role + "\n" + m.content + "<|im_end|>\n")
			}
			return llm.Text(b.String() + "<|im_start|>assistant\n"), nil
		}},
	style: style{role: roleEach, null: true, done: "data: [DONE]", usage: usageNever, joined: true, mark: func(s step, chunk map[string]any, _ *exchange) {
		if chunk["usage"] != nil {
			chunk["usage"] = map[string]any{"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}
		}
		if choices, _ := chunk["choices"].([]any); s.end != nil && len(choices) > 0 {
			choices[0].(map[string]any)["finish_reason"] = koboldFinish(s.end)
		}
	}},
}

// KoboldAI United: keys that it does not know are refused, ten stop strings at
// most, replies of at most 512 tokens, nothing is streamed, and the text has
// the stop string that ended it.
var koboldAI = &kind{
	completes: true,
	server:    "Werkzeug",
	fail: func(w http.ResponseWriter, f refusal) {
		if f.invalid() {
			writeJSON(w, 422, map[string]any{"detail": map[string]any{f.field: []string{f.message}}})
			return
		}
		writeJSON(w, f.status, map[string]any{"detail": map[string]any{"msg": f.message, "type": "bad_input"}})
	},
	missing: func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, 404, "text/html; charset=utf-8", "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n")
	},
	routes: func(e *Engine, m *routes) {
		koboldCommon(e, m, e.o.Name, "1.2.4")
		for _, path := range words("/api/v1/generate /api/latest/generate") {
			m.generate(path, unitedGenerate)
		}
	},
}

const unitedFields = "prompt max_length max_context_length n temperature top_p top_k top_a typical tfs rep_pen rep_pen_range rep_pen_slope sampler_order sampler_seed " +
	"stop_sequence quiet " + koboldGUI

var unitedDefaults = llm.Params{MaxTokens: new(80), Temperature: new(0.5), TopP: new(0.9), TopK: new(0), RepetitionPenalty: new(1.1), RepetitionRange: new(1024)}

const (
	unitedStops  = 10
	unitedLength = 512
)

func unitedGenerate(x *exchange) error {
	f := x.req.Fields
	known := words(unitedFields)
	x.req.knows(known)
	invalid := func(field, message string) error { return &refusal{status: 422, field: field, message: message} }
	if len(x.req.Unknown) > 0 {
		return invalid(x.req.Unknown[0], "Unknown field.")
	}
	params, err := sampling(f, known, unitedDefaults)
	if err != nil {
		return err
	}
	if *params.MaxTokens < 1 || *params.MaxTokens > unitedLength {
		return invalid("max_length", "Must be greater than or equal to 1 and less than or equal to 512.")
	}
	if *params.Temperature <= 0 {
		return invalid("temperature", "Must be greater than 0.")
	}
	if params.RepetitionPenalty != nil && *params.RepetitionPenalty < 1 {
		return invalid("rep_pen", "Must be greater than or equal to 1.")
	}
	j := job{params: params, leaks: true, deaf: true}
	if j.stops, err = texts(f, "stop_sequence"); err != nil {
		return err
	}
	if len(j.stops) > unitedStops {
		return invalid("stop_sequence", "Longer than maximum length 10.")
	}
	prompt, err := text(f, "prompt")
	if err != nil {
		return err
	}
	j.prompt = x.e.shortened(prompt, *params.MaxTokens)
	var all strings.Builder
	if err := x.generate(j, func(s step) error { all.WriteString(s.text); return nil }); err != nil {
		return err
	}
	writeJSON(x.w, 200, map[string]any{"results": []any{map[string]any{"text": all.String()}}})
	return nil
}
