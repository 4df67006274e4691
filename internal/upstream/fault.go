package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"parley/internal/limits"
	"parley/llm"
)

// A statusError is an answer with a status that is not good, or an error
// within an answer, whose status is then 0.
type statusError struct {
	status     int
	body       string        // as it came, bounded
	retryAfter time.Duration // 0: not told
	location   string        // of a redirect
}

func (e *statusError) Error() string {
	if e.status == 0 {
		return "the engine sent an error: " + clip(e.body)
	}
	return fmt.Sprintf("status %d: %s", e.status, clip(e.body))
}

// WithoutContents is the error without the words of the engine, which may
// repeat a prompt.
func (e *statusError) WithoutContents() string { return fmt.Sprintf("status %d", e.status) }

// A garbledError is an answer that is not what the kind of engine sends.
type garbledError struct {
	err         error
	data        string // as it came, clipped
	contentType string
}

func (e *garbledError) Error() string {
	return fmt.Sprintf("%v in %q (%s)", e.err, e.data, e.contentType)
}

// Unwrap gives the cause.
func (e *garbledError) Unwrap() error { return e.err }

// WithoutContents is the error without the data, in which there may be a part
// of an answer.
func (e *garbledError) WithoutContents() string {
	return fmt.Sprintf("what came is of type %s and cannot be read as the kind of engine says", e.contentType)
}

// An endedError is an output that the engine ended because something failed
// there.
type endedError struct{ word string }

func (e *endedError) Error() string {
	return fmt.Sprintf("the engine ended the output with %q", e.word)
}

// A silenceError is an engine that says nothing.
type silenceError struct{ after time.Duration }

func (e *silenceError) Error() string { return fmt.Sprintf("nothing came for %s", e.after) }

func readStatus(x *exchange) error {
	body, _ := io.ReadAll(io.LimitReader(x.body, limits.UpstreamErrorBytes.Int64()))
	return &statusError{
		status: x.StatusCode, body: string(body),
		retryAfter: retryAfter(x.Header.Get("Retry-After")),
		location:   x.Header.Get("Location"),
	}
}

// retryAfter reads the header (RFC 9110, section 10.2.3).
func retryAfter(value string) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
		return time.Duration(min(max(n, 0), 24*3600)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// inBand finds an error that stands where a part of the answer should.
func inBand(f frame) error {
	if f.event != "error" && !bytes.Contains(f.data, []byte(`"error"`)) {
		return nil
	}
	var object struct {
		Object string          `json:"object"`
		Error  json.RawMessage `json:"error"`
	}
	err := json.Unmarshal(f.data, &object)
	has := len(object.Error) > 0 && !bytes.Equal(object.Error, []byte("null"))
	if f.event == "error" || err == nil && (has || object.Object == "error") {
		return &statusError{body: string(f.data[:min(len(f.data), limits.UpstreamErrorBytes.Int())])}
	}
	return nil
}

// explain turns what went wrong into an error for its three readers. What ctx
// was cancelled for is given as it is.
func (t *transport) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e
	}
	if s, ok := errors.AsType[*statusError](err); ok {
		return t.refused(s)
	}
	e := &llm.Error{Code: llm.Unavailable, Err: t.scrubbed(err)}
	var dns *net.DNSError
	_, silent := errors.AsType[*silenceError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case silent:
		e.Message = fmt.Sprintf("the engine at %s went silent: %v", t, err)
		e.Hint = "it may be overloaded or hang"
	case errors.As(err, &dns):
		e.Message = fmt.Sprintf("the engine at %s is not reached: there is no host of this name", t)
		e.Hint = "correct its url"
	case isRefused(err):
		e.Message = fmt.Sprintf("the engine at %s is not reached: nothing listens there", t)
		e.Hint = "start it, or correct its url"
	case isTimeout && timeout.Timeout():
		e.Message = fmt.Sprintf("the engine at %s is not reached: it takes no connection within %s", t, t.connect)
		e.Hint = "is it running, and is the address right?"
	case errors.Is(err, errLine), errors.Is(err, errWhole):
		e.Code, e.Message = llm.Broken, fmt.Sprintf("the engine at %s sends what cannot be read: %v", t, err)
	case strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "x509:"), strings.Contains(err.Error(), "HTTP response to HTTPS"):
		e.Message = fmt.Sprintf("the engine at %s is not reached: no safe connection can be made", t)
		e.Hint = "its certificate is not valid, or it speaks http and not https"
	default:
		return t.brokeOff(err)
	}
	return e
}

