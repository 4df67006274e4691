package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// dataFile is a file of the corpus, which lies outside the repository; without
// it the test is skipped, but not on CI.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("PARLEY_TESTDATA")
	if root == "" {
		root = "../../../shared/data"
	}
	path := filepath.Join(root, "chat-templates", name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no chat-template corpus: ", err)
	}
	return path
}

// lines reads a file of one JSON value per line.
func lines[T any](t *testing.T, path string) []T {
	t.Helper()
	data, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []T
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatal(path, err)
		}
		out = append(out, v)
	}
	return out
}

type pair struct{ template, conversation string }

func corpusResults(t *testing.T) map[pair]result {
	t.Helper()
	templates, err := readTemplates(dataFile(t, "templates.dev.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	conversations, err := readConversations(dataFile(t, "conversations.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[pair]result{}
	for results := range inOrder(len(templates), runtime.NumCPU(), func(i int) []result { return renderAll(templates[i], conversations) }) {
		for _, r := range results {
			out[pair{r.Template, r.Conversation}] = r
		}
	}
	return out
}

// worded are the messages of refusals that are worded otherwise here, on
// purpose: Python's own limits, and the class name before a message.
var worded = map[string]string{
	"RecursionError: maximum recursion depth exceeded":         "calls nest deeper than 128 levels (limit template_depth)",
	"TemplateRuntimeError: No filter named 'from_json' found.": "No filter named 'from_json' found.",
}

// TestCorpus compares every render with transformers' own.
func TestCorpus(t *testing.T) {
	have := corpusResults(t)
	for _, want := range lines[result](t, dataFile(t, "golden.dev.jsonl.gz")) {
		got, ok := have[pair{want.Template, want.Conversation}]
		switch {
		case !ok:
			t.Errorf("%s, %s: not rendered", want.Template, want.Conversation)
		case got.OK != want.OK:
			t.Errorf("%s, %s: ok is %v (%s: %s), want %v (%s: %s)", want.Template, want.Conversation, got.OK, got.Kind, got.Err, want.OK, want.Kind, want.Err)
		case want.OK && *got.Out != *want.Out:
			t.Errorf("%s, %s:\n got %q\nwant %q", want.Template, want.Conversation, *got.Out, *want.Out)
		case want.OK && !slices.Equal(got.Gen, want.Gen):
			t.Errorf("%s, %s: generation spans %v, want %v", want.Template, want.Conversation, got.Gen, want.Gen)
		case !want.OK && (got.Kind != want.Kind || got.Err != want.Err && got.Err != worded[want.Err]):
			t.Errorf("%s, %s: refused with %s: %q, want %s: %q", want.Template, want.Conversation, got.Kind, got.Err, want.Kind, want.Err)
		}
	}
}

// echoed is the one case in which the oracle errs: it hides the letters of the
// content, so that the template finds no </think> and copies what it otherwise
// takes apart and writes anew. These <think> are the template's.
var echoed = pair{"community-froggeric-qwen-fixed-chat-templates-v21.3.jinja", "reasoning_inline"}

// TestProvenanceOfTheCorpus: what the oracle knows to be the conversation's is
// marked so.
func TestProvenanceOfTheCorpus(t *testing.T) {
	have := corpusResults(t)
	for _, want := range lines[result](t, dataFile(t, "provenance.dev.jsonl.gz")) {
		key := pair{want.Template, want.Conversation}
		got := have[key]
		if got.User == nil {
			t.Errorf("%s, %s: not rendered", want.Template, want.Conversation)
			continue
		}
		for _, span := range *want.User {
			if key != echoed && !covered(span, *got.User) {
				t.Errorf("%s, %s: characters %v, %q, are not marked as the user's", want.Template, want.Conversation, span, string([]rune(*got.Out)[span[0]:span[1]]))
			}
		}
	}
}

// covered reports whether a span lies inside one of the sorted spans.
func covered(span [2]int, by [][2]int) bool {
	for _, b := range by {
		if b[0] <= span[0] && span[1] <= b[1] {
			return true
		}
	}
	return false
}
