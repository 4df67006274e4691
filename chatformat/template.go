package chatformat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"parley/chat"
	"parley/internal/jinja"
	"parley/llm"
)

// Template is a format that a Jinja chat template describes, as models are
// shipped with. What it can express is found out by trying (see Abilities);
// what it cannot is repaired. Which text is the template's and which the
// conversation's is known for every character of the prompt.
type Template struct {
	name   string
	text   string // as it was written
	source *jinja.Template
	tokens SpecialTokens
	think  *thinkTag // nil: the template knows no reasoning
	wrap   *thinkTag // marks around the text of a reply; nil: there are none

	reasoningKey string // the name under which it takes an assistant's thoughts; "": under none
	developer    bool   // it knows the role
	parts        bool   // it takes content only as a list of parts
	toolList     bool   // it wants a list of tools, be it empty, where transformers gives it none
	textCalls    bool   // it takes a call's arguments only as text
	channels     bool   // replies come in several channels, each ended like a message

	stop  []string
	marks llm.Marks
	// Of marks, those that the template is known to write; and delimiters that
	// are plain words.
	delimiters, words []string
	lead              string // white space that a reply begins with and that belongs to the template

	mu     sync.Mutex
	probed map[axis]Abilities
	form   *callForm // nil: not looked for yet

	now func() time.Time
}

// SpecialTokens are the texts that a template gets as bos_token and eos_token.
// One that a model does not have is empty.
type SpecialTokens struct {
	BOS, EOS string
}

// NewTemplate compiles a chat template and finds out what it can express. One
// that does not compile, or cannot lay out so much as one user message, is an
// error of code Unsupported that says why. The name stands in messages.
func NewTemplate(name, source string, tokens SpecialTokens) (*Template, error) {
	compiled, err := jinja.Parse(name, source, jinja.DefaultLimits())
	if err != nil {
		return nil, unusable(name, "cannot be read", err)
	}
	t := &Template{name: name, text: source, source: compiled, tokens: tokens, probed: map[axis]Abilities{}, now: time.Now}
	if err := t.probe(source); err != nil {
		return nil, unusable(name, "cannot lay out one user message", err)
	}
	return t, nil
}

func unusable(name, what string, err error) error {
	e := llm.Errorf(llm.Unsupported, "format", "the chat template %s %s: %s", name, what, sentence(err))
	e.Hint = otherFormat()
	return e
}

// sentence is a template's error in one line.
func sentence(err error) string {
	var je *jinja.Error
	if errors.As(err, &je) {
		if je.Line > 0 {
			return fmt.Sprintf("line %d, column %d: %s", je.Line, je.Col, je.Msg)
		}
		return je.Msg
	}
	return err.Error()
}

// Name is the template's name.
func (t *Template) Name() string { return t.name }

// Render lays a conversation out. A conversation that the template refuses
// although everything that could be repaired has been is an error of code
// Unreadable, with the template's line and the message.
func (t *Template) Render(c chat.Conversation) (Rendering, error) {
	if c.Choice.Mode == chat.ToolNone && len(c.Tools) > 0 {
		n := len(c.Tools)
		c.Tools = nil
		r, err := t.Render(c)
		if err == nil {
			r.Report.Add(CodeToolsUnused, fmt.Sprint(n), "no tool may be called")
		}
		return r, err
	}
	if err := checkArguments(c); err != nil {
		return Rendering{}, err
	}
	if err := checkChoice(c); err != nil {
		return Rendering{}, err
	}
	can := t.abilities(axisOf(c))
	var first error
	for i, rung := range Ladder(c.Layout.Policy, can) {
		c.Layout.Policy = rung.Policy
		turns, report, err := normalise(c, rung.Abilities)
		if err != nil {
			return Rendering{}, err // no repair helps
		}
		out, err := t.run(turns, c)
		if err == nil {
			err = out.faithful(turns)
		}
		if err != nil {
			if first == nil {
				first = t.refused(err, turns, c)
			}
			continue
		}
		if i > 0 {
			report.Add(CodeRepaired, rung.Note, "the chat template could not express the conversation otherwise: "+llm.AsError(first).Message)
		}
		return t.rendering(out, turns, c, report)
	}
	return Rendering{}, first
}

