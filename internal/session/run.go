package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// A Run is a reply that is being generated, or was. It belongs to the server:
// it goes on when nobody watches it, and any number may.
type Run struct {
	ID      string // that of the session, of the message and the version
	Session string
	Place   Place
	ask     Ask
	round   round // what comes behind it

	ctx  context.Context
	stop context.CancelCauseFunc // nil where it is over from the beginning

	mu       sync.Mutex
	events   []Event
	progress llm.Waiting
	changed  chan struct{} // closed at each change, and another is put there
	over     bool
	text     strings.Builder
	thoughts strings.Builder
	calls    called
	written  written
	dirty    bool // there is more than was stored
	reply    Reply
	context  int // tokens that the model has room for; 0: it does not say
	outcome  Outcome
	failure  error // why it failed, or ended early
}

// An Event is a step of a run. Those with an ID are kept, and come in order,
// counted from 1, without gaps, to whoever asks for them.
type Event struct {
	ID   int
	Kind EventKind
	Data any // what is sent as JSON: a Started, a Text, a Call, an Outcome, a ReplyError; a Waiting for Progress
}

// EventKind says what an event tells.
type EventKind string

// The kinds of events. The last one of a run is Done or Error.
const (
	EventStarted   EventKind = "started"
	EventText      EventKind = "text"      // more of the text
	EventReasoning EventKind = "reasoning" // more of the thoughts
	EventToolCall  EventKind = "tool_call" // more of a call of a tool
	EventSnapshot  EventKind = "snapshot"  // all of the text and the thoughts at once, of a run that is long over
	EventProgress  EventKind = "progress"  // what it waits for; has no ID
	EventDone      EventKind = "done"
	EventError     EventKind = "error" // it failed; the message is in the session as far as it came
)

// Started tells what is being generated.
type Started struct {
	Run     string `json:"run"`
	Session string `json:"session"`
	Message int    `json:"message"`
	Parent  int    `json:"parent"`
	Kind    Kind   `json:"kind"`
	Author  Author `json:"author,omitzero"` // who speaks
}

// Text is more of a text.
type Text struct {
	Text string `json:"text"`
}

// Call begins or continues a call of a tool, as a chat.ToolCallDelta.
type Call struct {
	Index     int    `json:"index"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"`
	Broken    bool   `json:"broken,omitempty"` // it turned out to be none
}

// Snapshot is all that there is of a reply.
type Snapshot struct {
	Text      string `json:"text"`
	Reasoning string `json:"reasoning,omitempty"`

	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
}

// Progress is what a reply waits for before it begins.
type Progress struct {
	Queue int `json:"queue"` // how many are to be begun before it
	Done  int `json:"done"`  // tokens of the prompt that were read
	Total int `json:"total"`
}

// Outcome is what a run came to.
type Outcome struct {
	Message  Message     `json:"message"`
	Revision int64       `json:"revision"` // of the session, with the message in it
	Error    *ReplyError `json:"error,omitempty"`
	Next     string      `json:"next,omitempty"` // the run of the next one in the round
}

func runID(p Place) string { return fmt.Sprintf("%s.%d.%d", p.Session, p.Message, p.Version) }

func placeOf(run string) (p Place, ok bool) {
	parts := strings.Split(run, ".")
	if len(parts) != 3 {
		return Place{}, false
	}
	message, err1 := strconv.Atoi(parts[1])
	version, err2 := strconv.Atoi(parts[2])
	p = Place{parts[0], message, version}
	return p, err1 == nil && err2 == nil && runID(p) == run
}

// errStopped is why a run ends that somebody stopped.
var errStopped = &llm.Error{Code: llm.Unavailable, Message: "the reply was stopped"}

// RunningError is the cause of a refusal: a reply is being generated.
type RunningError struct{ Run string }

func (e *RunningError) Error() string { return "the run " + e.Run + " is not over" }

// idle refuses what cannot be done while a reply is being generated.
func (s *Sessions) idle(session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.active[session]; r != nil {
		return &llm.Error{Code: llm.Conflict, Field: "session", Message: "a reply is being generated in this session: run " + r.ID,
			Hint: "watch it at /parley/v1/runs/" + r.ID + "/events, or stop it", Err: &RunningError{r.ID}}
	}
	return nil
}

// Active gives the run of a session, if a reply is being generated there.
func (s *Sessions) Active(session string) *Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active[session]
}

// Stop ends the reply that is being generated in a session, and gives its
// run. What there is of it is kept.
func (s *Sessions) Stop(session string) *Run {
	r := s.Active(session)
	if r != nil {
		r.Stop()
	}
	return r
}

