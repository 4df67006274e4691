package enginetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"parley/llm"
)

// text-generation-inference (Hugging Face's router). Four stop strings at most,
// temperature and top_p strictly inside of their ranges, and the text has the
// stop string that ended it.

const tgiStops = 4

var tgi = &kind{
	completes: true, chats: true,
	missing: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
	open:    words("/health /info /metrics /ping"),
	fail: func(w http.ResponseWriter, f refusal) {
		switch {
		case f.status == 401:
			w.WriteHeader(401)
			return
		case f.kind == "json":
			writeText(w, 400, "text/plain; charset=utf-8", "Failed to parse the request body as JSON: "+f.message)
			return
		case f.kind == "type" || f.kind == "missing":
			writeText(w, 422, "text/plain; charset=utf-8", fmt.Sprintf("Failed to deserialize the JSON body into the target type: %s: %s", f.field, f.message))
			return
		}
		kind := "validation"
		if f.kind == "template" {
			kind = "template_error"
		}
		if f.kind == "too_long" {
			f.message = fmt.Sprintf("`inputs` must have less than %v tokens. Given: %v", f.more["n_ctx"], f.more["n_prompt_tokens"])
		}
		if kind == "validation" {
			f.message = "Input validation error: " + f.message
		}
		writeJSON(w, 422, map[string]any{"error": f.message, "error_type": kind})
	},
	routes: func(e *Engine, m *routes) {
		tgiOpenAI.mount(m)
		m.get("/v1/models", models(e, e.o.Name, nil))
		m.get("/info", func(*http.Request) any {
			return map[string]any{
				"model_id": e.o.Name, "model_sha": nil, "model_pipeline_tag": "text-generation", "max_concurrent_requests": 128, "max_best_of": 2,
				"max_stop_sequences": tgiStops, "max_input_tokens": e.o.Context - 1, "max_total_tokens": e.o.Context, "validation_workers": 2,
				"max_client_batch_size": 4, "router": "text-generation-router", "version": "3.3.6", "sha": nil, "docker_label": nil,
			}
		})
		m.handle("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
		m.post("/tokenize", func(req *Request) (any, error) {
			input, err := text(req.Fields, "inputs")
			if err != nil {
				return nil, err
			}
			tokens, err := e.tokenize(input, true, true)
			list, at := []any{}, 0
			for _, t := range tokens {
				list = append(list, map[string]any{"id": t.ID, "text": t.Text, "start": at, "stop": at + len(t.Text)})
				at += len(t.Text)
			}
			return list, err
		})
		m.generate("/generate", func(x *exchange) error { return tgiGenerate(x, false) })
		m.generate("/generate_stream", func(x *exchange) error { return tgiGenerate(x, true) })
	},
}

const tgiParameters = "best_of temperature repetition_penalty frequency_penalty top_k top_p typical_p do_sample max_new_tokens return_full_text stop truncate watermark details decoder_input_details seed top_n_tokens grammar adapter_id"

var tgiOpenAI = &openAI{
	prefixes: []string{"/v1"},
	complete: &dialect{known: words("model prompt max_tokens temperature top_p stream seed suffix repetition_penalty frequency_penalty stop stream_options"),
		leaks: true, check: tgiCheck},
	chat: &dialect{known: words("model messages frequency_penalty logit_bias logprobs top_logprobs max_tokens n presence_penalty stop stream seed temperature top_p tools tool_prompt tool_choice response_format guideline stream_options"),
		leaks: true, check: tgiCheck,
		layout: func(x *exchange, list []message) (llm.Prompt, error) {
			for _, m := range list {
				if m.hasMedia() {
					return llm.Prompt{}, refuse(422, "messages", "image modality is not supported")
				}
			}
			s, err := render(x.e.o.Template, list, true, nil)
			return llm.Text(s), err
		}},
}

func tgiCheck(x *exchange) error {
	if _, one := x.req.Fields["stop"].(string); one {
		return wrongType("stop", "sequence")
	}
	if n, _ := number(x.req.Fields, "temperature"); n != nil && *n == 0 { // greedy, on these routes
		fields := maps.Clone(x.req.Fields)
		delete(fields, "temperature")
		return tgiRanges(fields)
	}
	return tgiRanges(x.req.Fields)
}

func tgiRanges(f map[string]any) error {
	bad := func(message string) error { return &refusal{status: 422, kind: "validation", message: message} }
	for _, name := range words("temperature repetition_penalty") {
		if n, _ := number(f, name); n != nil && *n <= 0 {
			return bad("`" + name + "` must be strictly positive")
		}
	}
	for _, name := range words("top_p typical_p") {
		if n, _ := number(f, name); n != nil && (*n <= 0 || *n >= 1) {
			return bad("`" + name + "` must be > 0.0 and < 1.0")
		}
	}
	if n, _ := integer(f, "top_k"); n != nil && *n <= 0 {
		return bad("`top_k` must be strictly positive")
	}
	for _, name := range words("max_tokens max_new_tokens") {
		if n, _ := integer(f, name); n != nil && *n <= 0 {
			return bad("`max_new_tokens` must be strictly positive")
		}
	}
	stops, err := texts(f, "stop")
	if err == nil && len(stops) > tgiStops {
		return bad(fmt.Sprintf("`stop` supports up to %d stop sequences. Given: %d", tgiStops, len(stops)))
	}
	return err
}

func tgiGenerate(x *exchange, streamed bool) error {
	x.req.knows(words("inputs parameters stream add_special_tokens"))
	input, err := text(x.req.Fields, "inputs")
	if err != nil {
		return err
	}
	if input == "" {
		return &refusal{status: 422, kind: "validation", message: "`inputs` cannot be empty"}
	}
	f, _ := x.req.Fields["parameters"].(map[string]any)
	for name := range f {
		if !slices.Contains(words(tgiParameters), name) {
			x.req.Unknown = append(x.req.Unknown, "parameters."+name)
		}
	}
	if err := tgiRanges(f); err != nil {
		return err
	}
	if f["best_of"] != nil || f["decoder_input_details"] == true && streamed {
		return &refusal{status: 422, kind: "validation", message: "`best_of` != 1 is not supported when streaming tokens"}
	}
	j := job{prompt: x.e.prompt(input, true), leaks: true}
	if j.params, err = sampling(f, words(tgiParameters), llm.Params{}); err != nil {
		return err
	}
	if f["temperature"] == nil && f["do_sample"] != true && f["seed"] == nil && f["top_p"] == nil && f["top_k"] == nil && f["typical_p"] == nil {
		j.params.Temperature = new(0.0) // greedy unless something asks for sampling
	}
	j.stops, _ = texts(f, "stop")
	var all strings.Builder
	var tokens []any
	var last step
	token := func(s step) map[string]any {
		t := map[string]any{"id": 0, "text": s.text, "logprob": -0.1, "special": false}
		if len(s.tokens) > 0 {
			t["id"], t["logprob"] = s.tokens[0].ID, s.tokens[0].LogProb
		}
		return t
	}
	details := func() map[string]any {
		return map[string]any{"finish_reason": tgiFinish(last.end), "generated_tokens": last.generated, "seed": last.end.Seed, "input_length": last.prompt}
	}
	s := x.events()
	defer s.end()
	over := false // the last token has been shown, which brings the details
	say := func(t map[string]any) error {
		tokens = append(tokens, t)
		if !streamed {
			return nil
		}
		s.begin(0)
		v := map[string]any{"index": len(tokens), "token": t, "generated_text": nil, "details": nil}
		if last.end != nil {
			over = true
			v["generated_text"], v["details"] = all.String(), details()
		}
		return s.raw("data:" + compact(v) + "\n\n")
	}
	err = x.generate(j, func(now step) error {
		last = now
		all.WriteString(now.text)
		if most := j.params.MaxTokens; last.end == nil && most != nil && now.generated >= *most {
			last.end = &llm.Finish{Reason: llm.ReasonLength} // the limit shows with the token that reaches it
		}
		if now.text != "" {
			if now.end != nil && now.end.Reason == llm.ReasonEnd {
				last.end = nil // there is a token behind this one
			}
			if err := say(token(now)); err != nil {
				return err
			}
		}
		if now.end == nil || over {
			return nil
		}
		last.end = now.end
		if now.end.Reason != llm.ReasonEnd {
			if now.text == "" {
				return say(token(now))
			}
			return nil
		}
		// The token that ended it is shown, but is not in the text.
		end := map[string]any{"id": 0, "text": now.end.Stop, "logprob": -0.1, "special": true}
		if list := x.e.endToken(now.end); list != nil {
			end["id"] = list[0]
		}
		return say(end)
	})
	if err != nil || streamed {
		return err
	}
	v := map[string]any{"generated_text": all.String()}
	if f["details"] == true {
		d := details()
		d["prefill"], d["tokens"] = []any{}, tokens
		v["details"] = d
	}
	writeJSON(x.w, 200, v)
	return nil
}

func tgiFinish(f *llm.Finish) string {
	switch f.Reason {
	case llm.ReasonLength:
		return "length"
	case llm.ReasonStop:
		return "stop_sequence"
	}
	return "eos_token"
}
