package server

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/internal/scene"
	"parley/internal/session"
	"parley/internal/wire"
	"parley/llm"
)

// A wish says how a client wants to get a reply that it asks for.
type wish struct {
	stream bool // as events
	wait   bool // whole, when it is there; else only where it can be had
	leave  bool // it stops when the client leaves
}

// ask reads how a reply is generated and how the client wants it.
func (s *Server) ask(c *call, r *http.Request) (a session.Ask, w wish) {
	a = session.Ask{Model: c.body.Text("model"), Preset: c.body.Text("preset")}
	if p, ok := c.body.Take("params"); ok && c.body.Err == nil {
		a.Params, a.Report, c.body.Err = session.ParseParams([]byte(p))
	}
	a.Params.CacheScope = s.cacheScope(r)
	a.Tools = c.tools()
	a.Speaker, a.Round = c.body.Text("speaker"), c.body.IsSet("round")
	if n, _ := c.body.Integer(limits.RoundReplies, "replies"); n != nil {
		a.Replies = *n
	}
	w.wait = true
	if f := c.body.Flag("wait"); f != nil {
		w.wait = *f
	}
	w.leave = c.body.IsSet("stop_on_disconnect")
	w.stream = strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	if f := c.body.Flag("stream"); f != nil {
		w.stream = *f
	}
	return a, w
}

// spelt is which of two names a field has in the body. Both are one too many.
func (c *call) spelt(usual, other string) string {
	if !c.body.Has(other) {
		return usual
	}
	if c.body.Has(usual) {
		c.body.Invalid(other, "is another name of %s: send one of them", usual)
	}
	return other
}

func (s *Server) sendMessage(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	m := session.Send{Role: chat.Role(c.body.Text("role"))}
	if name := c.spelt("text", "content"); name == "text" {
		m.Text = c.body.Text(name)
	} else if v, ok := c.body.Take(name); ok {
		m.Parts = openai.ReadContent(c.body.Reader, name, v)
	}
	if name := c.spelt("author", "name"); name == "name" {
		m.Author.Name = c.body.Text(name)
	} else if v, ok := c.body.Take(name); ok {
		o := c.body.Object(name, v)
		m.Author = session.Author{ID: o.Text("id"), Name: o.Text("name")}
		o.Rest(o.Leftover)
	}
	c.results(&m)
	reply := true
	if f := c.body.Flag(c.spelt("reply", "generate")); f != nil {
		reply = *f
	}
	a, how := s.ask(c, r)
	if err := done(); err != nil {
		return err
	}
	if !reply {
		return c.receipt(w, r)(c.Add(r.Context(), c.id, c.write, m))
	}
	receipt, err := c.Send(r.Context(), c.id, c.write, m, a)
	return s.tell(w, r, c, how, receipt, err)
}

// results takes what tools came to: a message of the role tool, or a list of results.
func (c *call) results(m *session.Send) {
	if id := c.body.Bounded("tool_call_id", limits.NameBytes); id != "" || m.Role == chat.Tool {
		if m.Role != chat.Tool {
			c.body.Invalid("tool_call_id", "only a message of the role tool answers a call")
		}
		if m.Parts == nil {
			m.Parts = []chat.Part{{Text: m.Text}}
		}
		*m = session.Send{Results: []session.Result{{CallID: id, Parts: m.Parts}}}
	}
	v, ok := c.body.Take("tool_results")
	if !ok {
		return
	}
	if m.Text != "" || m.Parts != nil || m.Results != nil {
		c.body.Invalid("tool_results", "results of tools are sent without a message")
	}
	c.body.List("tool_results", v, limits.Tools, func(path string, v wire.Value) {
		o := c.body.Object(path, v)
		r := session.Result{CallID: o.Text("tool_call_id")}
		if v, ok := o.Take("content"); ok {
			r.Parts = openai.ReadContent(o.Reader, o.At("content"), v)
		}
		o.Rest(func(name string, _ wire.Value) {
			o.Invalid(o.At(wire.Short(name)), "there is no such field; there are tool_call_id and content")
		})
		m.Results = append(m.Results, r)
	})
	if len(m.Results) == 0 {
		c.body.Invalid("tool_results", "there are none")
	}
}

