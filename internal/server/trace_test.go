package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"parley/chat"
	"parley/llm"
)

const parentTrace, parentSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

// told is a span in one line, its times in seconds since the first began.
func told(s tracetest.SpanStub, since time.Time) string {
	line := fmt.Sprintf("%s, %s, %v to %v:", s.Name, s.SpanKind, s.StartTime.Sub(since).Seconds(), s.EndTime.Sub(since).Seconds())
	for _, a := range s.Attributes {
		if a.Key != "parley.request.id" {
			line += fmt.Sprintf(" %s=%s", a.Key, a.Value.String())
		}
	}
	if s.Status.Code == codes.Error {
		line += " failed"
	}
	return line
}

func TestARequestIsATrace(t *testing.T) {
	var passed trace.SpanContext
	answer := func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
		passed = trace.SpanContextFromContext(ctx)
		yield(chat.Accepted{PromptTokens: 40}, nil)
		time.Sleep(3 * time.Second)
		yield(chat.TextDelta{Text: "sesame"}, nil)
		time.Sleep(2 * time.Second)
		yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonStop, Stop: "sesame", Usage: llm.Usage{
			PromptTokens: 40, CachedTokens: 30, CompletionTokens: 20, Queued: time.Second, Prefill: 2 * time.Second, Decode: 2 * time.Second}}}, nil)
	}
	failing := func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
		yield(chat.Accepted{PromptTokens: 40}, nil)
		yield(nil, &llm.Error{Code: llm.Unavailable, Message: "sesame"})
	}
	for name, c := range map[string]struct {
		say  responder
		want []string // in the order in which they end
	}{
		"answered": {answer, []string{
			"queue, internal, 0 to 1:",
			"prefill, internal, 1 to 3:",
			"decode, internal, 3 to 5:",
			"chat tiny, internal, 0 to 5: gen_ai.operation.name=chat gen_ai.provider.name=parley gen_ai.request.model=tiny gen_ai.response.model=tiny" +
				" gen_ai.usage.input_tokens=40 gen_ai.usage.output_tokens=20 gen_ai.usage.cache_read.input_tokens=30 gen_ai.response.time_to_first_chunk=3" +
				` gen_ai.response.finish_reasons=["stop"]`,
			"POST /v1/chat/completions, server, 0 to 5: http.request.method=POST http.route=/v1/chat/completions parley.dialect=openai http.response.status_code=200",
		}},
		"failed": {failing, []string{
			"chat tiny, internal, 0 to 0: gen_ai.operation.name=chat gen_ai.provider.name=parley gen_ai.request.model=tiny gen_ai.response.model=tiny" +
				" gen_ai.usage.input_tokens=40 gen_ai.usage.output_tokens=0 error.type=unavailable failed",
			"POST /v1/chat/completions, server, 0 to 0: http.request.method=POST http.route=/v1/chat/completions parley.dialect=openai http.response.status_code=503 error.type=unavailable failed",
		}},
	} {
		t.Run(name, underClock(func(t *testing.T) {
			kept := tracetest.NewInMemoryExporter()
			provider := sdk.NewTracerProvider(sdk.WithSyncer(kept))
			onStage(t, one("tiny", c.say, nil), Options{Tracer: provider.Tracer("parley")}, func(st *stage) {
				began := time.Now()
				r, err := http.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1:7275/v1/chat/completions", strings.NewReader(`{"messages":[{"role":"user","content":"sesame"}]}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Traceparent", "00-"+parentTrace+"-"+parentSpan+"-01")
				resp, err := st.http.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				synctest.Wait()
				spans := kept.GetSpans()
				var got []string
				for _, s := range spans {
					got = append(got, told(s, began))
					if id := s.SpanContext.TraceID().String(); id != parentTrace {
						t.Errorf("%s is in trace %s", s.Name, id)
					}
				}
				if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Fatalf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
				request, answer := spans[len(spans)-1], spans[len(spans)-2]
				if request.Parent.SpanID().String() != parentSpan || answer.Parent.SpanID() != request.SpanContext.SpanID() {
					t.Error("the spans do not hang together")
				}
				for _, s := range spans[:len(spans)-2] {
					if s.Parent.SpanID() != answer.SpanContext.SpanID() {
						t.Errorf("%s is not a part of the answer", s.Name)
					}
				}
				if name == "answered" && passed.SpanID() != answer.SpanContext.SpanID() {
					t.Error("the engine does not get the answer's span")
				}
			})
		}))
	}
}

// Without a tracer nothing is recorded, and the client's trace goes on to the
// engine.
func TestAClientsTraceIsPassedOn(t *testing.T) {
	var passed trace.SpanContext
	say := responder(func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
		passed = trace.SpanContextFromContext(ctx)
		yield(chat.Accepted{}, nil)
		yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd}}, nil)
	})
	s := New(one("tiny", say, nil), Options{})
	serve(s, "POST", "/v1/chat/completions", whole, "Traceparent", "00-"+parentTrace+"-"+parentSpan+"-01")
	if passed.TraceID().String() != parentTrace || passed.SpanID().String() != parentSpan {
		t.Errorf("the engine gets %v", passed)
	}
	serve(s, "POST", "/v1/chat/completions", whole, "Traceparent", "00-nonsense")
	if passed.IsValid() {
		t.Errorf("of nonsense the engine gets %v", passed)
	}
}
