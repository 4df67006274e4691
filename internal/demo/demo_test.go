package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestModelIsASmallGGUF(t *testing.T) {
	if !bytes.HasPrefix(Model(), []byte("GGUF\x03\x00\x00\x00")) {
		t.Fatalf("the model begins with %q, want a GGUF of version 3", Model()[:8])
	}
	if n := len(Model()); n > 8<<20 {
		t.Errorf("the model has %d bytes, want at most 8 MiB", n)
	}
}

func TestStoryHasTheRequestsOfItsTitle(t *testing.T) {
	f, err := os.Open("testdata/story.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c struct{ Name, Prompt, Text string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if c.Prompt == "" || c.Text == "" {
			t.Errorf("%s: an empty prompt or text", c.Name)
		}
		if c.Name == "haiku with two system messages" {
			found = strings.Contains(c.Text, "green") && strings.Contains(c.Text, "apples")
		}
	}
	if !found {
		t.Error("no haiku about apples that takes up the colour of the second system message")
	}
}
