package chatformat

import (
	"slices"
	"strings"
	"unicode/utf8"

	"parley/chat"
	"parley/llm"
)

// The policies for conversations that a format cannot express as they are.
// Under each of them, what is still missing afterwards is repaired as under
// auto, and nothing is dropped.
const (
	// PolicyAuto leaves untouched what the format takes and repairs the rest:
	// the leading system messages are merged, later ones become user messages
	// in place, neighbours are merged, a user message is put in where one must
	// be first, and where there is no place for a system message it is folded
	// into the first user message.
	PolicyAuto = "auto"
	// PolicyNative repairs nothing.
	PolicyNative = "native"
	// PolicyMergeLeading does what auto would do for a format that takes one
	// system message at the beginning and turns that alternate.
	PolicyMergeLeading = "merge_leading"
	// PolicyHoistAll moves all system messages to the front, as one.
	PolicyHoistAll = "hoist_all"
	// PolicyHoistTrailing moves the system messages at the end to the front.
	PolicyHoistTrailing = "hoist_trailing"
	// PolicyFoldFirstUser puts the leading system messages into the first
	// user message.
	PolicyFoldFirstUser = "fold_first_user"
	// PolicyError refuses what auto would repair.
	PolicyError = "error"

	// The prompt post-processing of SillyTavern, under its names there.
	PolicyMerge  = "merge"  // neighbours of one role are merged
	PolicySemi   = "semi"   // besides, every system message but the first becomes the user's
	PolicyStrict = "strict" // besides, a user message is put first where there is none
	PolicySingle = "single" // everything in one user message
)

// Policies lists the names of the policies.
func Policies() []string {
	return []string{PolicyAuto, PolicyNative, PolicyMergeLeading, PolicyStrict, PolicyHoistAll, PolicyHoistTrailing,
		PolicyFoldFirstUser, PolicySingle, PolicyError, PolicyMerge, PolicySemi}
}

var sillyTavern = map[string]bool{PolicyMerge: true, PolicySemi: true, PolicyStrict: true, PolicySingle: true}

// apply carries the policy out.
func (n *normaliser) apply() error {
	n.developer()
	switch n.policy {
	case PolicyNative:
		return nil
	case PolicyMergeLeading:
		n.mergeLeading()
		n.laterToUser()
		n.mergeNeighbours()
	case PolicyHoistAll:
		n.hoist(func(i int) bool { return true })
	case PolicyHoistTrailing:
		end := len(n.turns)
		for end > 0 && n.system(end-1) {
			end--
		}
		n.hoist(func(i int) bool { return i >= end })
	case PolicyFoldFirstUser:
		n.can.SystemSlot, n.can.SystemLater = false, false
	case PolicyMerge, PolicySemi, PolicyStrict, PolicySingle:
		n.postProcess()
	}
	n.repair()
	if n.policy == PolicyError && len(n.report) > 0 {
		for _, note := range n.report {
			if note.Code == CodeRepaired {
				e := llm.Errorf(llm.Unreadable, messagesField, "the chat format cannot express this conversation as it is: %s", note.Detail)
				e.Hint = "use the policy auto"
				return e
			}
		}
	}
	return nil
}

// repair changes what the format cannot take, and only that.
func (n *normaliser) repair() {
	if !n.can.SystemRun || !n.can.SystemSlot {
		n.mergeLeading()
	}
	if !n.can.SystemLater {
		n.laterToUser()
	}
	if !n.can.SameRole {
		n.dropVoid()
		n.mergeNeighbours()
	}
	n.needUser()
	if !n.can.SystemSlot {
		n.fold()
	}
}

// system reports whether a turn is a system or developer message.
func (n *normaliser) system(i int) bool {
	return n.turns[i].role == chat.System || n.turns[i].role == chat.Developer
}

// leading is the number of system messages at the beginning.
func (n *normaliser) leading() int {
	i := 0
	for i < len(n.turns) && n.system(i) {
		i++
	}
	return i
}

func (n *normaliser) developer() {
	if n.can.Developer {
		return
	}
	for i := range n.turns {
		if t := &n.turns[i]; t.role == chat.Developer {
			t.role = chat.System
			n.repaired(RepairDeveloper, "%s is a developer message, laid out as a system message", t.at())
		}
	}
}

