package enginetest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"parley/internal/upstream/enginetest"
)

// through asks for a streamed completion through a proxy and reads what comes.
func through(t *testing.T, c *enginetest.Chaos) (*http.Response, string, error) {
	t.Helper()
	data, _ := json.Marshal(map[string]any{"prompt": "x", "stream": true})
	resp, err := http.Post(c.URL+"/v1/completions", "application/json", bytes.NewReader(data))
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp, string(ids.ReplaceAll(body, nil)), err
}

// ids differ from answer to answer.
var ids = regexp.MustCompile(`"id":"[^"]*",|"created":\d+,`)

func TestAProxyPassesWhatItDoesNotSpoil(t *testing.T) {
	e := enginetest.Start(t, "llamacpp", enginetest.Options{})
	c := enginetest.StartChaos(t, e.URL)
	_, whole, err := through(t, c)
	if err != nil || strings.Count(whole, "data: ") != 14 {
		t.Fatalf("%v %q", err, whole)
	}
	c.SpoilTimes("500", 2)
	for _, want := range []int{500, 500, 200} {
		if resp, _, err := through(t, c); err != nil || resp.StatusCode != want {
			t.Errorf("%v, %v, want %d", resp, err, want)
		}
	}
	if c.Hits() != 3 {
		t.Errorf("%d requests came, want 3", c.Hits())
	}
	if resp, err := http.Get(c.URL + "/health"); err != nil || resp.StatusCode != 200 {
		t.Errorf("a probe route was spoiled: %v %v", resp, err)
	}
}

func TestFaultsSpoilTheAnswer(t *testing.T) {
	e := enginetest.Start(t, "llamacpp", enginetest.Options{})
	for _, fault := range enginetest.Faults() {
		switch fault {
		case "never answers", "silent after headers", "silent mid-stream", "stays open at the end":
			continue // these are read to their end nowhere
		}
		c := enginetest.StartChaos(t, e.URL)
		_, honest, _ := through(t, c)
		c.Spoil(fault)
		resp, body, err := through(t, c)
		spoiled := err != nil || resp.StatusCode != 200 || body != honest || len(resp.Header) > 3 || resp.Header.Get("X-Padding") != ""
		switch fault {
		case "split at every byte", "wrong content type", "gzip", "closes without saying":
			spoiled = err == nil && body == honest // seen below the body, or behind it
		}
		if !spoiled {
			t.Errorf("%s: the answer is %.200q", fault, body)
		}
	}
}

func TestAConnectionThatIsHeldOpenIsCounted(t *testing.T) {
	e := enginetest.Start(t, "llamacpp", enginetest.Options{})
	c := enginetest.StartChaos(t, e.URL)
	c.Spoil("silent after headers")
	data, _ := json.Marshal(map[string]any{"prompt": "x", "stream": true})
	resp, err := http.Post(c.URL+"/v1/completions", "application/json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if c.Held() != 1 || c.Left() != 0 {
		t.Errorf("%d held, %d left", c.Held(), c.Left())
	}
	resp.Body.Close()
}
