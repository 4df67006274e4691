package server

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"parley/internal/anthropic"
	"parley/internal/kobold"
	"parley/internal/openai"
)

// A manner is how the clients of a dialect are spoken to. A dialect is a file
// of its own here: its handlers, its list of routes, its manner, and a row in
// manners and routes; what its requests and answers mean is its wire package's.
type manner struct {
	// problem is the body of an error, and its status, where the dialect has
	// another than OpenAI's.
	problem func(openai.Problem) (status int, body []byte)
	// problems is the content type of that body; "" is JSON's.
	problems string

	// stream is how the parts of an answer are sent as they come.
	stream framing
}

// A framing is what stands around the parts of a stream.
type framing struct {
	contentType string
	frame       func(data []byte) []byte // around one part
	ping        []byte                   // a sign of life; nil: the dialect has none
	last        []byte                   // behind everything; nil: nothing
	fail        func(body []byte) []byte // around an error; nil: as around parts
}

// manners are those of all dialects. What has none is spoken to as OpenAI's
// clients are.
var manners = map[Dialect]*manner{
	OpenAI: {problem: openaiProblem, stream: framing{
		contentType: "text/event-stream; charset=utf-8",
		frame:       eventData,
		ping:        []byte(": ping\n\n"), // a comment: readers of event streams skip it
		last:        []byte("data: [DONE]\n\n"),
	}},
	Responses: {problem: openaiProblem, stream: framing{
		contentType: "text/event-stream; charset=utf-8",
		frame:       asItIs,
		ping:        []byte(": ping\n\n"),
	}},
	Anthropic: {problem: anthropicProblem, stream: framing{
		contentType: "text/event-stream; charset=utf-8",
		frame:       asItIs,
		ping:        anthropic.Ping,
		fail:        func(body []byte) []byte { return anthropic.Event("error", body) },
	}},
	Native: {problem: nativeProblem, problems: "application/problem+json", stream: framing{
		contentType: "text/event-stream; charset=utf-8",
		frame:       asItIs,
		ping:        []byte(": ping\n\n"),
		fail:        func(body []byte) []byte { return sessionEvent(0, "error", body) },
	}},
	LlamaCPP: {problem: llamaProblem, stream: framing{
		contentType: "text/event-stream; charset=utf-8",
		frame:       eventData,
		ping:        []byte(": ping\n\n"),
		fail:        eventData,
	}},
	Kobold: {problem: koboldProblem, stream: framing{
		contentType: "text/event-stream; charset=utf-8",
		frame:       asItIs,
		ping:        []byte(": ping\n\n"),
		fail:        kobold.Message,
	}},
	Ollama: {problem: ollamaProblem, stream: framing{
		contentType: "application/x-ndjson",
		frame:       lineEnd,
	}},
}

// asItIs is the frame of parts that come with theirs.
func asItIs(data []byte) []byte { return data }

func openaiProblem(p openai.Problem) (int, []byte) { return p.Status, p.JSON() }

// eventData is one server-sent event without a name.
func eventData(data []byte) []byte {
	return slices.Concat([]byte("data: "), data, []byte("\n\n"))
}

type (
	mannerKey struct{}
	faceKey   struct{}
)

// faceOf is the face with which a request is answered.
func faceOf(r *http.Request) Face {
	f, _ := r.Context().Value(faceKey{}).(Face)
	return f
}

// mannered remembers with a request whose manner it is answered in: that of
// the dialect which has its path, or of the face's first one.
func (f Face) mannered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := OpenAI
		if found := f.match(r.URL.Path); len(found) > 0 {
			d = found[0].dialect
		} else if strings.HasPrefix(clean(r.URL.Path), "/parley/v1/") && slices.Contains(f.Dialects, Native) {
			d = Native
		} else if len(f.Dialects) > 0 {
			d = f.Dialects[0]
		}
		ctx := context.WithValue(r.Context(), faceKey{}, f)
		next.ServeHTTP(w, r.WithContext(inManner(ctx, d)))
	})
}

// inManner is a context in which a dialect is spoken: handlers of paths that
// several have decide it by the body.
func inManner(ctx context.Context, d Dialect) context.Context {
	m := manners[d]
	if m == nil {
		m = manners[OpenAI]
	}
	return context.WithValue(ctx, mannerKey{}, m)
}

func mannerOf(r *http.Request) *manner {
	if m, ok := r.Context().Value(mannerKey{}).(*manner); ok {
		return m
	}
	return manners[OpenAI]
}
