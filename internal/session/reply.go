package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/llm"
)

// Ask says how a reply is generated. What it leaves open is as the session's
// settings say.
type Ask struct {
	Model  string
	Params llm.Params
	Preset string     // by its id; "": the session's
	Tools  *Tools     // that take the place of the session's; nil: those
	Report llm.Report // of what was asked and is not carried out

	// Of a company.
	Speaker string // who speaks, by id or name; "": who is chosen
	Round   bool   // all who are chosen speak, one behind the other
	Replies int    // so many replies behind each other, whoever is chosen; 0: one, or a round
}

func (a Ask) check() error {
	if !a.Tools.none() && a.Tools.List != nil {
		if _, _, err := a.Tools.read(); err != nil {
			return err
		}
	}
	if err := limits.NameBytes.CheckInt(len(a.Model)); err != nil {
		return llm.Errorf(llm.Invalid, "model", "%v", err)
	}
	if err := limits.NameBytes.CheckInt(len(a.Preset)); err != nil {
		return llm.Errorf(llm.Invalid, "preset", "%v", err)
	}
	if err := limits.NameBytes.CheckInt(len(a.Speaker)); err != nil {
		return llm.Errorf(llm.Invalid, "speaker", "%v", err)
	}
	if a.Replies != 0 {
		if err := limits.RoundReplies.CheckInt(a.Replies); err != nil {
			return llm.Errorf(llm.Invalid, "replies", "%v", err)
		}
	}
	return a.Params.Check()
}

// Send adds a message and begins a reply to it. Where nobody of a company is to
// answer, the receipt has no run.
func (s *Sessions) Send(ctx context.Context, id string, w Write, m Send, a Ask) (Receipt, error) {
	if err := m.check(); err != nil {
		return Receipt{}, err
	}
	return s.begin(ctx, id, w, a, func(t *Tree) (job, error) {
		j := job{new: chat.Assistant, reply: Reply{Kind: Answer}}
		if len(m.Results) > 0 { // who has called the tools goes on
			j.keep, _, _ = t.calling(t.Session.Head)
		}
		said, err := m.put(s, t)
		j.after, j.said = said, said
		return j, err
	})
}

// Regenerate begins another reply in the place of one, by the same speaker, or
// a first one behind a message that is not the assistant's; 0 is the head.
func (s *Sessions) Regenerate(ctx context.Context, id string, w Write, message int, a Ask) (Receipt, error) {
	return s.begin(ctx, id, w, a, func(t *Tree) (job, error) {
		j := job{new: chat.Assistant, reply: Reply{Kind: Answer}}
		if message != 0 || t.Session.Head != 0 {
			n, err := t.at(message)
			if err != nil {
				return job{}, err
			}
			if j.after = n.ID; n.Role == chat.Assistant {
				j.after, j.keep = n.Parent, n
			}
		}
		return j, nil
	})
}

// Answer begins a reply behind the head, whoever has spoken there.
func (s *Sessions) Answer(ctx context.Context, id string, w Write, a Ask) (Receipt, error) {
	return s.begin(ctx, id, w, a, func(t *Tree) (job, error) {
		return job{new: chat.Assistant, after: t.Session.Head, reply: Reply{Kind: Answer}}, nil
	})
}

// Impersonate begins a message of the user's.
func (s *Sessions) Impersonate(ctx context.Context, id string, w Write, a Ask) (Receipt, error) {
	return s.begin(ctx, id, w, a, func(t *Tree) (job, error) {
		j := job{new: chat.User, after: t.Session.Head, reply: Reply{Kind: Impersonate}}
		for _, id := range slices.Backward(t.Path(j.after)) { // the notes of who spoke last count
			if j.keep = t.Nodes[id-1]; j.keep.Role == chat.Assistant {
				break
			}
		}
		return j, nil
	})
}

