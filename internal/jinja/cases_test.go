package jinja

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var clock = time.Date(2026, 1, 5, 9, 8, 7, 0, time.UTC)

// contextVars are the variables of testdata/context.json; every text in them
// is of origin 1.
func contextVars(t testing.TB) *Dict {
	t.Helper()
	data, err := os.ReadFile("testdata/context.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := FromJSON(data, DefaultLimits(), func([]PathStep, bool) Origin { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	return v.(*Dict)
}

func renderString(source string, vars *Dict) (Output, error) {
	tmpl, err := Parse("test", source, DefaultLimits())
	if err != nil {
		return Output{}, err
	}
	return tmpl.Render(context.Background(), vars, clock)
}

// TestCases renders testdata/*.cases and compares with what jinja2 made of
// them (testdata/reference.py).
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.cases")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".cases"), func(t *testing.T) { runCases(t, file) })
	}
}

func runCases(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.Open(strings.TrimSuffix(file, ".cases") + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	lines := bufio.NewScanner(golden)
	lines.Buffer(nil, 1<<20)
	vars := contextVars(t)
	for _, part := range strings.Split(string(data), "=== ")[1:] {
		name, source, _ := strings.Cut(part, "\n")
		source = strings.TrimSuffix(source, "\n")
		if !lines.Scan() {
			t.Fatalf("%s: no golden line: run testdata/reference.py", name)
		}
		var want map[string]string
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil || want["case"] != name {
			t.Fatalf("%s: the golden line is of %q: run testdata/reference.py", name, want["case"])
		}
		delete(want, "case")
		t.Run(name, func(t *testing.T) {
			kind, got := "ok", ""
			out, err := renderString(source, vars)
			if err != nil {
				e := err.(*Error)
				kind, got = e.Kind.String(), e.Msg
			} else {
				got = out.Text
				checkSpans(t, out)
			}
			wanted, ok := want[kind]
			switch {
			case !ok:
				t.Errorf("%s\n got %s: %s\nwant %v", source, kind, got, want)
			case wanted != got && exactly(kind, wanted):
				t.Errorf("%s\n got %q\nwant %q", source, got, wanted)
			}
		})
	}
}

// exactly says whether the wording counts: Python words the errors of its own
// functions in ways that change from version to version.
func exactly(kind, message string) bool {
	switch kind {
	case "ok", "raise", "undefined", "security":
		return true
	case "type":
		for _, s := range []string{"can only concatenate", "is not iterable", "unsupported operand", "not supported between", "has no len", "is not callable", "not subscriptable"} {
			if strings.Contains(message, s) {
				return true
			}
		}
	}
	return false
}

// checkSpans checks that spans cover the text without gaps, none empty, no two
// neighbours alike.
func checkSpans(t *testing.T, out Output) {
	t.Helper()
	end := 0
	for i, s := range out.Spans {
		if s.Start != end || s.End <= s.Start || i > 0 && s.Origin == out.Spans[i-1].Origin {
			t.Errorf("bad span %v in %v", s, out.Spans)
		}
		end = s.End
	}
	if end != len(out.Text) {
		t.Errorf("the spans end at %d, the text at %d", end, len(out.Text))
	}
}
