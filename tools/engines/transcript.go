//go:build engines

package engines

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the transcripts from what the engines answer")

// replay sends the requests of a transcript to an engine and compares what
// comes back: status, type, the fields of each JSON value and their kinds, and
// other text to the letter. Numbers and words inside of JSON may differ.
//
// A transcript is a txtar file with one exchange a section: the request's
// line, headers if there are any, an empty line and the body if there is one; a
// line of three dashes; the status, the headers, an empty line and the body.
func replay(t *testing.T, url, file string) {
	t.Helper()
	old, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, exchange := range old.Files {
		request, want, _ := strings.Cut(string(exchange.Data), "---\n")
		got := ofAnyMachine(send(t, url, request), url)
		if *update {
			old.Files[i].Data = []byte(request + "---\n" + got)
			continue
		}
		t.Run(exchange.Name, func(t *testing.T) {
			if g, w := shape(got), shape(want); g != w {
				t.Errorf("%s\nanswered differently:\n%s\n\nwant:\n%s\n\nin whole:\n%s", request, g, w, got)
			}
		})
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(old), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// Each request has a connection of its own: some engines close one after a
// stream without saying so, and what follows on it gets no answer.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// send sends one request and lays the answer out.
func send(t *testing.T, url, request string) string {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, path, _ := strings.Cut(lines[0], " ")
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(strings.TrimSpace(body)))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out strings.Builder
	fmt.Fprintln(&out, resp.Status)
	resp.Header.Del("Date")
	resp.Header.Del("Content-Length")
	resp.Header.Del("Connection")
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(resp.Header[name], ", "))
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	fmt.Fprintf(&out, "\n%s", answer)
	if err != nil {
		fmt.Fprintf(&out, "\nbroken off: %v", err)
	}
	return strings.TrimRight(out.String(), "\n") + "\n\n"
}

// demo is the model that transcripts were written with.
const demo = "../../internal/demo/demo.gguf"

// ofAnyMachine replaces what an answer says of this machine.
func ofAnyMachine(answer, url string) string {
	if model, err := filepath.Abs(demo); err == nil {
		answer = strings.ReplaceAll(answer, model, "MODEL")
	}
	for engine := range strings.Lines(os.Getenv("PARLEY_ENGINES")) {
		answer = strings.ReplaceAll(answer, strings.TrimSpace(engine), "ENGINE")
	}
	folder := regexp.MustCompile(regexp.QuoteMeta(os.TempDir()) + `/Test[^/"]*/\d+`)
	return folder.ReplaceAllString(strings.ReplaceAll(answer, url, "URL"), "FOLDER")
}

// shape is an answer without what changes from run to run. Of the lines of a
// stream, those of a shape that was there before are left out.
func shape(answer string) string {
	head, body, _ := strings.Cut(answer, "\n\n")
	var out []string
	for i, line := range strings.Split(head, "\n") {
		if i == 0 || strings.HasPrefix(line, "Content-Type") || strings.HasPrefix(line, "Server") {
			out = append(out, line)
		}
	}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		prefix, data, isEvent := strings.Cut(line, ": ")
		if !isEvent || strings.HasPrefix(prefix, "{") || strings.HasPrefix(prefix, "[") {
			prefix, data = "", line
		}
		var value any
		decoder := json.NewDecoder(bytes.NewReader([]byte(data)))
		if decoder.Decode(&value) == nil {
			line = prefix + " " + kinds(value)
		}
		if line != "" && !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// kinds is a JSON value with its values replaced by what they are.
func kinds(value any) string {
	switch v := value.(type) {
	case map[string]any:
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fields = append(fields, name+":"+kinds(v[name]))
		}
		return "{" + strings.Join(fields, ",") + "}"
	case []any:
		var elements []string
		for _, e := range v {
			if k := kinds(e); !slices.Contains(elements, k) {
				elements = append(elements, k)
			}
		}
		return "[" + strings.Join(elements, "|") + "]"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	}
	return "null"
}
