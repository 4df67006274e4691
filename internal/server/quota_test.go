package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/apikey"
	"parley/llm"
)

// limited is a server with a quota and a clock that is set by hand. Its answers
// take 50 tokens, 20 of a prompt that was known already aside.
func limited(q Quota, keys ...apikey.Key) (*Server, *time.Time) {
	r := chat.Script(chat.TextDelta{Text: "x"}, chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd,
		Usage: llm.Usage{PromptTokens: 60, CachedTokens: 20, CompletionTokens: 10}}})
	s := New(one("tiny", r, nil), Options{Quota: q, Keys: keys})
	now := time.Unix(1_700_000_000, 0)
	s.now = func() time.Time { return now }
	return s, &now
}

func TestRequestsAMinute(t *testing.T) {
	s, now := limited(Quota{Requests: 3})
	ask := func() (int, string) {
		rec := serve(s, "POST", "/v1/chat/completions", whole)
		return rec.Code, rec.Header().Get("Retry-After")
	}
	for i := range 3 {
		if code, _ := ask(); code != http.StatusOK {
			t.Errorf("request %d: %d", i, code)
		}
	}
	if code, wait := ask(); code != http.StatusTooManyRequests || wait != "20" {
		t.Errorf("the fourth: %d, come again in %q seconds", code, wait)
	}
	if rec := serve(s, "GET", "/v1/models", ""); rec.Code != http.StatusOK {
		t.Errorf("a look at the models: %d", rec.Code)
	}
	*now = now.Add(19 * time.Second)
	if code, wait := ask(); code != http.StatusTooManyRequests || wait != "1" {
		t.Errorf("too early: %d, %q", code, wait)
	}
	*now = now.Add(time.Second)
	if code, _ := ask(); code != http.StatusOK {
		t.Errorf("after the wait: %d", code)
	}
	if code, _ := ask(); code != http.StatusTooManyRequests {
		t.Errorf("and one more: %d", code)
	}
	*now = now.Add(time.Hour)
	for i := range 4 {
		if code, _ := ask(); (code == http.StatusOK) != (i < 3) {
			t.Errorf("request %d after an hour: %d", i, code)
		}
	}
}

func TestTokensAMinute(t *testing.T) {
	s, now := limited(Quota{Tokens: 100})
	for i, want := range []int{200, 200, 429} { // 50, 100
		rec := serve(s, "POST", "/v1/chat/completions", whole)
		if rec.Code != want {
			t.Errorf("request %d: %d %s", i, rec.Code, rec.Body)
		}
		if want == 429 && (rec.Header().Get("Retry-After") != "1" || !strings.Contains(rec.Body.String(), "100 tokens a minute")) {
			t.Errorf("refused with %v %s", rec.Header(), rec.Body)
		}
	}
	*now = now.Add(2 * time.Second)
	if rec := serve(s, "POST", "/v1/chat/completions", whole); rec.Code != 200 {
		t.Errorf("after two seconds: %d", rec.Code)
	}
	rec := serve(s, "POST", "/v1/chat/completions", whole) // 146 are in it, 100 fit
	if rec.Code != 429 || rec.Header().Get("Retry-After") != "28" {
		t.Errorf("in debt: %d, come again in %s seconds", rec.Code, rec.Header().Get("Retry-After"))
	}
}

func TestAQuotaIsForEachAsker(t *testing.T) {
	s, _ := limited(Quota{Requests: 1}, plain("a", "b")...)
	for _, c := range []struct {
		key  string
		want int
	}{{"a", 200}, {"a", 429}, {"b", 200}, {"b", 429}} {
		if rec := serve(s, "POST", "/v1/messages", `{"max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, "X-Api-Key", c.key); rec.Code != c.want || c.want == 429 && !strings.Contains(rec.Body.String(), "rate_limit_error") {
			t.Errorf("key %s: %d, want %d: %s", c.key, rec.Code, c.want, rec.Body)
		}
	}
	same := func(a, b string) bool {
		return askerName(nil, netip.MustParseAddr(a)) == askerName(nil, netip.MustParseAddr(b))
	}
	if !same("2001:db8:1:2::3", "2001:db8:1:2:4:5:6:7") || same("2001:db8:1:2::3", "2001:db8:1:3::3") || same("10.0.0.1", "10.0.0.2") {
		t.Error("addresses are not told apart by household")
	}
	if name := askerName(new(apikey.Plain("secret")), netip.Addr{}); strings.Contains(name, "secret") {
		t.Errorf("an asker is called %s", name)
	}
}

func TestRequestsAtATime(t *testing.T) {
	s, _ := limited(Quota{Concurrent: 2})
	leave, err := s.enter("127.0.0.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if rec := serve(s, "POST", "/v1/chat/completions", whole); rec.Code != 200 {
		t.Errorf("the second: %d", rec.Code)
	}
	second, err := s.enter("127.0.0.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if rec := serve(s, "POST", "/v1/chat/completions", whole); rec.Code != 429 || rec.Header().Get("Retry-After") != "1" || !strings.Contains(rec.Body.String(), "2 requests at a time") {
		t.Errorf("the third: %d %s", rec.Code, rec.Body)
	}
	leave()
	if rec := serve(s, "POST", "/v1/chat/completions", whole); rec.Code != 200 {
		t.Errorf("after one has left: %d", rec.Code)
	}
	second()
}

func TestAskersOfLongAgoAreForgotten(t *testing.T) {
	s, now := limited(Quota{Requests: 5, Tokens: 5})
	for i := range 10_000 {
		leave, err := s.enter(fmt.Sprint(i), nil)
		if err != nil {
			t.Fatal(err)
		}
		leave()
		*now = now.Add(time.Second)
	}
	if n := len(s.askers); n > 1000 {
		t.Errorf("%d askers are remembered", n)
	}
}

func TestWhoCanWaitSaysSo(t *testing.T) {
	for word, want := range map[string]int{"": 200, "low": 200, "Normal": 200, "high": 400} {
		s, _ := limited(Quota{})
		if rec := serve(s, "POST", "/v1/chat/completions", whole, "Parley-Priority", word); rec.Code != want {
			t.Errorf("%q: %d %s", word, rec.Code, rec.Body)
		}
	}
	m := &seeing{single: one("tiny", chat.Script(chat.TextDelta{Text: "x"}), nil)}
	s := New(m, Options{Keys: plain("k")})
	serve(s, "POST", "/v1/chat/completions", whole, "Parley-Priority", "low", "X-Api-Key", "k")
	serve(s, "POST", "/tokenize", `{"content":"x"}`, "X-Api-Key", "k")
	if len(m.seen) != 2 || !m.seen[0].Low || m.seen[0].Aside || m.seen[1].Low || !m.seen[1].Aside || m.seen[0].Name != m.seen[1].Name || m.seen[0].Name == "" {
		t.Errorf("the models were asked by %+v", m.seen)
	}
}
