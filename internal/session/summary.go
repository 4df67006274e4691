package session

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/llm"
)

// A summary stands for the beginning of a talk: it is told, and the messages
// that it covers are not. It is a node of the tree behind the last message
// that it covers (behind none, it covers none), so that each branch has its
// own, with its versions: what people write is a version as what a model makes
// is. The newest one of a branch holds. Making one is a run beside the talk,
// which nothing of the talk waits for or fails with.

// summaryRole is the role of nodes that are summaries. They are no messages of
// the talk.
const summaryRole chat.Role = "summary"

// Summarise is the kind of a reply that is a summary.
const Summarise Kind = "summary"

// SummarySettings say how a talk's summary is made.
type SummarySettings struct {
	Auto   Auto            `json:"auto,omitempty"`
	Every  int             `json:"every,omitempty"`  // of AutoEvery: messages from one to the next; 0: 20
	Keep   int             `json:"keep,omitempty"`   // messages at the end that are never covered; 0: 6
	Words  int             `json:"words,omitempty"`  // about how long it is; 0: 200
	Prompt string          `json:"prompt,omitempty"` // what the model is told, with macros and {{words}}; "": a usual one
	Model  string          `json:"model,omitempty"`  // who makes it; "": who replies
	Params json.RawMessage `json:"params,omitempty"` // sampling, over the session's
}

// Auto says when a summary is made that nobody asked for.
type Auto string

// The occasions.
const (
	AutoNever Auto = ""
	AutoFull  Auto = "full"  // when the talk is about to get longer than the context
	AutoEvery Auto = "every" // after so many messages
)

const (
	usualEvery = 20
	usualKeep  = 6
	usualWords = 200
	usualTask  = "Write down what somebody must know who goes on with this conversation: who they are to each other, what has happened and " +
		"was agreed, where they are now, and what is still open. What the summary so far says stays, unless it is no longer so. Write plain sentences " +
		"in which people have their names, {{words}} words at most, and nothing else."
)

func (m *SummarySettings) check() error {
	if m == nil {
		return nil
	}
	if !slices.Contains([]Auto{AutoNever, AutoFull, AutoEvery}, m.Auto) {
		return llm.Errorf(llm.Invalid, "memory.auto", "there is no %q; there are full and every", m.Auto)
	}
	for _, c := range []struct {
		field string
		value int
		limit *limits.Limit
	}{{"memory.every", m.Every, limits.SessionMessages}, {"memory.keep", m.Keep, limits.SessionMessages}, {"memory.words", m.Words, limits.SummaryWords},
		{"memory.prompt", len(m.Prompt), limits.MessageBytes}, {"memory.model", len(m.Model), limits.NameBytes}} {
		if err := c.limit.CheckInt(c.value); err != nil {
			return llm.Errorf(llm.Invalid, c.field, "%v", err)
		}
	}
	_, _, err := ParseParams(m.Params)
	return err
}

// A Summary is a version of what a talk's beginning comes to.
type Summary struct {
	Message int `json:"message"` // the node, by which a run and a prompt are found; 0: it is the session's setting
	Until   int `json:"until"`   // the last message that it covers; 0: it covers none
	Covers  int `json:"covers"`  // how many messages that are
	Version
	Number  int  `json:"version"` // which version of the node this is, from 0
	Current bool `json:"current"` // it is the one that holds
}

// note adds a node that is no message of the talk.
func (t *Tree) note(parent int, v Version) int {
	head := t.Session.Head
	id := t.Add(parent, summaryRole, Author{}, v)
	t.Session.Head = head
	return id
}

// recalled finds the summary that holds for a talk which ends with a message,
// as it was at a revision: the newest of those on its way there. With before,
// it is one that ends before that message.
func (t *Tree) recalled(to int, revision int64, before int) *Place {
	var path []int
	var best *Place
	var since int64
	for _, n := range t.Nodes {
		if n.Role != summaryRole {
			continue
		}
		if path == nil {
			path = t.Path(to)
		}
		if n.Parent != 0 && (!slices.Contains(path, n.Parent) || before > 0 && n.Parent >= before) {
			continue
		}
		if v, number := n.At(revision); v != nil && v.State == Complete && v.Since >= since {
			best, since = &Place{Message: n.ID, Version: number}, v.Since
		}
	}
	return best
}

// recall gives what a summary says, and the last message that it covers.
func (t *Tree) recall(at *Place, settings Settings) (text string, until int) {
	if at == nil {
		return settings.Summary, 0
	}
	n := t.Nodes[at.Message-1]
	if text = n.Versions[at.Version].Text; text != "" {
		until = n.Parent
	}
	return text, until
}

