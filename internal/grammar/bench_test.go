package grammar

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"parley/internal/gguf"
)

// manyTokens are 128 thousand different texts that vocabularies have.
func manyTokens(b *testing.B) []string {
	b.Helper()
	dir := os.Getenv("PARLEY_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	// GPT-2's alphabet: bytes that are no printable characters have others.
	bytes := map[rune]byte{}
	next := rune(256)
	for c := range 256 {
		if c >= '!' && c <= '~' || c >= 0xa1 && c <= 0xac || c >= 0xae {
			bytes[rune(c)] = byte(c)
		} else {
			bytes[next] = byte(c)
			next++
		}
	}
	var out []string
	seen := map[string]bool{}
	for _, name := range []string{"deepseek-llm", "falcon", "mpt", "starcoder"} {
		f, err := gguf.Open(filepath.Join(dir, "vocab", "ggml-vocab-"+name+".gguf"))
		if err != nil {
			b.Skip(err)
		}
		tokens, _, err := f.Strings("tokenizer.ggml.tokens")
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range tokens {
			var s strings.Builder
			for _, r := range t {
				s.WriteByte(bytes[r])
			}
			if !seen[s.String()] && len(out) < 1<<17 {
				seen[s.String()] = true
				out = append(out, s.String())
			}
		}
		f.Close()
	}
	return out
}

const benchSchema = `{"type":"object","properties":{
  "name":{"type":"string","maxLength":60},"age":{"type":"integer","minimum":0,"maximum":150},
  "email":{"type":"string"},"tags":{"type":"array","items":{"type":"string"},"maxItems":8},
  "address":{"type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9]{5}$"}},"required":["street","city"],"additionalProperties":false},
  "kind":{"enum":["person","company","unknown"]},"score":{"type":"number"},"extra":{"type":"object"}},
  "required":["name","age","email","tags","address","kind","score","extra"],"additionalProperties":false}`

const benchText = `{"name": "Ada Lovelace, Countess", "age": 36, "email": "ada@analytical.example", "tags": ["mathematics", "engines", "poetical science"],
 "address": {"street": "12 St James's Square", "city": "London", "zip": "10001"}, "kind": "person", "score": 99.75, "extra": {"notes": ["first \"programmer\"", {"year": 1843, "page": null}], "ok": true}}`

// BenchmarkMasks goes along a text, one token of a few letters after the other,
// as a model would write it, and reports the time for a mask: of the first
// text under a grammar, and of later ones.
func BenchmarkMasks(b *testing.B) {
	texts := manyTokens(b)
	v := NewVocabulary(texts)
	known := map[string]bool{}
	for _, t := range texts {
		known[t] = true
	}
	var tokens []string
	for rest := benchText; rest != ""; {
		n := min(12, len(rest))
		for !known[rest[:n]] {
			n--
		}
		tokens, rest = append(tokens, rest[:n]), rest[n:]
	}
	for _, again := range []bool{false, true} {
		name := "first text"
		if again {
			name = "later texts"
		}
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			var compile time.Duration
			var m *Masker
			for range b.N {
				if m == nil || !again {
					before := time.Now()
					g, err := Schema([]byte(benchSchema))
					if err != nil {
						b.Fatal(err)
					}
					compile += time.Since(before)
					m = NewMasker(g, v)
				}
				s := m.g.Start()
				for _, t := range tokens {
					before := time.Now()
					m.Mask(s)
					took = append(took, time.Since(before))
					if s = m.g.Step(s, t); s == nil {
						b.Fatalf("%q may not come", t)
					}
				}
			}
			sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
			total := time.Duration(0)
			for _, d := range took {
				total += d
			}
			b.ReportMetric(float64(total.Microseconds())/float64(len(took)), "µs/mask")
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "µs-median")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "µs-p99")
			if !again {
				b.ReportMetric(float64(compile.Microseconds())/float64(b.N), "µs/compile")
			}
		})
	}
}
