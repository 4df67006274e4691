package check

import (
	"context"
	"errors"
	"strings"
	"sync"
	"unicode/utf8"
)

// Replies are compared with replies: what a model says does not matter, only
// that it says the same.
var sameChecks = []Check{
	{"same-twice", Same, "temperature 0, with a cold and a warm cache", sameTwice},
	{"same-seed", Same, "a seed, twice; another seed", sameSeed},
	{"same-streamed", Same, "streamed and not", sameStreamed},
	{"same-in-company", Same, "alone and beside other requests", sameInCompany},
}

// A sample is a greedy reply with which others are compared, streamed and
// whole.
type sample struct {
	path  string
	q     request
	text  string // of the whole reply, without thoughts
	whole *reply
	x     *exchange

	stream  *reply // nil: no stream could be read
	xStream *exchange
}

// same reports whether the stream says what the whole reply says.
func (one *sample) same() bool { return one.stream == nil || one.stream.said() == one.whole.said() }

// marks are the places where the stream's chunks end in the text.
func (one *sample) marks() (at []int) {
	if one.stream == nil {
		return nil
	}
	n := 0
	for _, d := range one.stream.deltas {
		n += len(d)
		at = append(at, n)
	}
	return at
}

const sampleTokens = 20

// longEnough is from how many bytes on a sample is worth cutting.
const longEnough = 24

var errTooShort = errors.New("the model says too little")

// prompts are tried until a reply is long enough.
var prompts = []string{
	"Tell me a long story about a fox and a crow.",
	"Count from one to twenty in words.",
	"Write a haiku about apples.",
}

// take gives the sample, which is asked for once. If a chat gives none, a
// completion may. If there is none, the finding says why.
func (s *subject) take(ctx context.Context) (*sample, finding) {
	if s.greedy != nil {
		return s.greedy, finding{}
	}
	var best *sample
	var trouble finding
	for _, path := range []string{chatPath, completionPath} {
		for _, prompt := range prompts {
			q := request{MaxTokens: sampleTokens, Temperature: new(0.0)}
			if path == chatPath {
				q.Messages = []message{say("user", s.fresh(prompt))}
			} else {
				q.Prompt = s.fresh(prompt) + " Once upon a time"
			}
			one := &sample{path: path, q: q}
			if r, x, err := s.streamed(ctx, path, q, nil); err == nil {
				one.stream, one.xStream = r, x
			}
			var err error
			if one.whole, one.x, err = s.whole(ctx, path, q); err != nil {
				trouble = failed(one.x, err)
				break
			}
			one.text = one.whole.text()
			if best == nil || len(one.text) > len(best.text) {
				best = one
			}
			if len(best.text) >= longEnough {
				s.greedy = best
				return best, finding{}
			}
		}
	}
	switch {
	case best == nil:
		return nil, trouble
	case best.text == "":
		return nil, cannotTell("%v", errTooShort)
	}
	s.greedy = best
	return best, finding{}
}

// again asks for the sample once more, streamed or not, with a change.
func (s *subject) again(ctx context.Context, one *sample, stream bool, change func(*request)) (*reply, *exchange, error) {
	q := one.q
	if change != nil {
		change(&q)
	}
	if stream {
		return s.streamed(ctx, one.path, q, nil)
	}
	return s.whole(ctx, one.path, q)
}

func sameTwice(ctx context.Context, s *subject) finding {
	q := request{Messages: []message{say("user", s.fresh("Tell me about the sea."))}, MaxTokens: 12, Temperature: new(0.0)}
	one, x, err := s.chat(ctx, q)
	if err != nil {
		return failed(x, err)
	}
	two, x2, err := s.chat(ctx, q)
	switch {
	case err != nil:
		return failed(x2, err)
	case one.said() == "":
		return cannotTell("%v", errTooShort)
	case one.said() != two.said():
		return broken(of(x2), "first %s, then %s", parting(one.said(), two.said()), parting(two.said(), one.said()))
	}
	return kept("the same %d bytes, cold and warm", len(one.said()))
}

