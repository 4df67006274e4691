//go:build clients

package grammar

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestThePublicSuite goes through the JSON Schema test suite: nothing that it
// calls invalid may be in the language of a schema that is not refused. What
// it calls valid and the canonical form leaves out is counted.
func TestThePublicSuite(t *testing.T) {
	dir := os.Getenv("PARLEY_JSON_SCHEMA_SUITE")
	if dir == "" {
		t.Fatal("PARLEY_JSON_SCHEMA_SUITE names no folder with the suite's tests: tools/clients/run.sh has it")
	}
	for _, draft := range []string{"draft2020-12", "draft2019-09", "draft7"} {
		files, err := filepath.Glob(filepath.Join(dir, draft, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no tests in %s: %v", filepath.Join(dir, draft), err)
		}
		schemas, refused, valid, written, invalid := 0, 0, 0, 0, 0
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			groups, err := parseJSON(data)
			if err != nil {
				continue // a name that stands twice, or too deep
			}
			for _, group := range groups.items {
				schemas++
				name := filepath.Base(path) + ": " + group.get("description").text
				g, err := Schema([]byte(group.get("schema").String()))
				if err != nil && !strings.Contains(err.Error(), "no text is in the language") {
					refused++
					continue
				}
				for _, c := range group.get("tests").items {
					text := c.get("data").String()
					in := err == nil && g.Matches(text)
					if c.get("valid").truth {
						valid++
						if in {
							written++
						}
					} else {
						invalid++
						if in {
							t.Errorf("%s %s: %s: invalid, and in the language: %s", draft, name, c.get("description").text, text)
						}
					}
				}
			}
		}
		t.Logf("%s: %d schemas, %d refused by name; of the others' texts %d valid, %d of them in the canonical form; %d invalid", draft, schemas, refused, valid, written, invalid)
		if invalid == 0 || written*2 < valid {
			t.Errorf("%s: too little was tested", draft)
		}
	}
}
