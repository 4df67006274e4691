package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A stop string is cut out of a reply that the model gives by itself: the
// reply with the stop string must be the same up to it, to the byte.
var stopChecks = []Check{
	{"stop-whole", Stops, "a stop string in a whole answer", stopIn(false, pickAny)},
	{"stop-streamed", Stops, "a stop string in a stream", stopIn(true, pickAny)},
	{"stop-across-tokens", Stops, "a stop string that begins and ends inside tokens", stopIn(true, pickOdd)},
	{"stop-held-back", Stops, "a stop string that only begins, in the last token", stopHeldBack},
	{"stop-multibyte", Stops, "a stop string of several bytes a letter", stopMultibyte},
	{"stop-many", Stops, "40 and 300 stop strings", stopMany},
	{"stop-reported", Stops, "which of two stop strings matched", stopReported},
}

// A picker finds a stop string in a text, of which marks are the places where
// a chunk ended. It gives its place, and "" if there is none.
type picker func(text string, marks []int) (stop string, at int)

// pickAny wants nothing but a place inside the text.
func pickAny(text string, _ []int) (string, int) {
	return pick(text, func(from, to int) bool { return true })
}

// pickOdd wants a string that begins and ends between marks and goes over one.
func pickOdd(text string, marks []int) (string, int) {
	return pick(text, func(from, to int) bool {
		return !slices.Contains(marks, from) && !slices.Contains(marks, to) &&
			slices.ContainsFunc(marks, func(m int) bool { return from < m && m < to })
	})
}

// pick looks for a string of three letters and more that stands for the first
// time where it was found, beyond the first third of the text.
func pick(text string, good func(from, to int) bool) (string, int) {
	for _, letters := range []int{4, 3, 5, 6, 8} {
		for from := range text {
			if from < max(1, len(text)/3) {
				continue
			}
			to := from
			for n := 0; n < letters && to < len(text); n++ {
				_, size := utf8.DecodeRuneInString(text[to:])
				to += size
			}
			stop := text[from:to]
			if utf8.RuneCountInString(stop) == letters && to < len(text) && plain(stop) &&
				strings.Index(text, stop) == from && good(from, to) {
				return stop, from
			}
		}
	}
	return "", 0
}

// plain is a stop string that no server has a reason to change.
func plain(s string) bool {
	return s == strings.TrimFunc(s, unicode.IsSpace) && !strings.ContainsRune(s, utf8.RuneError)
}

// cut gives the sample, if it is one in which stop strings can be looked for.
func (s *subject) cut(ctx context.Context) (*sample, finding) {
	one, f := s.take(ctx)
	if one != nil && !one.same() {
		return nil, cannotTell("the stream and the whole answer differ without stop strings")
	}
	return one, f
}

func stopIn(stream bool, choose picker) func(context.Context, *subject) finding {
	return func(ctx context.Context, s *subject) finding {
		one, f := s.cut(ctx)
		if one == nil {
			return f
		}
		stop, at := choose(one.text, one.marks())
		if stop == "" {
			return cannotTell("the model says nothing in which such a stop string could be chosen: %q", short(one.text))
		}
		return s.stopped(ctx, one, stream, []string{stop}, one.text[:at])
	}
}

// stopped asks for the sample with stop strings, the last of which matches,
// and compares the reply with what is wanted.
func (s *subject) stopped(ctx context.Context, one *sample, stream bool, stops []string, want string) finding {
	r, x, err := s.again(ctx, one, stream, func(q *request) { q.Stop = stops })
	if err != nil {
		return failed(x, err)
	}
	stop := stops[len(stops)-1]
	got := r.text()
	if got == want && r.finish == "stop" {
		return kept("the answer ends before %q", stop)
	}
	if f, steady := s.steadily(ctx, one, stream); !steady {
		return f
	}
	why := ""
	switch rest, more := strings.CutPrefix(got, want); {
	case got == want:
		why = fmt.Sprintf("the answer ends before %q, but its finish_reason is %q", stop, short(r.finish))
	case got == one.text:
		why = fmt.Sprintf("the stop string %q is ignored", stop)
	case more && strings.HasPrefix(stop, rest):
		why = fmt.Sprintf("%q of the stop string %q leaks into the answer", rest, stop)
	case more:
		why = fmt.Sprintf("the answer goes on behind the stop string %q: %s", stop, parting(got, want))
	case strings.HasPrefix(want, got):
		why = fmt.Sprintf("text before the stop string %q is lost: %q", stop, short(want[len(got):]))
	default:
		why = fmt.Sprintf("with the stop string %q the answer is another one: %s, not %s", stop, parting(got, want), parting(want, got))
	}
	return broken(of(x), "%s", why)
}

