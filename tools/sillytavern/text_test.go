//go:build clients

package sillytavern

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const textPath = "/api/backends/text-completions"

// prompt is one as the page writes it with its template for ChatML.
const prompt = "<|im_start|>system\nYou are Robin, a gardener.<|im_end|>\n" +
	"<|im_start|>assistant\nRobin: Hello, I am Robin.<|im_end|>\n" +
	"<|im_start|>user\nAnn: What is your name?<|im_end|>\n" +
	"<|im_start|>assistant\n"

// A connection is one of the types that the page offers for text completion.
type connection struct {
	url      string
	path     string // where it generates
	count    string // whose count of tokens: "", "bos" with the token that begins a text, "text" without
	specific object // what its body has besides
}

var connections = map[string]connection{
	"ooba": {own, "/v1/completions", "", object{
		"min_length": 0, "num_beams": 1, "length_penalty": 1, "early_stopping": false, "do_sample": true, "add_bos_token": true,
		"sampler_priority": []string{"temperature", "top_k", "top_p", "min_p"}, "encoder_repetition_penalty": 1,
		"no_repeat_ngram_size": 0, "penalty_alpha": 0, "temperature_last": true, "dry_sequence_breakers": `["\n",":","\"","*"]`}},
	"koboldcpp": {"http://127.0.0.1:5001", "/v1/completions", "text", object{
		"sampler_order": []int{6, 0, 1, 3, 4, 2, 5}, "grammar_retain_state": false, "trim_stop": true,
		"dry_sequence_breakers": []string{"\n", ":", "\"", "*"}}},
	"llamacpp": {"http://127.0.0.1:8080", "/completion", "text", object{
		"samplers": []string{"penalties", "dry", "top_k", "typ_p", "top_p", "min_p", "temperature"}, "n": 1, "cache_prompt": true,
		"logit_bias": []any{}, "dry_sequence_breakers": []string{"\n", ":", "\"", "*"}}},
	"ollama":  {"http://127.0.0.1:11434", "/api/generate", "", nil},
	"vllm":    {own, "/v1/completions", "bos", object{"use_beam_search": false, "skip_special_tokens": true, "spaces_between_special_tokens": true}},
	"generic": {own, "/v1/completions", "", nil},
}

// endless is a prompt that the built-in model continues until it has used up
// its tokens.
const endless = "List:\n- apple\n- pear\n- apple\n- pear\n"

// stops are as many as a chat with several people, an instruct template and
// a user's own make.
func stops() []string {
	all := []string{"\nAnn:", "\nRobin:", "<|im_end|>", "\n<|im_start|>user", "\n<|im_start|>assistant", "<|im_start|>"}
	for i := range 33 {
		all = append(all, "\nGuest "+strconv.Itoa(i)+":")
	}
	return all
}

func textBody(kind, model string) object {
	c := connections[kind]
	body := object{
		"api_type": kind, "api_server": c.url, "prompt": prompt, "model": model, "stream": false,
		"max_new_tokens": 60, "max_tokens": 60, "n_predict": 60, "num_predict": 60, "max_tokens_second": 0, "min_tokens": 0,
		"temperature": 0, "top_p": 1, "typical_p": 1, "typical": 1, "min_p": 0, "top_k": 0, "top_a": 0, "tfs": 1, "skew": 0,
		"epsilon_cutoff": 0, "eta_cutoff": 0, "repetition_penalty": 1, "rep_pen": 1, "repeat_penalty": 1, "rep_pen_range": 0,
		"repetition_penalty_range": 0, "repeat_last_n": 0, "rep_pen_slope": 0, "frequency_penalty": 0, "presence_penalty": 0,
		"smoothing_factor": 0, "smoothing_curve": 1, "dry_allowed_length": 2, "dry_multiplier": 0, "dry_base": 1.75, "dry_penalty_last_n": 0,
		"dynatemp_low": 0, "dynatemp_high": 2, "dynatemp_range": 0, "dynatemp_exponent": 1,
		"stopping_strings": stops(), "stop": stops(), "truncation_length": 4096, "num_ctx": 4096,
		"ban_eos_token": false, "ignore_eos": false, "skip_special_tokens": true, "include_reasoning": true,
		"mirostat_mode": 0, "mirostat": 0, "mirostat_tau": 5, "mirostat_eta": 0.1, "custom_token_bans": "", "banned_strings": []string{},
		"xtc_threshold": 0.1, "xtc_probability": 0, "nsigma": 0, "top_n_sigma": 0, "min_keep": 0, "guidance_scale": 1, "negative_prompt": "",
		"seed": 7, "sampler_seed": 7, "grammar_string": "",
	}
	if kind == "koboldcpp" {
		delete(body, "model")
	}
	maps.Copy(body, c.specific)
	return body
}