// brokeOff is an answer that ends in its middle, or a connection that does
// before there is one.
func (t *transport) brokeOff(err error) error {
	return &llm.Error{
		Code: llm.Broken, Err: t.scrubbed(err),
		Message: fmt.Sprintf("the connection to the engine at %s broke off before the answer was whole", t),
		Hint:    "ask again; its own log may say why",
	}
}

// ended is an answer that the engine itself broke off.
func (t *transport) ended(err *endedError) error {
	return &llm.Error{
		Code: llm.Broken, Err: err,
		Message: fmt.Sprintf("the engine at %s broke the answer off with %q", t, err.word),
		Hint:    "ask again; its own log may say why",
	}
}

// unreadable is an answer that is not what the kind of engine sends.
func (t *transport) unreadable(path, contentType string, data []byte, err error) error {
	what := "what cannot be read"
	if page := bytes.TrimSpace(data); bytes.HasPrefix(page, []byte("<")) {
		what = "a web page"
	}
	return &llm.Error{
		Code:    llm.Broken,
		Message: fmt.Sprintf("the engine at %s answers %s with %s", t, path, what),
		Hint:    "is its url right, and its kind?",
		Err:     &garbledError{err, t.scrub(clip(string(data))), clip(contentType)},
	}
}

// refused is an error that the engine itself tells.
func (t *transport) refused(s *statusError) error {
	said := t.scrub(clip(sentence(s.body)))
	e := &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("the engine at %s says: %s", t, said)}
	e.Err = &statusError{status: s.status, body: t.scrub(s.body), retryAfter: s.retryAfter}
	if said == "" {
		e.Message = fmt.Sprintf("the engine at %s answers with status %d", t, s.status)
	}
	if long := tooLong(s.body); long != nil && s.status < 500 {
		if long.PromptTokens == 0 && long.Context == 0 {
			e.Code, e.Field = llm.TooLong, ""
			return e
		}
		over := llm.TooLongError(long.PromptTokens, long.Context)
		over.Hint = "shorten the conversation or start the engine with a larger context"
		over.Err = errors.Join(long, e.Err)
		return over
	}
	switch {
	case s.status >= 300 && s.status < 400:
		e.Message = fmt.Sprintf("the engine at %s sends on to %s, where keys and prompts are not taken along", t, clip(withoutQuery(s.location)))
		e.Hint = "use that address as its url"
	case s.status == http.StatusUnauthorized, s.status == http.StatusForbidden:
		e.Message = fmt.Sprintf("the engine at %s does not accept the key", t)
		if len(t.secrets) == 0 {
			e.Message = fmt.Sprintf("the engine at %s wants a key", t)
		}
		e.Hint = "set key_env or key_file of this model"
	case s.status == http.StatusNotFound && strings.Contains(strings.ToLower(said), "model"):
		e.Code, e.Field = llm.NotFound, "model"
	case s.status == http.StatusBadRequest, s.status == http.StatusUnprocessableEntity, s.status == http.StatusRequestEntityTooLarge:
		e.Code = llm.Invalid
	case s.status == http.StatusNotImplemented:
		e.Code = llm.Unsupported
	case s.status == http.StatusTooManyRequests:
		e.Code = llm.Overloaded
		e.Err = &llm.BusyError{RetryAfter: s.retryAfter, Err: e.Err}
	case s.status == http.StatusServiceUnavailable, s.status == http.StatusBadGateway, s.status == http.StatusGatewayTimeout:
		e.Code = llm.Unavailable
		e.Err = &llm.BusyError{RetryAfter: s.retryAfter, Err: e.Err}
	}
	return e
}

func withoutQuery(location string) string {
	location, _, _ = strings.Cut(location, "?")
	return location
}

// sentence finds what a body says to a person, in whatever shape.
func sentence(body string) string {
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		if text := strings.TrimSpace(body); !strings.HasPrefix(text, "<") {
			return text
		}
		return "" // a web page
	}
	return sentenceIn(v, 0)
}

