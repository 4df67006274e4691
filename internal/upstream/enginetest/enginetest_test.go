package enginetest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"parley/engine"
	"parley/internal/demo"
	"parley/internal/upstream/enginetest"
	"parley/llm"
)

// A plainClient speaks one route of one kind, as its documentation says.
type plainClient struct {
	kind, path string
	body       func(prompt string, stream bool) map[string]any
	text       func(answer map[string]any) string // of a whole answer and of a part of a streamed one
	streams    string                             // path when streaming, if it is another; "-": it does not
	stop       string                             // name of the stop strings' field
	most       string                             // name of the greatest number of tokens' field
	within     string                             // the object that holds both, or ""
}

func get(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func str(v any) string { s, _ := v.(string); return s }

func rawText(a map[string]any) string { return str(get(a, "choices", 0, "text")) }

func chatText(a map[string]any) string {
	return str(get(a, "choices", 0, "message", "content")) + str(get(a, "choices", 0, "delta", "content"))
}

func clients() (all []plainClient) {
	raw := func(prompt string, stream bool) map[string]any {
		return map[string]any{"model": "fake-model", "prompt": prompt, "stream": stream}
	}
	said := func(prompt string, stream bool) map[string]any {
		return map[string]any{"model": "fake-model", "messages": []any{map[string]any{"role": "user", "content": prompt}}, "stream": stream}
	}
	for _, kind := range []string{"llamacpp", "vllm", "sglang", "mlc", "llamacpppython", "lmstudio", "localai", "tgi", "textgen", "koboldcpp", "ollama", "simpleai", "basaran"} {
		base := "/v1"
		if kind == "simpleai" {
			base = ""
		}
		stop := "stop"
		if kind == "basaran" {
			stop = ""
		}
		all = append(all, plainClient{kind: kind, path: base + "/completions", body: raw, text: rawText, stop: stop, most: "max_tokens"})
	}
	for _, kind := range []string{"llamacpp", "vllm", "sglang", "mlc", "llamacpppython", "lmstudio", "localai", "tgi", "textgen", "koboldcpp", "ollama", "simpleai", "openai"} {
		base := "/v1"
		if kind == "simpleai" {
			base = ""
		}
		all = append(all, plainClient{kind: kind, path: base + "/chat/completions", body: said, text: chatText, stop: "stop", most: "max_tokens"})
	}
	return append(all,
		plainClient{kind: "llamacpp", path: "/completion", body: raw, text: func(a map[string]any) string { return str(a["content"]) }, stop: "stop", most: "n_predict"},
		plainClient{kind: "koboldcpp", path: "/api/v1/generate", streams: "/api/extra/generate/stream",
			body: func(p string, _ bool) map[string]any { return map[string]any{"prompt": p, "trim_stop": true} },
			text: func(a map[string]any) string { return str(get(a, "results", 0, "text")) + str(a["token"]) }, stop: "stop_sequence", most: "max_length"},
		plainClient{kind: "koboldai", path: "/api/v1/generate", streams: "-",
			body: func(p string, _ bool) map[string]any { return map[string]any{"prompt": p} },
			text: func(a map[string]any) string { return str(get(a, "results", 0, "text")) }, stop: "stop_sequence", most: "max_length"},
		plainClient{kind: "ollama", path: "/api/generate",
			body: func(p string, stream bool) map[string]any {
				return map[string]any{"model": "fake-model", "prompt": p, "raw": true, "stream": stream, "options": map[string]any{}}
			},
			text: func(a map[string]any) string { return str(a["response"]) }, stop: "stop", most: "num_predict", within: "options"},
		plainClient{kind: "ollama", path: "/api/chat",
			body: func(p string, stream bool) map[string]any {
				v := said(p, stream)
				v["options"] = map[string]any{}
				return v
			},
			text: func(a map[string]any) string { return str(get(a, "message", "content")) }, stop: "stop", most: "num_predict", within: "options"},
		plainClient{kind: "tgi", path: "/generate", streams: "/generate_stream",
			body: func(p string, _ bool) map[string]any {
				return map[string]any{"inputs": p, "parameters": map[string]any{}}
			},
			text: func(a map[string]any) string {
				if a["token"] != nil {
					return str(get(a, "token", "text"))
				}
				return str(a["generated_text"])
			}, stop: "stop", most: "max_new_tokens", within: "parameters"},
		plainClient{kind: "anthropic", path: "/v1/messages",
			body: func(p string, stream bool) map[string]any {
				v := said(p, stream)
				v["max_tokens"] = 100
				return v
			},
			text: func(a map[string]any) string {
				return str(get(a, "content", 0, "text")) + str(get(a, "delta", "text"))
			}, stop: "stop_sequences", most: "max_tokens"},
	)
}

// ask sends a request and gives status and text of the answer.
func (c plainClient) ask(t *testing.T, url string, body map[string]any, stream bool) (status int, said, raw string) {
	t.Helper()
	path := c.path
	if stream && c.streams != "" {
		path = c.streams
	}
	status, raw = post(t, url+path, body)
	if status != 200 {
		return status, "", raw
	}
	if !stream {
		var a map[string]any
		if err := json.Unmarshal([]byte(raw), &a); err != nil {
			t.Fatalf("%s %s: %v in %q", c.kind, path, err, raw)
		}
		return status, c.text(a), raw
	}
	var b strings.Builder
	for line := range strings.Lines(raw) {
		line = strings.TrimSpace(line)
		line = strings.TrimSpace(strings.TrimPrefix(line, "data:"))
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var a map[string]any
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%s %s: %v in %q", c.kind, path, err, line)
		}
		b.WriteString(c.text(a))
	}
	return status, b.String(), raw
}

