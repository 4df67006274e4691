package otlp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"parley/internal/otlp"
)

func env(pairs ...string) func(string) string {
	vars := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return vars[name] }
}

// record makes a trace of two spans with values of every type.
func record(t *testing.T, e *otlp.Exporter) {
	t.Helper()
	p := sdk.NewTracerProvider(sdk.WithSyncer(e), sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "parley"))))
	at := time.Unix(1700000000, 5)
	ctx, parent := p.Tracer("parley").Start(context.Background(), "POST /v1/chat", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(at))
	_, child := p.Tracer("parley").Start(ctx, "chat tiny", trace.WithTimestamp(at.Add(time.Second)), trace.WithAttributes(
		attribute.String("s", "a\xffb"), attribute.Bool("b", true), attribute.Int64("i", 1<<62), attribute.Float64("f", 0.5), attribute.Float64("inf", math.Inf(1)),
		attribute.StringSlice("ss", []string{"x", "y"}), attribute.Int64Slice("is", []int64{7}), attribute.Float64Slice("fs", []float64{1.5}), attribute.BoolSlice("bs", []bool{false}),
	))
	child.AddEvent("first", trace.WithTimestamp(at.Add(2*time.Second)), trace.WithAttributes(attribute.Int("n", 1)))
	child.SetStatus(codes.Error, "it broke")
	child.End(trace.WithTimestamp(at.Add(3 * time.Second)))
	parent.SetStatus(codes.Ok, "")
	parent.End(trace.WithTimestamp(at.Add(4 * time.Second)))
}

