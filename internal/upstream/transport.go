package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/codes"

	"parley/internal/limits"
	"parley/llm"
)

// A transport is the way to one engine. It may be used by many goroutines at
// once.
type transport struct {
	base    *url.URL // without /v1
	client  *http.Client
	headers http.Header // sent along, with the key
	secrets []string    // what no error may repeat

	connect, first, silence time.Duration
}

// seconds is a limit of the table as a duration.
func seconds(l *limits.Limit) time.Duration { return time.Duration(l.Max * float64(time.Second)) }

func orLimit(d time.Duration, l *limits.Limit) time.Duration {
	if d > 0 {
		return d
	}
	return seconds(l)
}

func newTransport(o Options) (*transport, error) {
	base, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	t := &transport{
		base:    base,
		headers: http.Header{},
		connect: orLimit(o.Connect, limits.UpstreamConnectSeconds),
		first:   orLimit(o.First, limits.UpstreamFirstSeconds),
		silence: orLimit(o.Silence, limits.UpstreamSilenceSeconds),
	}
	for name, values := range o.Headers {
		t.headers[http.CanonicalHeaderKey(name)] = values
		t.secrets = append(t.secrets, values...)
	}
	if o.Key != "" {
		t.headers.Set("Authorization", "Bearer "+o.Key)
		t.secrets = append(t.secrets, o.Key)
	}
	t.client = o.Client
	if t.client == nil {
		t.client = &http.Client{Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment, // which leaves loopback alone
			DialContext:            (&net.Dialer{Timeout: t.connect}).DialContext,
			TLSHandshakeTimeout:    t.connect,
			MaxResponseHeaderBytes: limits.UpstreamHeaderBytes.Int64(),
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        seconds(limits.IdleSeconds),
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // it would hold a stream back
		}}
	}
	client := *t.client
	// A redirect would carry the key and the prompt to where nobody sent them.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	t.client = &client
	return t, nil
}

// parseURL takes the address of an engine, with or without /v1.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		e := llm.Errorf(llm.Invalid, "url", "%q is not the address of an engine", clip(s))
		e.Hint = "for example http://127.0.0.1:8080"
		return nil, e
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1"), "/")
	u.RawPath, u.RawQuery, u.Fragment = "", "", ""
	return u, nil
}

// String is the address without anything secret.
func (t *transport) String() string {
	u := *t.base
	u.User = nil
	return u.String()
}

// An exchange is a request that an engine has taken.
type exchange struct {
	*http.Response
	body  io.Reader // decoded, and watched
	watch *watch
	end   context.CancelCauseFunc
}

// Close ends the exchange and gives the connection up.
func (x *exchange) Close() {
	x.end(nil)
	x.Body.Close()
}

// A watch ends a request whose engine is silent. Time that passes while nobody
// waits for the engine does not count.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration // how long one wait may be
}

// during waits for the engine. An error of the context is given as its cause.
func (w *watch) during(wait func() error) error {
	limit := w.limit
	timer := time.AfterFunc(limit, func() { w.cancel(&silenceError{limit}) })
	defer timer.Stop()
	err := wait()
	if cause := context.Cause(w.ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

type watched struct {
	r     io.Reader
	watch *watch
}

func (w watched) Read(p []byte) (n int, err error) {
	err = w.watch.during(func() error {
		n, err = w.r.Read(p)
		return err
	})
	return n, err
}

// send makes a request and gives the answer if its status is good. A body that
// is not nil is sent as JSON. Reading the answer fails if the engine is silent
// for longer than it may be, first for the time until the answer begins.
func (t *transport) send(ctx context.Context, method, path string, body any, first time.Duration) (*exchange, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = encodeJSON(body); err != nil {
			return nil, &llm.Error{Code: llm.Broken, Message: "a request to an engine cannot be written", Err: err}
		}
	}
	for try := 0; ; try++ {
		x, err := t.attempt(ctx, method, path, data, first)
		if err == nil {
			return x, nil
		}
		wait, again := retryable(err, try)
		if !again || !sleep(ctx, wait) {
			return nil, t.explain(ctx, err)
		}
	}
}

// attempt is one try. The error is as it came.
func (t *transport) attempt(ctx context.Context, method, path string, data []byte, first time.Duration) (*exchange, error) {
	ctx, span := t.traced(ctx, method, path)
	ctx, cancel := context.WithCancelCause(ctx)
	end := func(cause error) {
		cancel(cause)
		span.End()
	}
	w := &watch{ctx: ctx, cancel: cancel, limit: first}
	req, err := http.NewRequestWithContext(ctx, method, t.base.String()+path, bytes.NewReader(data))
	if err != nil {
		end(nil)
		return nil, err
	}
	for name, values := range t.headers {
		req.Header[name] = values
	}
	tell(ctx, req.Header)
	req.Header.Set("User-Agent", "parley")
	req.Header.Set("Accept", "application/json, text/event-stream, application/x-ndjson")
	req.Header["Idempotency-Key"] = nil // not sent; the client sends again over a connection that the engine had closed
	if data != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	var resp *http.Response
	err = w.during(func() (err error) {
		resp, err = t.client.Do(req)
		return err
	})
	if err != nil {
		span.SetStatus(codes.Error, "")
		end(nil)
		return nil, err
	}
	answeredWith(span, resp.StatusCode)
	x := &exchange{Response: resp, watch: w, end: end}
	x.body = watched{resp.Body, w}
	if resp.StatusCode != http.StatusOK {
		defer x.Close()
		return nil, readStatus(x)
	}
	switch encoding := resp.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(x.body)
		if err != nil {
			x.Close()
			return nil, err
		}
		x.body = z
	default:
		x.Close()
		return nil, fmt.Errorf("the answer is encoded as %q, which was not asked for", clip(encoding))
	}
	return x, nil
}