// Stop ends the run. What there is of the reply is kept, and marked.
func (r *Run) Stop() {
	if r.stop != nil {
		r.stop(errStopped)
	}
}

// Run finds a run by its id. Of those that ended long ago, or before the
// server was started again, there is what is in the session.
func (s *Sessions) Run(ctx context.Context, id string) (*Run, error) {
	s.mu.Lock()
	r := s.runs[id]
	s.mu.Unlock()
	if r != nil {
		return r, nil
	}
	missing := llm.Errorf(llm.NotFound, "run", "there is no run %q", id)
	p, ok := placeOf(id)
	if !ok {
		return nil, missing
	}
	t, err := s.Tree(ctx, p.Session)
	if err != nil {
		return nil, missing
	}
	n, err := t.any(p.Message)
	if err != nil || p.Version < 0 || p.Version >= len(n.Versions) || n.Versions[p.Version].Reply == nil {
		return nil, missing
	}
	v := n.Versions[p.Version]
	if v.State == Running { // its end could not be stored
		v.State = Interrupted
	}
	r = newRun(p, *v.Reply)
	r.tell(EventStarted, Started{id, p.Session, p.Message, n.Parent, v.Reply.Kind, n.Author})
	r.tell(EventSnapshot, Snapshot{v.Text, v.Reasoning, v.ToolCalls})
	m := t.Seen(p.Message)
	m.Version, m.Number = v, p.Version
	r.end(Outcome{Message: m, Revision: t.Session.Revision, Error: v.Reply.Error})
	return r, nil
}

func newRun(p Place, reply Reply) *Run {
	return &Run{ID: runID(p), Session: p.Session, Place: p, reply: reply, changed: make(chan struct{})}
}

// tell adds an event.
func (r *Run) tell(kind EventKind, data any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellLocked(kind, data)
}

// tellLocked is tell where r.mu is held.
func (r *Run) tellLocked(kind EventKind, data any) {
	r.events = append(r.events, Event{len(r.events) + 1, kind, data})
	r.wake()
}

func (r *Run) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Run) end(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcome = o
	if o.Error != nil {
		r.failure = &llm.Error{Code: o.Error.Code, Field: o.Error.Field, Message: o.Error.Message, Hint: o.Error.Hint, Err: r.failure}
		r.tellLocked(EventError, o)
	} else {
		r.tellLocked(EventDone, o)
	}
	r.over = true
	r.wake()
}

// Events gives the events behind the one with the id after, and waits for
// those to come, until the run is over or ctx is done.
func (r *Run) Events(ctx context.Context, after int) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var progress llm.Waiting
		for next := max(after, 0); ; {
			r.mu.Lock()
			events := r.events[min(next, len(r.events)):]
			waiting, changed, over := r.progress, r.changed, r.over
			r.mu.Unlock()
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
				next = e.ID
			}
			if len(events) > 0 {
				continue
			}
			if over {
				return
			}
			if waiting != progress {
				progress = waiting
				if !yield(Event{Kind: EventProgress, Data: Progress(waiting)}, nil) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(Event{}, context.Cause(ctx))
				return
			}
		}
	}
}

// Over reports whether the run is over.
func (r *Run) Over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// Wait waits until the run is over. The error is why it failed, with the
// outcome, or that of ctx.
func (r *Run) Wait(ctx context.Context) (Outcome, error) {
	for {
		r.mu.Lock()
		changed, over, outcome, failure := r.changed, r.over, r.outcome, r.failure
		r.mu.Unlock()
		if over {
			if outcome.Error == nil {
				failure = nil
			}
			return outcome, failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Outcome{}, context.Cause(ctx)
		}
	}
}

// start lets a run go that was claimed and is stored.
func (s *Sessions) start(r *Run) {
	ctx, cancelTime := context.WithTimeoutCause(r.ctx, time.Duration(limits.RequestTimeout.Max)*time.Second,
		&llm.Error{Code: llm.Unavailable, Message: "the reply took longer than any may"})
	go func() {
		defer s.running.Done()
		defer r.stop(nil)
		defer cancelTime()
		began := time.Now()
		var flushing sync.WaitGroup
		flushed, done := context.WithCancel(context.Background())
		flushing.Go(func() { s.flush(flushed, r) })
		err := s.generate(ctx, r, r.ask)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		done()
		flushing.Wait()
		s.finish(r, err, time.Since(began))
	}()
}

