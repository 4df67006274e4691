package upstream

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"parley/internal/limits"
)

// divided reads a text and gives its frames, "event|data" each, and the error.
func divided(r io.Reader, by framing) (all []string, failed error) {
	for f, err := range frames(r, by) {
		if err != nil {
			return all, err
		}
		all = append(all, f.event+"|"+string(f.data))
	}
	return all, nil
}

func TestFramesAreFoundHoweverTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		name, text string
		by         framing
		want       []string
	}{
		{"LF", "data: {\"a\":1}\n\ndata: [DONE]\n\n", framedSSE, []string{`|{"a":1}`, "|[DONE]"}},
		{"CRLF", "data: {\"a\":1}\r\n\r\ndata: [DONE]\r\n\r\n", framedSSE, []string{`|{"a":1}`, "|[DONE]"}},
		{"CR", "data: {\"a\":1}\r\rdata: [DONE]\r\r", framedSSE, []string{`|{"a":1}`, "|[DONE]"}},
		{"byte order mark", "\xef\xbb\xbfdata: 1\n\n", framedSSE, []string{"|1"}},
		{"comments and other fields", ": ping\n\nid: 7\nretry: 1\ndata:1\n\n: ping\n", framedSSE, []string{"|1"}},
		{"data of several lines", "data: {\ndata: \"a\": 1\ndata: }\n\n", framedSSE, []string{"|{\n\"a\": 1\n}"}},
		{"no blank line before the end", "data: {\"a\":1}\ndata: [DONE]\n", framedSSE, []string{`|{"a":1}`, "|[DONE]"}},
		{"no blank line between events", "data: {\"a\":1}\ndata: {\"b\":2}\n\n", framedSSE, []string{`|{"a":1}`, `|{"b":2}`}},
		{"no line end at the end", "data: {\"a\":1}", framedSSE, []string{`|{"a":1}`}},
		{"named events", "event: message\ndata: 1\n\nevent: error\ndata: 2\n\n", framedSSE, []string{"message|1", "error|2"}},
		{"a name is for one event", "event: ping\n\ndata: 1\n\n", framedSSE, []string{"|1"}},
		{"an error field", "data: 1\n\nerror: {\"message\":\"x\"}\n\n", framedSSE, []string{"|1", `error|{"message":"x"}`}},
		{"JSON instead of events", "{\"error\":1}\n", framedSSE, []string{`|{"error":1}`}},
		{"a page instead of events", "<html>\n", framedSSE, []string{"|<html>"}},
		{"lines", "{\"a\":1}\n\r\n{\"b\":2}", framedLines, []string{`|{"a":1}`, `|{"b":2}`}},
		{"events instead of lines", "data: {\"a\":1}\n\n", framedLines, []string{`|{"a":1}`}},
		{"whole", "\xef\xbb\xbf {\"a\":\n1}\n", framedWhole, []string{"|{\"a\":\n1}"}},
		{"nothing", "", framedSSE, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for way, r := range map[string]io.Reader{
				"at once":           strings.NewReader(c.text),
				"byte by byte":      iotest.OneByteReader(strings.NewReader(c.text)),
				"with its end":      iotest.DataErrReader(strings.NewReader(c.text)),
				"byte by byte, end": iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(c.text))),
			} {
				got, err := divided(r, c.by)
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%s: got %q, %v; want %q", way, got, err, c.want)
				}
			}
		})
	}
}

func TestAFrameIsGivenAsSoonAsItIsWhole(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		io.WriteString(w, "data: 1\r\n\r\n") // and then nothing
	}()
	for f, err := range frames(r, framedSSE) {
		if err != nil || string(f.data) != "1" {
			t.Errorf("got %q, %v", f.data, err)
		}
		break
	}
	go func() {
		io.WriteString(w, "data: [DONE]\n")
	}()
	for f, err := range frames(r, framedSSE) {
		if err != nil || string(f.data) != "[DONE]" {
			t.Errorf("got %q, %v", f.data, err)
		}
		break
	}
}

func TestWhatBreaksOffIsAnError(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		r    io.Reader
		by   framing
		want error
	}{
		{"within an event", strings.NewReader("data: {\"a\":"), framedSSE, io.ErrUnexpectedEOF},
		{"a line without end", &endless{}, framedSSE, errLine},
		{"an event without end", &endless{line: "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"}, framedSSE, errLine},
		{"a value without end", &endless{}, framedLines, errLine},
		{"an answer without end", &endless{}, framedWhole, errWhole},
		{"a reader that fails", io.MultiReader(strings.NewReader("data: 1\n\n"), iotest.ErrReader(broken)), framedSSE, broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := divided(c.r, c.by); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// endless says the same line, or letter, for ever.
type endless struct{ line string }

func (e *endless) Read(p []byte) (n int, err error) {
	if e.line == "" {
		return copy(p, bytes.Repeat([]byte{'x'}, len(p))), nil
	}
	return copy(p, e.line), nil
}

func FuzzFramesDoNotDependOnHowTheyArrive(f *testing.F) {
	for _, s := range []string{"data: {\"a\":1}\r\n\r\ndata: [DONE]\n\n", "event: e\rdata: 1\r\rerror: x\n", "{\"a\":1}\n<b>", "\xef\xbb\xbf:\n\ndata\ndata:", "data: {}\ndata: {}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, by := range []framing{framedSSE, framedLines, framedWhole} {
			want, wantErr := divided(strings.NewReader(text), by)
			got, err := divided(iotest.OneByteReader(strings.NewReader(text)), by)
			if !slices.Equal(got, want) || (err == nil) != (wantErr == nil) {
				t.Fatalf("at once %q, %v; byte by byte %q, %v", want, wantErr, got, err)
			}
			for _, frame := range got {
				if len(frame) > limits.UpstreamAnswerBytes.Int() {
					t.Fatal("a frame is longer than allowed")
				}
			}
		}
	})
}
