package scene

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
)

// A builder lays messages side by side and notes what stands where.
type builder struct {
	c        *composer
	messages []chat.Message
	open     bool // whether system text may join the last message
}

// system adds system text, to the system message before if there is one.
func (b *builder) system(p piece) {
	if !b.open {
		b.messages = append(b.messages, chat.Message{Role: chat.System})
		b.c.report.Tokens += b.c.PerMessage
		b.open = true
	}
	last := &b.messages[len(b.messages)-1]
	text := p.text
	if len(last.Parts) > 0 {
		text = "\n\n" + text
	}
	last.Parts = append(last.Parts, chat.Part{Text: text})
	b.note(p)
}

// message adds a message of its own.
func (b *builder) message(m chat.Message, p piece) {
	b.messages = append(b.messages, m)
	b.open = false
	b.note(p)
}

func (b *builder) note(p piece) {
	last := len(b.messages) - 1
	b.c.report.Slots = append(b.c.report.Slots, Placed{p.slot, p.id, last, max(0, len(b.messages[last].Parts)-1), p.tokens})
	b.c.report.Tokens += p.tokens
}

func (b *builder) slot(slot Slot) {
	switch slot {
	case Examples:
		b.examples()
	case Prefill, History:
	default:
		for _, p := range b.c.text[slot] {
			b.system(p)
		}
	}
}

// examples adds the example conversations as turns between two lines that say
// so, and those without turns as they are.
func (b *builder) examples() {
	c := b.c
	said := false
	for i, block := range c.blocks[:c.shown] {
		id := "block " + strconv.Itoa(i)
		if block.raw != "" {
			b.system(piece{slot: Examples, id: id, text: block.raw, tokens: c.Count(block.raw)})
			continue
		}
		if !said {
			said = true
			text := c.examplesHead()
			b.system(piece{slot: Examples, text: text, tokens: c.Count(text)})
		}
		for _, m := range block.turns {
			tokens := c.Count(m.Text()) + c.PerMessage
			if !c.people.told {
				m.Name = ""
			}
			b.message(m, piece{slot: Examples, id: id, tokens: tokens})
		}
	}
	if said {
		b.system(piece{slot: Examples, text: examplesEnd, tokens: c.Count(examplesEnd)})
	}
}

func (c *composer) examplesHead() string {
	var who []string
	for i, name := range c.people.chars {
		if c.shows(i) {
			who = append(who, name)
		}
	}
	return "First come examples of how " + strings.Join(who, ", ") + " would speak. They are not part of the conversation."
}

// talk adds the history with what stands among it. Before is called where the
// last message is to go on, which nothing may stand behind.
func (b *builder) talk(before func()) {
	c := b.c
	var kept []int
	for i := range c.Messages {
		if c.kept[i] {
			kept = append(kept, i)
		}
	}
	slices.SortStableFunc(c.inserted, func(a, b insertion) int {
		role := func(r chat.Role) int { return slices.Index([]chat.Role{chat.System, chat.User, chat.Assistant}, r) }
		return cmp.Or(cmp.Compare(b.depth, a.depth), cmp.Compare(role(a.role), role(b.role)), cmp.Compare(a.rank, b.rank), cmp.Compare(a.order, b.order))
	})
	rest := c.inserted
	insert := func(depth int) { // what stands before so many messages
		var at []insertion
		for len(rest) > 0 && rest[0].depth >= depth {
			at, rest = append(at, rest[0]), rest[1:]
		}
		b.open = false
		for i, in := range at {
			if i > 0 && at[i-1].role == in.role {
				last := &b.messages[len(b.messages)-1]
				last.Parts = append(last.Parts, chat.Part{Text: "\n\n" + in.text})
				b.note(in.piece)
				continue
			}
			m := chat.Say(in.role, in.text)
			if c.people.told {
				m.Name = c.people.of(m)
				if in.role == chat.Assistant {
					m.Name = c.speaker()
				}
			}
			b.message(m, in.piece)
		}
	}
	for i, index := range kept {
		if c.Messages[index].Role != chat.Tool { // nothing stands between a call and its result
			insert(len(kept) - i)
		}
		if i == len(kept)-1 && before != nil {
			before()
		}
		b.message(c.seen(c.Messages[index]), c.said(index))
	}
	insert(0)
}

// seen is a message of the history as the model sees it.
func (c *composer) seen(m Message) chat.Message {
	out := m.Message
	if !c.people.told {
		out.Name = ""
		return out
	}
	if out.Name = c.people.of(m.Message); m.Role != chat.User && m.Role != chat.Tool {
		return out
	}
	out.Parts = slices.Clone(m.Parts)
	for i := range out.Parts {
		text, forged := c.people.turns.Quote(out.Parts[i].Text)
		if forged {
			out.Parts[i].Text = text
			c.report.Notes.Add("names_quoted", m.ID, "lines of the message begin with somebody's name: they are quoted, so that they are not taken for their words")
		}
	}
	return out
}

