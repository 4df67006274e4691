package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the numbers that /metrics serves. Each is documented in
// docs/observability.md, by its own words here.
//
// Labels have few values: routes and dialects are ours, models those that are
// served, never a name that a client made up.
type metrics struct {
	registry *prometheus.Registry

	running  prometheus.Gauge
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec

	making  *prometheus.GaugeVec
	answers *prometheus.CounterVec

	wait, first, between, speed *prometheus.HistogramVec

	prompt, completion, drafted *prometheus.CounterVec
}

// What became of the tokens of a prompt.
const (
	tokensRead    = "read"    // by the model
	tokensCached  = "cached"  // known from an earlier request
	tokensUnknown = "unknown" // the engine does not tell
)

var (
	shortTimes = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	longTimes  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	speeds     = []float64{.5, 1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 250, 500, 1000}
)

func newMetrics(models Models) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.running = prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_http_requests_running", Help: "Requests that are being answered."})
	m.requests = counter("parley_http_requests_total",
		"Requests that were answered. The route is empty where there is nothing at the path, the status 499 where the client went away.",
		"method", "route", "dialect", "model", "status")
	m.took = histogram("parley_http_request_duration_seconds", "From a request's header to the end of its response.", longTimes, "route", "dialect")

	m.making = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "parley_answers_running",
		Help: "Answers that are being made, by phase: waiting for their turn, reading their prompt, generating."}, []string{"model", "phase"})
	m.answers = counter("parley_answers_total",
		"Answers that ended, by why: end, stop, length and loop are their own ends; left, slow, shutdown, timeout and error broke them off.",
		"model", "dialect", "ended")

	m.wait = histogram("parley_queue_seconds", "How long an answer waited before work on it began: for its model to be ready, and in the engine's queue.", longTimes, "model")
	m.first = histogram("parley_time_to_first_token_seconds", "From the request to the first part of an answer.", longTimes, "model")
	m.between = histogram("parley_time_between_tokens_seconds", "From one part of an answer to the next; a part is a token, as a rule.", shortTimes, "model")
	m.speed = histogram("parley_generation_tokens_per_second", "How fast an answer was generated.", speeds, "model")

	m.prompt = counter("parley_prompt_tokens_total",
		"Tokens of prompts: read by the model, cached from an earlier request, or unknown where the engine does not tell which of both.", "model", "source")
	m.completion = counter("parley_completion_tokens_total", "Tokens that were generated.", "model")
	m.drafted = counter("parley_draft_tokens_total",
		"Tokens that were read before they were chosen, because they were likely to come: accepted or rejected.", "model", "result")

	m.registry.MustRegister(m.running, m.making, &modelStates{models},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// modelStates asks for the state of the models when it is looked at.
type modelStates struct{ models Models }

var (
	descState   = prometheus.NewDesc("parley_model_state", "1 for the state that a model is in: unloaded, waiting, loading, ready, unloading or failed.", []string{"model", "state"}, nil)
	descMemory  = prometheus.NewDesc("parley_model_memory_bytes", "Memory that a loaded model needs; absent where it is not known.", []string{"model"}, nil)
	descRunning = prometheus.NewDesc("parley_model_requests_running", "Requests that use a model.", []string{"model"}, nil)
	descWaiting = prometheus.NewDesc("parley_model_requests_waiting", "Requests that wait for a model to be ready, or for their turn at it.", []string{"model"}, nil)
	descSlots   = prometheus.NewDesc("parley_model_slots", "Answers that a model's engine works on at a time; absent where it is not known.", []string{"model"}, nil)
)

func (*modelStates) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descState, descMemory, descRunning, descWaiting, descSlots} {
		out <- d
	}
}

func (m *modelStates) Collect(out chan<- prometheus.Metric) {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	listed, err := m.models.List(ctx)
	if err != nil {
		return // what is not known is absent
	}
	for _, l := range listed {
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{label(l.ID)}, labels...)...)
		}
		gauge(descState, 1, string(l.Status.State))
		gauge(descRunning, float64(l.Status.Running))
		gauge(descWaiting, float64(l.Status.Waiting))
		if l.Status.State == Ready && l.Status.Memory > 0 {
			gauge(descMemory, float64(l.Status.Memory))
		}
		if l.Engine.Slots > 0 {
			gauge(descSlots, float64(l.Engine.Slots))
		}
	}
}

// count takes what became of a request, when it is over.
func (m *metrics) count(rec *recorder, took time.Duration) {
	r := rec.route
	m.requests.WithLabelValues(r.method, r.path, string(r.dialect), rec.model, strconv.Itoa(rec.status)).Inc()
	m.took.WithLabelValues(r.path, string(r.dialect)).Observe(took.Seconds())
	for _, a := range rec.accounts {
		u := a.usage()
		m.answers.WithLabelValues(rec.model, string(r.dialect), string(rec.ended(a))).Inc()
		add(m.completion.WithLabelValues(rec.model), u.CompletionTokens)
		if u.DraftedTokens > 0 {
			add(m.drafted.WithLabelValues(rec.model, "accepted"), u.AcceptedTokens)
			add(m.drafted.WithLabelValues(rec.model, "rejected"), u.DraftedTokens-u.AcceptedTokens)
		}
		if u.CacheUntold {
			add(m.prompt.WithLabelValues(rec.model, tokensUnknown), u.PromptTokens)
		} else {
			add(m.prompt.WithLabelValues(rec.model, tokensCached), u.CachedTokens)
			add(m.prompt.WithLabelValues(rec.model, tokensRead), u.PromptTokens-u.CachedTokens)
		}
		if a.parts > 0 {
			m.first.WithLabelValues(rec.model).Observe(a.first.Sub(rec.began).Seconds())
		}
		if a.finish != nil {
			m.wait.WithLabelValues(rec.model).Observe((rec.found.Sub(rec.began) + u.Queued).Seconds())
		}
		if speed := a.speed(); speed > 0 {
			m.speed.WithLabelValues(rec.model).Observe(speed)
		}
	}
}

// add counts on by what an engine tells, which may be nonsense.
func add(c prometheus.Counter, n int) {
	if n > 0 {
		c.Add(float64(n))
	}
}

// label is a model's name as a label, which must be UTF-8.
func label(name string) string { return strings.ToValidUTF8(name, "\ufffd") }

// serveMetrics answers Prometheus.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
	return nil
}