func sameSeed(ctx context.Context, s *subject) finding {
	text := s.fresh("Tell me about the sky.")
	// A model that is very sure says the same to every seed, unless it is
	// warmed, or has no question to answer.
	for _, way := range []struct {
		path        string
		temperature float64
	}{{chatPath, 1}, {chatPath, 2}, {completionPath, 2}} {
		q := request{MaxTokens: 12, Temperature: &way.temperature}
		if way.path == chatPath {
			q.Messages = []message{say("user", text)}
		} else {
			q.Prompt = text
		}
		var said [3]string
		var last *exchange
		for i, seed := range []int{8, 7, 7} { // the first finds the cache cold
			q.Seed = &seed
			r, x, err := s.whole(ctx, way.path, q)
			switch {
			case err != nil && way.path == chatPath:
				return failed(x, err)
			case err != nil:
				return cannotTell("every seed gives the same answer")
			}
			said[i], last = r.said(), x
		}
		switch {
		case said[1] != said[2]:
			return broken(of(last), "the same seed gives first %s, then %s", parting(said[1], said[2]), parting(said[2], said[1]))
		case said[0] != said[1]:
			return kept("the same seed gives the same answer, another seed another one")
		}
	}
	return cannotTell("every seed gives the same answer")
}

func sameStreamed(ctx context.Context, s *subject) finding {
	one, f := s.take(ctx)
	switch {
	case one == nil:
		return f
	case one.stream == nil:
		return cannotTell("no stream could be read")
	case one.same():
		return kept("the same %d bytes in %d chunks and in one piece", len(one.whole.said()), len(one.stream.deltas))
	}
	for _, stream := range []bool{false, true} {
		if f, steady := s.steadily(ctx, one, stream); !steady {
			return f
		}
	}
	stream, whole := one.stream.said(), one.whole.said()
	return broken(of(one.xStream, one.x), "the stream says %s, the whole answer %s", parting(stream, whole), parting(whole, stream))
}

// steadily reports whether the sample comes again. A server whose answers
// vary of themselves cannot be judged by them.
func (s *subject) steadily(ctx context.Context, one *sample, stream bool) (finding, bool) {
	want := one.whole
	if stream {
		want = one.stream
	}
	r, _, err := s.again(ctx, one, stream, nil)
	switch {
	case err != nil:
		return cannotTell("%v", err), false
	case want == nil || r.said() != want.said():
		return cannotTell("the same request gives different answers by itself"), false
	}
	return finding{}, true
}

// company is how many other requests run beside one.
const company = 3

func sameInCompany(ctx context.Context, s *subject) finding {
	one, f := s.take(ctx)
	if one == nil {
		return f
	}
	var wg sync.WaitGroup
	for i := range company {
		q := request{Messages: []message{say("user", s.fresh(prompts[i%len(prompts)]))}, MaxTokens: sampleTokens, Temperature: new(1.0)}
		q.Model = s.model
		c := *s.client // its own count of silences
		wg.Go(func() { c.do(ctx, "POST", chatPath, q) })
	}
	beside, x, err := s.again(ctx, one, false, nil)
	wg.Wait()
	if err != nil {
		return failed(x, err)
	}
	alone := one.whole.said()
	if alone == beside.said() {
		return kept("the same %d bytes alone and beside %d others", len(alone), company)
	}
	if f, steady := s.steadily(ctx, one, false); !steady {
		return f
	}
	return broken(of(x), "alone %s, beside %d others %s", parting(alone, beside.said()), company, parting(beside.said(), alone))
}

// parting quotes a text from a little before where it parts from another.
func parting(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	i = max(0, i-12)
	for i > 0 && !utf8.RuneStart(a[min(i, len(a)-1)]) {
		i--
	}
	i = min(i, len(a))
	text := a[i:]
	if i > 0 {
		text = "…" + text
	}
	const most = 40
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return `"` + strings.ReplaceAll(short(text), `"`, `'`) + `"`
}
