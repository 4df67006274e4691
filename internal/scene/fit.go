package scene

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"parley/chat"
	"parley/llm"
)

// fit decides what there is room for. What a slot holds must be there, and so
// must the last message, what is pinned and what stands among the history;
// then come the messages from the newest back, then whole blocks of examples.
// Entries of lorebooks give way where nothing else can, and those that say so
// before any message does.
func (c *composer) fit() error {
	c.measure()
	n := len(c.Messages)
	c.kept = make([]bool, n)
	if c.Summarised = min(c.Summarised, max(n-1, 0)); c.Summarised > 0 {
		c.report.Notes.Add("summarised", strconv.Itoa(c.Summarised), "the first "+strconv.Itoa(c.Summarised)+" messages are told by the summary")
	}
	if c.Budget <= 0 {
		for i, m := range c.Messages {
			c.kept[i] = i >= c.Summarised || m.Pinned
		}
		c.shown = len(c.blocks)
		return nil
	}
	must := c.must()
	for _, e := range c.entries(func(piece) bool { return true }) {
		if must <= c.Budget {
			break
		}
		must -= c.drop(e)
	}
	if must > c.Budget {
		return c.tooLong(must)
	}
	left, first := c.fill(c.Budget - must)
	if first > c.Summarised {
		for _, e := range c.entries(func(p piece) bool { return p.yields }) {
			must -= c.drop(e)
		}
		left, first = c.fill(c.Budget - must)
	}
	if first > c.Summarised {
		// Dropping one message for each that comes would make an engine read
		// all of the history again each time: it goes in steps.
		step := stepOf(n - first)
		first = min((first+step-1)/step*step, n-1)
		for first < n-1 && c.Messages[first].Role == chat.Tool { // its call is left out
			first++
		}
	}
	gone := 0
	for i := range c.kept {
		if c.kept[i] = c.kept[i] || i >= first; c.kept[i] || i < c.Summarised {
			continue
		}
		if gone++; i == c.Summarised || c.kept[i-1] {
			c.report.Dropped = append(c.report.Dropped, Dropped{Slot: History, ID: c.Messages[i].ID})
		}
		d := &c.report.Dropped[len(c.report.Dropped)-1]
		d.Messages++
		d.Last = c.Messages[i].ID
	}
	if gone > 0 {
		c.report.Notes.Add("shortened", strconv.Itoa(gone), fmt.Sprintf("%d messages were left out: there is room for %d tokens", gone, c.Budget))
	}
	c.fitExamples(left, first == c.Summarised)
	return nil
}

// must counts what must be there, and marks which messages that are.
func (c *composer) must() int {
	must := c.Count(c.prefill) + 4*c.PerMessage // system texts and the reply's own
	if c.Style == ChatInstruct {
		must += c.Count(c.Command)
	}
	for slot, pieces := range c.text {
		for _, p := range pieces {
			if slices.Contains(c.Order, slot) {
				must += p.tokens
			}
		}
	}
	for _, in := range c.inserted {
		must += in.tokens
	}
	for i := range c.Messages {
		if c.Messages[i].Pinned || i == len(c.Messages)-1 {
			c.kept[i] = true
		}
	}
	for i := range slices.Backward(c.Messages) { // what a tool says stands with its call
		if c.kept[i] && c.Messages[i].Role == chat.Tool && i > 0 {
			c.kept[i-1] = true
		}
	}
	for i := 1; i < len(c.Messages); i++ {
		if c.Messages[i].Role == chat.Tool && c.kept[i-1] {
			c.kept[i] = true
		}
	}
	for i := range c.Messages {
		if c.kept[i] {
			must += c.said(i).tokens
		}
	}
	return must
}

// fill finds the first message from which on all fit.
func (c *composer) fill(room int) (left, first int) {
	left = room
	for first = len(c.Messages); first > c.Summarised; {
		from, tokens := c.group(first-1), 0
		for i := from; i < first; i++ {
			if !c.kept[i] { // else it is counted already
				tokens += c.said(i).tokens
			}
		}
		if tokens > left {
			break
		}
		left -= tokens
		first = from
	}
	return left, first
}

