package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"parley/llm"
)

// A request is a span; each answer is one below it, by the conventions for
// generative AI (https://opentelemetry.io/docs/specs/semconv/gen-ai/), and
// below that is what the engine did: it waited, read the prompt, generated. No
// attribute has contents.

// traceContext reads and writes the header traceparent.
var traceContext propagation.TraceContext

// traced begins the span of a request, in the client's trace where it says of
// which its request is a part. Without a tracer the client's trace is passed on
// to engines all the same.
func (s *Server) traced(r *http.Request, rec *recorder) *http.Request {
	ctx := traceContext.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	if s.tracer != nil {
		ctx, rec.span = s.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(rec.began))
	}
	return r.WithContext(ctx)
}

// endSpan says what became of the request.
func (w *recorder) endSpan(took time.Duration) {
	if w.span == nil {
		return
	}
	if r := w.route; r.path != "" {
		w.span.SetName(r.method + " " + r.path)
		w.span.SetAttributes(attribute.String("http.request.method", r.method), attribute.String("http.route", r.path),
			attribute.String("parley.dialect", string(r.dialect)))
	}
	w.span.SetAttributes(attribute.Int("http.response.status_code", w.status), attribute.String("parley.request.id", w.id))
	if w.status >= http.StatusInternalServerError || w.err != nil && !w.left && w.status == http.StatusOK {
		w.span.SetStatus(codes.Error, "")
		w.span.SetAttributes(attribute.String("error.type", string(llm.AsError(w.err).Code)))
	}
	w.span.End(trace.WithTimestamp(w.began.Add(took)))
}

// beginSpan begins the span of an answer.
func (w *recorder) beginSpan(ctx context.Context, a *account) context.Context {
	if w.span == nil {
		return ctx
	}
	operation := "chat"
	if p := w.route.path; !strings.Contains(p, "chat") && !strings.Contains(p, "messages") && !strings.Contains(p, "responses") {
		operation = "text_completion"
	}
	ctx, a.span = w.server.tracer.Start(ctx, operation+" "+w.model, trace.WithTimestamp(w.server.now()), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", operation),
		attribute.String("gen_ai.provider.name", "parley"),
		attribute.String("gen_ai.request.model", w.model),
	))
	return ctx
}

// endSpan says what became of an answer.
func (a *account) endSpan(w *recorder, err error) {
	if a.span == nil {
		return
	}
	now := w.server.now()
	u := a.usage()
	a.span.SetAttributes(
		attribute.String("gen_ai.response.model", w.model),
		attribute.Int("gen_ai.usage.input_tokens", u.PromptTokens),
		attribute.Int("gen_ai.usage.output_tokens", u.CompletionTokens),
	)
	if !u.CacheUntold {
		a.span.SetAttributes(attribute.Int("gen_ai.usage.cache_read.input_tokens", u.CachedTokens))
	}
	if a.parts > 0 {
		a.span.SetAttributes(attribute.Float64("gen_ai.response.time_to_first_chunk", a.first.Sub(w.began).Seconds()))
	}
	if a.finish != nil {
		a.span.SetAttributes(attribute.StringSlice("gen_ai.response.finish_reasons", []string{finishReason(a.finish.Reason)}))
		a.phaseSpans(w, now, u)
	}
	if err != nil {
		a.span.SetStatus(codes.Error, "")
		a.span.SetAttributes(attribute.String("error.type", string(llm.AsError(err).Code)))
	}
	a.span.End(trace.WithTimestamp(now))
}

// phaseSpans are what the engine says that it did, laid end to end up to the
// end of the answer.
func (a *account) phaseSpans(w *recorder, end time.Time, u llm.Usage) {
	ctx := trace.ContextWithSpan(context.Background(), a.span)
	at := end.Add(-u.Queued - u.Prefill - u.Decode)
	for _, phase := range []struct {
		name string
		took time.Duration
	}{{"queue", u.Queued}, {"prefill", u.Prefill}, {"decode", u.Decode}} {
		if phase.took <= 0 {
			continue
		}
		_, span := w.server.tracer.Start(ctx, phase.name, trace.WithTimestamp(at))
		at = at.Add(phase.took)
		span.End(trace.WithTimestamp(at))
	}
}

// finishReason is an ending in the conventions' words.
func finishReason(r llm.Reason) string {
	if r == llm.ReasonLength || r == llm.ReasonLoop {
		return "length"
	}
	return "stop"
}