// Continue begins the rest of an assistant's message; 0 is the head.
func (s *Sessions) Continue(ctx context.Context, id string, w Write, message int, a Ask) (Receipt, error) {
	return s.begin(ctx, id, w, a, func(t *Tree) (job, error) {
		n, err := t.at(message)
		if err != nil {
			return job{}, err
		}
		before := n.last()
		switch {
		case n.Role != chat.Assistant:
			return job{}, &llm.Error{Code: llm.Invalid, Field: "message", Message: "only a message of the assistant can be continued", Hint: "regenerate, to get one"}
		case before.Deleted:
			return job{}, deleted(n.ID)
		case len(before.ToolCalls) > 0:
			return job{}, &llm.Error{Code: llm.Invalid, Field: "message", Message: "the message calls tools: it has its end", Hint: "send their results, or regenerate it"}
		case before.Text == "":
			return job{}, &llm.Error{Code: llm.Invalid, Field: "message", Message: "the message has no text yet that could go on", Hint: "regenerate it"}
		}
		r := Reply{Kind: Continue, Continued: len(n.Versions) - 1}
		t.Write(n, Version{Created: s.now(), Text: before.Text, Reasoning: before.Reasoning, State: Running})
		t.Session.Head = n.ID
		return job{node: n, after: n.Parent, reply: r, keep: n}, nil
	})
}

// at finds a message that a reply is asked for; 0 is the head.
func (t *Tree) at(message int) (*Node, error) {
	if message == 0 {
		message = t.Session.Head
	}
	if message == 0 {
		return nil, &llm.Error{Code: llm.Invalid, Field: "message", Message: "the session has no messages", Hint: "send one"}
	}
	return t.Node(message)
}

// begin commits a message that is to be generated, and what else f does, and
// starts the run.
func (s *Sessions) begin(ctx context.Context, id string, w Write, a Ask, f func(*Tree) (job, error)) (Receipt, error) {
	if err := a.check(); err != nil {
		return Receipt{}, err
	}
	var run *Run
	defer func() {
		if run != nil {
			s.forget(run)
		}
	}()
	receipt, err := s.change(ctx, id, w, func(t *Tree) (Receipt, error) {
		if err := s.open(t); err != nil {
			return Receipt{}, err
		}
		j, err := f(t)
		if err != nil {
			return Receipt{}, err
		}
		j.ask = a
		if waiting := t.waiting(j.after); len(waiting) > 0 && j.node == nil {
			if j.said == 0 {
				return Receipt{}, unanswered(waiting)
			}
			return Receipt{Message: j.said, Waiting: waiting}, nil
		}
		cast, err := s.cast(ctx, t.Session.Now())
		if err != nil {
			return Receipt{}, err
		}
		speaker, more, err := s.speaker(t, &j, cast)
		if err != nil {
			return Receipt{}, err
		}
		if speaker < 0 {
			if j.said == 0 {
				return Receipt{}, ErrNobody
			}
			return Receipt{Message: j.said}, nil
		}
		begun, err := s.put(ctx, t, &j, cast, speaker, more)
		if err != nil {
			return Receipt{}, err
		}
		run = begun
		return Receipt{Message: j.said, Reply: run.Place.Message, Run: run.ID}, nil
	})
	if err != nil || run == nil {
		return receipt, err
	}
	s.start(run)
	run = nil
	return receipt, nil
}

// claim makes a run that of its session before it is stored, so that there is
// one at a time.
func (s *Sessions) claim(r *Run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosing
	}
	r.ctx, r.stop = context.WithCancelCause(s.ctx)
	s.active[r.Session], s.runs[r.ID] = r, r
	s.running.Add(1) // under the lock under which Close forbids more
	return nil
}

// forget undoes claim for a run that was not stored.
func (s *Sessions) forget(r *Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, r.Session)
	delete(s.runs, r.ID)
	r.stop(nil)
	s.running.Done()
}

