package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

// A probed is a listener as a client sees it that finds out what listens.
type probed struct {
	t *testing.T
	h http.Handler
}

// ask sends a request as programs do (no Accept for pages), and gives the
// status, the body, and what it is as JSON.
func (p probed) ask(method, path, body string) (int, string, map[string]any) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:1"
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Authorization", "Bearer") // as SillyTavern without a key
	rec := httptest.NewRecorder()
	p.h.ServeHTTP(rec, r)
	var v map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &v)
	return rec.Code, rec.Body.String(), v
}

func (p probed) get(path string) (int, map[string]any) {
	code, _, v := p.ask("GET", path, "")
	return code, v
}

// at is what stands at a path of keys: "a/b".
func at(v map[string]any, path string) any {
	var x any = v
	for key := range strings.SplitSeq(path, "/") {
		m, ok := x.(map[string]any)
		if !ok {
			return nil
		}
		x = m[key]
	}
	return x
}

func isText(v map[string]any, path string) bool { s, ok := at(v, path).(string); return ok && s != "" }
func isList(v map[string]any, path string) bool { _, ok := at(v, path).([]any); return ok }

// recognisers are what clients look at before they take a server for one of a
// kind.
var recognisers = map[string]func(probed) bool{
	// SillyTavern, Continue, Open WebUI, the SDKs: a list at /v1/models.
	"openai": func(p probed) bool {
		code, v := p.get("/v1/models")
		return code == 200 && isList(v, "data")
	},
	// Open WebUI asks for the version and the tags, Ollama's own clients look at
	// the root; Continue then shows the model.
	"ollama": func(p probed) bool {
		root, words, _ := p.ask("GET", "/", "")
		head, nothing, _ := p.ask("HEAD", "/", "")
		version, v := p.get("/api/version")
		tags, m := p.get("/api/tags")
		show, _, shown := p.ask("POST", "/api/show", `{"model":"tiny"}`)
		return root == 200 && words == "Ollama is running" && head == 200 && nothing == "" && version == 200 && isText(v, "version") &&
			tags == 200 && isList(m, "models") && show == 200 && isList(shown, "capabilities")
	},
	// SillyTavern wants a template that is text and a context that is a number;
	// others look at the health.
	"llamacpp": func(p probed) bool {
		health, h := p.get("/health")
		props, v := p.get("/props")
		_, template := at(v, "chat_template").(string)
		_, context := at(v, "default_generation_settings/n_ctx").(float64)
		return health == 200 && at(h, "status") == "ok" && props == 200 && template && context
	},
	// KoboldAI Lite and SillyTavern: a model that is not "ReadOnly", a version of
	// United's API that has stop sequences, and KoboldCpp's own version.
	"koboldcpp": func(p probed) bool {
		model, m := p.get("/api/v1/model")
		united, u := p.get("/api/v1/info/version")
		extra, e := p.get("/api/extra/version")
		return model == 200 && isText(m, "result") && at(m, "result") != "ReadOnly" && united == 200 && at(u, "result") == "1.2.5" &&
			extra == 200 && at(e, "result") == "KoboldCpp" && isText(e, "version")
	},
	// SillyTavern's default text completion, after /v1/models.
	"textgen": func(p probed) bool {
		code, v := p.get("/v1/internal/model/info")
		return code == 200 && isText(v, "model_name")
	},
	"parley": func(p probed) bool {
		code, v := p.get("/parley/v1/models")
		return code == 200 && isList(v, "models")
	},

	// What Parley never is: paths by which others are known are not there.
	"vllm":      func(p probed) bool { code, _ := p.get("/version"); return code != 404 },
	"sglang":    func(p probed) bool { code, _ := p.get("/get_model_info"); return code != 404 },
	"lmstudio":  func(p probed) bool { code, _ := p.get("/api/v0/models"); return code != 404 },
	"lmstudio1": func(p probed) bool { code, _ := p.get("/api/v1/models"); return code != 404 },
	"tgi":       func(p probed) bool { code, _ := p.get("/info"); return code != 404 },
	"tabby":     func(p probed) bool { code, _ := p.get("/v1/model"); return code != 404 },
	"horde":     func(p probed) bool { code, _ := p.get("/api/v2/status/models"); return code != 404 },
	"anything":  func(p probed) bool { code, _ := p.get("/no/such/path"); return code != 404 },
}

