package chatformat

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/chat"
	"parley/internal/textmatch"
	"parley/llm"
)

// LookAlikes is what happens to a client's text that looks like the delimiters
// of the format, where the model cannot tell the two apart: delimiters that
// are plain words, or an engine that takes nothing but text.
type LookAlikes string

const (
	LookAlikesDefault LookAlikes = ""       // report plain words, refuse what would become a control token
	LookAlikesReport  LookAlikes = "report" // leave them, and say so
	LookAlikesEscape  LookAlikes = "escape" // put an invisible word joiner (U+2060) behind their first character, and say so
	LookAlikesRefuse  LookAlikes = "refuse" // refuse the request
)

const wordJoiner = "\u2060"

// guard finds delimiters in text that the format did not write.
type guard struct {
	policy LookAlikes
	words  *textmatch.Set // that no client may write: plain words, and reply marks for a text-only engine
	marks  *textmatch.Set // that a text-only engine takes for control tokens; empty: the engine knows segments
}

func newGuard(policy LookAlikes, words, marks []string) guard {
	return guard{policy, textmatch.New(words...), textmatch.New(marks...)}
}

// apply carries the policy out on a prompt.
func (g guard) apply(p llm.Prompt, report *llm.Report) (llm.Prompt, error) {
	var err error
	if !g.words.Empty() {
		if p, err = g.treat(p, g.words, clients, g.or(LookAlikesReport), report); err != nil {
			return p, err
		}
	}
	if !g.marks.Empty() {
		return g.treat(p, g.marks, foreign, g.or(LookAlikesRefuse), report)
	}
	return p, nil
}

func (g guard) or(otherwise LookAlikes) LookAlikes {
	if g.policy == LookAlikesDefault {
		return otherwise
	}
	return g.policy
}

// Whose words may not hold a string. An assistant's history may hold reply
// marks and a transcript's words, but no more than a client's may it hold turn
// marks: it too is sent by the client.
func clients(s llm.Segment) bool { return !s.Control && s.Trust == llm.TrustClient }
func foreign(s llm.Segment) bool { return !s.Control }

// treat finds the strings of a set wherever a byte of them is in a segment of
// those named, also where one begins in one message part and ends in another.
func (g guard) treat(p llm.Prompt, set *textmatch.Set, whose func(llm.Segment) bool, policy LookAlikes, report *llm.Report) (llm.Prompt, error) {
	cuts := map[int][]int{} // by segment: offsets at which a joiner goes in
	for at, word := range occurrences(set, p.String()) {
		i, offset := byteOf(p, whose, at, len(word))
		if i < 0 {
			continue
		}
		field := fieldOf(p.Segments[i].Source)
		switch policy {
		case LookAlikesRefuse:
			e := llm.Errorf(llm.Invalid, field, "the text holds %q, a mark of the chat format", word)
			e.Hint = "write it differently, or have look-alikes escaped or reported"
			return p, e
		case LookAlikesEscape:
			cuts[i] = append(cuts[i], offset)
			report.Add(CodeLookAlike, field, fmt.Sprintf("%q, a mark of the chat format, was made unlike it by an invisible character", word))
		default:
			report.Add(CodeLookAlike, field, fmt.Sprintf("the text holds %q, a mark of the chat format", word))
		}
	}
	return joined(p, cuts), nil
}

// occurrences yields where strings of a set begin in a text, and which.
func occurrences(set *textmatch.Set, text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		sc := set.NewScanner()
		at := 0
		safe, m := sc.Feed(text)
		for {
			if at += len(safe); m != nil {
				if !yield(at, m.Text) {
					return
				}
				at += len(m.Text)
				safe, m = sc.Feed("")
				continue
			}
			if safe, m = sc.Flush(); m == nil {
				return
			}
		}
	}
}

// byteOf finds the first byte of text[at:at+n] that is in one of the segments
// named: its segment, and where in it a joiner would break the string. The
// segment is -1 where there is none.
func byteOf(p llm.Prompt, whose func(llm.Segment) bool, at, n int) (segment, offset int) {
	start := 0
	for i, s := range p.Segments {
		end := start + len(s.Text)
		if first := max(at, start); first < min(at+n, end) && whose(s) {
			if first == at {
				_, size := utf8.DecodeRuneInString(s.Text[first-start:])
				first += size
			}
			return i, first - start
		}
		start = end
	}
	return -1, 0
}