// A Rung is one more attempt to express a conversation.
type Rung struct {
	Policy    string
	Abilities Abilities
	Note      string // the Repair word that says so in a report; "" for the first
}

// Ladder is the safety net: what a format can is known from trying it on short
// conversations, or only by hearsay, and it may still refuse one. The first
// rung is the policy and the abilities themselves; each that follows asks less
// of the format.
func Ladder(policy string, can Abilities) []Rung {
	rungs := []Rung{{Policy: policy, Abilities: can}}
	if policy == PolicyNative || policy == PolicyError {
		return rungs
	}
	strict := can
	strict.SystemRun, strict.SystemLater, strict.SameRole, strict.AssistantFirst, strict.NoUser = false, false, false, false, false
	strict.Developer = false
	if strict != can {
		rungs = append(rungs, Rung{policy, strict, RepairNetStrict})
	}
	if strict.SystemSlot || strict.Tools || strict.Calls {
		folded := strict
		folded.SystemSlot, folded.Tools, folded.Calls = false, false, false
		rungs = append(rungs, Rung{policy, folded, RepairNetFold})
	}
	single := Abilities{Names: can.Names, Media: can.Media, UserMedia: can.UserMedia, Audio: can.Audio}
	return append(rungs, Rung{PolicySingle, single, RepairSingle})
}

// rendering makes segments of what the template wrote, and the rest.
func (t *Template) rendering(out output, turns []turn, c chat.Conversation, report llm.Report) (Rendering, error) {
	if len(c.Tools) > 0 && !out.mentions(llm.FromTool) {
		e := llm.Errorf(llm.Unsupported, "tools", "the chat template %s has no place for a list of tools", t.name)
		e.Hint = `send no tools, or tool_choice "none"`
		return Rendering{}, e
	}
	if len(c.Documents) > 0 && !out.mentions(llm.FromDocument) {
		return Rendering{}, llm.Errorf(llm.Unsupported, "documents", "the chat template %s has no place for documents", t.name)
	}
	where := out.places()
	for _, turn := range turns {
		omitted := len(turn.reasoning) > 0 && !out.has(turn.reasoning[0])
		for _, r := range turn.content {
			if turn.role != chat.Assistant || r.ours {
				continue
			}
			if at, ok := where.of(r, out.labels); ok && at.withoutThoughts(r) {
				omitted = true
			}
		}
		if omitted {
			report.Add(CodeReasoningOmitted, turn.at(), "the chat template leaves these thoughts out")
		}
	}
	r := Rendering{
		Prompt: llm.Prompt{Segments: out.segments(), Marks: t.marks},
		Stop:   t.stop,
		Report: report,
	}
	o := replyOptions{lead: t.lead, begun: c.Continue && !empty(turns[len(turns)-1].content), channels: t.channels, wrap: t.wrap}
	if err := t.reading(&o, &r, c); err != nil {
		return Rendering{}, err
	}
	r.Reply = func() Parser { return newReply(o) }
	return r, nil
}

// reading decides how the reply is read: its thoughts and its calls.
func (t *Template) reading(o *replyOptions, r *Rendering, c chat.Conversation) error {
	if len(c.Tools) > 0 {
		form := t.calls()
		forced, err := form.force(c, t.name)
		if err != nil {
			return err
		}
		o.tools = newToolReading(c, form.syntaxes)
		if form.stop != "" {
			r.Stop = union(r.Stop, []string{form.stop})
		}
		if forced != nil {
			o.tools.prefill = forced.write(r, t.think, c, form)
			return nil // a call comes at once, without thoughts
		}
	}
	o.think(t.think, r)
	if len(c.Tools) > 0 && c.Choice.Mode == chat.ToolAuto {
		t.calls().watch(r, c.Tools)
	}
	return nil
}

