package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"parley/llm"
)

// vectors is an engine that only turns texts into vectors, by OpenAI's route.
func vectors(t *testing.T, answer func(w http.ResponseWriter, texts []string)) (llm.Embedder, *http.Header) {
	t.Helper()
	seen := &http.Header{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			fmt.Fprint(w, `{"object":"list","data":[{"id":"nomic","object":"model"}]}`)
		case "/v1/embeddings":
			*seen = r.Header
			var q struct {
				Model    string
				Input    []string
				Encoding string `json:"encoding_format"`
			}
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Model != "nomic" || q.Encoding != "float" {
				t.Errorf("asked %+v: %v", q, err)
			}
			w.Header().Set("Content-Type", "application/json")
			answer(w, q.Input)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(h.Close)
	e, err := Dial(t.Context(), Options{URL: h.URL, Kind: "openai", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	opened, err := e.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	v, ok := opened.Model.(llm.Embedder)
	if !ok {
		t.Fatalf("%T makes no vectors", opened.Model)
	}
	return v, seen
}

func prompts(texts ...string) (all []llm.Prompt) {
	for _, s := range texts {
		all = append(all, llm.Text(s))
	}
	return all
}

// TestAnEngineMakesVectors: whatever their order and length, each text has its
// own, of the length 1.
func TestAnEngineMakesVectors(t *testing.T) {
	v, seen := vectors(t, func(w http.ResponseWriter, texts []string) {
		if !reflect.DeepEqual(texts, []string{"one", "two"}) {
			t.Errorf("texts %q", texts)
		}
		fmt.Fprint(w, `{"object":"list","data":[{"index":1,"embedding":[0,-2]},{"index":0,"embedding":[3,4]}],"model":"nomic","usage":{"prompt_tokens":5,"total_tokens":5}}`)
	})
	got, usage, err := v.Embed(t.Context(), prompts("one", "two"))
	if want := [][]float32{{0.6, 0.8}, {0, -1}}; err != nil || !reflect.DeepEqual(got, want) || usage.PromptTokens != 5 {
		t.Errorf("got %v, %+v, %v", got, usage, err)
	}
	if seen.Get("Authorization") != "Bearer k" {
		t.Errorf("headers %v", *seen)
	}
}

func TestVectorsThatAreNoneAreErrors(t *testing.T) {
	for body, want := range map[string]string{
		`{"data":[{"index":0,"embedding":[1]}]}`:                                                         "1 vectors for 2 texts",
		`{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`:                             "do not belong",
		`{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}`:                             "do not belong",
		`{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}`:                           "do not belong",
		`{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}`:                               "do not belong",
		`{"data":[{"index":0,"embedding":[0,0]},{"index":1,"embedding":[1,2]}]}`:                         "without a direction",
		`{"data":[{"index":0,"embedding":[1e300,1e300]},{"index":1,"embedding":[1,2]}]}`:                 "without a direction",
		`{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1]},{"index":2,"embedding":[1]}]}`: "do not belong",
		`{"error":{"message":"This model does not support embeddings","type":"invalid_request_error"}}`:  "does not support embeddings",
		`[]`: "cannot be read",
	} {
		v, _ := vectors(t, func(w http.ResponseWriter, _ []string) {
			if strings.Contains(body, "error") {
				w.WriteHeader(http.StatusBadRequest)
			}
			fmt.Fprint(w, body)
		})
		if _, _, err := v.Embed(t.Context(), prompts("one", "two")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	v, _ := vectors(t, func(http.ResponseWriter, []string) { t.Error("an empty text was sent") })
	if _, _, err := v.Embed(t.Context(), prompts("one", "")); llm.AsError(err).Field != "input[1]" {
		t.Errorf("an empty text: %v", err)
	}
}
