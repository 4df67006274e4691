//go:build clients

package sillytavern

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// page talks through the page, and sees that Parley has noticed when its last
// answer was stopped.
func page(t *testing.T, log *output) {
	preset, err := filepath.Abs("../../examples/sillytavern/Parley.json")
	if err != nil {
		t.Fatal(err)
	}
	before := len(log.requests())
	out, err := exec.Command("node", filepath.Join(need(t, "PARLEY_SILLYTAVERN"), "page.mjs"), tavern, own, preset).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	log.wait(t, before, "the answer that was stopped ends", func(r logged) bool {
		return r.Route == "/v1/chat/completions" && r.Ended == "left"
	})
}
