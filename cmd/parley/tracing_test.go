package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"parley/chat"
	"parley/internal/catalog"
	"parley/internal/server"
)

// A collector gets the spans of a request by the time that tracing has ended.
func TestTracesReachACollector(t *testing.T) {
	var mu sync.Mutex
	var said strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		io.Copy(&said, r.Body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	tracer, end, err := tracing(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	models, err := catalog.New([]catalog.Entry{{Name: "tiny", Load: func(context.Context) (*catalog.Loaded, error) {
		return &catalog.Loaded{Responder: chat.Script(chat.TextDelta{Text: "sesame"})}, nil
	}}}, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer models.Close()
	srv := httptest.NewServer(server.New(models, server.Options{Tracer: tracer}).Handler(server.Own))
	defer srv.Close()
	resp, err := http.Post(srv.URL+"/v1/chat/completions", "application/json", strings.NewReader(`{"messages":[{"role":"user","content":"sesame"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	srv.Close()
	end()
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{`"chat tiny"`, `"POST /v1/chat/completions"`, `{"stringValue":"parley"}`, `deployment.environment`} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the collector did not get %s: %s", want, said.String())
		}
	}
	if strings.Contains(said.String(), "sesame") {
		t.Errorf("the collector got what was said: %s", said.String())
	}
}

func TestTracingIsOffUnlessItIsAskedFor(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tracer, end, err := tracing(slog.New(slog.DiscardHandler))
	if tracer != nil || err != nil {
		t.Errorf("got %v, %v", tracer, err)
	}
	end()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")
	if _, _, err := tracing(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") {
		t.Errorf("of nonsense: %v", err)
	}
}
