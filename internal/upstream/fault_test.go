package upstream

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/llm"
)

// What engines say when they refuse, as they say it.
func TestErrorsOfEnginesAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		name    string
		status  int
		body    string
		code    llm.Code
		says    string // part of the message
		context llm.ContextError
	}{
		{"OpenAI", 400, `{"error":{"message":"bad top_p","type":"invalid_request_error","param":"top_p","code":null}}`, llm.Invalid, "says: bad top_p", llm.ContextError{}},
		{"llama.cpp", 400, `{"error":{"code":400,"message":"Failed to parse grammar","type":"invalid_request_error"}}`, llm.Invalid, "Failed to parse grammar", llm.ContextError{}},
		{"llama.cpp loads", 503, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, llm.Unavailable, "Loading model", llm.ContextError{}},
		{"llama.cpp, too long", 400, `{"error":{"code":400,"message":"request (300 tokens) exceeds the available context size (256 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":300,"n_ctx":256}}`, llm.TooLong, "", llm.ContextError{PromptTokens: 300, Context: 256}},
		{"vLLM, too long", 400, `{"error":{"message":"This model's maximum context length is 4096 tokens. However, you requested 6000 tokens (5900 in the messages, 100 in the completion). Please reduce the length.","type":"BadRequestError","param":null,"code":400}}`, llm.TooLong, "", llm.ContextError{PromptTokens: 5900, Context: 4096}},
		{"vLLM, too long, later", 400, `{"error":{"message":"The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure"}}`, llm.TooLong, "", llm.ContextError{PromptTokens: 9000, Context: 8192}},
		{"SGLang, too long", 400, `{"object":"error","message":"The input (9000 tokens) is longer than the model's context length (8192 tokens).","type":"BadRequestError","code":400}`, llm.TooLong, "", llm.ContextError{PromptTokens: 9000, Context: 8192}},
		{"llama-cpp-python, too long", 400, `{"error":{"message":"Requested tokens (2100) exceed context window of 2048","type":"invalid_request_error","code":"context_length_exceeded"}}`, llm.TooLong, "", llm.ContextError{PromptTokens: 2100, Context: 2048}},
		{"TGI, too long", 422, "{\"error\":\"Input validation error: `inputs` must have less than 4095 tokens. Given: 5000\",\"error_type\":\"validation\"}", llm.TooLong, "", llm.ContextError{PromptTokens: 5000, Context: 4095}},
		{"Anthropic, too long", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 205000 tokens > 200000 maximum"}}`, llm.TooLong, "", llm.ContextError{PromptTokens: 205000, Context: 200000}},
		{"Ollama, too long, without numbers", 400, `{"error":"the input length exceeds the context length"}`, llm.TooLong, "exceeds the context length", llm.ContextError{}},
		{"Ollama, no model", 404, `{"error":"model 'nothing' not found"}`, llm.NotFound, "model 'nothing' not found", llm.ContextError{}},
		{"MLC, JSON in JSON", 400, `"{\"object\":\"error\",\"message\":\"System prompt at position 1 is invalid\",\"code\":null}"`, llm.Invalid, "System prompt at position 1", llm.ContextError{}},
		{"FastAPI", 422, `{"detail":[{"loc":["body","prompt"],"msg":"field required","type":"value_error.missing"},{"loc":["body","n"],"msg":"too large","type":"value_error"}]}`, llm.Invalid, "field required (body.prompt); too large (body.n)", llm.ContextError{}},
		{"KoboldAI", 422, `{"detail":{"temperature":["Must be greater than 0."]}}`, llm.Invalid, "temperature: Must be greater than 0.", llm.ContextError{}},
		{"KoboldCpp, busy", 503, `{"detail":{"msg":"Server is busy; please try again later.","type":"service_unavailable"}}`, llm.Unavailable, "Server is busy", llm.ContextError{}},
		{"too many", 429, `{"error":{"message":"Rate limit reached"}}`, llm.Overloaded, "Rate limit reached", llm.ContextError{}},
		{"a wrong key", 401, `{"detail":"Invalid API key"}`, llm.Broken, "does not accept the key", llm.ContextError{}},
		{"not implemented", 501, `{"error":{"message":"This server does not support embeddings"}}`, llm.Unsupported, "does not support embeddings", llm.ContextError{}},
		{"a page", 502, "<html><body>Bad Gateway</body></html>", llm.Unavailable, "answers with status 502", llm.ContextError{}},
		{"nothing", 500, "", llm.Broken, "answers with status 500", llm.ContextError{}},
		{"a redirect", 307, "", llm.Broken, "sends on to https://elsewhere.example/v1", llm.ContextError{}},
		{"within a stream", 0, `{"error":{"message":"CUDA out of memory"}}`, llm.Broken, "CUDA out of memory", llm.ContextError{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, _ := url.Parse("http://engine:1")
			way := &transport{base: base, secrets: []string{"sk-secret"}}
			err := way.explain(t.Context(), &statusError{status: c.status, body: c.body, location: "https://elsewhere.example/v1?token=1"})
			e := llm.AsError(err)
			if e.Code != c.code || !strings.Contains(e.Message, c.says) || strings.Contains(e.Message, "token=1") {
				t.Errorf("got %s %q, want %s %q", e.Code, e.Message, c.code, c.says)
			}
			if c.context != (llm.ContextError{}) {
				if long, ok := errors.AsType[*llm.ContextError](err); !ok || *long != c.context {
					t.Errorf("got %+v, want %+v", long, c.context)
				}
			}
			if s, ok := errors.AsType[*statusError](err); !ok || s.status != c.status {
				t.Errorf("the status is lost: %v", s)
			}
		})
	}
}

func TestSecretsAreInNoError(t *testing.T) {
	way, err := newTransport(Options{URL: "http://user:pass-word@engine:1/v1?x=1", Key: "sk-secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, cause := range []error{
		&statusError{status: 400, body: `{"error":"key sk-secret is wrong"}`},
		&statusError{status: 500, body: `sk-secret`},
		&url.Error{Op: "Post", URL: "http://user:pass-word@engine:1/completion", Err: errors.New("broken")},
		&silenceError{time.Second},
	} {
		said := way.explain(t.Context(), cause).Error()
		if strings.Contains(said, "sk-secret") || strings.Contains(said, "pass-word") {
			t.Errorf("it says %q", said)
		}
	}
	if got := way.String(); got != "http://engine:1" {
		t.Errorf("the address is shown as %q", got)
	}
}

func TestRetryAfterIsRead(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "x": 0,
		"99999999999999999999": 0, "999999": 24 * time.Hour, "Thu, 01 Jan 1970 00:00:00 GMT": 0,
	} {
		if got := retryAfter(value); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}

func FuzzWhatEnginesSayIsBounded(f *testing.F) {
	for _, s := range []string{`{"error":{"message":"x"}}`, `"{\"detail\":[{\"msg\":1}]}"`, "<html>", `{"a":{"b":{"c":{"d":{"e":"f"}}}}}`, "\xff\x00"} {
		f.Add(s)
	}
	base, _ := url.Parse("http://engine:1")
	way := &transport{base: base}
	f.Fuzz(func(t *testing.T, body string) {
		e := llm.AsError(way.explain(t.Context(), &statusError{status: 400, body: body}))
		if len(e.Message) > 1000 || strings.ContainsAny(e.Message, "\n\x00\x1b") {
			t.Errorf("it says %q", e.Message)
		}
	})
}
