package chatformat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/chatformat"
)

// TestCheck compares what is said of format files: each section "NAME.toml" of
// check.txtar is one, "NAME" what is said.
func TestTheExampleIsAFormat(t *testing.T) {
	data, err := os.ReadFile("../examples/chat-format/openbuddy.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range chatformat.Check("openbuddy", data) {
		if f.Severity != chatformat.SeverityNote {
			t.Errorf("line %d: %s: %s", f.Line, f.Severity, f.Message)
		}
	}
}

func TestCheck(t *testing.T) {
	const path = "testdata/check.txtar"
	a := readArchive(t, path)
	for _, file := range a.Files {
		name, ok := strings.CutSuffix(file.Name, ".toml")
		if !ok {
			continue
		}
		var b strings.Builder
		for _, f := range chatformat.Check(name, file.Data) {
			fmt.Fprintf(&b, "%s.toml:%d: %s: %s\n", name, f.Line, f.Severity, f.Message)
		}
		compare(t, a, name, b.String())
	}
	writeArchive(t, path, a)
}

func TestTheBuiltInFormatsAreWhole(t *testing.T) {
	files, err := filepath.Glob("formats/*.toml")
	if err != nil || len(files) != 82 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range chatformat.Check(filepath.Base(file), data) {
			if f.Severity == chatformat.SeverityError || f.Line == 0 && f.Severity == chatformat.SeverityNote {
				t.Errorf("%s:%d: %s: %s", file, f.Line, f.Severity, f.Message)
			}
		}
	}
}
