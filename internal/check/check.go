package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/internal/limits"
)

// A Verdict is what a check found out.
type Verdict string

const (
	Kept       Verdict = "kept"
	Broken     Verdict = "broken"
	NotOffered Verdict = "not offered" // the server says openly that it does not do this
	CannotTell Verdict = "cannot tell" // neither is shown
)

// A Promise is what a group of checks is about.
type Promise string

// The promises that can be seen from outside, in the order of a report.
const (
	Protocol Promise = "It speaks the protocol"
	Lost     Promise = "Nothing is silently lost"
	Forged   Promise = "No forged control tokens"
	Stops    Promise = "Stops stop"
	Same     Promise = "The same request gives the same answer"
	Cheap    Promise = "What is cheap stays cheap"
	Why      Promise = "You can always see why"
	Leaves   Promise = "A client that leaves stops costing"
)

// A Check is one question to a server.
type Check struct {
	Name    string
	Promise Promise
	What    string // what it looks at, in a few words

	run func(context.Context, *subject) finding
}

// A finding is a verdict with its evidence.
type finding struct {
	verdict  Verdict
	evidence string
	shown    []*exchange
}

func kept(format string, args ...any) finding {
	return finding{verdict: Kept, evidence: fmt.Sprintf(format, args...)}
}

// broken needs the exchanges that show it.
func broken(shown []*exchange, format string, args ...any) finding {
	return finding{Broken, fmt.Sprintf(format, args...), shown}
}

func cannotTell(format string, args ...any) finding {
	return finding{verdict: CannotTell, evidence: fmt.Sprintf(format, args...)}
}

func notOffered(format string, args ...any) finding {
	return finding{verdict: NotOffered, evidence: fmt.Sprintf(format, args...)}
}

// of is a list of exchanges, for broken.
func of(shown ...*exchange) []*exchange { return shown }

// A Result is what a check found out about a server.
type Result struct {
	Check    string  `json:"check"`
	Promise  Promise `json:"promise"`
	Verdict  Verdict `json:"verdict"`
	Evidence string  `json:"evidence"` // one sentence
	// Requests show a failure: lines for a shell, to be sent one after the
	// other. The key in them is the variable PARLEY_API_KEY.
	Requests []string `json:"requests,omitempty"`
}

// A Report is what was found out about one server.
type Report struct {
	URL      string   `json:"url"`
	Software string   `json:"software"`          // "Parley", "llama.cpp", … or "" where it does not say
	Version  string   `json:"version,omitempty"` // as it says
	Model    string   `json:"model"`
	Context  int      `json:"context,omitempty"` // tokens; 0: it does not say
	Seconds  float64  `json:"seconds"`           // the run took so long
	Results  []Result `json:"results"`
}

// Count is how many results have the verdict.
func (r *Report) Count(v Verdict) (n int) {
	for _, x := range r.Results {
		if x.Verdict == v {
			n++
		}
	}
	return n
}

// Options say what to check. The zero value but for URL checks everything.
type Options struct {
	URL     string
	Key     string        // for a server that wants one
	Model   string        // "": the first that the server lists
	Only    []string      // names of checks; none: all
	Timeout time.Duration // for the whole run; 0: as long as the table of limits allows

	Transport http.RoundTripper       // nil: one of the run's own
	Progress  func(done int, c Check) // if set, called before each check

	nonce int // of tests: the same prompts each time; 0: new ones
}

// An UnreachableError says that there is no chat server at the address.
type UnreachableError struct {
	URL string
	Key bool // it wants a key, or another one
	Err error
}

func (e *UnreachableError) Error() string { return e.URL + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// All lists the checks in the order in which they run and are reported.
func All() []Check {
	return slices.Concat(protocolChecks, listChecks, forgeryChecks, stopChecks, sameChecks, cheapChecks, whyChecks, leaveChecks)
}

// choose gives the checks with the names, all for none.
func choose(only []string) ([]Check, error) {
	all := All()
	for _, name := range only {
		if !slices.ContainsFunc(all, func(c Check) bool { return c.Name == name }) {
			return nil, fmt.Errorf("there is no check %q", name)
		}
	}
	if len(only) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(c Check) bool { return !slices.Contains(only, c.Name) }), nil
}

// Run checks a server. The error is an *UnreachableError if there is none, or
// the cause of ctx's end; what goes wrong later is a verdict.
func Run(ctx context.Context, o Options) (*Report, error) {
	checks, err := choose(o.Only)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	whole := o.Timeout
	if whole <= 0 {
		whole = seconds(limits.CheckSeconds)
	}
	inTime, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	s, err := newSubject(o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.survey(inTime); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		e, refused := errors.AsType[*refusal](err)
		return nil, &UnreachableError{s.base, refused && (e.status == http.StatusUnauthorized || e.status == http.StatusForbidden), err}
	}
	r := &Report{URL: s.base, Software: s.software, Version: s.version, Model: s.model}
	for i, c := range checks {
		if o.Progress != nil {
			o.Progress(i, c)
		}
		f := s.find(inTime, c)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		one := Result{Check: c.Name, Promise: c.Promise, Verdict: f.verdict, Evidence: f.evidence}
		for _, x := range f.shown {
			one.Requests = append(one.Requests, x.curl())
		}
		r.Results = append(r.Results, one)
	}
	r.Context, r.Seconds = s.context, time.Since(began).Seconds()
	return r, nil
}

// find runs one check, unless it is too late.
func (s *subject) find(ctx context.Context, c Check) finding {
	switch {
	case ctx.Err() != nil:
		return cannotTell("the time was over")
	case s.silent >= limits.CheckSilences.Int():
		return cannotTell("the server did not answer the requests before this one, or without end")
	}
	f := c.run(ctx, s)
	if ctx.Err() != nil && f.verdict != Kept {
		return cannotTell("the time was over")
	}
	f.evidence = strings.TrimSpace(f.evidence)
	return f
}

// failed is the finding for a request that had to succeed and did not.
func failed(x *exchange, err error) finding {
	if e, ok := errors.AsType[*refusal](err); ok {
		switch {
		case e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable:
			return cannotTell("the server is too busy: %v", e)
		case e.status >= 500:
			return broken(of(x), "the server fails: %v", e)
		case e.message == "":
			return broken(of(x), "refused without a reason: HTTP %d", e.status)
		}
		return notOffered("refused: %v", e)
	}
	return cannotTell("%v", err)
}

func seconds(l *limits.Limit) time.Duration { return time.Duration(l.Max * float64(time.Second)) }
