package server

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"time"

	"parley/internal/apikey"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/llm"
)

// A Quota is how much one asker may have: whoever has a key, or where no key is
// asked for, an address. 0 is no bound of its own.
type Quota struct {
	Requests   int // a minute
	Tokens     int // a minute, read and generated; those that were known already do not count
	Concurrent int // requests at a time; 0: as in the table of limits
}

// askers are those who asked in the last minute, by name.
type askers map[string]*asker

// An asker is what somebody has had lately.
type asker struct {
	running          int
	requests, tokens bucket
}

// A bucket is what was poured into it, less what runs out: what is allowed in a
// minute, in a minute.
type bucket struct {
	level float64
	at    time.Time
}

// now lets run out what has until now.
func (b *bucket) now(now time.Time, perMinute int) float64 {
	b.level = max(0, b.level-now.Sub(b.at).Minutes()*float64(perMinute))
	b.at = now
	return b.level
}

// wait is how long it takes until no more than room is in it.
func (b *bucket) wait(room float64, perMinute int) time.Duration {
	return time.Duration((b.level - room) / float64(perMinute) * float64(time.Minute))
}

// askerName is who asks. A subnet of IPv6 that one household gets is one asker.
func askerName(key *apikey.Key, addr netip.Addr) string {
	if key != nil {
		return "key " + hex.EncodeToString(key.Digest[:])
	}
	if addr.Is6() {
		const household = 64
		if p, err := addr.Prefix(household); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// admit takes a request in, or says why not, and notes with it for whom it is.
// leave must be called if err is nil, when all answers have ended.
func (s *Server) admit(r *http.Request, rec *recorder) (asking *http.Request, leave func(), err error) {
	var a Asker
	if a.Low, err = readPriority(r); err != nil {
		return nil, nil, err
	}
	a.Name = askerName(rec.key, rec.client)
	if leave, err = s.enter(a.Name, rec); err != nil {
		return nil, nil, err
	}
	return r.WithContext(ForAsker(r.Context(), a)), leave, nil
}

// enter counts a request of an asker and refuses it if there are too many, or
// if the server is shutting down. leave must be called if err is nil, when all
// answers have ended; the tokens that they took are then counted.
func (s *Server) enter(name string, rec *recorder) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return nil, errStopping
	}
	now, q := s.now(), s.options.Quota
	a := s.askers.named(name, now, q)
	if err := a.refuse(now, q); err != nil {
		return nil, err
	}
	a.running++
	if q.Requests > 0 {
		a.requests.level++
	}
	s.running.Add(1)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		a.running--
		a.tokens.now(s.now(), q.Tokens)
		if q.Tokens > 0 && rec != nil {
			a.tokens.level += rec.spent()
		}
		if q == (Quota{}) && a.running == 0 {
			delete(s.askers, name) // there is nothing to remember
		}
		s.running.Done()
	}, nil
}

// named is an asker's account. Accounts in which nothing is left are closed
// now and then.
func (all askers) named(name string, now time.Time, q Quota) *asker {
	a := all[name]
	if a != nil {
		return a
	}
	const often = 256
	if len(all)%often == often-1 {
		maps.DeleteFunc(all, func(_ string, a *asker) bool {
			return a.running == 0 && a.requests.now(now, q.Requests) == 0 && a.tokens.now(now, q.Tokens) == 0
		})
	}
	a = &asker{requests: bucket{at: now}, tokens: bucket{at: now}}
	all[name] = a
	return a
}

// refuse says why an asker gets nothing more for now.
func (a *asker) refuse(now time.Time, q Quota) error {
	most := limits.Streams.Int()
	if q.Concurrent > 0 {
		most = min(most, q.Concurrent)
	}
	requests, tokens := a.requests.now(now, q.Requests), a.tokens.now(now, q.Tokens)
	switch {
	case a.running >= most:
		return &tooMuch{fmt.Sprintf("%d requests at a time are allowed (wait for some of them to end)", most), 0}
	case q.Requests > 0 && requests+1 > float64(q.Requests):
		return &tooMuch{fmt.Sprintf("%d requests a minute are allowed", q.Requests), a.requests.wait(float64(q.Requests-1), q.Requests)}
	case q.Tokens > 0 && tokens >= float64(q.Tokens):
		return &tooMuch{fmt.Sprintf("%d tokens a minute are allowed", q.Tokens), a.tokens.wait(float64(q.Tokens), q.Tokens)}
	}
	return nil
}

// tooMuch refuses an asker who has had as much as is allowed.
type tooMuch struct {
	message string
	wait    time.Duration // until it makes sense to try again; 0: not known
}

func (e *tooMuch) Error() string { return e.message }

// Unwrap is the same where there are no statuses: in a WebSocket.
func (e *tooMuch) Unwrap() error { return &llm.Error{Code: llm.Overloaded, Message: e.message} }

func (e *tooMuch) problem() openai.Problem {
	return openai.Problem{Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "rate_limit_exceeded", Message: e.message}
}

// spent is how many tokens the answers to a request took.
func (w *recorder) spent() (n float64) {
	for _, a := range w.accounts {
		u := a.usage()
		n += float64(max(0, u.PromptTokens-max(0, u.CachedTokens)) + max(0, u.CompletionTokens))
	}
	return n
}
