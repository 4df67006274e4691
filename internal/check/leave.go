package check

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// These checks come last: a server that does not notice that a client has left
// is busy after them.
var leaveChecks = []Check{
	{"leave-stream", Leaves, "a stream is closed by its reader", leave(true)},
	{"leave-whole", Leaves, "a client leaves that waits for a whole answer", leave(false)},
}

const (
	pair        = 2                // of them are enough where the server tells what it works on
	crowd       = 6                // long requests at a time
	crowdTime   = 8 * time.Second  // they would last about so long
	beginTime   = 20 * time.Second // the first of them has begun by then
	shortTokens = 6
	pollTime    = 100 * time.Millisecond
	patience    = 6 * time.Second // servers that make a whole answer look for their client once a second
)

// A crowd of long requests.
type longRequests struct {
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	begun   chan struct{} // closed with the first text
	once    sync.Once
	running atomic.Int32
	over    time.Time             // not before then one would have ended of itself
	err     atomic.Pointer[error] // why one of them could not be made
}

// start sends n requests for long replies.
func (s *subject) start(ctx context.Context, n, tokens int, stream, ignoreEOS bool) *longRequests {
	ctx, cancel := context.WithCancel(ctx)
	l := &longRequests{cancel: cancel, begun: make(chan struct{})}
	l.running.Store(int32(n))
	for range n {
		q := request{
			Model: s.model, MaxTokens: tokens, Temperature: new(1.0), IgnoreEOS: ignoreEOS,
			Messages: []message{say("user", s.fresh("Count from 1 to 1000, in words."))},
		}
		c := *s.client // its own count of silences
		l.wg.Go(func() {
			defer l.running.Add(-1)
			var err error
			if stream {
				_, _, err = c.stream(ctx, chatPath, q, func(string) error {
					l.once.Do(func() { close(l.begun) })
					return ctx.Err()
				})
			} else {
				_, err = c.do(ctx, "POST", chatPath, q)
			}
			if err != nil && ctx.Err() == nil {
				l.err.Store(&err)
				l.once.Do(func() { close(l.begun) })
			}
		})
	}
	return l
}

// leave closes all connections.
func (l *longRequests) leave() {
	l.cancel()
	l.wg.Wait()
}

