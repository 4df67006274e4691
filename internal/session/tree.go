package session

import (
	"iter"
	"slices"
	"time"

	"parley/chat"
	"parley/llm"
)

// A Tree is a session with its messages. Its methods that change it remember
// the change, which Change gives. The nodes that there were before are shared
// with other trees: they are never changed, but copies are put in their place.
type Tree struct {
	Session Session
	Nodes   []*Node // Nodes[i] has the id i+1; in a part of a tree it is nil if it was not read

	part  bool // some may be nil
	base  int64
	known int  // nodes that there were before the change
	own   bool // Nodes is no other tree's
	wrote []Written
	files []Media // that what was written shows
}

// NewTree makes a tree of what a store has.
func NewTree(s Session, nodes []Node) *Tree {
	t := &Tree{Session: s, base: s.Revision, known: len(nodes), own: true}
	for i := range nodes {
		t.Nodes = append(t.Nodes, &nodes[i])
	}
	return t
}

// partTree makes a tree in which no node was read.
func partTree(s Session) *Tree {
	return &Tree{Session: s, Nodes: make([]*Node, s.Messages), part: true, base: s.Revision, known: s.Messages, own: true}
}

// mine gives a node that may be changed.
func (t *Tree) mine(id int) *Node {
	if id > t.known {
		return t.Nodes[id-1]
	}
	if !t.own {
		t.Nodes, t.own = slices.Clone(t.Nodes), true
	}
	n := t.Nodes[id-1].clone()
	t.Nodes[id-1] = &n
	return &n
}

// Change is what was done to the tree since it was made.
func (t *Tree) Change() Change {
	c := Change{Session: t.Session, Base: t.base, Versions: t.wrote, Media: t.files}
	for _, n := range t.Nodes[t.known:] {
		c.Nodes = append(c.Nodes, n.clone())
	}
	return c
}

// Begin starts the next revision.
func (t *Tree) Begin(now time.Time) {
	t.Session.Revision = t.base + 1
	t.Session.Updated = now
}

// Node finds a message, deleted ones included.
func (t *Tree) Node(id int) (*Node, error) {
	n, err := t.any(id)
	if err == nil && n.Role == summaryRole {
		return nil, llm.Errorf(llm.NotFound, "message", "%d is no message of this session, but a summary", id)
	}
	return n, err
}

// any finds a node, summaries included.
func (t *Tree) any(id int) (*Node, error) {
	if id < 1 || id > len(t.Nodes) {
		return nil, llm.Errorf(llm.NotFound, "message", "there is no message %d in this session", id)
	}
	return t.Nodes[id-1], nil
}

// At gives a message as it was at a revision, and which version that is; nil
// if it was not there or deleted.
func (n *Node) At(revision int64) (*Version, int) {
	for i := len(n.Versions) - 1; i >= 0; i-- {
		if v := &n.Versions[i]; v.Since <= revision {
			if v.Deleted {
				return nil, i
			}
			return v, i
		}
	}
	return nil, -1
}

// last is the newest version.
func (n *Node) last() *Version { return &n.Versions[len(n.Versions)-1] }

// Path gives the ids from the first message to one, deleted ones included.
func (t *Tree) Path(to int) []int {
	var path []int
	for to > 0 && to <= len(t.Nodes) {
		path = append(path, to)
		to = t.Nodes[to-1].Parent
	}
	slices.Reverse(path)
	return path
}

// behind gives the messages that stand directly behind each, deleted ones left
// out, in the order in which they were made.
func (t *Tree) behind() map[int][]int {
	all := map[int][]int{}
	for _, n := range t.Nodes {
		if !n.last().Deleted && n.Role != summaryRole {
			all[n.Parent] = append(all[n.Parent], n.ID)
		}
	}
	return all
}

// Alternatives are the messages that stand in the place of one, itself
// included, deleted ones left out, in the order in which they were made.
func (t *Tree) Alternatives(id int) (all []int) {
	parent := t.Nodes[id-1].Parent
	for _, n := range t.Nodes[parent:] { // what stands behind a message was made behind it
		if n.Parent == parent && !n.last().Deleted && n.Role != summaryRole {
			all = append(all, n.ID)
		}
	}
	return all
}

// Below gives the end of the talk that goes on behind a message: the last
// message that was made there, the last behind that, and so on.
func (t *Tree) Below(id int) int {
	behind := t.behind()
	for len(behind[id]) > 0 {
		id = behind[id][len(behind[id])-1]
	}
	return id
}

// Add puts a message behind parent and moves the head there.
func (t *Tree) Add(parent int, role chat.Role, author Author, v Version) int {
	v.Since = t.Session.Revision
	id := len(t.Nodes) + 1
	t.Nodes = append(t.Nodes, &Node{ID: id, Parent: parent, Role: role, Author: author, Created: v.Created, Versions: []Version{v}})
	t.Session.Messages = id
	t.Session.Head = id
	return id
}

// takeBack undoes the Add that was done last.
func (t *Tree) takeBack() {
	last := t.Nodes[len(t.Nodes)-1]
	t.Nodes = t.Nodes[:len(t.Nodes)-1]
	t.Session.Messages, t.Session.Head = len(t.Nodes), last.Parent
}

// Write adds a version to a message and gives its number.
func (t *Tree) Write(n *Node, v Version) int {
	v.Since = t.Session.Revision
	n = t.mine(n.ID)
	n.Versions = append(n.Versions, v)
	at := len(n.Versions) - 1
	if n.ID <= t.known {
		t.wrote = append(t.wrote, Written{n.ID, at, v})
	}
	return at
}

