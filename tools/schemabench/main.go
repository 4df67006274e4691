// Command schemabench goes through a folder of JSON schemas with instances, as
// MaskBench of JSONSchemaBench has it ({"schema": …, "tests": [{"data": …,
// "valid": …}]} in each file), and says which schemas are refused and why,
// whether the instances are told apart, and how long a mask takes over the
// tokens of the valid ones:
//
//	go run ./tools/schemabench FOLDER VOCABULARY.gguf …
//
// The tokens of several vocabularies are put together, up to 131,072 different
// texts. Without a vocabulary nothing is timed.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"parley/internal/grammar"
	"parley/internal/vocab"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: schemabench FOLDER VOCABULARY.gguf …")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemabench:", err)
		os.Exit(1)
	}
}

// A file is a schema of the folder.
type file struct {
	Schema json.RawMessage
	Tests  []struct {
		Valid bool
		Data  json.RawMessage
	}
}

type bench struct {
	tokens *tokens
	words  *grammar.Vocabulary

	schemas, refused, passing int
	why                       map[string]int
	valid, written            int
	invalid, let              int
	letBy                     []string
	first, masks              []time.Duration
	slowest                   map[string]time.Duration
}

func run(folder string, vocabularies []string) error {
	b := &bench{why: map[string]int{}, slowest: map[string]time.Duration{}}
	var err error
	if b.tokens, err = readTokens(vocabularies); err != nil {
		return err
	}
	b.words = grammar.NewVocabulary(b.tokens.texts)
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no schemas in %s: %v", folder, err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var f file
		if err := json.Unmarshal(data, &f); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		b.schema(strings.TrimSuffix(filepath.Base(path), ".json"), f)
	}
	b.report()
	return nil
}

func (b *bench) schema(name string, f file) {
	b.schemas++
	before := time.Now()
	g, err := grammar.Schema(f.Schema)
	if err != nil {
		b.refused++
		b.why[reason(err)]++
		return
	}
	m := grammar.NewMasker(g, b.words)
	m.Mask(m.Start())
	b.first = append(b.first, time.Since(before))
	sound := true
	for _, test := range f.Tests {
		var compact bytes.Buffer
		if json.Compact(&compact, test.Data) != nil {
			continue
		}
		text := plain(compact.Bytes())
		in := g.Matches(text)
		switch {
		case test.Valid:
			b.valid++
			if in {
				b.written++
				b.time(name, m, text)
			}
		default:
			b.invalid++
			if in {
				b.let++
				b.letBy = append(b.letBy, name)
			}
		}
		sound = sound && in == test.Valid
	}
	if sound {
		b.passing++
	}
}

// plain writes letters as themselves that JSON need not escape.
func plain(data []byte) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	text := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).ReplaceAllFunc(data, func(s []byte) []byte {
		var v string
		if json.Unmarshal(s, &v) != nil {
			return s
		}
		out.Reset()
		if enc.Encode(v) != nil {
			return s
		}
		return bytes.Clone(bytes.TrimSpace(out.Bytes()))
	})
	return string(text)
}

// time goes along a text, token by token.
func (b *bench) time(name string, m *grammar.Masker, text string) {
	s := m.Start()
	if len(b.tokens.texts) == 0 {
		return
	}
	for text != "" {
		before := time.Now()
		m.Mask(s)
		took := time.Since(before)
		b.masks = append(b.masks, took)
		b.slowest[name] = max(b.slowest[name], took)
		n := b.tokens.first(text)
		if s = m.Step(s, text[:n]); s == nil {
			return
		}
		text = text[n:]
	}
}

var quoted = regexp.MustCompile(`"[^"]*"|[0-9]+`)

// reason is an error without what only this schema has.
func reason(err error) string {
	s := err.Error()
	if strings.HasPrefix(s, "at ") {
		_, s, _ = strings.Cut(s, ": ")
	}
	if strings.Contains(s, "the keyword") {
		return s
	}
	return quoted.ReplaceAllString(s, "…")
}

func (b *bench) report() {
	fmt.Printf("%d schemas, %d refused; of the others %d tell all their instances apart\n", b.schemas, b.refused, b.passing)
	fmt.Printf("valid instances: %d of %d are in the canonical form; invalid ones: %d of %d are in the language\n", b.written, b.valid, b.let, b.invalid)
	for _, name := range b.letBy[:min(len(b.letBy), 10)] {
		fmt.Println("  invalid, and in the language:", name)
	}
	quantiles("first mask, compiled", b.first)
	quantiles("mask", b.masks)
	fmt.Println("refused because of:")
	top(b.why, func(n int) string { return fmt.Sprint(n) })
	fmt.Println("slowest masks:")
	top(b.slowest, func(d time.Duration) string { return d.String() })
}

func quantiles(what string, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	total := time.Duration(0)
	for _, d := range took {
		total += d
	}
	at := func(share float64) time.Duration { return took[min(int(share*float64(len(took))), len(took)-1)] }
	fmt.Printf("%s, %d times: mean %v, p25 %v, p50 %v, p75 %v, p90 %v, p95 %v, p99 %v, p99.9 %v, longest %v\n", what, len(took),
		total/time.Duration(len(took)), at(.25), at(.5), at(.75), at(.9), at(.95), at(.99), at(.999), at(1))
}

func top[N int | time.Duration](counts map[string]N, show func(N) string) {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			return int(counts[b] - counts[a])
		}
		return strings.Compare(a, b)
	})
	for _, name := range names[:min(len(names), 25)] {
		fmt.Printf("  %s  %s\n", show(counts[name]), name)
	}
}

// tokens are the texts of which a vocabulary consists.
type tokens struct {
	texts   []string
	known   map[string]bool
	longest int
}

func readTokens(paths []string) (*tokens, error) {
	t := &tokens{known: map[string]bool{}}
	for _, path := range paths {
		m, err := vocab.Open(path)
		if err != nil {
			return nil, err
		}
		for _, s := range m.Texts() {
			if s != "" && !t.known[s] && len(t.texts) < 1<<17 {
				t.known[s] = true
				t.texts = append(t.texts, s)
				t.longest = max(t.longest, len(s))
			}
		}
	}
	return t, nil
}

// first is the length of the longest token with which a text begins.
func (t *tokens) first(text string) int {
	for n := min(t.longest, len(text)); n > 1; n-- {
		if t.known[text[:n]] {
			return n
		}
	}
	return 1
}
