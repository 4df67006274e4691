package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/internal/check"
)

func TestABrokenPromiseIsShownWithARequestAndIsExitCode1(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			io.WriteString(w, `{"object":"list","data":[{"id":"m"}]}`)
		case "/v1/chat/completions":
			io.WriteString(w, `{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	var out, errs bytes.Buffer
	if code := run([]string{"check", "--only", "unknown-field,models", s.URL + "/v1/"}, strings.NewReader(""), &out, &errs); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		s.URL + "  m\n",
		"✓ It speaks the protocol                   1 of 1 kept\n",
		"✗ You can always see why                   0 of 1 kept\n",
		"    ✗ unknown-field       ignored in silence",
		"        curl -s " + s.URL + "/v1/chat/completions -H 'Content-Type: application/json' -d '{",
		"✓ 1 kept   ✗ 1 broken",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if errs.Len() > 0 {
		t.Errorf("on standard error: %s", errs.String())
	}
}

// two are reports as several servers give them.
func two() []*check.Report {
	return []*check.Report{
		{URL: "http://a:1", Software: "Parley", Model: "m", Context: 4096, Seconds: 1.25, Results: []check.Result{
			{Check: "models", Promise: check.Protocol, Verdict: check.Kept, Evidence: "m"},
			{Check: "stop-many", Promise: check.Stops, Verdict: check.Kept, Evidence: "all of them"},
			{Check: "stop-reported", Promise: check.Stops, Verdict: check.Kept, Evidence: "it is told"},
		}},
		{URL: "http://b:1", Software: "Other", Version: "1|2", Model: "n", Seconds: 60, Results: []check.Result{
			{Check: "models", Promise: check.Protocol, Verdict: check.CannotTell, Evidence: "no answer in time"},
			{Check: "stop-many", Promise: check.Stops, Verdict: check.Broken, Evidence: "\"<x>\" leaks\x1b[2J", Requests: []string{"curl -s one", "curl -s two"}},
			{Check: "stop-reported", Promise: check.Stops, Verdict: check.NotOffered, Evidence: "not told"},
		}},
	}
}

func TestServersStandSideBySide(t *testing.T) {
	var out bytes.Buffer
	c := &checkCmd{}
	if err := c.print(&app{stdout: &out}, two()); err != nil {
		t.Fatal(err)
	}
	want := `1  Parley     http://a:1
2  Other 1|2  http://b:1

                      1   2
It speaks the protocol
  models              ✓   ?
Stops stop
  stop-many           ✓   ✗
  stop-reported       ✓   –

Parley  http://a:1, m, 4,096 tokens of context

✓ It speaks the protocol                   1 of 1 kept
✓ Stops stop                               2 of 2 kept

✓ 3 kept  in 1.2 s

Other 1|2  http://b:1, n

? It speaks the protocol                   0 of 1 kept
    ? models              no answer in time
✗ Stops stop                               0 of 2 kept
    ✗ stop-many           "<x>" leaks` + "\ufffd" + `[2J
        curl -s two
    – stop-reported       not told

✓ 0 kept   ✗ 1 broken   – 1 not offered   ? 1 cannot tell  in 60.0 s
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestTheTableInMarkdown(t *testing.T) {
	var out bytes.Buffer
	c := &checkCmd{Markdown: true}
	if err := c.print(&app{stdout: &out}, two()); err != nil {
		t.Fatal(err)
	}
	want := `| check | Parley | Other 1\|2 |
|---|---|---|
| **It speaks the protocol** | | |
| ` + "`models`" + ` | yes | ? |
| **Stops stop** | | |
| ` + "`stop-many`" + ` | yes | **no** |
| ` + "`stop-reported`" + ` | yes | – |

yes: kept; **no**: broken; –: not offered, and openly so; ?: cannot be told from outside.

Other 1|2, model ` + "`n`" + `:

- ` + "`models`" + ` cannot tell: no answer in time
- ` + "`stop-many`" + ` broken: "&lt;x>" leaks[2J
- ` + "`stop-reported`" + ` not offered: not told
`
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}
