package tokenizer

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func wordsOf(p pre, text string) []string {
	c := newChars(text)
	var words []string
	at := 0
	for _, end := range split(c, p.words) {
		words = append(words, text[at:c.offset(end)])
		at = c.offset(end)
	}
	return words
}

// TestWords compares the scanners with the regular expressions that they stand for.
func TestWords(t *testing.T) {
	f, err := os.Open("testdata/words.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	n := 0
	for ; lines.Scan(); n++ {
		var x struct {
			Pre   string
			Words []string
		}
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		if got := wordsOf(pres[x.Pre], strings.Join(x.Words, "")); !slices.Equal(got, x.Words) {
			t.Errorf("%s cuts\n\t%q\nwant\t%q", x.Pre, got, x.Words)
		}
	}
	if lines.Err() != nil || n < 100 {
		t.Fatalf("%d lines, %v", n, lines.Err())
	}
}

// TestWordsOfDeepSeekLLM has an expression with a long list of letters, and one of signs whose range
// from : to ~ takes the letters of ASCII out of words again. The reference's ids, of vectors_test.go,
// check it too.
func TestWordsOfDeepSeekLLM(t *testing.T) {
	for text, want := range map[string][]string{
		"Hello, world!\n\n  x": {"Hello", ",", " world", "!", "\n", "\n", " ", " x"},
		"été 中文abc 12345 ":     {"é", "t", "é", " ", "中文", "abc", " ", "12345", " "},
		"ʔa ƻƻ Ωmega":          {"ʔ", "a", " ƻƻ", " Ω", "mega"},
	} {
		if got := wordsOf(pres["deepseek-llm"], text); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", text, got, want)
		}
	}
}

// TestWordsOfJais2 has runs of white space longer than those of words.jsonl: sizes are theirs.
func TestWordsOfJais2(t *testing.T) {
	for _, c := range []struct {
		before string
		spaces int
		after  string
		sizes  []int
	}{
		{"a", 1, "b", nil},
		{"a", 2, "b", []int{1}},
		{"a", 7, "", []int{4, 2, 1}},
		{"a", 8, "", []int{8}},
		{"a", 8, "b", []int{4, 2, 1}},
		{"a", 3, "\n", nil},
		{"a", 1100, "b", []int{512, 512, 64, 8, 2, 1}},
		{"a", 1024, "", []int{512, 512}},
	} {
		text := c.before + strings.Repeat(" ", c.spaces) + c.after
		want := []string{c.before}
		at := len(c.before)
		for _, size := range c.sizes {
			want = append(want, text[at:at+size])
			at += size
		}
		if at < len(text) {
			want = append(want, text[at:])
		}
		if got := wordsOf(pres["jais-2"], text); !slices.Equal(got, want) {
			t.Errorf("%d spaces before %q are cut into %q, want %q", c.spaces, c.after, got, want)
		}
	}
	if got, want := wordsOf(pres["jais-2"], "it's 2024  \n\n   (中文)"), []string{"it", "'s", " ", "202", "4", "  \n\n", "  ", " (", "中文", ")"}; !slices.Equal(got, want) {
		t.Errorf("cut into %q, want %q", got, want)
	}
}

// hostile are texts that make careless scanners and mergers take quadratic time.
func hostile(n int) map[string]string {
	texts := map[string]string{"space, then a letter": strings.Repeat(" ", n) + "x", "no UTF-8": strings.Repeat("\xff", n)}
	for _, s := range []string{
		"a", "A", "中", " ", "\n", "\t", "1", "!", "'", "\u0301", "\u3000", "ab", "a ", "\n ", " \n", " !", "A中", "aB", "\u0301A",
		"<|im_end|", "[PAD32025", "▁", "１", "'l", ". ", "  a", "\xe4\xb8", "/\n", "٣",
	} {
		texts[s] = strings.Repeat(s, n/len(s))
	}
	return texts
}

// inTime fails if work takes so long that something in it must be quadratic: a hundred times what
// it should take.
func inTime(t *testing.T, what string, bound time.Duration, work func()) {
	t.Helper()
	begun := time.Now()
	if work(); time.Since(begun) > bound {
		t.Errorf("%s took %v", what, time.Since(begun))
	}
}

func TestWordsOfHostileText(t *testing.T) {
	for _, name := range []string{"default", "gpt-2", "starcoder", "falcon", "llama-bpe", "qwen35", "seed-coder", "laguna", "minicpm5", "gpt-4o", "tekken", "deepseek-llm", "deepseek-coder", "deepseek-v3", "viking", "kimi-k2"} {
		p, err := preOf(name)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range hostile(1 << 17) {
			inTime(t, name+" on "+what, 4*time.Second, func() {
				c := newChars(text)
				ends := split(c, p.words)
				if ends[len(ends)-1] != len(c.r) || !slices.IsSorted(ends) {
					t.Errorf("%s does not cover %q", name, what)
				}
			})
		}
	}
}