// joined is a prompt with joiners put in.
func joined(p llm.Prompt, cuts map[int][]int) llm.Prompt {
	if len(cuts) == 0 {
		return p
	}
	p.Segments = slices.Clone(p.Segments)
	for i, offsets := range cuts {
		text := p.Segments[i].Text
		for _, o := range slices.Backward(offsets) {
			text = text[:o] + wordJoiner + text[o:]
		}
		p.Segments[i].Text = text
	}
	return p
}

func fieldOf(s llm.Source) string {
	switch {
	case s.Kind == llm.FromMessage && s.Field == fieldContent:
		return fmt.Sprintf("messages[%d].content[%d]", s.Index, s.Part)
	case s.Kind == llm.FromMessage:
		return fmt.Sprintf("messages[%d].%s", s.Index, s.Field)
	}
	return fmt.Sprintf("%ss[%d]", s.Kind, s.Index)
}

// guarded are the delimiters that are plain words, and those that would be
// control tokens for an engine that takes only text.
func (m *Markup) guarded() (words, marks []string) {
	if !m.Words() {
		return nil, m.marks.Turn
	}
	for _, s := range m.file.delimiters() {
		for _, p := range []string{userPlaceholder, assistantPlaceholder, roundPlaceholder} {
			if strings.Contains(s, p) {
				s = ""
			}
		}
		s = strings.TrimSpace(s)
		if len(s) > 2 && strings.ContainsFunc(s, unicode.IsLetter) && !slices.Contains(words, s) {
			words = append(words, s)
		}
	}
	return words, m.marks.Turn
}

// Guard treats what looks like the template's delimiters in the messages and
// tools of a conversation, for an engine that renders the template itself and
// takes such text for control tokens. The conversation itself is not changed.
func (t *Template) Guard(c chat.Conversation, policy LookAlikes) (chat.Conversation, llm.Report, error) {
	words, marks := t.guarded()
	g := guarding{guard: newGuard(policy, union(words, t.marks.Reply), marks)}
	c.Messages, c.Tools = slices.Clone(c.Messages), slices.Clone(c.Tools)
	for i := range c.Messages {
		g.message(&c.Messages[i], i)
	}
	g.text(&c.Layout.Note, llm.TrustClient, llm.Source{Kind: llm.FromOption, Field: "note"})
	for i := range c.Tools {
		tool := &c.Tools[i]
		at := llm.Source{Kind: llm.FromTool, Index: i}
		g.text(&tool.Description, llm.TrustClient, at)
		for _, raw := range []*json.RawMessage{&tool.Parameters, &tool.Raw} {
			if text := string(*raw); text != "" {
				g.text(&text, llm.TrustClient, at)
				*raw = json.RawMessage(text)
			}
		}
	}
	return c, g.report, g.err
}

// guarding is a guard at work on a conversation. The first error stays.
type guarding struct {
	guard  guard
	report llm.Report
	err    error
}

func (g *guarding) message(m *chat.Message, index int) {
	trust := llm.TrustClient
	if m.Role == chat.Assistant {
		trust = llm.TrustModel
	}
	m.Parts = slices.Clone(m.Parts)
	var content llm.Prompt
	for j, p := range m.Parts {
		content.Segments = append(content.Segments, llm.Segment{Text: p.Text, Trust: trust, Source: source(index, j, fieldContent)})
	}
	for j, s := range g.treat(content) {
		m.Parts[j].Text = s.Text
	}
	g.text(&m.Name, llm.TrustClient, source(index, 0, fieldName))
	g.text(&m.Reasoning, trust, source(index, 0, fieldReasoning))
	m.ToolCalls = slices.Clone(m.ToolCalls)
	for j := range m.ToolCalls {
		g.text(&m.ToolCalls[j].Name, trust, source(index, j, fieldToolCalls))
		g.text(&m.ToolCalls[j].Arguments, trust, source(index, j, fieldToolCalls))
	}
}

func (g *guarding) text(text *string, trust llm.Trust, at llm.Source) {
	p := llm.Prompt{Segments: []llm.Segment{{Text: *text, Trust: trust, Source: at}}}
	*text = g.treat(p)[0].Text
}

// treat gives the segments of a prompt as the policy leaves them.
func (g *guarding) treat(p llm.Prompt) []llm.Segment {
	if g.err != nil {
		return p.Segments
	}
	treated, err := g.guard.apply(p, &g.report)
	if g.err = err; err != nil {
		return p.Segments
	}
	return treated.Segments
}
