package enginetest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"parley/llm"
)

// An exchange is one request for text on its way through a fake.
type exchange struct {
	e   *Engine
	req *Request
	w   http.ResponseWriter
	r   *http.Request

	begun bool // the answer has begun: errors can only be told inside of it
}

// A job is what to generate, whatever dialect asked for it.
type job struct {
	prompt llm.Prompt
	params llm.Params
	stops  []string
	leaks  bool // the engine's output has the stop string that ended it
	deaf   bool // the engine does not notice that the client has gone
	slow   bool // it notices when it next writes
	genkey string
}

// A step is what a fake's model has said since the one before it. The first
// step of a job says nothing yet and has the counts of the prompt.
type step struct {
	text           string
	tokens         []llm.Token
	waiting        *llm.Waiting
	prompt, cached int
	generated      int // tokens so far
	end            *llm.Finish
}

var errGone = errors.New("the client has gone")

// generate runs a job and hands its steps on. An error before the first step
// is a refusal; errGone ends what nobody reads any more.
func (x *exchange) generate(j job, take func(step) error) error {
	e, req := x.e, x.req
	req.Prompt, req.Stops, req.Params = j.prompt.String(), j.stops, j.params
	if tokens, ok := e.o.Model.(llm.Tokenizer); ok {
		read, err := tokens.Tokenize(x.r.Context(), j.prompt)
		if err != nil {
			return refuse(400, "prompt", "%s", llm.AsError(err).Message)
		}
		req.Read = read
	}
	if n := len(req.Read); n >= e.o.Context {
		return tooLong(n, e.o.Context)
	}
	if room := e.o.Context - len(req.Read); j.params.MaxTokens == nil || *j.params.MaxTokens > room {
		j.params.MaxTokens = new(room)
	}
	cached := e.remember(req.Read)

	ctx, cancel := x.watch(j)
	defer cancel()
	out := output{leaks: j.leaks, now: step{prompt: len(req.Read), cached: cached}}
	j.params.LoopGuard = new(0) // no other engine has one
	switch e.o.Stops {
	case StopsAsReal:
		j.params.Stop = j.stops
	case StopsLeaked:
		j.params.Stop, out.leaks = j.stops, true
	case StopsLate:
		out.late = j.stops
	}
	for piece, err := range e.o.Model.Complete(ctx, j.prompt, j.params) {
		if err != nil {
			if ctx.Err() != nil {
				return errGone
			}
			return err
		}
		if err := out.add(piece, take); err != nil {
			if errors.Is(err, errGone) {
				x.came(Cancelled)
			}
			return err
		}
		req.Generated = out.now.generated
		if out.now.end != nil {
			break
		}
	}
	x.came(Answered)
	return nil
}

// came notes what became of the request, if that is not known.
func (x *exchange) came(to Outcome) {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	if x.req.Outcome == "" {
		x.req.Outcome = to
		if to == Cancelled {
			x.req.NoticedAt = time.Now()
		}
	}
}

// aborted reports whether a request to abort ended this one.
func (x *exchange) aborted() bool {
	x.e.mu.Lock()
	defer x.e.mu.Unlock()
	return x.req.Outcome == Aborted
}

func tooLong(n, context int) *refusal {
	f := refuse(400, "prompt", "This model's maximum context length is %d tokens. However, your request has %d input tokens. Please reduce the length of the input messages.", context, n)
	f.kind = "too_long"
	f.more = map[string]any{"n_prompt_tokens": n, "n_ctx": context}
	return f
}

// watch gives the context under which a job runs, and writes down when and why
// it ended before its time.
func (x *exchange) watch(j job) (context.Context, func()) {
	e, req := x.e, x.req
	ctx := x.r.Context()
	if e.o.Deaf || j.deaf || j.slow {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	over := false
	note := func(why Outcome) {
		if !over && req.Outcome == "" {
			req.Outcome, req.NoticedAt = why, time.Now()
		}
		cancel()
	}
	e.mu.Lock()
	req.genkey, req.abort = j.genkey, func() { note(Aborted) }
	e.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		note(Cancelled)
	})
	return ctx, func() {
		stop()
		e.mu.Lock()
		defer e.mu.Unlock()
		if ctx.Err() != nil {
			note(Cancelled)
		}
		over, req.abort = true, nil
		cancel()
	}
}

// output turns a model's pieces into steps, with the faults that are asked for.
type output struct {
	leaks bool
	late  []string // stop strings that are noticed too late

	now     step
	said    string
	matched string
	behind  int // pieces since the match
}

const lateBy = 3

func (o *output) add(p llm.Piece, take func(step) error) error {
	o.now.text, o.now.tokens, o.now.waiting = p.Text, p.Tokens, p.Waiting
	o.now.generated += len(p.Tokens)
	o.said += p.Text
	if f := p.Finish; f != nil {
		o.now.end = f
		o.now.generated = f.Usage.CompletionTokens
		if f.Reason == llm.ReasonStop && o.leaks {
			o.now.text += f.Stop
		}
	}
	if o.matched != "" {
		o.behind++
	}
	for _, s := range o.late {
		if o.matched == "" && strings.Contains(o.said, s) {
			o.matched = s
		}
	}
	if o.behind == lateBy && o.now.end == nil {
		o.now.end = &llm.Finish{Reason: llm.ReasonStop, Stop: o.matched}
	}
	return take(o.now)
}

// failed tells an error of a job in the engine's way: with a status while the
// answer has not begun.
func (x *exchange) failed(err error) {
	switch {
	case errors.Is(err, errGone):
	case x.begun:
		x.came(Refused)
	default:
		x.e.refuse(x.w, x.req, err)
	}
}