func (s *Server) regenerate(w http.ResponseWriter, r *http.Request) error {
	return s.generate(w, r, func(c *call, message int, a session.Ask) (session.Receipt, error) {
		return c.Regenerate(r.Context(), c.id, c.write, message, a)
	})
}

// answer begins a reply behind the head, of whoever is to speak next.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) error {
	return s.generate(w, r, func(c *call, message int, a session.Ask) (session.Receipt, error) {
		if message != 0 {
			return session.Receipt{}, llm.Errorf(llm.Invalid, "message", "an answer stands at the head")
		}
		return c.Answer(r.Context(), c.id, c.write, a)
	})
}

func (s *Server) continueReply(w http.ResponseWriter, r *http.Request) error {
	return s.generate(w, r, func(c *call, message int, a session.Ask) (session.Receipt, error) {
		return c.Continue(r.Context(), c.id, c.write, message, a)
	})
}

func (s *Server) impersonate(w http.ResponseWriter, r *http.Request) error {
	return s.generate(w, r, func(c *call, message int, a session.Ask) (session.Receipt, error) {
		if message != 0 {
			return session.Receipt{}, llm.Errorf(llm.Invalid, "message", "the user's next message stands at the head")
		}
		return c.Impersonate(r.Context(), c.id, c.write, a)
	})
}

// generate begins a reply without a message before it.
func (s *Server) generate(w http.ResponseWriter, r *http.Request, begin func(*call, int, session.Ask) (session.Receipt, error)) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	message := c.message()
	a, how := s.ask(c, r)
	if err := done(); err != nil {
		return err
	}
	receipt, err := begin(c, message, a)
	return s.tell(w, r, c, how, receipt, err)
}

// A wireReply is a reply as a whole.
type wireReply struct {
	Session string `json:"session"`
	Run     string `json:"run"`
	Sent    int    `json:"sent,omitempty"` // the message that it answers, if that was sent with it
	session.Outcome
	Then []wireReply `json:"then,omitempty"` // what others of the company said behind it
}

// tell gives a client the reply that it asked for.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, c *call, how wish, receipt session.Receipt, err error) error {
	if running, ok := errors.AsType[*session.RunningError](err); ok {
		w.Header().Set("Location", "/parley/v1/runs/"+running.Run)
	}
	if err != nil {
		return err
	}
	if receipt.Run == "" { // nobody of the company is to answer, or results of tools are missing
		return c.receipt(w, r)(receipt, nil)
	}
	w.Header().Set("Location", "/parley/v1/runs/"+receipt.Run)
	run, err := c.Run(r.Context(), receipt.Run)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	if how.leave {
		defer context.AfterFunc(r.Context(), func() {
			for run := run; run != nil; run = c.Following(context.WithoutCancel(ctx), run) {
				run.Stop()
			}
		})()
	}
	switch {
	case how.stream:
		out := newEvents(w, r)
		out.begin(nil)
		for ; run != nil; run = c.Following(ctx, run) {
			if err := s.watch(ctx, out, r, run, 0); err != nil {
				return err
			}
		}
		return nil
	case !how.wait:
		setETag(w, receipt.Revision)
		receipt.Key, receipt.Digest = "", ""
		body, err := encode(receipt)
		if err != nil {
			return err
		}
		return writeJSON(w, r, http.StatusAccepted, body)
	}
	out, err := run.Wait(ctx)
	if err != nil {
		return err
	}
	reply := wireReply{Session: c.id, Run: run.ID, Sent: receipt.Message, Outcome: out}
	for run = c.Following(ctx, run); run != nil; run = c.Following(ctx, run) {
		more, err := run.Wait(ctx)
		if err != nil && more.Error == nil {
			return err
		}
		reply.Then = append(reply.Then, wireReply{Session: c.id, Run: run.ID, Outcome: more})
		out.Revision = more.Revision
	}
	noteModel(w, reply.Message.Reply.Model)
	setReport(w.Header(), reply.Message.Reply.Report)
	setETag(w, out.Revision)
	return writeValue(w, r, reply)
}

