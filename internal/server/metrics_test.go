package server

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"parley/chat"
	"parley/llm"
)

// scrape reads a server's metrics as Prometheus does.
func scrape(t *testing.T, get func(path string) (*http.Response, error)) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func (st *stage) get(path string) (*http.Response, error) {
	return st.http.Get("http://127.0.0.1:7275" + path)
}

// value is that of a metric whose labels have the given values; a histogram's
// is its sum. NaN: there is none.
func value(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	for _, m := range families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.Label {
			has[l.GetName()] = l.GetValue()
		}
		same := true
		for i := 0; i < len(labels); i += 2 {
			same = same && has[labels[i]] == labels[i+1]
		}
		switch {
		case !same:
		case m.Counter != nil:
			return m.Counter.GetValue()
		case m.Histogram != nil:
			return m.Histogram.GetSampleSum()
		default:
			return m.Gauge.GetValue()
		}
	}
	return math.NaN()
}

func TestMetricsTellWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		say := responder(func(ctx context.Context, _ llm.Params, yield func(chat.Event, error) bool) {
			if !yield(chat.Accepted{PromptTokens: 40}, nil) || !yield(chat.Waiting{}, nil) {
				return
			}
			for range 3 {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					yield(nil, context.Cause(ctx))
					return
				}
				if !yield(chat.TextDelta{Text: "word "}, nil) {
					return
				}
			}
			yield(chat.Done{Finish: llm.Finish{Reason: llm.ReasonLength, Usage: llm.Usage{
				PromptTokens: 40, CachedTokens: 30, CompletionTokens: 20, DraftedTokens: 9, AcceptedTokens: 6, Queued: 250 * time.Millisecond, Decode: 2 * time.Second}}}, nil)
		})
		onStage(t, one("tiny", say, nil), Options{}, func(st *stage) {
			st.ask(whole)
			st.ask(streamed)
			st.ask(`{"messages":7}`)
			ctx, leave := context.WithCancel(t.Context())
			resp, err := st.post(ctx, "/api/chat", streamed)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			during := scrape(t, st.get)
			for _, c := range []struct {
				want   float64
				name   string
				labels []string
			}{
				{2, "parley_http_requests_running", nil}, // the other is the one that asks
				{1, "parley_answers_running", []string{"model", "tiny", "phase", "generating"}},
				{2, "parley_http_requests_total", []string{"route", "/v1/chat/completions", "method", "POST", "dialect", "openai", "model", "tiny", "status", "200"}},
				{1, "parley_http_requests_total", []string{"route", "/v1/chat/completions", "model", "", "status", "400"}},
				{2, "parley_answers_total", []string{"model", "tiny", "dialect", "openai", "ended", "length"}},
				{60, "parley_prompt_tokens_total", []string{"model", "tiny", "source", "cached"}},
				{20, "parley_prompt_tokens_total", []string{"model", "tiny", "source", "read"}},
				{40, "parley_completion_tokens_total", []string{"model", "tiny"}},
				{12, "parley_draft_tokens_total", []string{"model", "tiny", "result", "accepted"}},
				{6, "parley_draft_tokens_total", []string{"model", "tiny", "result", "rejected"}},
				{2, "parley_time_to_first_token_seconds", []string{"model", "tiny"}},
				{4, "parley_time_between_tokens_seconds", []string{"model", "tiny"}},
				{0.5, "parley_queue_seconds", []string{"model", "tiny"}},
				{20, "parley_generation_tokens_per_second", []string{"model", "tiny"}},
				{2, "parley_model_requests_waiting", []string{"model", "tiny"}},
				{1, "parley_model_state", []string{"model", "tiny", "state", "failed"}},
			} {
				if got := value(during, c.name, c.labels...); got != c.want {
					t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
				}
			}
			leave()
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			synctest.Wait()
			after := scrape(t, st.get)
			for _, c := range []struct {
				want   float64
				name   string
				labels []string
			}{
				{0, "parley_answers_running", []string{"model", "tiny", "phase", "generating"}},
				{1, "parley_answers_total", []string{"model", "tiny", "dialect", "ollama", "ended", "left"}},
				{40, "parley_prompt_tokens_total", []string{"model", "tiny", "source", "unknown"}},
				{1, "parley_http_requests_total", []string{"route", "/api/chat", "status", "499"}},
			} {
				if got := value(after, c.name, c.labels...); got != c.want {
					t.Errorf("afterwards %s%v is %v, want %v", c.name, c.labels, got, c.want)
				}
			}
		})
	})
}