// flush stores what there is of a reply, once a second.
func (s *Sessions) flush(ctx context.Context, r *Run) {
	tick := time.NewTicker(time.Duration(limits.FlushSeconds.Max * float64(time.Second)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		dirty, v := r.dirty, r.version(Running)
		r.dirty = false
		r.mu.Unlock()
		if !dirty {
			continue
		}
		unlock := s.lock(r.Session)
		err := s.grow(r.Place, v)
		unlock()
		if err != nil {
			s.log.Error("a running reply was not stored", "run", r.ID, "cause", err)
		}
	}
}

// version is the reply so far. r.mu must be held.
func (r *Run) version(state State) Version {
	reply := r.reply
	reply.Tokens = r.written.ids()
	return Version{Since: reply.Base, Created: r.outcome.Message.Version.Created, Text: r.text.String(), Reasoning: r.thoughts.String(), State: state, Reply: &reply}
}

// finish stores how a run ended and tells those who watch.
func (s *Sessions) finish(r *Run, err error, took time.Duration) {
	r.mu.Lock()
	state := Complete
	switch {
	case errors.Is(err, errStopped):
		state = Stopped
	case errors.Is(err, errClosing):
		state = Interrupted
	case err != nil:
		state = Failed
		e := llm.AsError(err)
		r.reply.Error = &ReplyError{e.Code, e.Field, e.Message, e.Hint}
		r.failure = err
	}
	r.reply.Usage.Total = took.Seconds()
	v := r.version(state)
	v.ToolCalls = r.calls.whole()
	r.mu.Unlock()
	if r.reply.Kind == Summarise {
		s.finishSummary(r, v)
		return
	}

	out := Outcome{Error: v.Reply.Error}
	var next, summary *Run
	_, stored := s.change(context.Background(), r.Session, Write{}, func(t *Tree) (Receipt, error) {
		n, err := t.Node(r.Place.Message)
		if err != nil {
			return Receipt{}, err
		}
		v.Created = s.now()
		if v.Deleted = v.Text == "" && v.Reasoning == "" && len(v.ToolCalls) == 0 && state != Complete; v.Deleted && t.Session.Head == n.ID {
			t.Session.Head = n.Parent // there is nothing to see of it
		}
		t.Rewrite(n, r.Place.Version, v)
		if state == Complete && len(v.ToolCalls) == 0 {
			next = s.next(context.Background(), t, r)
		}
		if next == nil {
			summary = s.due(t, r, v)
		}
		out.Message, out.Revision = t.Seen(r.Place.Message), t.Session.Revision
		return Receipt{}, nil
	})
	if stored != nil {
		s.log.Error("the end of a reply was not stored", "run", r.ID, "cause", stored)
		e := llm.AsError(stored)
		out.Error = &ReplyError{e.Code, e.Field, e.Message, e.Hint}
		out.Message = Message{ID: r.Place.Message, Version: v, Number: r.Place.Version}
		if next != nil {
			s.forget(next)
		}
		if summary != nil {
			s.forgetSummary(summary)
		}
		next, summary = nil, nil
	}
	s.mu.Lock()
	if next == nil {
		delete(s.active, r.Session)
	} else {
		out.Next = next.ID
	}
	s.over(r)
	s.mu.Unlock()
	r.end(out)
	for _, behind := range []*Run{next, summary} {
		if behind != nil {
			s.start(behind)
		}
	}
}

// over remembers a run that has ended, and forgets those that ended long ago.
// s.mu must be held.
func (s *Sessions) over(r *Run) {
	s.ended = append(s.ended, r.ID)
	if more := len(s.ended) - limits.EndedRuns.Int(); more > 0 {
		for _, id := range s.ended[:more] {
			delete(s.runs, id)
		}
		s.ended = slices.Delete(s.ended, 0, more)
	}
}

// Following gives the run of the reply behind one, if the round goes on; nil if
// it does not. It waits until the one is over.
func (s *Sessions) Following(ctx context.Context, r *Run) *Run {
	out, err := r.Wait(ctx)
	if err != nil || out.Next == "" {
		return nil
	}
	next, err := s.Run(ctx, out.Next)
	if err != nil {
		return nil
	}
	return next
}

// opening takes a name off the beginning of a reply: models that see names
// before what others say put theirs before what they say.
type opening struct {
	marks []string // "Ada:"
	held  string
	over  bool
}

func (o *opening) take(text string) string {
	if o.over {
		return text
	}
	o.held += text
	said := strings.TrimLeft(o.held, " \n")
	for _, mark := range o.marks {
		if rest, ok := strings.CutPrefix(said, mark); ok {
			o.over = true
			return strings.TrimLeft(rest, " ")
		}
		if strings.HasPrefix(mark, said) {
			return ""
		}
	}
	o.over = true
	return o.held
}

// end gives what was held back of a reply that has ended.
func (o *opening) end() string {
	if o.over {
		return ""
	}
	o.over = true
	return o.held
}