// contexts are the places where faces tell how long a context may be.
var contexts = []struct {
	method, path, body, at string
}{
	{"GET", "/props", "", "default_generation_settings/n_ctx"},
	{"GET", "/api/extra/true_max_context_length", "", "value"},
	{"GET", "/api/v1/config/max_context_length", "", "value"},
	{"POST", "/api/show", `{"model":"tiny"}`, "model_info/llama.context_length"},
	{"GET", "/v1/models/tiny", "", "max_model_len"},
	{"GET", "/v1/models/tiny", "", "meta/n_ctx"},
	{"POST", "/api/v1/model", `{"action":"info"}`, "result/shared.settings/truncation_length"},
}

func TestEachFaceIsRecognisedAsWhatItSaysItIs(t *testing.T) {
	is := map[string][]string{
		"parley":    {"koboldcpp", "llamacpp", "ollama", "openai", "parley", "textgen"},
		"openai":    {"openai"},
		"anthropic": {"openai"},
		"ollama":    {"ollama", "openai"},
		"llamacpp":  {"llamacpp", "openai"},
		"koboldcpp": {"koboldcpp", "openai"},
		"textgen":   {"openai", "textgen"},
		"mlc":       {"openai"},
	}
	s := New(one("tiny", rendering{chat.Script()}, llm.Script()), Options{})
	told := map[string]bool{}
	for _, f := range Faces {
		p := probed{t, s.Handler(f)}
		want, known := is[f.Name]
		if !known {
			t.Errorf("the face %s is not in the list of this test", f.Name)
		}
		var got []string
		for name, recognises := range recognisers {
			if recognises(p) {
				got = append(got, name)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s is taken for %v, want %v", f.Name, got, want)
		}
		for _, c := range contexts {
			code, _, v := p.ask(c.method, c.path, c.body)
			if code == http.StatusNotFound || code == http.StatusMethodNotAllowed {
				continue
			}
			told[c.path] = true
			if n := at(v, c.at); n != float64(4096) {
				t.Errorf("%s: %s tells a context of %v", f.Name, c.path, n)
			}
		}
		if code, body, _ := p.ask("GET", "/slots", ""); code == http.StatusOK {
			var all []struct {
				Context int `json:"n_ctx"`
			}
			if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) == 0 || all[0].Context != 4096 {
				t.Errorf("%s: /slots tells %s", f.Name, body)
			}
		}
	}
	for _, c := range contexts {
		if !told[c.path] {
			t.Errorf("no face has %s", c.path)
		}
	}
}

// TestAPathThatIsNotThereIsNot: in every face, with every method, in the words
// of its dialect, and never a page.
func TestAPathThatIsNotThereIsNot(t *testing.T) {
	s := New(one("tiny", chat.Script(), llm.Script()), Options{})
	for _, f := range Faces {
		p := probed{t, s.Handler(f)}
		for _, path := range []string{"/nothing", "/v1", "/v1/nothing", "/api", "/api/v1", "/api/nothing", "/version", "/index.html", "/favicon.ico", "/v1/chat", "/v1/chat/completions/x", "/API/TAGS"} {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
				code, body, v := p.ask(method, path, "{}")
				if code != http.StatusNotFound || v == nil {
					t.Errorf("%s: %s %s: %d %s", f.Name, method, path, code, body)
				}
			}
		}
		// What another face has is not there either.
		for _, r := range routes {
			if r.dialect == Health || slices.Contains(f.Dialects, r.dialect) || len(f.match(r.path)) > 0 {
				continue
			}
			if code, _, _ := p.ask(r.method, below(r), "{}"); code != http.StatusNotFound {
				t.Errorf("%s: %s: %d", f.Name, fmt.Sprint(r.method, " ", r.path), code)
			}
		}
	}
}