// retryable reports whether a request that failed may be sent again, and after
// what time: only if the engine has not begun to work on it.
func retryable(err error, try int) (wait time.Duration, again bool) {
	if limits.UpstreamRetries.CheckInt(try+1) != nil {
		return 0, false
	}
	if s, ok := errors.AsType[*statusError](err); ok {
		busy := s.status == http.StatusTooManyRequests || s.status == http.StatusServiceUnavailable
		return s.retryAfter, busy && s.retryAfter > 0 && s.retryAfter <= seconds(limits.UpstreamRetrySeconds)
	}
	wait = (100*time.Millisecond)<<(2*try) + rand.N(100*time.Millisecond)
	return wait, isRefused(err) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}

// isRefused reports whether there was somebody to ask, but no connection.
func isRefused(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && !op.Timeout()
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// get reads a JSON document.
func (t *transport) get(ctx context.Context, path string, into any) error {
	return t.ask(ctx, http.MethodGet, path, nil, into)
}

// post sends a JSON document and reads the answer.
func (t *transport) post(ctx context.Context, path string, body, into any) error {
	return t.ask(ctx, http.MethodPost, path, body, into)
}

func (t *transport) ask(ctx context.Context, method, path string, body, into any) error {
	x, err := t.send(ctx, method, path, body, t.first)
	if err != nil {
		return err
	}
	defer x.Close()
	for f, err := range wholeValue(x.body) {
		if err != nil {
			return t.explain(ctx, err)
		}
		if err := json.Unmarshal(f.data, into); err != nil {
			return t.unreadable(path, x.Header.Get("Content-Type"), f.data, err)
		}
		return nil
	}
	return t.unreadable(path, x.Header.Get("Content-Type"), nil, io.ErrUnexpectedEOF)
}

// chunks sends a request that generates and gives what the answer says, piece
// by piece. The first chunk has accepted set. An answer that ends without
// saying so is an error.
func (t *transport) chunks(ctx context.Context, e *endpoint, body any) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		x, err := t.send(ctx, http.MethodPost, e.path, body, t.first)
		if err != nil {
			yield(chunk{}, err)
			return
		}
		defer x.Close()
		if !yield(chunk{accepted: true}, nil) {
			return
		}
		kind, by := x.Header.Get("Content-Type"), e.framing
		if isJSON(kind) {
			by = framedWhole // it does not stream after all
		}
		read, finished := e.reader(), false
		for f, err := range frames(x.body, by) {
			if err != nil && finished {
				return // what is missing is not part of the answer
			}
			var c chunk
			switch {
			case err != nil:
				yield(chunk{}, t.explain(ctx, err))
				return
			case bytes.HasPrefix(f.data, []byte("<")):
				yield(chunk{}, t.unreadable(e.path, kind, f.data, errors.New("it is markup")))
				return
			case bytes.Equal(f.data, endOfStream):
				switch {
				case finished:
				case e.lax:
					yield(chunk{finish: llm.ReasonEnd, done: true}, nil)
				default: // as llama-cpp-python's server ends what another request interrupts
					yield(chunk{}, t.brokeOff(errors.New("the stream ends without a finish_reason")))
				}
				return
			}
			if problem := inBand(f); problem != nil {
				yield(chunk{}, t.explain(ctx, problem))
				return
			}
			if c, err = read(f); err != nil {
				if told, ok := errors.AsType[*endedError](err); ok {
					yield(chunk{}, t.ended(told))
				} else {
					yield(chunk{}, t.unreadable(e.path, kind, f.data, err))
				}
				return
			}
			finished = finished || c.finish != ""
			x.watch.limit = t.silence
			if finished {
				x.watch.limit = min(t.silence, seconds(limits.UpstreamTailSeconds))
			}
			if !yield(c, nil) || c.done {
				return
			}
		}
		if !finished {
			yield(chunk{}, t.brokeOff(io.ErrUnexpectedEOF))
		}
	}
}

func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

// encodeJSON leaves "<" as it is: prompts have many.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
