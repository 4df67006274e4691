package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/demo"
	"parley/internal/hub"
)

func TestAModelThatWasPulledIsFoundByItsName(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	model := demo.Model()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/models/ada/engine-GGUF/revision/main":
			fmt.Fprintf(w, `{"sha":%q}`, commit)
		case "/api/models/ada/engine-GGUF/tree/" + commit:
			fmt.Fprintf(w, `[{"type":"file","path":"engine-Q8_0.gguf","lfs":{"oid":"%x","size":%d}}]`, sha256.Sum256(model), len(model))
		case "/ada/engine-GGUF/resolve/" + commit + "/engine-Q8_0.gguf":
			w.Write(model)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	home := t.TempDir()
	for name, value := range map[string]string{"HOME": home, "XDG_DATA_HOME": "", "LOCALAPPDATA": home, "USERPROFILE": home, "HF_ENDPOINT": server.URL, "HF_TOKEN": "", "HF_HOME": "", "PARLEY_MODELS": ""} {
		t.Setenv(name, value)
	}
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	if code := run([]string{"pull", "ada/engine-GGUF"}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	path := strings.TrimSpace(out.String())
	if filepath.Base(path) != "engine-Q8_0.gguf" || !strings.HasPrefix(path, home) || !strings.Contains(errs.String(), "parley chat --model engine-Q8_0") {
		t.Errorf("got %q, %q", path, &errs)
	}
	out.Reset()
	if code := run([]string{"models", "list"}, strings.NewReader(""), &out, &errs); code != 0 || !strings.Contains(out.String(), path) {
		t.Errorf("exit %d: %s %s", code, &out, &errs)
	}
	out.Reset()
	if code := run([]string{"ask", "--model", "engine-Q8_0", "Hi"}, strings.NewReader(""), &out, &errs); code != 0 || strings.TrimSpace(out.String()) == "" {
		t.Errorf("exit %d: %s %s", code, &out, &errs)
	}
	// It is removed only if that is said twice, and only by its name.
	for _, args := range [][]string{{"models", "rm", "engine-Q8_0"}, {"models", "rm", "engine", "--yes"}, {"models", "rm", "engine-Q8_0", "--yes", "--from", t.TempDir()}} {
		if code := run(args, strings.NewReader("y\n"), &out, &errs); code == 0 || !isFile(path) {
			t.Errorf("%q: exit %d, %s", args, code, &errs)
		}
	}
	for _, want := range []string{"nobody can be asked", "no model engine in", "models there: engine-Q8_0", "not one of the models that Parley fetched"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is not in %s", want, &errs)
		}
	}
	if code := run([]string{"models", "rm", "engine-Q8_0", "--yes"}, strings.NewReader(""), &out, &errs); code != 0 || isFile(path) {
		t.Errorf("exit %d: %s", code, &errs)
	}
	if left, err := os.ReadDir(filepath.Dir(filepath.Dir(filepath.Dir(path)))); err != nil || len(left) > 0 {
		t.Errorf("of its folders %v is left, %v", left, err)
	}
	errs.Reset()
	if code := run([]string{"pull", "ada/nothing"}, strings.NewReader(""), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "the hub has no ada/nothing") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}

func TestOnlyAYesIsOne(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, " YES \n": true, "n\n": false, "\n": false, "": false, "y": false, "yesterday\n": false} {
		if got := confirm(strings.NewReader(answer), io.Discard, "remove it?"); got != want {
			t.Errorf("%q is %v", answer, got)
		}
	}
}

func TestAFetchShowsHowFarItIs(t *testing.T) {
	now := time.Unix(0, 0)
	var b bytes.Buffer
	p := &pullProgress{w: &b, style: style{true}, now: func() time.Time { return now }}
	last := func() string { s := b.String(); return s[strings.LastIndex(s, clearLine)+len(clearLine):] }
	const mib = 1 << 20
	p.tell(hub.Progress{Checking: true, Done: 100 * mib, Total: 1000 * mib})
	if got := last(); !strings.Contains(got, "10 %") || !strings.Contains(got, "checking") {
		t.Error(got)
	}
	for i := range int64(11) { // 10 MiB a second
		now = now.Add(time.Second)
		p.tell(hub.Progress{Done: (100 + 10*i) * mib, Total: 1000 * mib})
	}
	if got := last(); !strings.Contains(got, "20 %  200.0 MiB of 1000.0 MiB  10.0 MiB/s  2 min left") {
		t.Error(got)
	}
	written := b.Len()
	now = now.Add(time.Millisecond)
	if p.tell(hub.Progress{Done: 201 * mib, Total: 1000 * mib}); b.Len() != written {
		t.Error("it is written at every piece")
	}
	if p.tell(hub.Progress{Done: 1000 * mib, Total: 1000 * mib}); !strings.Contains(last(), "100 %") {
		t.Error(last())
	}
	for d, want := range map[time.Duration]string{3 * time.Second: "4 s left", 90 * time.Minute: "1 h 30 min left", 1000 * time.Hour: "days left"} {
		if got := remaining(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
