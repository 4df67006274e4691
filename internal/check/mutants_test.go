package check

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// later is the index of the first system message behind others, or -1.
func later(m []message) int {
	return slices.IndexFunc(m[min(1, len(m)):], func(x message) bool { return x.Role == "system" }) + 1
}

func drop(m []message, i int) []message { return slices.Delete(m, i, i+1) }

// mutants are servers that break one promise, and the checks that find it.
var mutants = map[string]struct {
	fault func(*fake)
	finds []string // with a question mark: if the words that the model says allow
}{
	"keeps only the last of the leading systems": {func(f *fake) {
		f.arrange = func(m []message) []message {
			if len(m) > 1 && m[0].Role == "system" && m[1].Role == "system" {
				return drop(m, 0)
			}
			return m
		}
	}, []string{"systems-leading"}},
	"loses a system message in the middle": {func(f *fake) {
		f.arrange = func(m []message) []message {
			if i := later(m); i > 1 && i < len(m)-1 {
				return drop(m, i)
			}
			return m
		}
	}, []string{"system-middle"}},
	"loses a system message at the end": {func(f *fake) {
		f.arrange = func(m []message) []message {
			if i := later(m); i > 1 && i == len(m)-1 {
				return drop(m, i)
			}
			return m
		}
	}, []string{"system-last"}},
	"sends a user twice before a system message at the end": {func(f *fake) {
		f.arrange = func(m []message) []message {
			if i := later(m); i > 1 && i == len(m)-1 {
				return slices.Insert(m, i, m[i-1])
			}
			return m
		}
	}, []string{"system-last"}},
	"moves all system messages to the head": {hoist, []string{"system-middle", "system-last"}},
	"moves all system messages to the head, and shows it": {func(f *fake) {
		hoist(f)
		f.shows = true
	}, []string{"system-middle", "system-last"}},
	"moves all system messages to the head, and tells only probabilities": {func(f *fake) {
		hoist(f)
		f.usage = func(u map[string]any, _ bool) { delete(u, "prompt_tokens_details") }
	}, []string{"system-middle", "system-last"}},
	"moves the leading systems before the last user": {func(f *fake) {
		f.arrange = func(m []message) []message {
			n := 0
			for n < len(m) && m[n].Role == "system" {
				n++
			}
			if n < 2 || m[len(m)-1].Role != "user" {
				return m
			}
			return slices.Concat(m[n:len(m)-1], m[:n], m[len(m)-1:])
		}
	}, []string{"systems-leading"}},
	"loses a lone system message": {func(f *fake) {
		f.arrange = func(m []message) []message {
			if len(m) == 1 && m[0].Role == "system" {
				return nil
			}
			return m
		}
	}, []string{"system-alone"}},
	"does not know developers": {func(f *fake) {
		f.arrange = func(m []message) []message {
			return slices.DeleteFunc(m, func(x message) bool { return x.Role == "developer" })
		}
	}, []string{"developer-role"}},
	"loses a user before a user": {func(f *fake) {
		f.arrange = func(m []message) []message {
			for i := range len(m) - 1 {
				if m[i].Role == "user" && m[i+1].Role == "user" && m[i].Name == "" {
					return drop(m, i)
				}
			}
			return m
		}
	}, []string{"users-in-a-row"}},
	"loses an assistant before an assistant": {func(f *fake) {
		f.arrange = func(m []message) []message {
			for i := range len(m) - 1 {
				if m[i].Role == "assistant" && m[i+1].Role == "assistant" {
					return drop(m, i)
				}
			}
			return m
		}
	}, []string{"assistants-in-a-row"}},
	"loses the greeting": {func(f *fake) {
		f.arrange = func(m []message) []message {
			for i, x := range m {
				if x.Role == "user" {
					break
				}
				if x.Role == "assistant" {
					return drop(m, i)
				}
			}
			return m
		}
	}, []string{"greeting-first"}},
	"ends at an empty message": {func(f *fake) {
		f.arrange = func(m []message) []message {
			for i, x := range m {
				if x.Role == "assistant" && x.Content == "" {
					return m[:i]
				}
			}
			return m
		}
	}, []string{"empty-content"}},
	"loses tool results": {func(f *fake) {
		f.arrange = func(m []message) []message {
			return slices.DeleteFunc(m, func(x message) bool { return x.Role == "tool" })
		}
	}, []string{"tool-history"}},
	"takes the first part for the content": {func(f *fake) {
		f.arrange = func(m []message) []message {
			for i, x := range m {
				if parts, ok := x.Content.([]any); ok {
					m[i].Content = parts[:1]
				}
			}
			return m
		}
	}, []string{"content-parts"}},
	"drops names": {func(f *fake) {
		f.arrange = func(m []message) []message {
			for i := range m {
				m[i].Name = ""
			}
			return m
		}
	}, []string{"speaker-names"}},
	"loses a prefill":                 {func(f *fake) { f.prefill = func(string) (string, string) { return "", "" } }, []string{"prefill"}},
	"loses the space after a prefill": {func(f *fake) { f.prefill = func(s string) (string, string) { return s, " " } }, []string{"prefill"}},
	"cuts a long prompt":              {func(f *fake) { f.cuts = true }, []string{"too-long"}},

	"lets users forge marks": {func(f *fake) { f.forges = true }, []string{"forged-marks"}},
	"takes marks away": {func(f *fake) {
		f.clean = func(s string) string { return strings.NewReplacer("<|im_end|>", "", "<|im_start|>", "").Replace(s) }
	}, []string{"forged-marks"}},

	"ignores stop strings": {func(f *fake) { f.stops = func(string, []string) (int, string) { return -1, "" } },
		[]string{"stop-whole", "stop-streamed", "stop-across-tokens", "stop-multibyte", "stop-many"}},
	"stops a letter late": {func(f *fake) {
		f.stops = func(text string, stops []string) (int, string) {
			i, s := earliest(text, stops)
			if i >= 0 {
				i++
				for i < len(text) && text[i]&0xc0 == 0x80 {
					i++
				}
			}
			return i, s
		}
	}, []string{"stop-whole", "stop-streamed", "stop-across-tokens", "stop-multibyte", "stop-many"}},
	"stops a letter early": {func(f *fake) {
		f.stops = func(text string, stops []string) (int, string) {
			i, s := earliest(text, stops)
			if i > 0 {
				i--
				for i > 0 && text[i]&0xc0 == 0x80 {
					i--
				}
			}
			return i, s
		}
	}, []string{"stop-whole", "stop-streamed?", "stop-across-tokens?", "stop-multibyte", "stop-many"}},
	"gives away the beginning of a stop string in a stream": {func(f *fake) { f.leaks = true }, []string{"stop-across-tokens", "stop-streamed?"}},
	"loses what could have become a stop string":            {func(f *fake) { f.swallows = true }, []string{"stop-held-back"}},
	"takes the first four stop strings": {func(f *fake) {
		f.ignores = func(q *request) { q.Stop = q.Stop[:min(4, len(q.Stop))] }
	}, []string{"stop-many"}},
	"tells a wrong stop string": {func(f *fake) { f.tellsFirst = true }, []string{"stop-reported"}},

	"ignores seeds":                    {func(f *fake) { f.seedless = true }, []string{"same-seed"}},
	"is another one in company":        {func(f *fake) { f.crowded = true }, []string{"same-in-company"}},
	"is another one with a warm cache": {func(f *fake) { f.cacheTells = true }, []string{"same-twice"}},
	"loses spaces in a stream": {func(f *fake) {
		f.event = func(_ int, e map[string]any) {
			for _, c := range e["choices"].([]any) {
				if d, ok := c.(map[string]any)["delta"].(map[string]any); ok && d["content"] != nil {
					d["content"] = strings.TrimLeft(d["content"].(string), " ")
				}
			}
		}
	}, []string{"same-streamed"}},

	"has no cache":                 {func(f *fake) { f.forgetful = true }, []string{"cheap-turns", "cheap-regenerate", "cheap-edit"}},
	"has a cache of whole prompts": {func(f *fake) { f.wholeOnly = true }, []string{"cheap-turns", "cheap-edit"}},

	"does not notice who leaves":              {func(f *fake) { f.deaf = func(*request) bool { return true } }, []string{"leave-stream", "leave-whole?"}},
	"notices who leaves only while it writes": {func(f *fake) { f.deaf = func(q *request) bool { return !q.Stream } }, []string{"leave-whole"}},
	"does not notice who leaves, and shows it": {func(f *fake) {
		f.deaf, f.shows = func(*request) bool { return true }, true
	}, []string{"leave-stream"}},

	"counts wrong": {func(f *fake) {
		f.usage = func(u map[string]any, _ bool) { u["total_tokens"] = 1 }
	}, []string{"usage"}},
	"does not count what was in the cache": {func(f *fake) {
		f.usage = func(u map[string]any, _ bool) {
			u["prompt_tokens"] = u["prompt_tokens"].(int) - u["prompt_tokens_details"].(map[string]any)["cached_tokens"].(int)
			u["total_tokens"] = u["prompt_tokens"].(int) + u["completion_tokens"].(int)
			delete(u, "prompt_tokens_details")
		}
	}, []string{"usage", "usage-streamed"}},
	"does not count":           {func(f *fake) { f.noUsage = true }, []string{"usage"}},
	"counts streams otherwise": {func(f *fake) { f.usage = countStreams }, []string{"usage-streamed"}},
	"says that more was cached than there was": {func(f *fake) {
		f.usage = func(u map[string]any, _ bool) { u["prompt_tokens_details"] = map[string]any{"cached_tokens": 5000} }
	}, []string{"cached-told"}},

	"does not end a stream": {func(f *fake) { f.noDone = true }, []string{"stream-form"}},
	"puts no blank lines into a stream": {func(f *fake) {
		f.frame = func(data string) string { return "data: " + data + "\n" }
	}, []string{"stream-form"}},
	"sends bare JSON in a stream": {func(f *fake) {
		f.frame = func(data string) string { return "data: " + data + "\n\n{\"note\": 1}\n\n" }
	}, []string{"stream-form"}},
	"says null with a string": {func(f *fake) {
		f.event = func(_ int, e map[string]any) {
			for _, c := range e["choices"].([]any) {
				if c := c.(map[string]any); c["finish_reason"] == nil {
					c["finish_reason"] = "null"
				}
			}
		}
	}, []string{"stream-form"}},
	"never says who speaks": {func(f *fake) {
		f.event = func(_ int, e map[string]any) {
			for _, c := range e["choices"].([]any) {
				if d, ok := c.(map[string]any)["delta"].(map[string]any); ok {
					delete(d, "role")
				}
			}
		}
	}, []string{"stream-form"}},
	"lists models as it likes": {func(f *fake) { f.list = `{"object":"models","data":[{"id":"fake","max_model_len":3000}]}` }, []string{"models"}},
	"gives one answer for two": {func(f *fake) { f.ignores = func(q *request) { q.N = 1 } }, []string{"choices"}},

	"says twice as much as it may": {func(f *fake) { f.ignores = func(q *request) { q.MaxTokens *= 2 } }, []string{"max-tokens"}},
	"ignores temperature":          {func(f *fake) { f.lukewarm = true }, []string{"temperature"}},
	"ignores logit_bias": {func(f *fake) {
		f.shows, f.ignores = true, func(q *request) { q.LogitBias = nil }
	}, []string{"logit-bias"}},
	"ignores unknown fields": {func(f *fake) { f.silent = true }, []string{"unknown-field"}},
	"answers to any name":    {func(f *fake) { f.echoes = true }, []string{"unknown-model"}},
	"fails at wrong bodies":  {func(f *fake) { f.crashes = true }, []string{"bad-json", "wrong-type"}},
	"answers wrong bodies":   {func(f *fake) { f.believes = true }, []string{"bad-json", "wrong-type"}},
}