func textCompletion(t *testing.T, log *output) {
	answers := map[string]string{}
	for _, kind := range slices.Sorted(maps.Keys(connections)) {
		c := connections[kind]
		t.Run(kind, func(t *testing.T) {
			status := read[struct{ Result string }](t, ask(t, tavern+textPath+"/status", object{"api_server": c.url, "api_type": kind}))
			if !strings.Contains(status.Result, "parley-demo") {
				t.Fatalf("connected to %q", status.Result)
			}
			answers[kind] = textOf(t, ask(t, tavern+textPath+"/generate", textBody(kind, status.Result)))
			body := textBody(kind, status.Result)
			body["stream"] = true
			if got := textStream(t, ask(t, tavern+textPath+"/generate", body)); got != answers[kind] {
				t.Errorf("streamed %q, at once %q", got, answers[kind])
			}
			body = textBody(kind, status.Result)
			body["api_server"] = own
			if got := textOf(t, ask(t, tavern+textPath+"/generate", body)); got != answers[kind] {
				t.Errorf("%s says %q, %s %q", own, got, c.url, answers[kind])
			}
			if c.count != "" {
				countTokens(t, tavern+"/api/tokenizers/remote/textgenerationwebui/encode",
					object{"text": counted, "url": c.url, "api_type": kind, "model": status.Result}, c.count == "bos")
			}
			if kind == "llamacpp" || kind == "koboldcpp" {
				props := read[struct {
					Template string `json:"chat_template"`
					Hash     string `json:"chat_template_hash"`
					Settings struct {
						Context int `json:"n_ctx"`
					} `json:"default_generation_settings"`
				}](t, ask(t, tavern+textPath+"/props", object{"api_server": c.url, "api_type": kind, "model": status.Result}))
				if props.Settings.Context != 4096 || len(props.Hash) != 64 {
					t.Errorf("the page cannot set itself up by %+v", props)
				}
			}
			for _, stream := range []bool{false, true} {
				body := textBody(kind, status.Result)
				for _, name := range []string{"max_new_tokens", "max_tokens", "n_predict", "num_predict"} {
					body[name] = 3500
				}
				body["stream"], body["prompt"] = stream, endless
				body["stop"], body["stopping_strings"] = []string{}, []string{}
				leave(t, log, tavern+textPath+"/generate", body, stream, c.path)
			}
		})
	}
	for kind, answer := range answers {
		if answer == "" || answer != answers["generic"] {
			t.Errorf("%s says %q, generic %q", kind, answer, answers["generic"])
		}
	}
}

// counted is a text in which control tokens stand, as templates write them.
const counted = "<|im_start|>user\nHello, déjà vu!<|im_end|>\n"

// countTokens compares a count of tokens with Parley's own.
func countTokens(t *testing.T, url string, body object, bos bool) {
	t.Helper()
	got := read[struct {
		Count int
		IDs   []int
	}](t, ask(t, url, body))
	want := read[struct {
		Count  int
		Tokens []struct{ ID int }
	}](t, ask(t, own+"/parley/v1/tokenize", object{"text": counted, "special": true, "bos": bos}))
	if got.Count == 0 || got.Count != want.Count || len(got.IDs) != want.Count {
		t.Errorf("counted %d tokens, with %d ids; there are %d", got.Count, len(got.IDs), want.Count)
	}
}

// textOf is the text of an answer as the page reads it.
func textOf(t *testing.T, answer string) string {
	t.Helper()
	a := read[struct {
		Error    any
		Choices  []struct{ Text *string }
		Content  *string
		Response *string
	}](t, answer)
	switch {
	case a.Error != nil:
	case len(a.Choices) > 0 && a.Choices[0].Text != nil:
		return *a.Choices[0].Text
	case a.Content != nil:
		return *a.Content
	case a.Response != nil:
		return *a.Response
	}
	t.Fatalf("the page finds no text in %s", answer)
	return ""
}

// textStream is the text of a stream as the page reads it: an event with an
// error, a message or a detail ends it.
func textStream(t *testing.T, stream string) string {
	t.Helper()
	var text strings.Builder
	for _, data := range events(t, stream) {
		e := read[struct {
			Error, Message, Detail any
			Content                string
			Choices                []struct{ Text string }
		}](t, data)
		if e.Error != nil || e.Message != nil || e.Detail != nil {
			t.Fatalf("the page ends the stream at %s", data)
		}
		if len(e.Choices) > 0 && e.Choices[0].Text != "" {
			text.WriteString(e.Choices[0].Text)
		} else {
			text.WriteString(e.Content)
		}
	}
	return text.String()
}