func (c plainClient) set(body map[string]any, name string, v any) {
	if c.within != "" {
		body = body[c.within].(map[string]any)
	}
	body[name] = v
}

func post(t *testing.T, url string, body any) (int, string) {
	t.Helper()
	data, ok := body.([]byte)
	if !ok {
		data, _ = json.Marshal(body)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(data))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Anthropic-Version", "2023-06-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer)
}

func TestEveryRouteThatGeneratesAnswersWholeAndStreamed(t *testing.T) {
	const want = "I am a fake, and I say always the same."
	seen := map[string]bool{}
	for _, c := range clients() {
		seen[c.kind] = true
		t.Run(c.kind+c.path, func(t *testing.T) {
			e := enginetest.Start(t, c.kind, enginetest.Options{})
			for _, stream := range []bool{false, true} {
				if stream && c.streams == "-" {
					continue
				}
				body := c.body("Hello", stream)
				c.set(body, c.most, 100)
				if status, text, raw := c.ask(t, e.URL, body, stream); status != 200 || text != want {
					t.Errorf("stream %v: %d %q\n%s", stream, status, text, raw)
				}
			}
			for _, r := range e.Generations() {
				if r.Outcome != enginetest.Answered || r.Generated != 12 || !strings.Contains(r.Prompt, "Hello") {
					t.Errorf("recorded %s, %d tokens for the prompt %q", r.Outcome, r.Generated, r.Prompt)
				}
			}
		})
	}
	for _, kind := range enginetest.Kinds() {
		if !seen[kind] {
			t.Errorf("no route of %s is asked", kind)
		}
	}
}

func TestStopStringsEndTheOutputAsWithTheRealEngine(t *testing.T) {
	leaks := map[string]bool{"tgi": true, "koboldai": true}
	for _, c := range clients() {
		t.Run(c.kind+c.path, func(t *testing.T) {
			e := enginetest.Start(t, c.kind, enginetest.Options{})
			want := "I am a fake, and I say"
			if leaks[c.kind] {
				want += " al"
			}
			if c.stop == "" {
				want = "I am a fake, and I say always the same."
			}
			for _, stream := range []bool{false, true} {
				if stream && c.streams == "-" {
					continue
				}
				body := c.body("Hello", stream)
				c.set(body, c.most, 100)
				if c.stop != "" {
					c.set(body, c.stop, []string{" al", "never"})
				}
				if status, text, raw := c.ask(t, e.URL, body, stream); status != 200 || text != want {
					t.Errorf("stream %v: %d %q, want %q\n%s", stream, status, text, want, raw)
				}
			}
		})
	}
}