// watch sends the events of a run behind one of them, until it is over.
func (s *Server) watch(ctx context.Context, out *events, r *http.Request, run *session.Run, last int) error {
	if err := out.write(nil); err != nil {
		return err
	}
	for over := false; !over; {
		silence, cancel := context.WithTimeoutCause(ctx, seconds(limits.PingSeconds), errSilence)
		over = true
		for e, err := range run.Events(silence, last) {
			if err == errSilence {
				over = false
				err = out.write(out.ping)
			} else if err == nil {
				err = s.sendEvent(out, e)
				last = max(last, e.ID)
			}
			if err != nil {
				cancel()
				return s.breakOff(out, r, err)
			}
		}
		cancel()
	}
	return nil
}

func (s *Server) sendEvent(out *events, e session.Event) error {
	data, err := encode(e.Data)
	if err != nil {
		return err
	}
	return out.send(sessionEvent(e.ID, string(e.Kind), data))
}

// run finds the run of a request.
func (s *Server) run(w http.ResponseWriter, r *http.Request) (*session.Run, error) {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return nil, err
	}
	return c.Run(r.Context(), c.id)
}

// A wireRun is where a run stands.
type wireRun struct {
	ID      string           `json:"id"`
	Session string           `json:"session"`
	Message int              `json:"message"`
	Version int              `json:"version"`
	Over    bool             `json:"over"`
	Outcome *session.Outcome `json:"outcome,omitempty"`
}

func (s *Server) readRun(w http.ResponseWriter, r *http.Request) error {
	run, err := s.run(w, r)
	if err != nil {
		return err
	}
	return s.showRun(w, r, run)
}

func (s *Server) showRun(w http.ResponseWriter, r *http.Request, run *session.Run) error {
	v := wireRun{ID: run.ID, Session: run.Session, Message: run.Place.Message, Version: run.Place.Version, Over: run.Over()}
	if v.Over {
		out, _ := run.Wait(r.Context())
		v.Outcome = &out
	}
	return writeValue(w, r, v)
}

func (s *Server) watchRun(w http.ResponseWriter, r *http.Request) error {
	run, err := s.run(w, r)
	if err != nil {
		return err
	}
	last := 0
	for _, v := range []string{r.URL.Query().Get("after"), r.Header.Get("Last-Event-ID")} {
		if v == "" {
			continue
		}
		if last, err = strconv.Atoi(v); err != nil || last < 0 {
			return llm.Errorf(llm.Invalid, "Last-Event-ID", "must be the id of an event, a number")
		}
	}
	ctx, cancel := s.work(r)
	defer cancel()
	out := newEvents(w, r)
	out.begin(nil)
	return s.watch(ctx, out, r, run, last)
}

// stopRun stops a run and answers when it is over.
func (s *Server) stopRun(w http.ResponseWriter, r *http.Request) error {
	run, err := s.run(w, r)
	if err != nil {
		return err
	}
	run.Stop()
	if _, err := run.Wait(r.Context()); err != nil && r.Context().Err() != nil {
		return err
	}
	return s.showRun(w, r, run)
}

// stopSession stops the run of a session, if there is one.
func (s *Server) stopSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	run := c.Stop(c.id)
	if run == nil {
		return c.answer(w, r, http.StatusOK, c.id)
	}
	if _, err := run.Wait(r.Context()); err != nil && r.Context().Err() != nil {
		return err
	}
	return c.answer(w, r, http.StatusOK, c.id)
}

func (s *Server) undo(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	count, _ := c.body.Integer(limits.SessionMessages, "count")
	if count == nil {
		count = new(1)
	}
	if err := done(); err != nil {
		return err
	}
	if _, err := c.Undo(r.Context(), c.id, c.write, *count); err != nil {
		return err
	}
	return c.answer(w, r, http.StatusOK, c.id)
}

