package chatformat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"parley/chat"
	"parley/llm"
)

// An axis is what templates branch on besides the messages: whether there are
// tools, and whether thinking was switched on or off. What a template can
// express is found out for each.
type axis struct {
	tools    bool
	thinking string // name=value of the argument; "" where there is none
}

var thinkingArguments = []string{"enable_thinking", "thinking"}

func axisOf(c chat.Conversation) axis {
	a := axis{tools: len(c.Tools) > 0}
	for _, name := range thinkingArguments {
		if v := string(c.Layout.Arguments[name]); v == "true" || v == "false" {
			a.thinking += name + "=" + v + " "
		}
	}
	return a
}

// conversation is an empty conversation on an axis.
func (a axis) conversation() chat.Conversation {
	var c chat.Conversation
	if a.tools {
		c.Tools = []chat.ToolSpec{{
			Name: "lookup", Description: "Look a word up.",
			Parameters: json.RawMessage(`{"type": "object", "properties": {"word": {"type": "string", "description": "The word."}}, "required": ["word"]}`),
		}}
	}
	for _, s := range strings.Fields(a.thinking) {
		name, value, _ := strings.Cut(s, "=")
		if c.Layout.Arguments == nil {
			c.Layout.Arguments = map[string]json.RawMessage{}
		}
		c.Layout.Arguments[name] = json.RawMessage(value)
	}
	return c
}

// probeTurns makes turns of letters: s system, d developer, u user, n a user
// with a name, a assistant, r an assistant with thoughts, c an assistant that
// calls a tool, t the tool's result.
func probeTurns(shape string) []turn {
	var list []turn
	for i, what := range shape {
		t := turn{role: chat.User, index: i}
		trust := llm.TrustClient
		switch what {
		case 's':
			t.role = chat.System
		case 'd':
			t.role = chat.Developer
		case 'n':
			t.name = "Zachary"
		case 'a', 'r', 'c':
			t.role, trust = chat.Assistant, llm.TrustModel
		case 't':
			t.role, t.callID = chat.Tool, "call00001"
		}
		text := fmt.Sprintf("Sentence number %d of this talk.", i)
		if what == 'c' {
			t.calls = []chat.ToolCall{{ID: "call00001", Name: "lookup", Arguments: `{"word": "bread"}`}}
		} else {
			t.content = []run{{text: text, trust: trust, source: source(i, 0, fieldContent)}}
		}
		if what == 'r' {
			t.reasoning = []run{{text: "A thought.", trust: trust, source: source(i, 0, fieldReasoning)}}
		}
		list = append(list, t)
	}
	return list
}

// An axisProber probes a template on an axis.
type axisProber struct {
	*Template
	axis axis
}

func (p axisProber) takes(shapes ...string) bool {
	for _, s := range shapes {
		if p.try(p.axis, s) != nil {
			return false
		}
	}
	return true
}

func (t *Template) try(a axis, shape string) error {
	turns := probeTurns(shape)
	out, err := t.execute(turns, a.conversation(), true)
	if err != nil {
		return err
	}
	return out.faithful(turns)
}

// Abilities are what the template can express of conversations like this one:
// with tools or without, with thinking switched on or off.
func (t *Template) Abilities(c chat.Conversation) Abilities { return t.abilities(axisOf(c)) }

// abilities finds out what the template can express on an axis, once.
func (t *Template) abilities(a axis) Abilities {
	t.mu.Lock()
	defer t.mu.Unlock()
	can, ok := t.probed[a]
	if !ok {
		p := axisProber{t, a}
		can = find(p)
		can.Developer = t.developer && p.takes("du", "duau")
		can.Calls = p.takes("uctau", "uct")
		can.Tools = can.Calls
		can.Names = t.showsNames(a)
		t.probed[a] = can
	}
	return can
}

func (p axisProber) setsApart(shape string, index int) bool {
	turns := probeTurns(shape)
	out, err := p.execute(turns, p.axis.conversation(), true)
	if err != nil {
		return false
	}
	return strings.TrimSpace(out.between(turns[index-1], turns[index])) != "" &&
		(index+1 == len(turns) || strings.TrimSpace(out.between(turns[index], turns[index+1])) != "")
}

// between is the text from the end of one turn's content to the beginning of
// another's.
func (o output) between(a, b turn) string {
	places := o.places()
	_, from, err := o.find(a, places)
	if err != nil {
		return ""
	}
	to, _, err := o.find(b, places)
	if err != nil || from < 0 || to < from {
		return ""
	}
	return o.text[from:to]
}

// after is the text behind a turn's content.
func (o output) after(t turn) string {
	_, from, err := o.find(t, o.places())
	if err != nil || from < 0 {
		return ""
	}
	return o.text[from:]
}

func (t *Template) showsNames(a axis) bool {
	turns := probeTurns("n")
	out, err := t.execute(turns, a.conversation(), true)
	return err == nil && out.has(run{source: source(0, 0, fieldName)})
}