// covered counts the messages of a talk that stand in a summary.
func covered(talk []Message, until int) int {
	if until == 0 {
		return 0
	}
	return 1 + slices.IndexFunc(talk, func(m Message) bool { return m.ID == until })
}

// Summaries gives all summaries of the talk up to a message, 0 being the head:
// those that were, the newest first, and which one holds.
func (s *Sessions) Summaries(ctx context.Context, id string, to int) (all []Summary, run *Run, revision int64, err error) {
	run = s.making(id) // before the tree: one that ends meanwhile is told as being made, never left out
	t, err := s.Tree(ctx, id)
	if err != nil {
		return nil, nil, 0, err
	}
	if to == 0 {
		to = t.Session.Head
	} else if _, err := t.Node(to); err != nil {
		return nil, nil, 0, err
	}
	return t.summaries(to), run, t.Session.Revision, nil
}

func (t *Tree) summaries(to int) (all []Summary) {
	path := t.Path(to)
	talk := t.Messages(to, t.Session.Revision)
	holds := t.recalled(to, t.Session.Revision, 0)
	for _, n := range t.Nodes {
		if n.Role != summaryRole || n.Parent != 0 && !slices.Contains(path, n.Parent) {
			continue
		}
		for number, v := range n.Versions {
			x := Summary{Message: n.ID, Until: n.Parent, Version: v, Number: number, Current: holds != nil && *holds == Place{Message: n.ID, Version: number}}
			if v.Text != "" {
				x.Covers = covered(talk, n.Parent)
			}
			all = append(all, x)
		}
	}
	if first := t.Session.Now().Summary; first != "" {
		all = append(all, Summary{Version: Version{Since: 1, Created: t.Session.Created, Text: first, State: Complete}, Current: holds == nil})
	}
	slices.SortStableFunc(all, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(b.Since, a.Since), cmp.Compare(b.Message, a.Message), cmp.Compare(b.Number, a.Number))
	})
	return all
}

// SetSummary writes a summary by hand, which covers the messages up to one;
// nil leaves that as it is. An empty text covers nothing.
func (s *Sessions) SetSummary(ctx context.Context, id string, w Write, text string, until *int) (Receipt, error) {
	if err := limits.MessageBytes.CheckInt(len(text)); err != nil {
		return Receipt{}, llm.Errorf(llm.Invalid, "text", "%v", err)
	}
	return s.change(ctx, id, w, func(t *Tree) (Receipt, error) {
		v := Version{Created: s.now(), Text: strings.TrimSpace(text), State: Complete}
		holds := t.recalled(t.Session.Head, t.Session.Revision, 0)
		_, last := t.recall(holds, Settings{})
		if until != nil {
			last = *until
		}
		if err := t.onPath(last); err != nil {
			return Receipt{}, err
		}
		if holds != nil && t.Nodes[holds.Message-1].Parent == last {
			t.Write(t.Nodes[holds.Message-1], v)
			return Receipt{Message: holds.Message}, nil
		}
		return Receipt{Message: t.note(last, v)}, nil
	})
}

// onPath refuses what a summary cannot cover: a message that is not in the
// talk. 0 is none.
func (t *Tree) onPath(message int) error {
	if message != 0 && !slices.Contains(t.Path(t.Session.Head), message) {
		return &llm.Error{Code: llm.Invalid, Field: "until", Message: fmt.Sprintf("message %d is not in the talk up to the head", message)}
	}
	return nil
}

// MakeSummary has a model make a summary that covers the messages up to one;
// nil is all but the last ones, and where those are covered, the same again.
// Its run is not the session's: the talk can go on meanwhile.
func (s *Sessions) MakeSummary(ctx context.Context, id string, w Write, until *int, a Ask) (Receipt, error) {
	if err := a.check(); err != nil {
		return Receipt{}, err
	}
	var run *Run
	receipt, err := s.change(ctx, id, w, func(t *Tree) (Receipt, error) {
		if t.Session.Deleted != nil {
			return Receipt{}, &llm.Error{Code: llm.NotFound, Field: "session", Message: "the session is deleted", Hint: "restore it"}
		}
		if r := s.making(id); r != nil {
			return Receipt{}, &llm.Error{Code: llm.Conflict, Field: "session", Message: "a summary is being made in this session: run " + r.ID,
				Hint: "watch it at /parley/v1/runs/" + r.ID + "/events, or stop it", Err: &RunningError{r.ID}}
		}
		last := 0
		if until != nil {
			last = *until
		} else {
			last = t.coverable(1, 0)
		}
		if err := t.onPath(last); err != nil {
			return Receipt{}, err
		}
		if last == 0 {
			return Receipt{}, &llm.Error{Code: llm.Invalid, Field: "until", Message: "there is nothing to summarise yet", Hint: "name the last message that the summary is to cover"}
		}
		var err error
		if run, err = s.summarise(t, last, a); err != nil {
			return Receipt{}, err
		}
		return Receipt{Reply: run.Place.Message, Run: run.ID}, nil
	})
	if err != nil {
		if run != nil {
			s.forgetSummary(run)
		}
		return receipt, err
	}
	if run != nil { // else it is a request that came before
		s.start(run)
	}
	return receipt, nil
}

