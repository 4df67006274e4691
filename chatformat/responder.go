package chatformat

import (
	"context"
	"iter"
	"slices"
	"strings"

	"parley/chat"
	"parley/llm"
)

// Options are how a Responder lays conversations out where they do not say
// themselves.
type Options struct {
	Policy string           // for messages that the format cannot express; empty: auto
	Names  chat.NamesPolicy // for the names of speakers
	Note   string           // around later system messages that become user messages: "[Note: {text}]"
	Media  chat.MediaPolicy // for pictures and sound that the model cannot take

	// Fit says what happens to a conversation that is too long.
	Fit chat.FitPolicy

	// LookAlikes says what happens to text that imitates the format.
	LookAlikes LookAlikes
	// TextOnly says that the model takes nothing but the prompt's text, so
	// that it cannot tell whose a control token is.
	TextOnly bool

	// StopInReasoning has stop strings count inside of the model's thoughts,
	// where a conversation does not say itself.
	StopInReasoning bool

	// Lookup finds a format by the name that a conversation asks for; nil:
	// the built-in ones.
	Lookup func(name string) (Format, error)
	// RequestFormats lets conversations bring a format of their own along.
	RequestFormats bool
}

// A Responder answers conversations with a model that reads a chat format. It
// is a chat.Responder and a chat.Renderer.
type Responder struct {
	model   llm.Model
	format  Format
	options Options
	info    llm.Info
	recent  recent
}

// NewResponder makes a model and a format into something that answers. With a
// nil model it can only render.
func NewResponder(model llm.Model, f Format, o Options) *Responder {
	r := &Responder{model: model, format: f, options: o}
	if d, ok := model.(llm.Describer); ok {
		r.info = d.Describe()
	}
	if r.options.Lookup == nil {
		r.options.Lookup = func(name string) (Format, error) { return Lookup(name) }
	}
	return r
}