// fitExamples takes the blocks for which there is room beside all of the
// history.
func (c *composer) fitExamples(left int, room bool) {
	if !slices.Contains(c.Order, Examples) {
		c.blocks = nil
	}
	left -= c.Count(c.examplesHead()) + c.Count(examplesEnd) + c.PerMessage
	for room && c.shown < len(c.blocks) && c.cost(c.blocks[c.shown]) <= left {
		left -= c.cost(c.blocks[c.shown])
		c.shown++
	}
	for i, b := range c.blocks[c.shown:] {
		c.report.Dropped = append(c.report.Dropped, Dropped{Slot: Examples, ID: "block " + strconv.Itoa(c.shown+i), Tokens: c.cost(b)})
	}
}

// entries lists what lorebooks tell, in the order in which it gives way: what
// says so first, then what has the lowest order.
func (c *composer) entries(which func(piece) bool) (all []piece) {
	for _, pieces := range c.text {
		for _, p := range pieces {
			if p.lore && which(p) {
				all = append(all, p)
			}
		}
	}
	for _, in := range c.inserted {
		if in.lore && which(in.piece) {
			all = append(all, in.piece)
		}
	}
	slices.SortFunc(all, func(a, b piece) int {
		if a.yields != b.yields {
			return map[bool]int{true: -1, false: 1}[a.yields]
		}
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.id, b.id))
	})
	return all
}

// drop takes an entry out and gives the tokens that are free then.
func (c *composer) drop(e piece) int {
	gone := func(p piece) bool { return p.lore && p.id == e.id }
	for slot, pieces := range c.text {
		c.text[slot] = slices.DeleteFunc(pieces, gone)
	}
	c.inserted = slices.DeleteFunc(c.inserted, func(in insertion) bool { return gone(in.piece) })
	c.report.Dropped = append(c.report.Dropped, Dropped{Slot: e.slot, ID: e.id, Tokens: e.tokens})
	return e.tokens
}

// stepOf is by how many messages at once a history of that many is shortened:
// a power of two, about a quarter.
func stepOf(fits int) int {
	step := 1
	for step*8 <= fits {
		step *= 2
	}
	return step
}

func (c *composer) cost(b block) int {
	tokens := c.Count(b.raw)
	for _, t := range b.turns {
		tokens += c.Count(t.Text()) + c.PerMessage
		if c.people.told {
			tokens += c.Count(t.Name) + 1
		}
	}
	return tokens
}

// measure counts what there is, but for the history.
func (c *composer) measure() {
	for _, pieces := range c.text {
		for i := range pieces {
			pieces[i].tokens = c.Count(pieces[i].text)
		}
	}
	for i := range c.inserted {
		c.inserted[i].tokens = c.Count(c.inserted[i].text) + c.PerMessage
	}
	c.history = make([]piece, len(c.Messages))
}

// said is a message of the history as a piece. It is counted when it is asked
// for first: of a long talk only the end is.
func (c *composer) said(i int) piece {
	p := &c.history[i]
	if p.slot == "" {
		m := c.Messages[i]
		*p = piece{slot: History, id: m.ID, tokens: c.Count(m.Text()) + m.Attached + c.Count(m.Reasoning) + c.PerMessage}
		for _, call := range m.ToolCalls {
			p.tokens += c.Count(call.Name) + c.Count(call.Arguments) + c.PerMessage
		}
		if c.people.told {
			p.tokens += c.Count(c.people.of(m.Message)) + 1
		}
	}
	return *p
}

// tooLong says which parts are how long.
func (c *composer) tooLong(must int) error {
	sizes := map[string]int{}
	for slot, pieces := range c.text {
		for _, p := range pieces {
			sizes[string(slot)] += p.tokens
		}
	}
	for _, in := range c.inserted {
		sizes["notes"] += in.tokens
	}
	for i := range c.Messages {
		if c.kept[i] {
			sizes["messages"] += c.said(i).tokens
		}
	}
	hint := "shorten "
	maps.DeleteFunc(sizes, func(_ string, n int) bool { return n == 0 })
	largest := func(a, b string) int { return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b)) }
	for i, name := range slices.SortedFunc(maps.Keys(sizes), largest) {
		if i > 0 {
			hint += ", "
		}
		hint += fmt.Sprintf("%s (%d)", name, sizes[name])
	}
	return &llm.Error{Code: llm.TooLong, Field: "character", Hint: hint + ", or take a larger context",
		Message: fmt.Sprintf("what must be in the prompt has %d tokens, and there is room for %d", must, c.Budget),
		Err:     &llm.ContextError{PromptTokens: must, Context: c.Budget}}
}