// due begins a summary in the same change in which a reply ends, if it is
// time for one; nil if not.
func (s *Sessions) due(t *Tree, r *Run, v Version) *Run {
	m := t.Session.Now().Memory
	if m == nil || m.Auto == AutoNever || v.State != Complete || t.Session.Deleted != nil || s.making(t.Session.ID) != nil {
		return nil
	}
	last := 0
	switch m.Auto {
	case AutoEvery:
		last = t.coverable(cmp.Or(m.Every, usualEvery), 0)
	case AutoFull:
		u := v.Reply.Usage
		short := slices.ContainsFunc(v.Reply.Report, func(n llm.Note) bool { return n.Code == "shortened" })
		if r.context > 0 && (u.Prompt+u.Completion) > r.context*3/4 || short {
			last = t.coverable(1, 2)
		}
	}
	if last == 0 || !t.patient() {
		return nil
	}
	run, err := s.summarise(t, last, Ask{})
	if err != nil {
		s.log.Warn("no summary is made", "session", t.Session.ID, "cause", err)
		return nil
	}
	return run
}

// patient reports whether enough was said since summaries failed to try another
// one: after each, twice as much.
func (t *Tree) patient() bool {
	const longest = 128 // messages
	path := t.Path(t.Session.Head)
	failed, since := 0, 0
	for _, n := range slices.Backward(t.Nodes) {
		if n.Role != summaryRole {
			if failed == 0 {
				since++
			}
			continue
		}
		if n.Parent != 0 && !slices.Contains(path, n.Parent) {
			continue
		}
		if n.last().State != Failed {
			break
		}
		failed++
	}
	return failed == 0 || since >= min(2<<min(failed, 8), longest)
}

// coverable is the last message that a summary of the talk up to the head is
// to cover: all but those that are kept, if there are at least so many that
// are not covered yet; with part, so many parts of what is not covered are
// left out of it. What follows begins with a user's message where that can be.
// 0: there are not enough.
func (t *Tree) coverable(least, part int) int {
	talk := slices.Collect(t.talk(t.Path(t.Session.Head), t.Session.Revision))
	holds := t.recalled(t.Session.Head, t.Session.Revision, 0)
	_, until := t.recall(holds, Settings{})
	from := covered(talk, until)
	keep := usualKeep
	if m := t.Session.Now().Memory; m != nil && m.Keep > 0 {
		keep = m.Keep
	}
	if part > 0 {
		keep = max(keep, (len(talk)-from)/part)
	}
	to := len(talk) - keep
	if to-from < least {
		if least == 1 && part == 0 { // somebody asks: the same again
			return until
		}
		return 0
	}
	for at := to; at > from; at-- {
		if talk[at].Role == chat.User {
			return talk[at-1].ID
		}
	}
	return talk[to-1].ID
}

// summarise adds the node of a summary that is to be made, and claims a run
// for it.
func (s *Sessions) summarise(t *Tree, until int, a Ask) (*Run, error) {
	settings := t.Session.Now()
	m := SummarySettings{}
	if settings.Memory != nil {
		m = *settings.Memory
	}
	usual, _, err := ParseParams(m.Params)
	if err != nil {
		return nil, err
	}
	if a.Params = over(a.Params, usual); a.Params.Stop == nil {
		a.Params.Stop = []string{} // those of the talk mean nothing here
	}
	if a.Params.MaxTokens == nil {
		a.Params.MaxTokens = new(3 * cmp.Or(m.Words, usualWords))
	}
	reply := Reply{Kind: Summarise, Base: t.Session.Revision, Asked: s.now(), Wanted: cmp.Or(a.Model, m.Model, settings.Model)}
	reply.Summary = t.recalled(until, t.Session.Revision, until)
	v := Version{Created: s.now(), State: Running, Reply: &reply}
	id := t.note(until, v)
	run := newRun(Place{t.Session.ID, id, 0}, reply)
	run.ask = a
	run.outcome.Message.Version.Created = v.Created
	run.tell(EventStarted, Started{run.ID, t.Session.ID, id, until, Summarise, Author{}})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosing
	}
	run.ctx, run.stop = context.WithCancelCause(s.ctx)
	s.summaries[run.Session], s.runs[run.ID] = run, run
	s.running.Add(1) // under the lock under which Close forbids more
	return run, nil
}