// Respond lays the conversation out, has the model continue it and reads the
// reply back.
func (r *Responder) Respond(ctx context.Context, c chat.Conversation, params llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		if err := context.Cause(ctx); err != nil {
			yield(nil, err)
			return
		}
		f, laid, err := r.fitted(ctx, c, params)
		if err != nil {
			yield(nil, err)
			return
		}
		shown := rendered(f, laid, c)
		if c.Layout.NoAutoStops {
			laid.Stop = nil
		}
		params.Stop = union(params.Stop, laid.Stop)
		names := NameStops(c)
		params.StopLines = union(params.StopLines, names)
		added := union(laid.Stop, names)
		if params.StopAfter == "" && !r.stopsInReasoning(c.Layout) {
			params.StopAfter, params.StopOpen = laid.StopAfter, laid.StopOpen
		}
		if params.Constraint != nil && laid.unheld != "" {
			yield(nil, &llm.Error{Code: llm.Unsupported, Field: params.Constraint.Field, Message: "the reply cannot be constrained: " + laid.unheld, Hint: "leave it out and check the answer"})
			return
		}
		if params.Constraint != nil {
			held := *params.Constraint
			held.After, held.Open = laid.StopAfter, laid.StopOpen
			params.Constraint = &held
		}
		if params.Constraint == nil {
			params.Constraint = laid.held
		}
		parser := laid.Reply()
		one := oneCall{wanted: c.Choice.Single || c.Choice.Mode == chat.ToolNamed}
		for piece, err := range r.model.Complete(ctx, laid.Prompt, params) {
			if err != nil {
				yield(nil, err)
				return
			}
			one.count(piece)
			for _, e := range events(parser, piece, added, shown) {
				if one.over(e) {
					yield(one.done(), nil)
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// CodeSingleCall says that a reply was ended where its second tool call began,
// since no more than one was asked for.
const CodeSingleCall = "single_tool_call"

// oneCall ends a reply where its second tool call begins. What it knows of the
// work done until then it has counted itself.
type oneCall struct {
	wanted bool
	calls  int
	finish llm.Finish
}

func (o *oneCall) count(p llm.Piece) {
	if a := p.Accepted; a != nil {
		o.finish.Usage.PromptTokens, o.finish.Seed = a.PromptTokens, a.Seed
	}
	o.finish.Usage.CompletionTokens += len(p.Tokens)
}

// over reports whether an event is one too many.
func (o *oneCall) over(e chat.Event) bool {
	d, ok := e.(chat.ToolCallDelta)
	switch {
	case !ok || !o.wanted:
	case d.Broken:
		o.calls--
	case d.Name != "":
		o.calls++
	}
	return o.calls > 1
}

func (o *oneCall) done() chat.Done {
	o.finish.Reason = llm.ReasonEnd
	o.finish.Report.Add(CodeSingleCall, "1", "the reply was ended where its second tool call began")
	return chat.Done{Finish: o.finish}
}

func (r *Responder) stopsInReasoning(l chat.Layout) bool {
	if l.StopInReasoning != nil {
		return *l.StopInReasoning
	}
	return r.options.StopInReasoning
}

// NameStops are, for a conversation that asks for them, the beginnings of lines
// at which somebody else than the assistant speaks.
func NameStops(c chat.Conversation) (stops []string) {
	if !c.Layout.StopNames {
		return nil
	}
	own := map[string]bool{"": true}
	for _, m := range c.Messages {
		if m.Role == chat.Assistant {
			own[m.Name] = true
		}
	}
	for _, m := range c.Messages {
		if !own[m.Name] && m.Role != chat.Tool {
			own[m.Name] = true
			stops = append(stops, m.Name+":")
		}
	}
	return stops
}

// events turns a piece into the events that it stands for.
func events(parser Parser, p llm.Piece, stops []string, shown chat.Rendered) []chat.Event {
	var list []chat.Event
	if a := p.Accepted; a != nil {
		merged := slices.Clone(shown.Report)
		merged.Merge(a.Report)
		list = append(list, chat.Accepted{PromptTokens: a.PromptTokens, Seed: a.Seed, Stops: stops, Report: merged, Rendered: &shown})
	}
	if p.Waiting != nil {
		list = append(list, chat.Waiting(*p.Waiting))
	}
	if p.Text != "" || len(p.Tokens) > 0 || p.Finish != nil {
		list = append(list, parser.Parse(p)...)
	}
	if p.Finish != nil {
		done := *p.Finish
		if read := parser.Report(); len(read) > 0 {
			done.Report = slices.Clone(done.Report)
			done.Report.Merge(read)
		}
		list = append(list, chat.Done{Finish: done})
	}
	return list
}

// Render lays the conversation out exactly as Respond would.
func (r *Responder) Render(ctx context.Context, c chat.Conversation) (chat.Rendered, error) {
	if err := context.Cause(ctx); err != nil {
		return chat.Rendered{}, err
	}
	f, laid, err := r.fitted(ctx, c, llm.Params{})
	if err != nil {
		return chat.Rendered{}, err
	}
	out := rendered(f, laid, c)
	out.Abilities = abilitiesOf(f, c)
	if t, ok := r.model.(llm.Tokenizer); ok {
		if out.Tokens, err = t.Tokenize(ctx, laid.Prompt); err != nil {
			return chat.Rendered{}, err
		}
	}
	return out, nil
}

// rendered is what was laid out, for a person to look at.
func rendered(f Format, laid Rendering, c chat.Conversation) chat.Rendered {
	out := chat.Rendered{Format: f.Name(), Prompt: laid.Prompt, Report: laid.Report}
	if !c.Layout.NoAutoStops {
		out.Stop = laid.Stop
	}
	out.Stop = union(out.Stop, NameStops(c))
	return out
}

// lay chooses the format and lays the conversation out in it.
func (r *Responder) lay(c chat.Conversation) (f Format, laid Rendering, err error) {
	f, err = r.chosen(c.Layout)
	if err != nil {
		return nil, Rendering{}, err
	}
	if c.Layout.Policy == "" {
		c.Layout.Policy = r.options.Policy
	}
	if c.Layout.Names == "" {
		c.Layout.Names = r.options.Names
	}
	if c.Layout.Note == "" {
		c.Layout.Note = r.options.Note
	}
	if c.Layout.Media == "" {
		c.Layout.Media = r.options.Media
	}
	laid, err = f.Render(c)
	if err != nil {
		return nil, Rendering{}, err
	}
	if m, ok := f.(*Markup); ok {
		laid.Prompt = r.begun(laid.Prompt, m.file.BOS)
	}
	defer func() { laid.Prompt.Segments = spelt(laid.Prompt.Segments, c.Messages) }()
	g, ok := f.(interface {
		guarded() (words, marks []string)
	})
	if !ok {
		return f, laid, nil
	}
	words, marks := g.guarded()
	if r.options.TextOnly {
		words = union(words, laid.Prompt.Marks.Reply)
	} else {
		marks = nil
	}
	if len(words)+len(marks) > 0 {
		laid.Prompt, err = newGuard(r.options.LookAlikes, words, marks).apply(laid.Prompt, &laid.Report)
		if err != nil {
			return nil, Rendering{}, err
		}
	}
	return f, laid, nil
}

// spelt says of the assistant's words how they were generated, where that is
// known: at the first of each message's.
func spelt(segments []llm.Segment, messages []chat.Message) []llm.Segment {
	if !slices.ContainsFunc(messages, func(m chat.Message) bool { return len(m.Tokens) > 0 }) {
		return segments
	}
	segments = slices.Clone(segments)
	told := make([]bool, len(messages))
	for i := range segments {
		s := &segments[i]
		if s.Source.Kind != llm.FromMessage || s.Trust != llm.TrustModel || s.Text == "" || s.Source.Index < 0 || s.Source.Index >= len(messages) || told[s.Source.Index] {
			continue
		}
		told[s.Source.Index] = true
		s.Spelling = messages[s.Source.Index].Tokens
	}
	return segments
}

// begun puts the format's beginning-of-text token before a prompt for a model
// that knows the token and does not put it there itself.
func (r *Responder) begun(p llm.Prompt, bos string) llm.Prompt {
	if bos == "" || r.info.AddsBOS || r.info.BOS != bos || strings.HasPrefix(p.String(), bos) {
		return p
	}
	l := layout{}
	l.format(bos)
	for _, s := range p.Segments {
		l.add(s)
	}
	p.Segments = l.segments
	return p
}

// union is a and what of b is not in it.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