// generate reads a reply from a model into a run.
func (s *Sessions) generate(ctx context.Context, r *Run, a Ask) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &llm.Error{Code: llm.Broken, Message: "internal error", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	t, err := s.Tree(ctx, r.Session)
	if err != nil {
		return err
	}
	usual, err := s.usual(ctx, t.Session.At(r.reply.Base), r.reply.Preset)
	if err != nil {
		return err
	}
	params, report := over(a.Params, usual), slices.Clone(a.Report)
	model, err := s.models.Answerer(ctx, r.reply.Wanted)
	if err != nil {
		return err
	}
	if model.Release != nil {
		defer model.Release()
	}
	r.mu.Lock()
	r.reply.Model, r.reply.Architecture, r.reply.Quantisation, r.reply.ModelDigest = model.Model, model.Info.Architecture, model.Info.Quantisation, model.Info.Digest
	r.context, r.reply.Budget = model.Info.Context, room(model.Info, params.WithDefaults(model.Info.Sampling))
	r.mu.Unlock()
	sc, err := s.compose(ctx, t, r.Place, &r.reply, model)
	if err != nil {
		return err
	}
	params.Stop = append(params.Stop, sc.Stop...)
	report.Merge(model.Report)
	report.Merge(sc.Report.Notes)
	r.mu.Lock()
	r.reply.Dropped, r.reply.Lore, r.reply.Mind = sc.Report.Dropped, told(sc.Report.Lore), sc.Report.State
	if tpl := model.Info.ChatTemplate; tpl != "" {
		r.reply.TemplateDigest = digest(func(w io.Writer) { io.WriteString(w, tpl) })
	}
	r.reply.Params = spell(params.WithDefaults(model.Info.Sampling))
	r.reply.Report = report
	r.mu.Unlock()
	name := opening{marks: sc.Lead, over: r.reply.Kind == Continue || len(sc.Lead) == 0}
	if r.reply.Kind == Continue {
		begun := before(ctx, model, sc.Conversation)
		r.mu.Lock()
		r.written.goesOn, r.written.begun = true, begun
		r.mu.Unlock()
	}
	for e, err := range model.Responder.Respond(ctx, sc.Conversation, params) {
		if err != nil {
			r.say(EventText, name.end())
			return err
		}
		switch e := e.(type) {
		case chat.Accepted:
			if renderer, ok := model.Responder.(chat.Renderer); ok && e.Rendered == nil { // an engine elsewhere tells it when it is asked
				if shown, err := renderer.Render(ctx, sc.Conversation); err == nil {
					e.Rendered = &shown
				}
			}
			r.show(e)
		case chat.Waiting:
			r.mu.Lock()
			r.progress = llm.Waiting(e)
			r.wake()
			r.mu.Unlock()
		case chat.ReasoningDelta:
			r.wrote(e.Text, e.Tokens)
			r.say(EventReasoning, e.Text)
		case chat.TextDelta:
			r.wrote(e.Text, e.Tokens)
			r.say(EventText, name.take(e.Text))
		case chat.ToolCallDelta:
			r.say(EventText, name.end())
			r.call(e)
		case chat.Done:
			r.say(EventText, name.end())
			r.mu.Lock()
			r.reply.finish(e.Finish)
			r.mu.Unlock()
			return nil
		}
	}
	return &llm.Error{Code: llm.Broken, Message: "the answer broke off", Err: errors.New("a stream ended without Done")}
}

// say adds to the reply and tells those who watch.
func (r *Run) say(kind EventKind, text string) {
	if text == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind == EventText {
		r.text.WriteString(text)
	} else {
		r.thoughts.WriteString(text)
	}
	r.dirty = true
	r.tellLocked(kind, Text{text})
}

// call adds to the calls of the reply and tells those who watch.
func (r *Run) call(d chat.ToolCallDelta) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls.add(d)
	r.tellLocked(EventToolCall, Call{d.Index, d.ID, d.Name, d.Arguments, d.Broken})
}

