// Package otlp sends the spans of traces to an OpenTelemetry collector: OTLP
// over HTTP, as JSON, which every receiver of OTLP over HTTP takes
// (https://opentelemetry.io/docs/specs/otlp/).
package otlp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"parley/internal/limits"
)

// An Exporter sends spans to one endpoint. It is a sdk/trace.SpanExporter.
type Exporter struct {
	url     string
	headers http.Header
	timeout time.Duration
	client  *http.Client
}

// FromEnv makes an Exporter as OpenTelemetry's variables say, which getenv
// looks up; it is nil where they name no endpoint or switch tracing off.
func FromEnv(getenv func(string) string) (*Exporter, error) {
	first := func(names ...string) (name, value string) {
		for _, name := range names {
			if v := strings.TrimSpace(getenv(name)); v != "" {
				return name, v
			}
		}
		return "", ""
	}
	name, endpoint := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" || strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || strings.EqualFold(getenv("OTEL_TRACES_EXPORTER"), "none") {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s is not the address of a collector, such as http://127.0.0.1:4318", name)
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" { // that of all signals; each has its path below it
		u = u.JoinPath("v1", "traces")
	}
	if name, protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol == "grpc" {
		return nil, fmt.Errorf("%s is grpc, and only OTLP over HTTP is spoken here: the collector has it on port 4318, as a rule", name)
	}
	e := &Exporter{url: u.String(), headers: http.Header{}, timeout: 10 * time.Second, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers may hold a key
	}}
	if name, value := first("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"); value != "" {
		ms, err := strconv.Atoi(value)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("%s is not a number of milliseconds", name)
		}
		e.timeout = time.Duration(ms) * time.Millisecond
	}
	name, headers := first("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
	for pair := range strings.SplitSeq(headers, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			return nil, fmt.Errorf("%s is not a list of key=value", name) // not repeated: it may hold a key
		}
		e.headers.Set(strings.TrimSpace(key), value)
	}
	return e, nil
}

// tries are how often spans are sent before they are given up, all within the
// time that one export may take.
const tries = 4

// ExportSpans sends spans. A collector that is busy is asked again.
func (e *Exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	body := encode(spans)
	wait := 250 * time.Millisecond
	for try := 1; ; try++ {
		again, after, err := e.send(ctx, body)
		if err == nil || !again || try == tries {
			return err
		}
		timer := time.NewTimer(max(wait, after))
		select {
		case <-timer.C:
			wait *= 2
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// send is one try.
func (e *Exporter) send(ctx context.Context, body []byte) (again bool, after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return false, 0, err
	}
	for name, values := range e.headers {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "parley")
	resp, err := e.client.Do(req)
	if err != nil {
		return true, 0, fmt.Errorf("send traces: %w", err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, limits.TraceAnswerBytes.Int64()))
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return false, 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
			after = time.Duration(min(n, 3600)) * time.Second
		}
	}
	return again, after, fmt.Errorf("send traces: the collector answers with status %d", resp.StatusCode)
}

// Shutdown gives the connections up.
func (e *Exporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}