// Rewrite puts a version in the place of another, which was Running.
func (t *Tree) Rewrite(n *Node, at int, v Version) {
	t.mine(n.ID).Versions[at] = v
	t.wrote = append(t.wrote, Written{n.ID, at, v})
}

// Delete makes a message deleted, and with branch all that stand behind it.
// What stands behind a deleted message stays in the talk. If the head goes
// with a branch, it moves to another alternative, or before the branch.
func (t *Tree) Delete(id int, branch bool, now time.Time) {
	gone := map[int]bool{id: true}
	for i := id - 1; i < len(t.Nodes); i++ {
		n := t.Nodes[i]
		if n.ID != id && !(branch && gone[n.Parent]) {
			continue
		}
		gone[n.ID] = true
		if !n.last().Deleted {
			t.Write(n, Version{Created: now, Deleted: true, State: Complete})
		}
	}
	if branch && gone[t.Session.Head] {
		if others := t.Alternatives(id); len(others) > 0 {
			t.Session.Head = t.Below(others[len(others)-1])
		} else {
			t.Session.Head = t.Nodes[id-1].Parent
		}
	}
}

// Restore brings a deleted message back as it was before.
func (t *Tree) Restore(n *Node, now time.Time) {
	for i := len(n.Versions) - 1; i >= 0; i-- {
		if v := n.Versions[i]; !v.Deleted {
			v.Created = now
			t.Write(n, v)
			return
		}
	}
}

// Undo moves the head back by so many messages that are not deleted.
func (t *Tree) Undo(count int) {
	for count > 0 && t.Session.Head != 0 {
		n := t.Nodes[t.Session.Head-1]
		if !n.last().Deleted {
			count--
		}
		t.Session.Head = n.Parent
	}
}

// A Message is a message of the talk as one sees it.
type Message struct {
	ID      int       `json:"id"`
	Parent  int       `json:"parent"`
	Role    chat.Role `json:"role"`
	Author  Author    `json:"author,omitzero"`
	Version           // of which is seen

	ToolCallID string `json:"tool_call_id,omitempty"`

	Number       int    `json:"version"`                // which version that is, from 0
	Versions     int    `json:"versions"`               // how many there are
	Alternatives []int  `json:"alternatives,omitempty"` // ids of those in its place, itself included; none where it is the only one
	Origin       *Place `json:"origin,omitempty"`
}

// Messages is the talk from its beginning to a message, as it was at a
// revision, without what was deleted then.
func (t *Tree) Messages(to int, revision int64) []Message {
	all := []Message{}
	behind := t.behind()
	for m := range t.talk(t.Path(to), revision) {
		if others := behind[m.Parent]; len(others) > 1 {
			m.Alternatives = others
		}
		all = append(all, m)
	}
	return all
}

// talk is the talk of a path as it was at a revision, without what was deleted
// then, and without the messages' alternatives.
func (t *Tree) talk(path []int, revision int64) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for _, id := range path {
			if m, ok := t.message(id, revision); ok && !yield(m) {
				return
			}
		}
	}
}

// Tail is the end of the talk up to a message: so many messages at most, and
// whether there are others before them.
func (t *Tree) Tail(to, most int) (all []Message, more bool) {
	all = []Message{}
	for ; to > 0; to = t.Nodes[to-1].Parent {
		m, ok := t.message(to, t.Session.Revision)
		if !ok {
			continue
		}
		if more = len(all) == most; more {
			break
		}
		all = append(all, m)
	}
	slices.Reverse(all)
	t.alternatives(all)
	return all, more
}

// alternatives says of messages that stand behind each other which others
// stand in their places.
func (t *Tree) alternatives(talk []Message) {
	if len(talk) == 0 {
		return
	}
	first, last := talk[0].Parent, talk[len(talk)-1].Parent
	at := map[int]*Message{}
	for i := range talk {
		at[talk[i].Parent] = &talk[i]
	}
	for _, n := range t.Nodes[first:] { // what stands behind a message was made behind it
		if n == nil || n.Parent < first || n.Parent > last {
			continue
		}
		if m := at[n.Parent]; m != nil && !n.last().Deleted && n.Role != summaryRole {
			m.Alternatives = append(m.Alternatives, n.ID)
		}
	}
	for i := range talk {
		if m := &talk[i]; len(m.Alternatives) < 2 || m.Role == summaryRole {
			m.Alternatives = nil
		}
	}
}

// others are the alternatives of a message, if it is not the only one.
func (t *Tree) others(id int) []int {
	if all := t.Alternatives(id); len(all) > 1 && t.Nodes[id-1].Role != summaryRole {
		return all
	}
	return nil
}

func (t *Tree) message(id int, revision int64) (Message, bool) {
	n := t.Nodes[id-1]
	v, number := n.At(revision)
	if v == nil {
		return Message{}, false
	}
	return Message{ID: n.ID, Parent: n.Parent, Role: n.Role, Author: n.Author, Version: *v, Number: number, Versions: len(n.Versions), Origin: n.Origin, ToolCallID: n.ToolCallID}, true
}

// Seen is a message as it is now; a deleted one as it was before.
func (t *Tree) Seen(id int) Message {
	n := t.Nodes[id-1]
	if m, ok := t.message(id, t.Session.Revision); ok {
		m.Alternatives = t.others(id)
		return m
	}
	return Message{ID: n.ID, Parent: n.Parent, Role: n.Role, Author: n.Author, Version: *n.last(), Number: len(n.Versions) - 1, Versions: len(n.Versions), Origin: n.Origin, ToolCallID: n.ToolCallID}
}