func (n *normaliser) mergeLeading() {
	k := n.leading()
	if k < 2 {
		return
	}
	for _, t := range n.turns[1:k] {
		n.turns[0].content = join(n.turns[0].content, t.content)
		n.repaired(RepairSystemMerged, "%s was merged with the system message before it", t.at())
	}
	n.turns = slices.Delete(n.turns, 1, k)
}

// laterToUser makes user messages of system messages that are not at the
// beginning. They stay in place, but never between a tool call and its result.
func (n *normaliser) laterToUser() {
	n.closeGroups()
	for i := n.leading(); i < len(n.turns); i++ {
		if n.system(i) {
			n.turns[i].role = chat.User
			n.turns[i].content = n.noted(n.turns[i].content)
			n.repaired(RepairSystemToUser, "%s is a later system message, laid out as a user message in its place", n.turns[i].at())
		}
	}
}

// noted puts the words of a note around a text, so that it is not taken for
// the user's own. A text in brackets says so itself. The words are a client's
// or the configuration's, and no more trusted than any other text.
func (n *normaliser) noted(content []run) []run {
	text := strings.TrimSpace(textOf(content))
	if n.note == "" || text == "" || bracketed(text) {
		return content
	}
	before, after, _ := strings.Cut(n.note, noteText)
	words := func(s string) []run {
		if s == "" {
			return nil
		}
		return []run{{text: s, trust: llm.TrustClient, source: llm.Source{Kind: llm.FromOption, Field: "note"}}}
	}
	return slices.Concat(words(before), content, words(after))
}

var brackets = map[rune]rune{'[': ']', '(': ')', '{': '}', '<': '>', '*': '*', '【': '】', '（': '）', '「': '」'}

func bracketed(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	end, ok := brackets[first]
	return ok && last == end
}

// closeGroups moves system messages that stand between tool calls and their
// results behind the results.
func (n *normaliser) closeGroups() {
	for i := 1; i < len(n.turns); i++ {
		if !n.system(i) || len(n.turns[i-1].calls) == 0 && n.turns[i-1].role != chat.Tool {
			continue
		}
		end, last := i, i // of the run of system messages and results; behind its last result
		for ; end < len(n.turns) && (n.system(end) || n.turns[end].role == chat.Tool); end++ {
			if n.turns[end].role == chat.Tool {
				last = end + 1
			}
		}
		slices.SortStableFunc(n.turns[i:last], func(a, b turn) int { return rank(a) - rank(b) })
		i = max(i, last-1)
	}
}

func rank(t turn) int {
	if t.role == chat.Tool {
		return 0
	}
	return 1
}

// dropVoid leaves out assistant messages that say nothing, so that their
// neighbours can be merged.
func (n *normaliser) dropVoid() {
	kept := n.turns[:0:0]
	for i, t := range n.turns {
		if t.role == chat.Assistant && t.void() && !(n.open && i == len(n.turns)-1) {
			n.repaired(RepairVoidDropped, "%s is an empty assistant message", t.at())
			continue
		}
		kept = append(kept, t)
	}
	n.turns = kept
}

func (n *normaliser) mergeNeighbours() {
	kept := n.turns[:0:0]
	for _, t := range n.turns {
		if k := len(kept) - 1; k >= 0 && mergeable(kept[k], t) {
			kept[k].content = join(kept[k].content, t.content)
			kept[k].reasoning = join(kept[k].reasoning, t.reasoning)
			kept[k].calls = append(slices.Clip(kept[k].calls), t.calls...)
			kept[k].tokens = nil
			n.repaired(RepairNeighbours, "%s was merged with the message before it", t.at())
			continue
		}
		kept = append(kept, t)
	}
	n.turns = kept
}

// mergeable: what surrounds tool calls is never torn or glued together.
func mergeable(a, b turn) bool {
	return a.role == b.role && a.role != chat.Tool && len(a.calls) == 0 && len(b.calls) == 0 && a.name == b.name
}

// needUser puts a user message in where the format demands one and there is
// none.
func (n *normaliser) needUser() {
	if slices.ContainsFunc(n.turns, func(t turn) bool { return t.role == chat.User }) {
		if !n.can.AssistantFirst {
			n.placeholder()
		}
	} else if !n.can.NoUser {
		n.placeholder()
	}
}