// thinkMarks are the marks of reasoning that models are known to use.
var thinkMarks = []thinkTag{
	{"<think>", "</think>"},
	{"[THINK]", "[/THINK]"},
	{"<thought>", "</thought>"},
	{"<thinking>", "</thinking>"},
	{"<seed:think>", "</seed:think>"},
	{"<|START_THINKING|>", "<|END_THINKING|>"},
	{"◁think▷", "◁/think▷"},
	{"<think:opensource>", "</think:opensource>"},
	{"<|inner_prefix|>", "<|inner_suffix|>"},
	{"<|channel>thought", "<channel|>"},
	{"Here is my thought process:", "Here is my response:"},
}

// wrapMarks are the marks that models are known to put around the text of a
// reply.
var wrapMarks = []thinkTag{
	{"<|START_RESPONSE|>", "<|END_RESPONSE|>"},
	{"<|START_TEXT|>", "<|END_TEXT|>"},
	{"<response>", "</response>"},
}

// probe finds out all that is needed to use the template: an error is one for
// a single user message.
func (t *Template) probe(source string) error {
	for _, m := range thinkMarks {
		if strings.Contains(source, m.Close) {
			t.think = &m
			break
		}
	}
	for _, m := range wrapMarks {
		if strings.Contains(source, m.Open) {
			t.wrap = &m
			break
		}
	}
	t.channels = strings.Contains(source, channelMark)
	t.developer = strings.Contains(source, "developer")
	if err := t.first(); err != nil {
		return err
	}
	if asDict := t.takesCalls(); !asDict {
		t.textCalls = true
		t.textCalls = t.takesCalls()
	}
	if t.think != nil {
		for _, key := range []string{"reasoning_content", "thinking", "reasoning"} {
			t.reasoningKey = key
			turns := probeTurns("ur")
			out, err := t.execute(turns, chat.Conversation{}, false)
			if err == nil && out.has(turns[1].reasoning[0]) {
				break
			}
			t.reasoningKey = ""
		}
	}
	t.ends(source)
	return nil
}

// first finds a way in which the template shows one user message.
func (t *Template) first() error {
	err := t.try(axis{}, "u")
	if err == nil {
		return nil
	}
	for _, way := range []*bool{&t.parts, &t.toolList} {
		*way = true
		if t.try(axis{}, "u") == nil {
			return nil
		}
		*way = false
	}
	return err
}

// takesCalls reports whether the template lays tool calls out, with tools
// listed or not.
func (t *Template) takesCalls() bool {
	return t.try(axis{tools: true}, "uctau") == nil || t.try(axis{}, "uctau") == nil
}

// ends derives from what the template writes around assistant messages how a
// reply begins and ends, and collects its delimiters.
func (t *Template) ends(source string) {
	asked, closed := probeTurns("u"), probeTurns("uau")
	begin, err := t.execute(asked, chat.Conversation{}, true)
	var prompt string
	if err == nil {
		prompt = begin.after(asked[0])
	}
	out, err := t.execute(closed, chat.Conversation{}, true)
	if err == nil {
		prefix, suffix := out.between(closed[0], closed[1]), out.between(closed[1], closed[2])
		if lead, ok := strings.CutPrefix(prefix, prompt); ok && prompt != "" && strings.TrimSpace(lead) == "" {
			t.lead = lead
		}
		opening := prompt
		if bare, err := t.execute(asked, chat.Conversation{}, false); err == nil {
			opening = addition(begin.text, bare.text)
		}
		t.addStop(endMark(suffix), opening, prompt)
		if tail, err := t.execute(probeTurns("ua"), chat.Conversation{}, false); err == nil {
			t.addStop(endMark(tail.after(probeTurns("ua")[1])), opening, prompt)
		}
	}
	if t.channels { // the mark between channels must not end the reply
		t.stop = []string{"<|return|>", "<|call|>"}
	}
	if t.tokens.EOS != "" && !slices.Contains(t.stop, t.tokens.EOS) {
		t.stop = append(t.stop, t.tokens.EOS)
	}
	outputs := []output{begin, out}
	if system, err := t.execute(probeTurns("suau"), chat.Conversation{}, true); err == nil {
		outputs = append(outputs, system)
	}
	t.collectMarks(source, outputs...)
	t.collectToolMarks()
}

// addition is what a prompt that asks for a reply has beyond the same one that
// does not. The latter may end otherwise: Phi-3's ends the text.
func addition(asked, bare string) string {
	same := 0
	for same < len(asked) && same < len(bare) && asked[same] == bare[same] {
		same++
	}
	for _, token := range tokenLike.FindAllStringIndex(asked, -1) {
		if token[0] < same && same < token[1] {
			same = token[0]
		}
	}
	return asked[same:]
}

