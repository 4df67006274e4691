package server

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// An ending is why an answer ended, for the log and the metrics. Beside those
// below there are the reasons of package llm.
type ending string

const (
	endLeft     ending = "left"     // the client went away
	endSlow     ending = "slow"     // the client stopped reading
	endShutdown ending = "shutdown" // the server stopped
	endTimeout  ending = "timeout"  // the request took too long
	endError    ending = "error"    // it failed
)

// A phase is what an answer that is being made is at.
type phase string

const (
	phaseWaiting    phase = "waiting"    // for its turn
	phaseReading    phase = "reading"    // its prompt is read
	phaseGenerating phase = "generating" // it has begun to be said
)

// An account is what is known of one of the answers to a request. One
// goroutine writes it; it is read when that has ended.
type account struct {
	phase  phase
	prompt int // tokens
	tokens int // of the output so far
	parts  int // in which it came
	first  time.Time
	last   time.Time
	finish *llm.Finish // nil: it did not come to its end

	span    trace.Span          // nil: none
	between prometheus.Observer // seconds between parts
	said    strings.Builder     // where the log holds contents
}

// accounted is an answer of which account is kept.
func accounted(ctx context.Context, choice int, ask asking) iter.Seq2[chat.Event, error] {
	rec := recorderOf(ctx)
	if rec == nil {
		return checked(ask(ctx, choice))
	}
	return func(yield func(chat.Event, error) bool) {
		a := rec.open()
		ctx := rec.beginSpan(ctx, a)
		var failure error
		defer func() { rec.close(a, failure) }()
		for e, err := range checked(ask(ctx, choice)) {
			if failure = err; err == nil {
				rec.see(a, e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (w *recorder) open() *account {
	a := &account{between: w.server.metrics.between.WithLabelValues(w.model)}
	w.mu.Lock()
	w.accounts = append(w.accounts, a)
	w.mu.Unlock()
	w.enter(a, phaseWaiting)
	return a
}

func (w *recorder) close(a *account, failure error) {
	w.enter(a, "")
	a.endSpan(w, failure)
}

// enter moves an answer on to its next phase; "" is none.
func (w *recorder) enter(a *account, next phase) {
	making := w.server.metrics.making
	if a.phase != "" {
		making.WithLabelValues(w.model, string(a.phase)).Dec()
	}
	if next != "" {
		making.WithLabelValues(w.model, string(next)).Inc()
	}
	a.phase = next
}

func (w *recorder) see(a *account, e chat.Event) {
	var text string
	switch e := e.(type) {
	case chat.Accepted:
		a.prompt = e.PromptTokens
		return
	case chat.Waiting:
		if e.Queue == 0 && a.phase == phaseWaiting {
			w.enter(a, phaseReading)
		}
		return
	case chat.Done:
		a.finish = &e.Finish
		return
	case chat.TextDelta:
		text = e.Text
		a.tokens += max(len(e.Tokens), 1)
	case chat.ReasoningDelta:
		text = e.Text
		a.tokens += max(len(e.Tokens), 1)
	case chat.ToolCallDelta:
		text = e.Name + e.Arguments
		a.tokens++
	}
	now := w.server.now()
	if a.parts == 0 {
		a.first = now
		w.enter(a, phaseGenerating)
	} else {
		a.between.Observe(now.Sub(a.last).Seconds())
	}
	a.last = now
	a.parts++
	if w.server.options.LogContents && a.said.Len() < limits.LogContentBytes.Int() {
		a.said.WriteString(text)
	}
}

// usage is what an answer took, as its engine tells it, or as far as it was
// seen.
func (a *account) usage() llm.Usage {
	if a.finish != nil {
		return a.finish.Usage
	}
	return llm.Usage{PromptTokens: a.prompt, CacheUntold: true, CompletionTokens: a.tokens}
}

// speed is in tokens a second; 0: not known.
func (a *account) speed() float64 {
	u := a.usage()
	took := u.Decode
	if took <= 0 {
		took = a.last.Sub(a.first)
	}
	if took <= 0 || u.CompletionTokens < 2 {
		return 0
	}
	return float64(u.CompletionTokens) / took.Seconds()
}

// ended is why an answer ended. What ended it before its own end is what ended
// its request.
func (w *recorder) ended(a *account) ending {
	if a.finish != nil {
		return ending(a.finish.Reason)
	}
	switch err := w.err; {
	case errors.Is(err, errSlow):
		return endSlow
	case errors.Is(err, errStopping):
		return endShutdown
	case errors.Is(err, errTimeout):
		return endTimeout
	case w.left:
		return endLeft
	}
	return endError
}