// placeholder puts a user message in where the format wants one before
// anything else.
func (n *normaliser) placeholder() {
	k := n.leading()
	if k < len(n.turns) && n.turns[k].role == chat.User {
		return
	}
	n.turns = slices.Insert(n.turns, k, turn{role: chat.User, content: []run{ours(placeholderText)}, index: -1})
	n.repaired(RepairPlaceholder, "the user message %q was put in, since the chat format wants one first", placeholderText)
}

// fold puts the leading system message into the first user message.
func (n *normaliser) fold() {
	if n.leading() == 0 {
		return
	}
	s := n.turns[0]
	n.turns = slices.Clone(n.turns[1:])
	i := slices.IndexFunc(n.turns, func(t turn) bool { return t.role == chat.User })
	if i != 0 {
		n.turns = slices.Insert(n.turns, 0, turn{role: chat.User, index: s.index})
	}
	n.turns[0].content = join(s.content, n.turns[0].content)
	n.repaired(RepairSystemFolded, "%s was put in front of the first user message", s.at())
}

// hoist moves system messages to the front and merges all that stand there.
func (n *normaliser) hoist(which func(i int) bool) {
	k := n.leading()
	front, rest := slices.Clone(n.turns[:k]), n.turns[:0:0]
	for i := k; i < len(n.turns); i++ {
		if n.system(i) && which(i) {
			front = append(front, n.turns[i])
			n.repaired(RepairSystemHoisted, "%s was moved to the front", n.turns[i].at())
		} else {
			rest = append(rest, n.turns[i])
		}
	}
	n.turns = append(front, rest...)
	n.mergeLeading()
}

// postProcess does what SillyTavern's prompt post-processing does. Other than
// there, tool calls have been written out before and are not lost, and an
// assistant message that is to be continued stays one.
func (n *normaliser) postProcess() {
	var last []turn
	if n.open && n.policy == PolicySingle {
		k := len(n.turns) - 1
		last, n.turns = slices.Clone(n.turns[k:]), n.turns[:k]
	}
	for i := range n.turns {
		t := &n.turns[i]
		t.content = n.flat(*t)
		if t.role == chat.Tool {
			t.role = chat.User
		}
		if n.policy == PolicySingle {
			t.role = chat.User
		}
	}
	n.squash()
	if n.policy != PolicyMerge {
		for i := 1; i < len(n.turns); i++ {
			if t := &n.turns[i]; t.role == chat.System {
				t.role = chat.User
				n.repaired(RepairSystemToUser, "%s is a later system message, laid out as a user message in its place", t.at())
			}
		}
		if n.policy == PolicyStrict {
			n.placeholder()
		}
		n.squash()
	}
	if n.policy == PolicySingle {
		n.repaired(RepairSingle, "the conversation was laid out as one user message")
	}
	n.turns = append(n.turns, last...)
}

// flat joins content parts by blank lines.
func (n *normaliser) flat(t turn) []run {
	var out []run
	parts := 0
	for i, r := range t.content {
		if i > 0 && !r.ours && !t.content[i-1].ours && r.source.Field == fieldContent && t.content[i-1].source.Part != r.source.Part {
			out = append(out, ours(separator))
			parts++
		}
		out = append(out, r)
	}
	if parts > 0 {
		n.repaired(RepairParts, "the parts of %s were joined by blank lines", t.at())
	}
	return out
}

// squash merges neighbours of one role. An empty message is not merged, as in
// SillyTavern: roles may still repeat.
func (n *normaliser) squash() {
	kept := n.turns[:0:0]
	for _, t := range n.turns {
		if k := len(kept) - 1; k >= 0 && kept[k].role == t.role && !empty(t.content) {
			kept[k].content = slices.Concat(kept[k].content, []run{ours(separator)}, t.content)
			kept[k].reasoning = join(kept[k].reasoning, t.reasoning)
			kept[k].tokens = nil
			n.repaired(RepairNeighbours, "%s was merged with the message before it", t.at())
			continue
		}
		kept = append(kept, t)
	}
	n.turns = kept
}