// leave measures a short request alone, beside long ones, and after their
// clients have left: then it must be as quick as alone.
func leave(stream bool) func(context.Context, *subject) finding {
	return func(ctx context.Context, s *subject) finding {
		idle, x, err := s.quickest(ctx, 3)
		if err != nil {
			return failed(x, err)
		}
		tokens := min(max(int(crowdTime/max(idle/shortTokens, time.Millisecond)), 128), 4000)
		if s.context > 0 {
			tokens = min(tokens, s.context/2)
		}
		size := crowd
		if s.slots != "" {
			size = pair
			if n, ok := s.running(ctx, s.slots); ok && n > 0 {
				return cannotTell("%d other requests run (%s)", n, s.slots)
			}
		}
		l, f := s.crowd(ctx, size, tokens, stream, idle)
		if l == nil {
			return f
		}
		defer l.leave()
		// Alone one would last so long; beside others it lasts longer.
		l.over = time.Now().Add(time.Duration(tokens) * idle / (2 * shortTokens))
		if s.slots != "" {
			if n, ok := s.running(ctx, s.slots); ok && n > 0 {
				return s.watch(ctx, l, n, patience+10*idle, s.longLine(tokens, stream))
			}
		}
		soon, cancel := context.WithTimeout(ctx, 6*idle+time.Second)
		busy := time.Now()
		_, _, err = s.short(soon)
		cancel()
		beside := time.Since(busy)
		if err != nil && soon.Err() == nil {
			return cannotTell("beside long requests a short one fails: %v", err)
		}
		if n := int(l.running.Load()); n < size || time.Now().After(l.over) {
			return cannotTell("the long answers end too soon: they may have ended by themselves")
		}
		l.leave()
		after, x, err := s.quickest(ctx, 3)
		if err != nil {
			return failed(x, err)
		}
		figures := []any{ms(idle), ms(beside), size, ms(after)}
		const says = "a short request takes %v alone, %v beside %d long ones, %v after their clients have left"
		switch {
		case beside < 2*idle || beside-idle < 4*time.Millisecond:
			return cannotTell("long requests hardly slow a short one: %v alone, %v beside %d", ms(idle), ms(beside), size)
		case after < idle+(beside-idle)/3:
			return kept(says, figures...)
		case after > idle+(beside-idle)*2/3:
			return broken(of(s.longLine(tokens, stream)), says, figures...)
		}
		return cannotTell(says, figures...)
	}
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// crowd starts the long requests and waits until the server works on one.
func (s *subject) crowd(ctx context.Context, size, tokens int, stream bool, idle time.Duration) (*longRequests, finding) {
	for _, ignoreEOS := range []bool{true, false} {
		l := s.start(ctx, size, tokens, stream, ignoreEOS)
		wait := beginTime
		if !stream {
			wait = 2 * idle // there is nothing to see of it
		}
		late := time.NewTimer(wait)
		select {
		case <-l.begun:
		case <-late.C:
			if stream {
				l.leave()
				return nil, cannotTell("no long answer has begun after %v", wait)
			}
		case <-ctx.Done():
			l.leave()
			return nil, cannotTell("the time was over")
		}
		late.Stop()
		err := l.err.Load()
		if err == nil {
			return l, finding{}
		}
		l.leave()
		if e, refused := errors.AsType[*refusal](*err); !refused || e.status != http.StatusBadRequest && e.status != http.StatusUnprocessableEntity || !ignoreEOS {
			return nil, cannotTell("long requests fail: %v", *err)
		}
	}
	return nil, cannotTell("long requests are refused")
}

// watch lets the clients leave and looks at what the server says it works on.
func (s *subject) watch(ctx context.Context, l *longRequests, before int, patience time.Duration, line *exchange) finding {
	l.leave()
	began := time.Now()
	n := before
	for time.Since(began) < patience {
		var ok bool
		if n, ok = s.running(ctx, s.slots); ok && n == 0 {
			if time.Now().After(l.over) {
				return cannotTell("the long answers end too soon: they may have ended by themselves")
			}
			return kept("%d running, and none %v after their clients had left (%s)", before, ms(time.Since(began)), s.slots)
		}
		select {
		case <-time.After(pollTime):
		case <-ctx.Done():
			return cannotTell("the time was over")
		}
	}
	return broken(of(line), "%d still running %v after their clients have left (%s)", n, ms(time.Since(began)), s.slots)
}

// longLine is one of the long requests, to be shown.
func (s *subject) longLine(tokens int, stream bool) *exchange {
	q := request{Model: s.model, Stream: stream, MaxTokens: tokens, IgnoreEOS: true, Messages: []message{say("user", "Count from 1 to 1000, in words.")}}
	return &exchange{method: "POST", url: s.base + chatPath, sent: encode(q), keyed: s.key != "", streams: stream, leaves: true}
}

// short is a request that costs little.
func (s *subject) short(ctx context.Context) (time.Duration, *exchange, error) {
	began := time.Now()
	_, x, err := s.chat(ctx, request{Messages: []message{say("user", s.fresh("Hi"))}, MaxTokens: shortTokens, Temperature: new(1.0)})
	return time.Since(began), x, err
}

// quickest is the least time of several short requests.
func (s *subject) quickest(ctx context.Context, tries int) (least time.Duration, x *exchange, err error) {
	for i := range tries {
		var d time.Duration
		if d, x, err = s.short(ctx); err != nil {
			return 0, x, err
		}
		if i == 0 || d < least {
			least = d
		}
		if least > time.Second {
			break // it does not tremble by as much
		}
	}
	return least, x, nil
}