// show notes what the model reads.
func (r *Run) show(a chat.Accepted) {
	format, sum := "", ""
	if a.Rendered != nil {
		format, sum = a.Rendered.Format, PromptDigest(*a.Rendered)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply.Format, r.reply.PromptDigest, r.reply.Seed = format, sum, a.Seed
	r.reply.Usage.Prompt = a.PromptTokens
	r.reply.Report.Merge(a.Report)
}

func (r *Reply) finish(f llm.Finish) {
	r.Reason, r.Stop, r.Seed = f.Reason, f.Stop, f.Seed
	r.Report.Merge(f.Report)
	u := f.Usage
	r.Usage = Usage{Prompt: u.PromptTokens, Completion: u.CompletionTokens,
		Queued: u.Queued.Seconds(), Prefill: u.Prefill.Seconds(), Decode: u.Decode.Seconds()}
	if !u.CacheUntold {
		r.Usage.Cached = new(u.CachedTokens)
	}
}

// Finish is how the reply ended, as a model tells it. One that was broken off
// ended as if by its length.
func (r *Reply) Finish() llm.Finish {
	f := llm.Finish{Reason: r.Reason, Stop: r.Stop, Seed: r.Seed, Report: r.Report,
		Usage: llm.Usage{PromptTokens: r.Usage.Prompt, CompletionTokens: r.Usage.Completion, CacheUntold: r.Usage.Cached == nil}}
	if r.Usage.Cached != nil {
		f.Usage.CachedTokens = *r.Usage.Cached
	}
	if f.Reason == "" {
		f.Reason = llm.ReasonLength
	}
	return f
}

// PromptDigest is the SHA-256 of a prompt: of its segments with what each may
// contain, and of the format's stop strings.
func PromptDigest(p chat.Rendered) string {
	return digest(func(w io.Writer) {
		for _, seg := range p.Prompt.Segments {
			fmt.Fprintf(w, "%t %d %d %v ", seg.Control, seg.Trust, len(seg.Text), seg.Tokens)
			io.WriteString(w, seg.Text)
			if len(seg.Spelling) > 0 {
				fmt.Fprintf(w, " %v ", seg.Spelling)
			}
			if seg.Media != nil {
				fmt.Fprintf(w, " %s %d ", seg.Media.MIME, len(seg.Media.Data))
				w.Write(seg.Media.Data)
			}
		}
		fmt.Fprintf(w, "%q", p.Stop)
	})
}

func digest(write func(io.Writer)) string {
	h := sha256.New()
	write(h)
	return hex.EncodeToString(h.Sum(nil))
}

// An Inspection is the prompt of a reply, made again.
type Inspection struct {
	Model    string
	Rendered chat.Rendered
	Digest   string // of this prompt
	Then     string // of the one that the reply was made from; "" if it was not known
	Reply    Reply
	Scene    scene.Report // what stands where, and what does not and why
}

// Inspect makes the prompt of a reply again, from the session as it was, the
// character's revision of then, and the model by its name; version -1 is the
// newest.
func (s *Sessions) Inspect(ctx context.Context, at Place) (Inspection, error) {
	t, err := s.Tree(ctx, at.Session)
	if err != nil {
		return Inspection{}, err
	}
	n, err := t.any(at.Message)
	if err != nil {
		return Inspection{}, err
	}
	if at.Version < 0 {
		at.Version = len(n.Versions) - 1
		for at.Version > 0 && n.Versions[at.Version].Reply == nil {
			at.Version--
		}
	}
	if at.Version >= len(n.Versions) {
		return Inspection{}, llm.Errorf(llm.NotFound, "version", "the message has %d versions, counted from 0", len(n.Versions))
	}
	if n.Origin != nil && at.Version == 0 && n.Versions[0].Reply != nil {
		return s.Inspect(ctx, *n.Origin)
	}
	r := n.Versions[at.Version].Reply
	if r == nil {
		return Inspection{}, llm.Errorf(llm.NotFound, "message", "the message was written, not generated: it has no prompt")
	}
	name := r.Model
	if name == "" {
		name = r.Wanted
	}
	model, err := s.models.Answerer(ctx, name)
	if err != nil {
		return Inspection{}, err
	}
	if model.Release != nil {
		defer model.Release()
	}
	renderer, ok := model.Responder.(chat.Renderer)
	if !ok {
		return Inspection{}, &llm.Error{Code: llm.Unsupported, Field: "model", Message: "the model " + model.Model + " cannot show its prompts", Hint: "it is laid out elsewhere"}
	}
	sc, err := s.compose(ctx, t, at, r, model)
	if err != nil {
		return Inspection{}, err
	}
	rendered, err := renderer.Render(ctx, sc.Conversation)
	if err != nil {
		return Inspection{}, err
	}
	rendered.Report.Merge(sc.Report.Notes)
	return Inspection{Scene: sc.Report, Model: model.Model, Rendered: rendered, Digest: PromptDigest(rendered), Then: r.PromptDigest, Reply: *r}, nil
}