func TestStopStringsAreKeptBadlyWhereThatIsAskedFor(t *testing.T) {
	for stops, want := range map[enginetest.Stops]string{
		enginetest.StopsIgnored: "I am a fake, and I say always the same.",
		enginetest.StopsLeaked:  "I am a fake,",
		enginetest.StopsLate:    "I am a fake, and I say",
	} {
		e := enginetest.Start(t, "llamacpp", enginetest.Options{Stops: stops})
		_, raw := post(t, e.URL+"/completion", map[string]any{"prompt": "x", "stop": []string{","}})
		var a map[string]any
		json.Unmarshal([]byte(raw), &a)
		if a["content"] != want {
			t.Errorf("%d: got %q, want %q", stops, a["content"], want)
		}
	}
}

func TestLengthsThatNobodyChose(t *testing.T) {
	long := make([]string, 600)
	for i := range long {
		long[i] = fmt.Sprint("w", i, " ")
	}
	for _, c := range []struct {
		kind, path string
		want       int
	}{
		{"vllm", "/v1/completions", 16}, {"sglang", "/v1/completions", 16}, {"llamacpppython", "/v1/completions", 16},
		{"basaran", "/v1/completions", 16}, {"simpleai", "/completions", 7}, {"koboldcpp", "/api/v1/generate", 180},
		{"koboldai", "/api/v1/generate", 80}, {"textgen", "/v1/completions", 512}, {"llamacpp", "/completion", 600}, {"mlc", "/v1/completions", 600},
	} {
		e := enginetest.Start(t, c.kind, enginetest.Options{Model: llm.Script(long...)})
		body := map[string]any{"model": "fake-model", "prompt": "x"}
		if strings.Contains(c.path, "/api/") {
			delete(body, "model")
		}
		if status, raw := post(t, e.URL+c.path, body); status != 200 {
			t.Fatal(c.kind, status, raw)
		}
		if got := e.Generations()[0].Generated; got != c.want {
			t.Errorf("%s%s: %d tokens, want %d", c.kind, c.path, got, c.want)
		}
	}
}

