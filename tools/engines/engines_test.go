//go:build engines

package engines

import (
	"path/filepath"
	"strings"
	"testing"
)

const demo = "../../internal/demo/demo.gguf"

func TestLlamaServer(t *testing.T) {
	url := Start(t, "llama-server", demo)
	replay(t, url, "testdata/llama-server.txt", masks(t, url))
}

func TestOllama(t *testing.T) {
	url := Start(t, "ollama", demo)
	replay(t, url, "testdata/ollama.txt", masks(t, url))
}

// masks replaces what depends on the machine.
func masks(t *testing.T, url string) *strings.Replacer {
	file, err := filepath.Abs(demo)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(url, "URL", file, "MODEL")
}