func sentenceIn(v any, depth int) string {
	switch v := v.(type) {
	case string:
		// MLC-LLM's bodies are JSON in a JSON string.
		if strings.HasPrefix(v, "{") && depth < 4 {
			var inner any
			if json.Unmarshal([]byte(v), &inner) == nil {
				return sentenceIn(inner, depth+1)
			}
		}
		return v
	case map[string]any:
		for _, key := range []string{"error", "message", "detail", "msg"} {
			if inner, ok := v[key]; ok && depth < 4 {
				if s := sentenceIn(inner, depth+1); s != "" {
					return s + place(v)
				}
			}
		}
		if depth > 0 { // KoboldAI names the fields that it does not take
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if s := sentenceIn(v[key], depth+1); s != "" {
					return key + ": " + s
				}
			}
		}
	case []any: // of a FastAPI server: what is wrong with each field
		var all []string
		for _, inner := range v[:min(len(v), 4)] {
			if s := sentenceIn(inner, depth+1); s != "" {
				all = append(all, s)
			}
		}
		return strings.Join(all, "; ")
	}
	return ""
}

// place is where a FastAPI server finds a field wrong.
func place(v map[string]any) string {
	loc, ok := v["loc"].([]any)
	if !ok {
		return ""
	}
	var parts []string
	for _, p := range loc {
		parts = append(parts, fmt.Sprint(p))
	}
	return " (" + strings.Join(parts, ".") + ")"
}

// tooLongs find the tokens of the prompt and of the context in what engines
// say of a prompt that does not fit. A group may be missing.
var tooLongs = []*regexp.Regexp{
	regexp.MustCompile(`"n_prompt_tokens":\s*(?P<prompt>\d+)[^}]*"n_ctx":\s*(?P<context>\d+)`), // llama.cpp
	regexp.MustCompile(`"n_ctx":\s*(?P<context>\d+)[^}]*"n_prompt_tokens":\s*(?P<prompt>\d+)`),
	regexp.MustCompile(`maximum context length is (?P<context>\d+) tokens.*?\((?P<prompt>\d+) (?:in|from) the`), // OpenAI, vLLM
	regexp.MustCompile(`maximum context length is (?P<context>\d+) tokens[^\d]+(?P<prompt>\d+)`),
	regexp.MustCompile(`prompt \(length (?P<prompt>\d+)\) is longer than the maximum model length of (?P<context>\d+)`), // vLLM
	regexp.MustCompile(`input \((?P<prompt>\d+) tokens\) is longer than the model's context length \((?P<context>\d+) tokens\)`),
	regexp.MustCompile(`[Rr]equested tokens \((?P<prompt>\d+)\) exceed context window of (?P<context>\d+)`), // llama-cpp-python
	regexp.MustCompile(`must have less than (?P<context>\d+) tokens\. Given: (?P<prompt>\d+)`),              // TGI
	regexp.MustCompile(`must be <= (?P<context>\d+)\. Given: (?P<prompt>\d+)`),
	regexp.MustCompile(`prompt is too long: (?P<prompt>\d+) tokens > (?P<context>\d+)`), // Anthropic
	regexp.MustCompile(`input is longer than the context size \((?P<context>\d+) tokens\)`),
	regexp.MustCompile(`context_length_exceeded|exceed_context_size|exceeds? the (?:available |maximum )?context|maximum context length|exceeds context length|input length exceeds|longer than the (?:model's )?context`),
}

// tooLong recognises a prompt that does not fit, with the counts as far as
// they are told.
func tooLong(body string) *llm.ContextError {
	for _, re := range tooLongs {
		m := re.FindStringSubmatch(body)
		if m == nil {
			continue
		}
		e := &llm.ContextError{}
		for i, name := range re.SubexpNames() {
			switch n, _ := strconv.Atoi(m[i]); name {
			case "prompt":
				e.PromptTokens = n
			case "context":
				e.Context = n
			}
		}
		return e
	}
	return nil
}

// scrub takes secrets out of what an engine says.
func (t *transport) scrub(s string) string {
	for _, secret := range t.secrets {
		if len(secret) > 3 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	return s
}

// scrubbed is an error that says no secret: *url.Error repeats the address.
func (t *transport) scrubbed(err error) error {
	text := err.Error()
	if said := t.scrub(text); said != text || t.base.User != nil {
		if u := t.base.User; u != nil {
			said = strings.ReplaceAll(said, u.String()+"@", "")
		}
		return errors.New(said)
	}
	return err
}

// clip makes foreign text fit to be repeated: no control characters, and not
// too long.
func clip(s string) string {
	most := limits.UpstreamMessageBytes.Int()
	if len(s) > most {
		s = s[:most] + "…"
	}
	s = strings.ToValidUTF8(s, "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s))
}