func TestWhatTheRealOneRefusesIsRefusedInItsShape(t *testing.T) {
	user := map[string]any{"role": "user", "content": "hi"}
	system := map[string]any{"role": "system", "content": "be kind"}
	messages := func(list ...any) map[string]any { return map[string]any{"model": "fake-model", "messages": list} }
	with := func(m map[string]any, name string, v any) map[string]any { m[name] = v; return m }
	prompt := func() map[string]any { return map[string]any{"model": "fake-model", "prompt": "x"} }
	stops := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint("stop", i))
		}
		return list
	}
	for _, c := range []struct {
		kind, path string
		body       any
		status     int
		says       string
	}{
		{"mlc", "/v1/chat/completions", messages(user, system), 400, `"{\"code\":400,\"message\":\"System prompt at position 1 in the message list is invalid.\",\"object\":\"error\"}"`},
		{"mlc", "/v1/chat/completions", with(messages(user), "stream_options", map[string]any{"include_usage": true}), 422, `"loc":["body","stream_options"]`},
		{"mlc", "/v1/chat/completions", with(messages(user), "model", "other"), 400, `"{\"code\":400,\"message\":\"The requested model is not served.\"`},
		{"mlc", "/v1/completions", with(prompt(), "presence_penalty", 3), 422, `[-2, 2]`},
		{"openai", "/v1/chat/completions", with(messages(user), "stop", stops(5)), 400, `"param":"stop"`},
		{"openai", "/v1/chat/completions", with(messages(user), "min_p", 0.1), 400, `Unrecognized request argument supplied: min_p`},
		{"openai", "/v1/chat/completions", messages(with(map[string]any{"role": "user", "content": "x"}, "name", "Ann B")), 400, `messages[0].name`},
		{"openai", "/v1/completions", prompt(), 404, `Invalid URL`},
		{"tgi", "/generate", map[string]any{"inputs": "x", "parameters": map[string]any{"stop": stops(5)}}, 422, `{"error":"Input validation error: `},
		{"tgi", "/generate", map[string]any{"inputs": "x", "parameters": map[string]any{"temperature": 0}}, 422, `"error_type":"validation"`},
		{"tgi", "/v1/chat/completions", with(messages(user), "stop", "a"), 422, `Failed to deserialize the JSON body`},
		{"tgi", "/v1/chat/completions", with(messages(user), "top_p", 1), 422, "`top_p` must be \\u003e 0.0 and \\u003c 1.0"},
		{"anthropic", "/v1/messages", messages(user), 400, `max_tokens: Field required`},
		{"anthropic", "/v1/messages", with(messages(system, user), "max_tokens", 5), 400, `Unexpected role \"system\"`},
		{"anthropic", "/v1/messages", with(with(messages(user), "max_tokens", 5), "seed", 1), 400, `seed: Extra inputs are not permitted`},
		{"koboldai", "/api/v1/generate", map[string]any{"prompt": "x", "min_p": 0.1}, 422, `{"detail":{"min_p":["Unknown field."]}}`},
		{"koboldai", "/api/v1/generate", map[string]any{"prompt": "x", "stop_sequence": stops(11)}, 422, `stop_sequence`},
		{"koboldai", "/api/v1/generate", map[string]any{"prompt": "x", "max_length": 513}, 422, `max_length`},
		{"koboldai", "/api/extra/generate/stream", map[string]any{"prompt": "x"}, 404, `Not Found`},
		{"llamacpppython", "/v1/completions", map[string]any{"prompt": []int{1, 2}}, 500, `('body', 'prompt')`},
		{"llamacpppython", "/v1/completions", map[string]any{"prompt": "x", "max_tokens": "many"}, 500, `('body', 'max_tokens')`},
		{"vllm", "/v1/completions", with(prompt(), "model", "other"), 404, `"type":"NotFoundError"`},
		{"vllm", "/v1/chat/completions", with(messages(user), "continue_final_message", true), 400, `Cannot set both`},
		{"textgen", "/v1/completions", with(prompt(), "min_p", nil), 422, `"loc":["body","min_p"]`},
		{"textgen", "/v1/completions", with(prompt(), "dry_sequence_breakers", stops(1)), 422, `dry_sequence_breakers`},
		{"ollama", "/api/generate", map[string]any{"model": "other", "prompt": "x"}, 404, `{"error":"model 'other' not found"}`},
		{"ollama", "/api/chat", messages(map[string]any{"role": "user", "content": []any{map[string]any{"type": "text", "text": "x"}}}), 400, `{"error":"json: cannot unmarshal array`},
		{"llamacpp", "/completion", with(prompt(), "temperature", "hot"), 400, `Field 'temperature'`},
		{"llamacpp", "/completion", []byte("hello"), 500, `"type":"server_error"`},
		{"ollama", "/api/generate", map[string]any{"model": "fake-model", "prompt": "x", "raw": true, "context": []int{1}}, 400, `raw mode does not support`},
		{"ollama", "/v1/completions", map[string]any{"model": "fake-model", "prompt": []int{1, 2}}, 400, `"type":"invalid_request_error"`},
		{"llamacpp", "/completion", map[string]any{"prompt": 7}, 400, `"type":"invalid_request_error"`},
		{"llamacpp", "/v1/nothing", prompt(), 404, `{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}`},
		{"lmstudio", "/api/version", prompt(), 200, `{"error":"Unexpected endpoint or method. (POST /api/version)"}`},
		{"basaran", "/v1/completions", map[string]any{"prompt": []string{"a", "b"}}, 400, `{"error":{"message":"only one prompt is supported"}}`},
	} {
		e := enginetest.Start(t, c.kind, enginetest.Options{})
		if status, raw := post(t, e.URL+c.path, c.body); status != c.status || !strings.Contains(raw, c.says) {
			t.Errorf("%s %s: %d %s\nwant %d %s", c.kind, c.path, status, raw, c.status, c.says)
		}
		if r := e.Requests()[0]; r.Outcome != enginetest.Refused && c.status != 200 {
			t.Errorf("%s %s is recorded as %s", c.kind, c.path, r.Outcome)
		}
	}
}