// addStop adds a stop string, unless a reply itself begins with it.
func (t *Template) addStop(stop, opening, prompt string) {
	if stop == "" || slices.Contains(t.stop, stop) || strings.Contains(opening, stop) ||
		strings.HasSuffix(strings.TrimSpace(prompt), strings.TrimSpace(stop)) {
		return
	}
	t.stop = append(t.stop, stop)
}

// endMark is the string by which the text behind an assistant message can be
// recognised: a token at its beginning, or the words at the beginning of its
// first line, up to a colon.
func endMark(suffix string) string {
	text := strings.TrimLeftFunc(suffix, unicode.IsSpace)
	if at := tokenLike.FindStringIndex(text); at != nil && at[0] == 0 {
		return text[:at[1]]
	}
	line, _, _ := strings.Cut(text, "\n")
	if at := tokenLike.FindStringIndex(line); at != nil {
		line = line[:at[0]]
	}
	if i := strings.IndexByte(line, ':'); i >= 0 {
		line = line[:i+1]
	}
	line = strings.TrimRightFunc(line, unicode.IsSpace)
	if len(line) < 3 {
		return ""
	}
	if strings.Contains(suffix[:len(suffix)-len(text)], "\n") {
		return "\n" + line // words count only where a line begins with them
	}
	return line
}

// sourceMark finds what is written out as a token in a template's source.
var sourceMark = regexp.MustCompile(`<[|｜]?[^<>\s'"{}%]{1,64}[|｜]?>|\[/?[A-Z_]{2,32}\]|\]~!?b[\[\]]|\[e~\[`)

// replyMarks are the marks that an assistant's own words may contain. Those of
// all models are in it, since a model may think and call tools in a format
// that knows nothing of either, and its history must then read as it wrote it.
var replyMarks = func() []string {
	marks := slices.Clone(callMarks)
	for _, m := range thinkMarks {
		for _, mark := range []string{m.Open, m.Close} {
			if tokenLike.FindString(mark) == mark { // others are words
				marks = append(marks, mark)
			}
		}
	}
	return marks
}()

func (t *Template) collectMarks(source string, outputs ...output) {
	add := func(mark string) {
		list := &t.marks.Turn
		if slices.Contains(replyMarks, mark) {
			list = &t.marks.Reply
		}
		if !slices.Contains(*list, mark) {
			*list = append(*list, mark)
		}
	}
	for _, o := range outputs {
		for _, s := range o.segments() {
			if s.Control {
				for _, m := range tokenLike.FindAllString(s.Text, -1) {
					add(m)
				}
				t.addWords(s.Text)
			}
		}
	}
	t.delimiters = slices.Clone(t.marks.Turn)
	for _, m := range sourceMark.FindAllString(source, -1) {
		if add(m); strings.ContainsAny(m, "|｜") && !slices.Contains(t.delimiters, m) {
			t.delimiters = append(t.delimiters, m)
		}
	}
	for _, m := range []string{t.tokens.BOS, t.tokens.EOS} {
		if m == "" {
			continue
		}
		if add(m); !slices.Contains(t.delimiters, m) {
			t.delimiters = append(t.delimiters, m)
		}
	}
	for _, m := range replyMarks {
		add(m)
	}
	for _, m := range outputMarks {
		if strings.Contains(source, m) && (t.channels || !slices.Contains(channelMarks, m)) {
			t.marks.Output = append(t.marks.Output, m)
		}
	}
}

// outputMarks divide replies in formats that divide the conversation with them,
// too: an assistant's own words must not hold them.
var outputMarks = append(slices.Clone(channelMarks), "<|from|>", "<|recipient|>", "<|content|>")

// collectToolMarks adds what the template puts together around tools and their
// results and so does not write out in its source.
func (t *Template) collectToolMarks() {
	out, err := t.execute(probeTurns("suctau"), axis{tools: true}.conversation(), true)
	if err != nil {
		return
	}
	for _, s := range out.segments() {
		if !s.Control {
			continue
		}
		for _, m := range tokenLike.FindAllString(s.Text, -1) {
			if !slices.Contains(t.marks.Turn, m) && !slices.Contains(t.marks.Reply, m) {
				t.marks.Turn = append(t.marks.Turn, m)
			}
		}
	}
}

// words with which a line of a transcript begins: "### Instruction:", "USER:".
var transcriptWords = regexp.MustCompile(`^(#+ ?\S.*|[^:]{1,40}:)$`)

// addWords finds delimiters that are plain words in a text that stands between
// two messages. Long texts are instructions, not delimiters.
func (t *Template) addWords(text string) {
	const longest = 64
	if len(text) > longest {
		return
	}
	for _, piece := range tokenLike.Split(text, -1) {
		for line := range strings.Lines(piece) {
			line = strings.TrimSpace(line)
			if len(line) > 2 && transcriptWords.MatchString(line) && !slices.Contains(t.words, line) {
				t.words = append(t.words, line)
			}
		}
	}
}

// guarded are the plain words that mark turns, and what would be control
// tokens for an engine that takes only text.
func (t *Template) guarded() (words, marks []string) { return t.words, t.delimiters }