// forgetSummary undoes a claim for a run that was not stored.
func (s *Sessions) forgetSummary(r *Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.summaries, r.Session)
	delete(s.runs, r.ID)
	r.stop(nil)
	s.running.Done()
}

// making gives the run of a summary that is being made.
func (s *Sessions) making(session string) *Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.summaries[session]
}

func (s *Sessions) stopSummary(session string) {
	if r := s.making(session); r != nil {
		r.Stop()
	}
}

// takeSummary gives a fork the summary that holds for the talk up to a
// message, of which it is a copy.
func (t *Tree) takeSummary(of *Tree, message int) {
	holds := of.recalled(message, of.Session.Revision, 0)
	if holds == nil {
		return
	}
	n := of.Nodes[holds.Message-1]
	v := n.Versions[holds.Version]
	v.Reply = nil // its run and its prompt are those of the other session
	t.note(covered(of.Messages(message, of.Session.Revision), n.Parent), v)
}

// finishSummary stores how the making of a summary ended. The session's
// revision stays as it is: who writes meanwhile wrote to what he saw.
func (s *Sessions) finishSummary(r *Run, v Version) {
	v.Text = strings.TrimSpace(v.Text)
	if v.State == Complete && v.Text == "" {
		v.State = Failed
		v.Reply.Error = &ReplyError{Code: llm.Broken, Message: "the model wrote no summary"}
	}
	v.Created = s.now()
	out := Outcome{Error: v.Reply.Error}
	unlock := s.lock(r.Session)
	ctx := context.Background()
	err := s.grow(r.Place, v)
	var t *Tree
	if err == nil {
		t, err = s.tree(ctx, r.Session)
	}
	unlock()
	if err != nil { // the session may have been purged
		s.log.Warn("a summary was not stored", "run", r.ID, "cause", err)
		e := llm.AsError(err)
		out.Error = &ReplyError{e.Code, e.Field, e.Message, e.Hint}
		out.Message = Message{ID: r.Place.Message, Role: summaryRole, Version: v}
	} else {
		out.Message, out.Revision = t.Seen(r.Place.Message), t.Session.Revision
	}
	if v.Reply.Error != nil {
		s.log.Warn("a summary was not made", "run", r.ID, "cause", v.Reply.Error.Message)
	}
	s.mu.Lock()
	delete(s.summaries, r.Session)
	s.over(r)
	s.mu.Unlock()
	r.end(out)
}

// task is what a model gets that makes a summary: what it is to do, what was
// so far, and what was said since.
func (s *Sessions) task(ctx context.Context, t *Tree, at Place, r *Reply) (scene.Composed, error) {
	settings := t.Session.At(r.Base)
	m := SummarySettings{}
	if settings.Memory != nil {
		m = *settings.Memory
	}
	cast, _ := s.cast(ctx, settings) // without it, it has no name: that is no reason to fail
	if p, err := s.worn(ctx, settings, &llm.Report{}); err == nil {
		settings = p.under(settings)
	}
	sc := set(t.Session, settings, cast)
	words := strconv.Itoa(cmp.Or(m.Words, usualWords))
	task, err := sc.Expand("memory", strings.ReplaceAll(cmp.Or(m.Prompt, usualTask), "{{words}}", words))
	if err != nil {
		return scene.Composed{}, err
	}
	before, from := t.recall(r.Summary, settings)
	talk := slices.Collect(t.talk(t.Path(t.Nodes[at.Message-1].Parent), r.Base))
	var b strings.Builder
	if before != "" {
		fmt.Fprintf(&b, "The summary so far:\n%s\n\n", before)
	}
	b.WriteString("What was said then:\n")
	names := newNamesakes()
	for _, m := range talk {
		sc.Messages = append(sc.Messages, names.said(m, ""))
	}
	for line := range sc.Script(covered(talk, from)) {
		b.WriteString("\n" + line + "\n")
	}
	b.WriteString("\nWrite the summary now.")
	c := chat.Conversation{Messages: []chat.Message{chat.Say(chat.System, task), chat.Say(chat.User, b.String())}}
	return scene.Composed{Conversation: c}, nil
}