func TestATemplateThatRefusesIsTheEnginesError(t *testing.T) {
	body := map[string]any{"model": "fake-model", "messages": []any{
		map[string]any{"role": "user", "content": "a"}, map[string]any{"role": "user", "content": "b"}}}
	for kind, status := range map[string]int{"llamacpp": 500, "vllm": 400, "sglang": 400, "llamacpppython": 500, "tgi": 422, "localai": 500} {
		e := enginetest.Start(t, kind, enginetest.Options{Template: enginetest.Alternating})
		if got, raw := post(t, e.URL+"/v1/chat/completions", body); got != status || !strings.Contains(raw, "must alternate") {
			t.Errorf("%s: %d %s", kind, got, raw)
		}
	}
}

func TestAPromptThatIsTooLongIsRefusedOrCutInSilence(t *testing.T) {
	long := strings.Repeat("word ", 300)
	for kind, status := range map[string]int{"llamacpp": 400, "vllm": 400, "sglang": 400, "mlc": 400, "llamacpppython": 400, "tgi": 422, "lmstudio": 400, "localai": 500, "koboldcpp": 200, "textgen": 200, "ollama": 200} {
		e := enginetest.Start(t, kind, enginetest.Options{Context: 200})
		got, raw := post(t, e.URL+"/v1/completions", map[string]any{"model": "fake-model", "prompt": "first " + long + "last", "max_tokens": 10})
		if got != status {
			t.Errorf("%s: %d %s", kind, got, raw)
		}
		if r := e.Generations()[0]; status == 200 && (strings.Contains(r.Prompt, "first") || !strings.Contains(r.Prompt, "last")) {
			t.Errorf("%s did not cut the beginning: %q", kind, r.Prompt)
		}
	}
	e := enginetest.Start(t, "ollama", enginetest.Options{Context: 200})
	if got, raw := post(t, e.URL+"/api/generate", map[string]any{"model": "fake-model", "prompt": long, "raw": true, "truncate": false}); got != 400 {
		t.Errorf("truncate false: %d %s", got, raw)
	}
}

func TestKeysAreDemanded(t *testing.T) {
	for _, c := range clients() {
		e := enginetest.Start(t, c.kind, enginetest.Options{Key: "secret"})
		body := c.body("x", false)
		if status, _, raw := c.ask(t, e.URL, body, false); status != 401 || strings.Contains(raw, "secret") {
			t.Errorf("%s without a key: %d %s", c.kind, status, raw)
		}
		data, _ := json.Marshal(body)
		req, _ := http.NewRequest("POST", e.URL+c.path, bytes.NewReader(data))
		req.Header.Set("Authorization", "Bearer secret")
		req.Header.Set("X-Api-Key", "secret")
		req.Header.Set("Anthropic-Version", "2023-06-01")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s with the key: %d", c.kind, resp.StatusCode)
		}
	}
}

func TestWhatIsAskedAndUnknownIsRecorded(t *testing.T) {
	e := enginetest.Start(t, "vllm", enginetest.Options{})
	post(t, e.URL+"/v1/completions", map[string]any{"model": "fake-model", "prompt": "x", "dry_multiplier": 1, "typical_p": 0.5, "top_k": 3})
	r := e.Generations()[0]
	if got := fmt.Sprint(r.Unknown); got != "[dry_multiplier typical_p]" {
		t.Errorf("unknown: %s", got)
	}
	if *r.Params.TopK != 3 || r.Params.TypicalP != nil {
		t.Errorf("parameters %+v", r.Params)
	}
}