// refused says why a template does not take a conversation, and from which
// message on.
func (t *Template) refused(err error, turns []turn, c chat.Conversation) error {
	e := llm.Errorf(llm.Unreadable, messagesField, "the chat template %s does not take this conversation: %s", t.name, sentence(err))
	var lost *lostError
	if errors.As(err, &lost) {
		e.Field = lost.field
		return e
	}
	const most = 200
	c.Continue = false
	for n := 1; n <= min(len(turns), most); n++ {
		if _, err := t.run(turns[:n], c); err != nil {
			if i := turns[n-1].index; i >= 0 {
				e.Field = fmt.Sprintf("messages[%d]", i)
			}
			break
		}
	}
	return e
}

// An output is what a template wrote.
type output struct {
	text   string
	spans  []jinja.Span
	labels *labels
}

// run has the template lay turns out.
func (t *Template) run(turns []turn, c chat.Conversation) (output, error) {
	open := c.Continue && len(turns) > 0 && !empty(turns[len(turns)-1].content)
	if c.Continue && !open && len(turns) > 0 {
		turns = turns[:len(turns)-1] // nothing of the reply is there yet
	}
	out, err := t.execute(turns, c, !open)
	if !open {
		return out, err
	}
	last := turns[len(turns)-1]
	if err == nil && out.faithful(turns) == nil {
		if cut, ok := out.cut(last); ok {
			return cut, nil
		}
	}
	// A template that refuses an assistant message at the end, or writes it
	// in a way in which it cannot be found again: it goes behind the
	// generation prompt as it is.
	if out, err = t.execute(turns[:len(turns)-1], c, true); err == nil {
		for _, r := range last.content {
			out.append(r)
		}
	}
	return out, err
}

func (t *Template) execute(turns []turn, c chat.Conversation, generation bool) (output, error) {
	l := &labels{}
	vars, err := t.variables(turns, c, generation, l)
	if err != nil {
		return output{}, err
	}
	o, err := t.source.Render(context.Background(), vars, t.now())
	if err != nil {
		return output{}, err
	}
	return output{o.Text, o.Spans, l}, nil
}

// cut ends the output where the content of the last turn ends, and gives back
// white space that the template took off there: the reply goes on behind it.
func (o output) cut(last turn) (output, bool) {
	for i := len(o.spans) - 1; i >= 0; i-- {
		s := o.spans[i]
		r, ok := o.labels.run(s.Origin)
		if !ok || !slices.ContainsFunc(last.content, func(c run) bool { return c.source == r.source && c.text == r.text }) {
			continue
		}
		written := strings.TrimRightFunc(o.text[s.Start:s.End], unicode.IsSpace)
		space := r.text[len(strings.TrimRightFunc(r.text, unicode.IsSpace)):]
		end := s.Start + len(written)
		if written == "" {
			end = s.End
		}
		o.spans = append(slices.Clone(o.spans[:i]), jinja.Span{Start: s.Start, End: end, Origin: s.Origin})
		o.text = o.text[:end]
		if space != "" && written != "" {
			r.text = space
			o.append(r)
		}
		return o, true
	}
	return o, false
}

// append adds a run behind all that the template wrote.
func (o *output) append(r run) {
	start := len(o.text)
	o.text += r.text
	o.spans = append(o.spans, jinja.Span{Start: start, End: len(o.text), Origin: o.labels.label(r)})
}

// segments are the output for a model.
func (o output) segments() []llm.Segment {
	var l layout
	for _, s := range o.spans {
		text := o.text[s.Start:s.End]
		if r, ok := o.labels.run(s.Origin); ok {
			r.text = text
			l.run(r)
		} else {
			l.format(text)
		}
	}
	return l.segments
}
