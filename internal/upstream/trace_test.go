package upstream_test

import (
	"io"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"parley/internal/upstream"
	"parley/llm"
)

func TestAnEngineIsAPartOfTheTrace(t *testing.T) {
	var header string
	status := http.StatusOK
	engine, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Get("Traceparent")
		w.WriteHeader(status)
		io.WriteString(w, "data: {\"choices\":[{\"text\":\"Hi\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	})
	m := modelAt(t, upstream.Options{URL: engine.URL, Key: "sesame"})
	kept := tracetest.NewInMemoryExporter()
	tracer := sdk.NewTracerProvider(sdk.WithSyncer(kept)).Tracer("test")

	for _, status = range []int{http.StatusOK, http.StatusBadRequest} {
		kept.Reset()
		ctx, parent := tracer.Start(t.Context(), "chat")
		for range m.Complete(ctx, llm.Text("x"), llm.Params{}) {
		}
		parent.End()
		spans := kept.GetSpans()
		if len(spans) != 2 {
			t.Fatalf("%d spans, want that of the request and its parent", len(spans))
		}
		s := spans[0]
		if s.Name != "POST /v1/completions" || s.SpanKind != trace.SpanKindClient || s.Parent.SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("got %s, %s, below %s", s.Name, s.SpanKind, s.Parent.SpanID())
		}
		if want := "00-" + s.SpanContext.TraceID().String() + "-" + s.SpanContext.SpanID().String() + "-01"; header != want {
			t.Errorf("the engine is told %q, want %q", header, want)
		}
		attrs := attribute.NewSet(s.Attributes...)
		if v, _ := attrs.Value("http.response.status_code"); v.AsInt64() != int64(status) || (s.Status.Code == codes.Error) != (status != http.StatusOK) {
			t.Errorf("status %d, %v", v.AsInt64(), s.Status)
		}
		if v, _ := attrs.Value("url.full"); v.AsString() != engine.URL+"/v1/completions" {
			t.Errorf("the address is %s", v.AsString())
		}
	}
}

func TestATraceThatIsNotRecordedIsPassedOn(t *testing.T) {
	var header string
	engine, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Get("Traceparent")
		io.WriteString(w, "data: {\"choices\":[{\"text\":\"Hi\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	})
	m := modelAt(t, upstream.Options{URL: engine.URL})
	const client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": client})
	for range m.Complete(ctx, llm.Text("x"), llm.Params{}) {
	}
	if header != client {
		t.Errorf("the engine is told %q, want %q", header, client)
	}
	for range m.Complete(t.Context(), llm.Text("x"), llm.Params{}) {
	}
	if header != "" {
		t.Errorf("without a trace the engine is told %q", header)
	}
}
