package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"parley/internal/llamaswap"
)

// TestConfigurationsOfLlamaSwap turns config.yaml of each file into the
// parley.toml of it, which must be a configuration.
func TestConfigurationsOfLlamaSwap(t *testing.T) {
	files, err := filepath.Glob("testdata/llamaswap/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	env := func(name string) (string, bool) { return "/data", name == "WEIGHTS" }
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := llamaswap.Parse(a.Files[0].Data, env)
			if err != nil {
				t.Fatal(err)
			}
			got := fromLlamaSwap(c)
			if err := new(config{path: "parley.toml"}).decode(got); err != nil {
				t.Errorf("%v in\n%s", err, got)
			}
			if strings.Contains(string(got), "secret") {
				t.Error("a key is repeated")
			}
			if *update {
				a.Files[1].Data = got
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, a.Files[1].Data) {
				t.Errorf("got\n%s\nwant\n%s", got, a.Files[1].Data)
			}
		})
	}
}
