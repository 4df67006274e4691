package upstream

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// nowhere is a span that nobody sees.
var nowhere = trace.SpanFromContext(context.Background())

// traced makes a request to an engine a span of the trace that ctx is in, if
// that is recorded. The span must be ended.
func (t *transport) traced(ctx context.Context, method, path string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nowhere
	}
	return parent.TracerProvider().Tracer("parley").Start(ctx, method+" "+path, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method),
		attribute.String("url.full", t.String()+path),
		attribute.String("server.address", t.base.Hostname()),
	))
}

// tell passes the trace on to the engine.
func tell(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// answeredWith notes what an engine answered.
func answeredWith(span trace.Span, status int) {
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status != http.StatusOK {
		span.SetStatus(codes.Error, "")
	}
}