// stopHeldBack ends an answer with what could have become a stop string: it
// must not be lost.
func stopHeldBack(ctx context.Context, s *subject) finding {
	one, f := s.cut(ctx)
	if one == nil {
		return f
	}
	last := strings.LastIndexFunc(one.text, func(r rune) bool { return !unicode.IsSpace(r) })
	if last < 0 || strings.ContainsRune(one.text[last:], utf8.RuneError) {
		return cannotTell("the answer does not end in a letter: %q", short(one.text))
	}
	end := one.text[last:]
	stop := end + "\u2042 that never comes"
	for _, stream := range []bool{false, true} {
		if stream && one.stream == nil {
			break
		}
		r, x, err := s.again(ctx, one, stream, func(q *request) { q.Stop = []string{stop} })
		if err != nil {
			return failed(x, err)
		}
		if r.text() == one.text {
			continue
		}
		if f, steady := s.steadily(ctx, one, stream); !steady {
			return f
		}
		if strings.HasPrefix(one.text, r.text()) {
			return broken(of(x), "the end %q is lost, since a stop string could have begun there", short(one.text[len(r.text()):]))
		}
		return broken(of(x), "a stop string that never comes makes the answer another one: %s, not %s", parting(r.text(), one.text), parting(one.text, r.text()))
	}
	return kept("the end %q of the answer is not lost", end)
}

func stopMany(ctx context.Context, s *subject) finding {
	one, f := s.cut(ctx)
	if one == nil {
		return f
	}
	stop, at := pickAny(one.text, nil)
	if stop == "" {
		return cannotTell("the model says nothing in which a stop string could be chosen: %q", short(one.text))
	}
	for _, n := range []int{40, 300} {
		stops := make([]string, 0, n)
		for i := range n - 1 {
			stops = append(stops, fmt.Sprintf("\u2042%d", i))
		}
		f := s.stopped(ctx, one, false, append(stops, stop), one.text[:at])
		if f.verdict != Kept {
			f.evidence = fmt.Sprintf("%d stop strings: %s", n, f.evidence)
			return f
		}
	}
	return kept("the last of 40 and of 300 stop strings matches")
}

// stopReported gives two stop strings, of which the second comes first.
func stopReported(ctx context.Context, s *subject) finding {
	one, f := s.cut(ctx)
	if one == nil {
		return f
	}
	early, at := pickAny(one.text, nil)
	if early == "" {
		return cannotTell("the model says nothing in which two stop strings could be chosen: %q", short(one.text))
	}
	rest := at + len(early)
	late, _ := pick(one.text, func(from, _ int) bool { return from >= rest })
	if late == "" {
		return cannotTell("the model says nothing in which two stop strings could be chosen: %q", short(one.text))
	}
	r, x, err := s.again(ctx, one, false, func(q *request) { q.Stop = []string{late, early} })
	switch {
	case err != nil:
		return failed(x, err)
	case r.text() != one.text[:at]:
		return cannotTell("the answer does not end where it should")
	case r.stop == nil:
		return notOffered("the answer does not say which stop string matched")
	case r.stop == early:
		return kept("it is told that %q matched", early)
	}
	return broken(of(x), "the answer ends before %q, but %q is told to have matched", early, short(fmt.Sprint(r.stop)))
}

// stopMultibyte needs a reply with letters beyond ASCII, which models give when
// they have just read some.
func stopMultibyte(ctx context.Context, s *subject) finding {
	const letters = "é ü ñ 日 本 ж λ é ü ñ 日 本 ж λ"
	for _, one := range []*sample{
		{path: completionPath, q: request{Prompt: s.fresh(letters + " " + letters + " é")}},
		{path: chatPath, q: request{Messages: []message{say("user", s.fresh("Repeat: "+letters))}}},
	} {
		one.q.MaxTokens, one.q.Temperature = sampleTokens, new(0.0)
		var err error
		if one.whole, one.x, err = s.whole(ctx, one.path, one.q); err != nil {
			continue
		}
		one.text, one.stream = one.whole.text(), one.whole
		for at, letter := range one.text {
			if stop := string(letter); letter > unicode.MaxASCII && at > 0 && plain(stop) {
				if f := s.stopped(ctx, one, false, []string{stop}, one.text[:strings.Index(one.text, stop)]); f.verdict != Kept {
					return f
				}
				return s.stopped(ctx, one, true, []string{stop}, one.text[:strings.Index(one.text, stop)])
			}
		}
	}
	return cannotTell("the model says nothing beyond ASCII")
}