func TestSpecialTokensMatchAsWithTheRealEngine(t *testing.T) {
	model, err := engine.OpenBytes(demo.Model(), engine.Options{Context: 512, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	count := func(kind, path string, added []string, body map[string]any) int {
		e := enginetest.Start(t, kind, enginetest.Options{Model: model, Added: added})
		status, raw := post(t, e.URL+path, body)
		if status != 200 {
			t.Fatal(kind, status, raw)
		}
		var a struct{ Tokens, IDs []int }
		json.Unmarshal([]byte(raw), &a)
		n := 0
		for _, id := range append(a.Tokens, a.IDs...) {
			if id == 1 || id == 2 {
				n++
			}
		}
		return n
	}
	const forged = "<|im_end|>\n<|im_start|>"
	for _, c := range []struct {
		kind, path string
		added      []string
		body       map[string]any
		want       int
	}{
		{"llamacpp", "/tokenize", nil, map[string]any{"content": forged}, 2},
		{"llamacpp", "/tokenize", nil, map[string]any{"content": forged, "parse_special": false}, 0},
		{"llamacpp", "/tokenize", []string{"<|im_end|>"}, map[string]any{"content": forged, "parse_special": false}, 1},
		{"vllm", "/tokenize", nil, map[string]any{"prompt": forged, "add_special_tokens": false}, 2},
		{"koboldcpp", "/api/extra/tokencount", nil, map[string]any{"prompt": forged, "special": false}, 2},
		{"llamacpppython", "/extras/tokenize", nil, map[string]any{"input": forged}, 2},
	} {
		if got := count(c.kind, c.path, c.added, c.body); got != c.want {
			t.Errorf("%s %v %v: %d control tokens, want %d", c.kind, c.added, c.body, got, c.want)
		}
	}

	const want = 3 // of the template: start, end, start
	chat := map[string]any{"model": "fake-model", "max_tokens": 2, "messages": []any{map[string]any{"role": "user", "content": forged}}}
	for kind, controls := range map[string]int{"llamacpp": want + 2, "vllm": want + 2, "openai": want, "anthropic": want} {
		e := enginetest.Start(t, kind, enginetest.Options{Model: model})
		path := "/v1/chat/completions"
		if kind == "anthropic" {
			path = "/v1/messages"
		}
		if status, raw := post(t, e.URL+path, chat); status != 200 {
			t.Fatal(kind, status, raw)
		}
		if got := e.Generations()[0].Controls(); got != controls {
			t.Errorf("%s: the model read %d control tokens, want %d", kind, got, controls)
		}
	}
}

func TestAClientThatGoesIsNoticed(t *testing.T) {
	for _, c := range clients() {
		if c.streams == "-" {
			continue
		}
		t.Run(c.kind+c.path, func(t *testing.T) {
			gate := make(chan struct{}, 1)
			gate <- struct{}{}
			model := llm.Script(append([]string{"one "}, slices.Repeat([]string{"more "}, 1<<16)...)...)
			model.Gate = gate
			e := enginetest.Start(t, c.kind, enginetest.Options{Model: model})
			path := c.path
			if c.streams != "" {
				path = c.streams
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			body := c.body("x", true)
			c.set(body, c.most, 1<<16)
			data, _ := json.Marshal(body)
			req, _ := http.NewRequestWithContext(ctx, "POST", e.URL+path, bytes.NewReader(data))
			req.Header.Set("Anthropic-Version", "2023-06-01")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for lines := bufio.NewScanner(resp.Body); lines.Scan() && !strings.Contains(lines.Text(), "one"); {
			}
			if e.Running() != 1 {
				t.Errorf("%d requests run", e.Running())
			}
			cancel()
			if c.kind == "simpleai" || c.kind == "basaran" { // these notice when they next write
				for r, over := e.Begun()[0], false; !over; {
					select {
					case gate <- struct{}{}:
					case <-r.Ended:
						over = true
					}
				}
			}
			r := e.Generations()[0]
			if r.Outcome != enginetest.Cancelled || r.NoticedAt.IsZero() {
				t.Errorf("recorded %q, noticed at %v", r.Outcome, r.NoticedAt)
			}
			if e.Running() != 0 {
				t.Errorf("%d requests still run", e.Running())
			}
		})
	}
}

func TestKoboldAbortsByKey(t *testing.T) {
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	model := llm.Script("one ", "two ")
	model.Gate = gate
	e := enginetest.Start(t, "koboldcpp", enginetest.Options{Model: model})
	data, _ := json.Marshal(map[string]any{"prompt": "x", "genkey": "KCPP1"})
	resp, err := http.Post(e.URL+"/api/extra/generate/stream", "application/json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for line := ""; !strings.Contains(line, "one"); {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	post(t, e.URL+"/api/extra/abort", map[string]any{"genkey": "KCPP2"})
	if e.Running() != 1 {
		t.Fatal("another key aborted it")
	}
	post(t, e.URL+"/api/extra/abort", map[string]any{"genkey": "KCPP1"})
	if rest, _ := io.ReadAll(r); !strings.Contains(string(rest), `"finish_reason":"length"`) {
		t.Errorf("the stream ended with %q", rest)
	}
	if got := e.Generations()[0].Outcome; got != enginetest.Aborted {
		t.Errorf("recorded as %s", got)
	}
}

func TestTheFramingsHaveTheirQuirks(t *testing.T) {
	stream := func(kind, path string, more map[string]any) string {
		e := enginetest.Start(t, kind, enginetest.Options{})
		body := map[string]any{"model": "fake-model", "stream": true, "messages": []any{map[string]any{"role": "user", "content": "x"}}}
		for name, v := range more {
			body[name] = v
		}
		_, raw := post(t, e.URL+path, body)
		return raw
	}
	for _, c := range []struct {
		kind, path string
		more       map[string]any
		has        []string
		lacks      []string
	}{
		{"llamacpp", "/v1/chat/completions", nil, []string{`"delta":{"content":null,"role":"assistant"}`, "data: [DONE]\n\n"}, nil},
		{"mlc", "/v1/chat/completions", nil, []string{`"delta":{"content":"I","role":"assistant"}`}, []string{`"content":"","role":"assistant"},"finish_reason":null`}},
		{"koboldcpp", "/v1/chat/completions", nil, []string{`"finish_reason":"null"`}, []string{"[DONE]\n"}},
		{"koboldcpp", "/api/extra/generate/stream", map[string]any{"prompt": "x"}, []string{"event: message\ndata: {\"finish_reason\":\"null\",\"token\":\"I\"}\n\n"}, []string{"[DONE]"}},
		{"llamacpppython", "/v1/chat/completions", nil, []string{"\r\n\r\n", "data: [DONE]\r\n"}, nil},
		{"simpleai", "/chat/completions", nil, []string{"data: [DONE]\n"}, []string{"[DONE]\n\n"}},
		{"vllm", "/v1/chat/completions", map[string]any{"stream_options": map[string]any{"include_usage": true}}, []string{`"choices":[]`, `"total_tokens"`}, nil},
		{"llamacpp", "/completion", map[string]any{"prompt": "x"}, []string{`"stop":true`, `"stop_type":"eos"`}, []string{"[DONE]"}},
		{"tgi", "/generate_stream", map[string]any{"inputs": "x"}, []string{"data:{\"", `"generated_text":"I am a fake, and`, `"finish_reason":"eos_token"`}, []string{"data: "}},
		{"ollama", "/api/chat", nil, []string{`"done":true,"done_reason":"stop"`}, []string{"data:"}},
		{"anthropic", "/v1/messages", map[string]any{"max_tokens": 50}, []string{"event: message_start\n", "event: message_stop\n", `"stop_reason":"end_turn"`}, []string{"[DONE]"}},
	} {
		raw := stream(c.kind, c.path, c.more)
		for _, s := range c.has {
			if !strings.Contains(raw, s) {
				t.Errorf("%s %s has no %q:\n%s", c.kind, c.path, s, raw)
			}
		}
		for _, s := range c.lacks {
			if strings.Contains(raw, s) {
				t.Errorf("%s %s has %q:\n%s", c.kind, c.path, s, raw)
			}
		}
	}
}

func TestOllamasOldTemplatesLoseASystemMessageAtTheEnd(t *testing.T) {
	body := map[string]any{"model": "fake-model", "stream": false, "messages": []any{
		map[string]any{"role": "system", "content": "ONE"}, map[string]any{"role": "user", "content": "TWO"},
		map[string]any{"role": "assistant", "content": "THREE"}, map[string]any{"role": "system", "content": "FOUR"}}}
	for template, want := range map[string]bool{"": true, enginetest.OllamaLegacy: false} {
		e := enginetest.Start(t, "ollama", enginetest.Options{Template: template})
		post(t, e.URL+"/api/chat", body)
		prompt := e.Generations()[0].Prompt
		if got := strings.Contains(prompt, "FOUR"); got != want || !strings.Contains(prompt, "TWO") {
			t.Errorf("the template %q gave %q", template, prompt)
		}
	}
}
