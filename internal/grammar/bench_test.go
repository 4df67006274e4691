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

// BenchmarkMasks goes along testdata/person.json, one token of a few letters
// after the other, as a model would write it, and reports the time for a mask:
// of the first text under a grammar, and of later ones. The grammar is the
// schema's, or person.gbnf, which is about what llama.cpp makes of the schema:
// tools/peerbench/grammar.py has llama.cpp follow it.
func BenchmarkMasks(b *testing.B) {
	texts := manyTokens(b)
	v := NewVocabulary(texts)
	known := map[string]bool{}
	for _, t := range texts {
		known[t] = true
	}
	var tokens []string
	for rest := strings.TrimSpace(file(b, "person.json")); rest != ""; {
		n := min(12, len(rest))
		for !known[rest[:n]] {
			n--
		}
		tokens, rest = append(tokens, rest[:n]), rest[n:]
	}
	for _, c := range []struct {
		name    string
		compile func() (*Grammar, error)
	}{
		{"schema", func() (*Grammar, error) { return Schema([]byte(file(b, "person.schema.json"))) }},
		{"gbnf", func() (*Grammar, error) { return GBNF(file(b, "person.gbnf")) }},
	} {
		b.Run(c.name+", first text", func(b *testing.B) { benchMasks(b, v, tokens, c.compile, false) })
		b.Run(c.name+", later texts", func(b *testing.B) { benchMasks(b, v, tokens, c.compile, true) })
	}
}

func file(b *testing.B, name string) string {
	b.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

func benchMasks(b *testing.B, v *Vocabulary, tokens []string, compile func() (*Grammar, error), again bool) {
	var took []time.Duration
	var compiling time.Duration
	var m *Masker
	run := func() {
		if m == nil || !again {
			before := time.Now()
			g, err := compile()
			if err != nil {
				b.Fatal(err)
			}
			compiling += time.Since(before)
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
	if again {
		run()
		took = took[:0]
	}
	for range b.N {
		run()
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	total := time.Duration(0)
	for _, d := range took {
		total += d
	}
	b.ReportMetric(float64(total.Nanoseconds())/1000/float64(len(took)), "µs/mask")
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "µs-median")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "µs-p99")
	if !again {
		b.ReportMetric(float64(compiling.Microseconds())/float64(b.N), "µs/compile")
	}
}
