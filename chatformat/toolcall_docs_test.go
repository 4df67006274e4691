package chatformat_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestToolCallsAreDocumented holds the list of syntaxes in docs/tool-calls.md
// against the cases in testdata/calls.
func TestToolCallsAreDocumented(t *testing.T) {
	const path, heading = "../docs/tool-calls.md", "## The syntaxes\n"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, have, found := strings.Cut(string(data), heading)
	if !found {
		t.Fatalf("%s has no heading %q", path, heading)
	}
	var b, examples strings.Builder
	b.WriteString("\nMade from the cases in `chatformat/testdata/calls`, which show more of each.\n\n| families | syntax |\n|---|---|\n")
	last := ""
	callCases(t, func(path string, a *txtar.Archive, syntaxes []string, name, output string) {
		if path == last || len(syntaxes) > 1 || strings.Contains(path, "broken") {
			return
		}
		last = path
		families := strings.TrimSpace(string(a.Comment))
		fmt.Fprintf(&b, "| %s | [`%s`](#%s) |\n", families, syntaxes[0], strings.ReplaceAll(syntaxes[0], ".", ""))
		fmt.Fprintf(&examples, "\n### %s\n\n%s.\n\n", syntaxes[0], families)
		for line := range strings.Lines(output + "\n") {
			examples.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
		}
	})
	b.WriteString(examples.String())
	if b.String() == have {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the cases say: go test ./chatformat -update", path)
	}
	if err := os.WriteFile(path, []byte(before+heading+b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