// onMessage reads a request about one message.
func (s *Server) onMessage(w http.ResponseWriter, r *http.Request) (c *call, message int, done func() error, err error) {
	if c, done, err = s.call(w, r); err != nil {
		return nil, 0, nil, err
	}
	message, err = strconv.Atoi(part(r, 3))
	if err != nil {
		err = llm.Errorf(llm.NotFound, "message", "there is no message %q in this session", printable(part(r, 3)))
	}
	return c, message, done, err
}

func (s *Server) editMessage(w http.ResponseWriter, r *http.Request) error {
	c, message, done, err := s.onMessage(w, r)
	if err != nil {
		return err
	}
	text, branch := c.body.Text("text"), c.body.IsSet("branch")
	if err := done(); err != nil {
		return err
	}
	return c.receipt(w, r)(c.Edit(r.Context(), c.id, c.write, message, text, branch))
}

func (s *Server) deleteMessage(w http.ResponseWriter, r *http.Request) error {
	c, message, done, err := s.onMessage(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	return c.receipt(w, r)(c.DeleteMessage(r.Context(), c.id, c.write, message, c.isSet("branch")))
}

func (s *Server) restoreMessage(w http.ResponseWriter, r *http.Request) error {
	c, message, done, err := s.onMessage(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	return c.receipt(w, r)(c.RestoreMessage(r.Context(), c.id, c.write, message))
}

// swipe goes on at the message beside one, or has another generated there.
func (s *Server) swipe(w http.ResponseWriter, r *http.Request) error {
	c, message, done, err := s.onMessage(w, r)
	if err != nil {
		return err
	}
	back := c.body.IsSet("back")
	a, how := s.ask(c, r)
	if err := done(); err != nil {
		return err
	}
	receipt, err := c.Swipe(r.Context(), c.id, c.write, message, back, a)
	return s.tell(w, r, c, how, receipt, err)
}

// inspect answers with the prompt of a reply, made again, and whether it is
// the very one.
func (s *Server) inspect(w http.ResponseWriter, r *http.Request) error {
	c, message, done, err := s.onMessage(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	at := session.Place{Session: c.id, Message: message, Version: -1}
	if v := c.query.Get("version"); v != "" {
		if at.Version, err = strconv.Atoi(v); err != nil || at.Version < 0 {
			return llm.Errorf(llm.Invalid, "version", "must be the number of a version, from 0")
		}
	}
	ctx, cancel := s.work(r)
	defer cancel()
	i, err := c.Inspect(ctx, at)
	if err != nil {
		return err
	}
	v := struct {
		wireRendered
		Digest string        `json:"digest"`
		Then   string        `json:"digest_then,omitempty"` // of the prompt that the reply was made from
		Same   bool          `json:"same"`
		Scene  scene.Report  `json:"scene"`
		Reply  session.Reply `json:"reply"`
	}{wireOf(i.Model, i.Rendered), i.Digest, i.Then, i.Digest == i.Then, i.Scene, i.Reply}
	return writeValue(w, r, v)
}

// inSession answers a chat completion in a session: the message is the only
// new one, and the server knows the rest. Its reply is a run, which goes on
// when the client leaves.
func (s *Server) inSession(ctx context.Context, w http.ResponseWriter, r *http.Request, q *openai.Request) error {
	sessions, err := s.sessions()
	if err != nil {
		return err
	}
	m, err := newMessage(q)
	if err != nil {
		return err
	}
	id := q.Session
	if external, ok := strings.CutPrefix(id, "@"); ok {
		n := session.New{ExternalID: external}
		if q.Setting.Character != "" {
			d, err := sessions.Named(ctx, q.Setting.Character)
			if err != nil {
				return err
			}
			n.Settings.Character = d.ID
		}
		x, _, err := sessions.Create(ctx, n)
		if err != nil {
			return err
		}
		id = x.ID
	}
	receipt, err := sessions.Send(ctx, id, session.Write{}, m, session.Ask{Model: q.Model, Params: q.Params, Tools: toolsOf(q), Report: q.Report, Speaker: q.Speaker})
	if running, ok := errors.AsType[*session.RunningError](err); ok {
		w.Header().Set("Location", "/parley/v1/runs/"+running.Run)
	}
	if err == nil && receipt.Run == "" {
		err = session.ErrNobody
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/parley/v1/runs/"+receipt.Run)
	run, err := sessions.Run(ctx, receipt.Run)
	if err != nil {
		return err
	}
	ask := func(ctx context.Context, _ int) iter.Seq2[chat.Event, error] { return eventsOf(ctx, run) }
	head := s.head(w, "chatcmpl-", Target{ID: q.Model})
	if q.Stream {
		return s.stream(ctx, newEvents(w, r), r, 1, ask, openai.NewChat(head, q), nil)
	}
	replies, err := collect(ctx, 1, ask)
	if err != nil {
		return err
	}
	if out, err := run.Wait(ctx); err == nil {
		head.Model = out.Message.Reply.Model
		noteModel(w, head.Model)
	}
	report := gather(nil, replies)
	setReport(w.Header(), report)
	return writeJSON(w, r, http.StatusOK, openai.Chat(head, q, replies, report))
}

// newMessage is the message that a chat completion adds to a session, or the
// results of the tools that the last reply calls.
func newMessage(q *openai.Request) (session.Send, error) {
	messages := q.Conversation.Messages
	results := !slices.ContainsFunc(messages, func(m chat.Message) bool { return m.Role != chat.Tool })
	if !results && (len(messages) != 1 || messages[0].Role != chat.User) {
		return session.Send{}, &llm.Error{Code: llm.Invalid, Field: "messages", Message: "in a session there is one new message, a user's, or the results of the tools that the last reply calls", Hint: "the server knows the others"}
	}
	if q.Choices != 1 {
		return session.Send{}, llm.Errorf(llm.Invalid, "n", "in a session there is one reply at a time")
	}
	if results {
		m := session.Send{All: true}
		for _, r := range messages {
			m.Results = append(m.Results, session.Result{CallID: r.ToolCallID, Parts: r.Parts})
		}
		return m, nil
	}
	return session.Send{Parts: messages[0].Parts, Author: session.Author{Name: messages[0].Name}}, nil
}

// toolsOf are the tools that a chat completion brings along; nil if it brings
// none and chooses none.
func toolsOf(q *openai.Request) *session.Tools {
	t := session.Tools{}
	for _, tool := range q.Conversation.Tools {
		t.List = append(append(t.List, ','), tool.Raw...)
	}
	if t.List != nil {
		t.List[0] = '['
		t.List = append(t.List, ']')
	}
	switch choice := q.Conversation.Choice; choice.Mode {
	case chat.ToolAuto:
	case chat.ToolNamed:
		t.Choice = wire.Encode(map[string]any{"type": "function", "function": map[string]string{"name": choice.Name}})
	default:
		t.Choice = wire.Encode(choice.Mode)
	}
	if q.Conversation.Choice.Single {
		t.Parallel = new(false)
	}
	if t.List == nil && t.Choice == nil && t.Parallel == nil {
		return nil
	}
	return &t
}

// eventsOf is a run as the events of a reply.
func eventsOf(ctx context.Context, run *session.Run) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		for e, err := range run.Events(ctx, 0) {
			if err != nil {
				yield(nil, err)
				return
			}
			var out chat.Event
			switch d := e.Data.(type) {
			case session.Started:
				out = chat.Accepted{}
			case session.Progress:
				out = chat.Waiting(d)
			case session.Text:
				if out = (chat.TextDelta{Text: d.Text}); e.Kind == session.EventReasoning {
					out = chat.ReasoningDelta{Text: d.Text}
				}
			case session.Call:
				out = chat.ToolCallDelta(d)
			case session.Outcome:
				if _, err := run.Wait(ctx); err != nil {
					yield(nil, err)
					return
				}
				out = chat.Done{Finish: d.Message.Reply.Finish()}
			default:
				continue
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}