func TestClientsMakeNoSeries(t *testing.T) {
	s := New(one("tiny", chat.Script(chat.TextDelta{Text: "x"}), nil), Options{})
	series := func() (n int) {
		families := scrape(t, func(path string) (*http.Response, error) { return serve(s, "GET", path, "").Result(), nil })
		for name, f := range families {
			if strings.HasPrefix(name, "parley_") {
				n += len(f.Metric)
			}
		}
		return n
	}
	noise := func(i int) {
		serve(s, "POST", "/v1/chat/completions", fmt.Sprintf(`{"model":"made-up-%d","messages":[{"role":"user","content":"x"}]}`, i))
		serve(s, "GET", fmt.Sprintf("/made/up/%d", i), "")
		serve(s, "GET", fmt.Sprintf("/v1/models/made-up-%d", i), "")
		serve(s, fmt.Sprintf("M%d", i), "/v1/models", "")
	}
	noise(0)
	series() // its own
	before := series()
	for i := range 50 {
		noise(i)
	}
	if after := series(); after != before {
		t.Errorf("%d series have become %d", before, after)
	}
}

func TestMetricsNeedAKeyWhereThereIsOne(t *testing.T) {
	s := New(one("tiny", nil, nil), Options{Keys: plain("k")})
	if rec := serve(s, "GET", "/metrics", ""); rec.Code != http.StatusUnauthorized || strings.Contains(rec.Body.String(), "parley_http") {
		t.Errorf("without a key: %d", rec.Code)
	}
	if rec := serve(s, "GET", "/metrics", "", "Authorization", "Bearer k"); rec.Code != http.StatusOK {
		t.Errorf("with it: %d", rec.Code)
	}
}

func TestAnEngineThatTellsNonsenseBreaksNoCounter(t *testing.T) {
	s := New(one("tiny", chat.Script(chat.TextDelta{Text: "x"}, chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd,
		Usage: llm.Usage{PromptTokens: 3, CachedTokens: 7, CompletionTokens: -4, Decode: -time.Second}}}), nil), Options{})
	if rec := serve(s, "POST", "/v1/chat/completions", whole); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestAModelMayHaveAnyName(t *testing.T) {
	s := New(one("\xff\xfe", chat.Script(chat.TextDelta{Text: "x"}), nil), Options{})
	if rec := serve(s, "POST", "/v1/chat/completions", whole); rec.Code != http.StatusOK {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	families := scrape(t, func(path string) (*http.Response, error) { return serve(s, "GET", path, "").Result(), nil })
	if got := value(families, "parley_answers_total", "ended", "end"); got != 1 {
		t.Errorf("%v answers ended", got)
	}
}

// The table of docs/observability.md says what is served.
func TestTheDocumentationOfMetricsIsWhatIsServed(t *testing.T) {
	m := one("tiny", chat.Script(chat.TextDelta{Text: "a"}, chat.TextDelta{Text: "b"},
		chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd, Usage: llm.Usage{PromptTokens: 1, CompletionTokens: 2, DraftedTokens: 1, Decode: time.Second}}}), nil)
	s := New(loaded{m}, Options{})
	srv := httptest.NewServer(s.Handler(Own))
	defer srv.Close()
	resp, err := http.Post(srv.URL+"/v1/chat/completions", "application/json", strings.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()

	families := scrape(t, func(path string) (*http.Response, error) { return http.Get(srv.URL + path) })
	var table strings.Builder
	table.WriteString("| metric | type | labels | what it is |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		if !strings.HasPrefix(name, "parley_") {
			continue
		}
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		slices.Sort(labels)
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}

	const file, begin, end = "../../docs/observability.md", "<!-- metrics: begin -->\n", "<!-- metrics: end -->"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	_, tail, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatalf("%s has no place for the table", file)
	}
	want := head + begin + table.String() + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(data) != want {
		t.Errorf("%s is not what is served: go test ./internal/server -update. It should be:\n%s", file, table.String())
	}
}

// loaded is a model that is loaded.
type loaded struct{ *single }

func (m loaded) List(ctx context.Context) ([]Listed, error) {
	all, err := m.single.List(ctx)
	all[0].Status.State, all[0].Engine.Slots = Ready, 8
	return all, err
}