func TestSpansReachACollector(t *testing.T) {
	type got struct {
		path, contentType, key string
		body                   map[string]any
	}
	var all []got
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := got{path: r.URL.Path, contentType: r.Header.Get("Content-Type"), key: r.Header.Get("X-Key")}
		if err := json.NewDecoder(r.Body).Decode(&g.body); err != nil {
			t.Error(err)
		}
		all = append(all, g)
		io.WriteString(w, "{}")
	}))
	defer srv.Close()
	e, err := otlp.FromEnv(env("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL+"/", "OTEL_EXPORTER_OTLP_HEADERS", "X-Key=a%20b, other=c"))
	if err != nil {
		t.Fatal(err)
	}
	record(t, e)
	if len(all) != 2 {
		t.Fatalf("%d requests came, want 2", len(all))
	}
	for _, g := range all {
		if g.path != "/v1/traces" || g.contentType != "application/json" || g.key != "a b" {
			t.Errorf("got %+v", g)
		}
	}
	of := func(g got) (resource, span map[string]any) {
		r := g.body["resourceSpans"].([]any)[0].(map[string]any)
		s := r["scopeSpans"].([]any)[0].(map[string]any)
		return r, s["spans"].([]any)[0].(map[string]any)
	}
	_, child := of(all[0])
	r, parent := of(all[1])
	if s := r["resource"].(map[string]any)["attributes"]; !reflect.DeepEqual(s, []any{map[string]any{"key": "service.name", "value": map[string]any{"stringValue": "parley"}}}) {
		t.Errorf("the resource is %v", s)
	}
	if child["traceId"] != parent["traceId"] || len(child["traceId"].(string)) != 32 || child["parentSpanId"] != parent["spanId"] || len(parent["spanId"].(string)) != 16 || parent["parentSpanId"] != nil {
		t.Errorf("the spans do not hang together: %v, %v", parent, child)
	}
	delete(child, "traceId")
	delete(child, "spanId")
	delete(child, "parentSpanId")
	want := map[string]any{
		"name": "chat tiny", "kind": 1.0, "flags": 1.0, "startTimeUnixNano": "1700000001000000005", "endTimeUnixNano": "1700000003000000005",
		"status": map[string]any{"code": 2.0, "message": "it broke"},
		"events": []any{map[string]any{"name": "first", "timeUnixNano": "1700000002000000005", "attributes": []any{map[string]any{"key": "n", "value": map[string]any{"intValue": "1"}}}}},
	}
	var attrs []any
	for _, a := range []struct {
		key   string
		value any
	}{
		{"s", map[string]any{"stringValue": "a\ufffdb"}},
		{"b", map[string]any{"boolValue": true}},
		{"i", map[string]any{"intValue": "4611686018427387904"}},
		{"f", map[string]any{"doubleValue": 0.5}},
		{"inf", map[string]any{"stringValue": "+Inf"}},
		{"ss", map[string]any{"arrayValue": map[string]any{"values": []any{map[string]any{"stringValue": "x"}, map[string]any{"stringValue": "y"}}}}},
		{"is", map[string]any{"arrayValue": map[string]any{"values": []any{map[string]any{"intValue": "7"}}}}},
		{"fs", map[string]any{"arrayValue": map[string]any{"values": []any{map[string]any{"doubleValue": 1.5}}}}},
		{"bs", map[string]any{"arrayValue": map[string]any{"values": []any{map[string]any{"boolValue": false}}}}},
	} {
		attrs = append(attrs, map[string]any{"key": a.key, "value": a.value})
	}
	want["attributes"] = attrs
	if !reflect.DeepEqual(child, want) {
		t.Errorf("got  %v\nwant %v", child, want)
	}
	if parent["kind"] != 2.0 || !reflect.DeepEqual(parent["status"], map[string]any{"code": 1.0}) {
		t.Errorf("the parent is %v", parent)
	}
}

// spans are one that can be exported.
func spans() []sdk.ReadOnlySpan {
	var kept keeper
	p := sdk.NewTracerProvider(sdk.WithSyncer(&kept))
	_, s := p.Tracer("x").Start(context.Background(), "x")
	s.End()
	return kept.spans
}

type keeper struct{ spans []sdk.ReadOnlySpan }

func (k *keeper) ExportSpans(_ context.Context, s []sdk.ReadOnlySpan) error {
	k.spans = append(k.spans, s...)
	return nil
}
func (*keeper) Shutdown(context.Context) error { return nil }

func TestABusyCollectorIsAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		statuses []int
		asked    int
		fails    bool
	}{
		"at once":     {[]int{200}, 1, false},
		"later":       {[]int{503, 429, 200}, 3, false},
		"never":       {[]int{503, 503, 503, 503, 200}, 4, true},
		"refused":     {[]int{400, 200}, 1, true},
		"sent onward": {[]int{307, 200}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				instead(t, func(r *http.Request) (*http.Response, error) {
					status := c.statuses[asked]
					asked++
					return &http.Response{StatusCode: status, Header: http.Header{"Location": {"/elsewhere"}, "Retry-After": {"1"}}, Body: http.NoBody, Request: r}, nil
				})
				e, err := otlp.FromEnv(env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector.example"))
				if err != nil {
					t.Fatal(err)
				}
				if err := e.ExportSpans(t.Context(), spans()); (err != nil) != c.fails || asked != c.asked {
					t.Errorf("asked %d times: %v", asked, err)
				}
			})
		})
	}
}

// instead has a function answer what is sent to collectors.
func instead(t *testing.T, f roundTrip) {
	old := http.DefaultTransport
	http.DefaultTransport = f
	t.Cleanup(func() { http.DefaultTransport = old })
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestACollectorThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := otlp.FromEnv(env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example", "OTEL_EXPORTER_OTLP_TIMEOUT", "2000"))
		if err != nil {
			t.Fatal(err)
		}
		instead(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		began := time.Now()
		if err := e.ExportSpans(t.Context(), spans()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestVariables(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, off := range [][]string{{}, {endpoint, " "}, {endpoint, "http://c", "OTEL_SDK_DISABLED", "TRUE"}, {endpoint, "http://c", "OTEL_TRACES_EXPORTER", "none"}} {
		if e, err := otlp.FromEnv(env(off...)); e != nil || err != nil {
			t.Errorf("%q: %v, %v", off, e, err)
		}
	}
	for _, bad := range [][]string{
		{endpoint, "collector:4318"}, {endpoint, "ftp://c"}, {endpoint, "http://"}, {endpoint, "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
		{endpoint, "http://c", "OTEL_EXPORTER_OTLP_TIMEOUT", "10s"}, {endpoint, "http://c", "OTEL_EXPORTER_OTLP_HEADERS", "secret"},
		{endpoint, "http://c", "OTEL_EXPORTER_OTLP_HEADERS", "key=%secret"},
	} {
		_, err := otlp.FromEnv(env(bad...))
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "OTEL_") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