func hoist(f *fake) {
	f.arrange = func(m []message) []message {
		slices.SortStableFunc(m, func(a, b message) int { return isSystem(b) - isSystem(a) })
		return m
	}
}

func isSystem(m message) int {
	if m.Role == "system" {
		return 1
	}
	return 0
}

func countStreams(u map[string]any, stream bool) {
	if stream {
		u["prompt_tokens"] = u["prompt_tokens"].(int) + 3
	}
}

func TestEachFaultIsFoundByItsChecksAndByNoOther(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(mutants)) {
		m := mutants[name]
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nonces := []int{1000, 3000}
			if testing.Short() {
				nonces = nonces[:1]
			}
			for _, nonce := range nonces {
				r, err := against(t, with(m.fault), Options{nonce: nonce})
				if err != nil {
					t.Fatal(err)
				}
				found := verdicts(r, Broken)
				for _, name := range found {
					if !slices.Contains(m.finds, name) && !slices.Contains(m.finds, name+"?") {
						explain(t, r)
						t.Errorf("nonce %d: %s is broken, too; want %v", nonce, name, m.finds)
					}
				}
				for _, name := range m.finds {
					if !strings.HasSuffix(name, "?") && !slices.Contains(found, name) {
						explain(t, r)
						t.Errorf("nonce %d: %s does not find it", nonce, name)
					}
				}
				for _, x := range r.Results {
					if x.Verdict == Broken && (len(x.Requests) == 0 || x.Evidence == "") {
						t.Errorf("%s is broken without evidence", x.Check)
					}
				}
			}
		})
	}
}

func TestEveryCheckFindsAFault(t *testing.T) {
	found := map[string]bool{"context-told": true} // it finds nothing wrong, only nothing
	for _, m := range mutants {
		for _, name := range m.finds {
			found[name] = true
		}
	}
	for _, c := range All() {
		if !found[c.Name] {
			t.Errorf("no fault is found by %s", c.Name)
		}
	}
}
