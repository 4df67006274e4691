package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"parley/internal/limits"
)

// A client sends requests to one server and reads what comes back, however
// long or strange, within limits.
type client struct {
	base string // without /v1 and without a slash at its end
	key  string
	http *http.Client

	silent int // requests in a row that were not answered in time, or without end
}

func newClient(address, key string, transport http.RoundTripper) (*client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the address of a server", address)
	}
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxResponseHeaderBytes = limits.HeaderBytes.Int64()
		transport = t
	}
	return &client{
		base: strings.TrimSuffix(strings.TrimSuffix(u.String(), "/"), "/v1"),
		key:  key,
		http: &http.Client{Transport: transport},
	}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// An exchange is a request and, as far as it came, its answer.
type exchange struct {
	method, url string
	sent        []byte
	keyed       bool
	streams     bool
	leaves      bool // the point is to close the connection soon

	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// curl is the request as a line for a shell.
func (x *exchange) curl() string {
	var b strings.Builder
	b.WriteString("curl -s ")
	if x.streams {
		b.WriteString("-N ")
	}
	if x.leaves {
		b.WriteString("-m 2 ")
	}
	b.WriteString(quoted(x.url))
	if x.keyed {
		b.WriteString(` -H "Authorization: Bearer $PARLEY_API_KEY"`)
	}
	if x.sent != nil {
		b.WriteString(" -H 'Content-Type: application/json' -d " + quoted(string(x.sent)))
	}
	return b.String()
}

// quoted is a word for a shell.
func quoted(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(":/._-", r)))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// A refusal is an answer that is not a success.
type refusal struct {
	status  int
	message string // what the server says about it; "" where it says nothing
}

func (e *refusal) Error() string {
	if e.message == "" {
		return fmt.Sprintf("HTTP %d", e.status)
	}
	return fmt.Sprintf("HTTP %d %q", e.status, e.message)
}

// errSilent is a wait that has lasted too long.
var errSilent = errors.New("no answer in time")

// do sends a request. A body that is []byte goes as it is, everything else as
// JSON. The exchange is there also when there is an error.
func (c *client) do(ctx context.Context, method, path string, body any) (*exchange, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, seconds(limits.CheckRequestSeconds), errSilent)
	defer cancel()
	x, resp, err := c.open(ctx, method, path, body)
	if err != nil {
		return x, err
	}
	defer resp.Body.Close()
	x.body, err = io.ReadAll(io.LimitReader(resp.Body, limits.CheckAnswerBytes.Int64()+1))
	if err != nil {
		return x, c.trouble(ctx, err)
	}
	if err := limits.CheckAnswerBytes.CheckInt(len(x.body)); err != nil {
		c.silent++
		return x, fmt.Errorf("the answer is too long: %w", err)
	}
	c.silent = 0
	return x, x.refused()
}

// open sends a request and gives the answer with its body unread.
func (c *client) open(ctx context.Context, method, path string, body any) (*exchange, *http.Response, error) {
	x := &exchange{method: method, url: c.base + path, keyed: c.key != ""}
	switch b := body.(type) {
	case nil:
	case []byte:
		x.sent = b
	default:
		x.sent = encode(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, x.url, bytes.NewReader(x.sent))
	if err != nil {
		return x, nil, err
	}
	if x.sent != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if x.keyed {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	// Nothing is sent of this. It lets net/http send a request again for which
	// it took a connection that the server was just closing.
	req.Header["Idempotency-Key"] = nil
	began := time.Now()
	resp, err := c.http.Do(req)
	x.took = time.Since(began)
	if err != nil {
		return x, nil, c.trouble(ctx, err)
	}
	x.status, x.header = resp.StatusCode, resp.Header
	return x, resp, nil
}

// trouble says in words why a connection failed.
func (c *client) trouble(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSilent):
		c.silent++
		return fmt.Errorf("%w (%.0f s)", errSilent, limits.CheckRequestSeconds.Max)
	case cause != nil:
		return cause
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return errors.New("the server closed the connection before its answer was whole")
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		c.silent++
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("no answer: %s", short(err.Error()))
}

// refused is the error of an answer that is not a success.
func (x *exchange) refused() error {
	if x.status >= 200 && x.status < 300 {
		return nil
	}
	return &refusal{x.status, complaint(x.body)}
}

// complaint finds the sentence in an error's body: each kind of server puts it
// somewhere else.
func complaint(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	return short(sentence(v, limits.CheckErrorDepth.Int()))
}

func sentence(v any, depth int) string {
	if depth == 0 {
		return ""
	}
	switch v := v.(type) {
	case string:
		// Some servers put the JSON of an error into a JSON string.
		var inner map[string]any
		if json.Unmarshal([]byte(v), &inner) == nil {
			return sentence(inner, depth-1)
		}
		return v
	case map[string]any:
		for _, name := range []string{"error", "message", "msg", "detail"} {
			if s := sentence(v[name], depth-1); s != "" {
				return s
			}
		}
	case []any:
		for _, e := range v {
			if s := sentence(e, depth-1); s != "" {
				return s
			}
		}
	}
	return ""
}

// short is a server's text as evidence quotes it: on one line, and not long.
func short(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if r := []rune(s); len(r) > limits.CheckQuoteRunes.Int() {
		s = string(r[:limits.CheckQuoteRunes.Int()]) + "…"
	}
	return s
}

// encode leaves "<" as it is: people read these requests.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // the package's own types
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
