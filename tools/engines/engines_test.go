//go:build engines

package engines

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestEnginesAnswerAChat(t *testing.T) {
	for _, name := range Built(t) {
		t.Run(name, func(t *testing.T) {
			url := Start(t, name, demo)
			const chat = "POST /v1/chat/completions\n\n" + `{"model":"` + ModelName + `","messages":[{"role":"user","content":"Hi"}],"temperature":0,"max_tokens":6,"stream":`
			if got := send(t, url, chat+"false}"); !strings.Contains(got, "Hello! How can I help") {
				t.Errorf("a whole answer: %s", got)
			}
			stream := send(t, url, chat+"true}")
			for _, piece := range []string{`"Hello"`, `" How"`, `"length"`, "data: [DONE]"} {
				if !strings.Contains(stream, piece) {
					t.Errorf("a stream without %s: %s", piece, stream)
				}
			}
		})
	}
}

// What Parley's side of an engine relies on is in its transcript. A second
// Parley has none: its own tests say what it answers.
func TestEnginesAnswerAsWasWrittenDown(t *testing.T) {
	for _, name := range Built(t) {
		if name == "parley" {
			continue
		}
		t.Run(name, func(t *testing.T) { replay(t, Start(t, name, demo), filepath.Join("testdata", name+".txt")) })
	}
}