// speaker is who is to speak.
func (c *composer) speaker() string {
	switch {
	case c.Kind == Impersonate:
		return c.people.user
	case c.Kind == Continue:
		return c.people.of(c.Messages[len(c.Messages)-1].Message)
	case len(c.Cards) > 0:
		return c.people.chars[c.Speaker]
	}
	return "Assistant"
}

// assemble lays everything out in the order of the slots.
func (c *composer) assemble() Composed {
	b := &builder{c: c}
	order := slices.DeleteFunc(slices.Clone(c.Order), func(s Slot) bool { return s == Prefill })
	at := slices.Index(order, History)
	for _, slot := range order[:at] {
		b.slot(slot)
	}
	behind := func() {
		for _, slot := range order[at+1:] {
			b.slot(slot)
		}
	}
	if c.Kind == Continue {
		b.talk(behind)
	} else {
		b.talk(nil)
		behind()
	}
	if c.Kind == Continue && c.prefill != "" {
		c.report.Notes.Add("ignored", "prefill", "a message that goes on has its beginning")
	}
	out := Composed{Conversation: chat.Conversation{Messages: b.messages, Continue: c.Kind == Continue}, Stop: c.people.stops(c.speaker())}
	if c.people.told || len(c.Cards) > 0 {
		out.Lead = []string{c.speaker() + ":"}
	}
	if c.Kind != Continue && (c.prefill != "" || c.Style != Turns) {
		m := chat.Say(chat.Assistant, c.prefill)
		if c.people.told {
			m.Name = c.speaker()
		}
		b.message(m, piece{slot: Prefill, tokens: c.Count(c.prefill) + c.PerMessage})
		out.Conversation.Messages, out.Conversation.Continue = b.messages, true
	}
	switch c.Style {
	case Chat:
		out.Conversation.Layout.Format = scriptFormat
		out.Stop = c.people.stops("")
	case ChatInstruct:
		c.instruct(&out.Conversation)
		out.Stop = c.people.stops("")
	}
	if len(c.Cards) > 0 {
		c.report.Speaker = c.speaker()
	}
	for i, name := range c.people.chars {
		if len(c.Cards) > 1 {
			c.report.Company = append(c.report.Company, Player{name, c.shows(i)})
		}
	}
	out.Report = c.report
	return out
}

// scriptFormat is the chat format in which a talk is a script.
const scriptFormat = "plain-names"

// instruct makes one task of a script: what the model is to do stays a system
// message, all else becomes the text of one user's message, and the reply
// begins with its speaker's name.
func (c *composer) instruct(conversation *chat.Conversation) {
	task := chat.Say(chat.User, c.Command+"\n\n")
	c.report.Tokens += c.Count(c.Command)
	var main chat.Message
	last := len(conversation.Messages) - 1
	moved := map[[2]int][2]int{} // where parts stand now
	for i, m := range conversation.Messages[:last] {
		for j, part := range m.Parts {
			placed := slices.IndexFunc(c.report.Slots, func(p Placed) bool { return p.Message == i && p.Part == j })
			if placed >= 0 && c.report.Slots[placed].Slot == Main {
				main.Role = chat.System
				main.Parts = append(main.Parts, chat.Part{Text: strings.TrimPrefix(part.Text, "\n\n")})
				moved[[2]int{i, j}] = [2]int{0, len(main.Parts) - 1}
				continue
			}
			if part.Media != nil {
				task.Parts = append(task.Parts, part)
				moved[[2]int{i, j}] = [2]int{1, len(task.Parts) - 1}
				continue
			}
			text := strings.TrimPrefix(part.Text, "\n\n")
			if j == 0 && m.Name != "" && m.Role != chat.System {
				text = m.Name + ": " + text
			}
			end := "\n"
			if m.Role == chat.System {
				end = "\n\n"
			}
			if j < len(m.Parts)-1 && m.Role != chat.System {
				end = ""
			}
			task.Parts = append(task.Parts, chat.Part{Text: text + end})
			moved[[2]int{i, j}] = [2]int{1, len(task.Parts) - 1}
		}
	}
	begin := conversation.Messages[last]
	text := strings.TrimRight(begin.Name+": "+begin.Text(), " ")
	reply := chat.Say(chat.Assistant, text)
	messages := []chat.Message{task, reply}
	shift := 1
	if main.Role != "" {
		messages, shift = []chat.Message{main, task, reply}, 0
	}
	end := &task.Parts[len(task.Parts)-1]
	end.Text = strings.TrimRight(end.Text, "\n")
	for i, p := range c.report.Slots {
		to, ok := moved[[2]int{p.Message, p.Part}]
		if !ok {
			to = [2]int{2, 0} // the reply's beginning
		}
		c.report.Slots[i].Message, c.report.Slots[i].Part = max(0, to[0]-shift), to[1]
	}
	conversation.Messages = messages
}
