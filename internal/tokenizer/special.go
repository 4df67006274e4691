package tokenizer

import (
	"bytes"
	"cmp"
	"slices"

	"parley/internal/limits"
)

// A trie finds special tokens. Each byte of text starts a walk of at most limits.SpecialTokenBytes steps.
type trie struct{ nodes []trieNode }

type trieNode struct {
	keys  []byte
	kids  []int32
	id    int32 // the token that ends here, or -1
	depth int32
	short int32 // the nearest node above at which a token ends, or -1
}

func newTrie() *trie { return &trie{nodes: []trieNode{{id: -1, short: -1}}} }

func (tr *trie) add(s string, id int32) {
	if s == "" || limits.SpecialTokenBytes.CheckInt(len(s)) != nil {
		return
	}
	at := int32(0)
	for i := range len(s) {
		next := tr.child(at, s[i])
		if next < 0 {
			next = int32(len(tr.nodes))
			tr.nodes = append(tr.nodes, trieNode{id: -1, depth: int32(i + 1), short: -1})
			tr.nodes[at].keys = append(tr.nodes[at].keys, s[i])
			tr.nodes[at].kids = append(tr.nodes[at].kids, next)
		}
		at = next
	}
	tr.nodes[at].id = id
}

// link fills in short, once all tokens are added.
func (tr *trie) link() {
	for i := range tr.nodes { // a node comes after the one above it
		n := &tr.nodes[i]
		short := n.short
		if n.id >= 0 {
			short = int32(i)
		}
		for _, kid := range n.kids {
			tr.nodes[kid].short = short
		}
	}
}

func (tr *trie) child(at int32, b byte) int32 {
	n := &tr.nodes[at]
	if i := bytes.IndexByte(n.keys, b); i >= 0 {
		return n.kids[i]
	}
	return -1
}

// match is a special token found in a text.
type match struct {
	start, end int
	id         int32
}

// find gives the special tokens in a text, in order, none overlapping. As in the reference the
// longer token wins wherever it stands, and of equally long ones the earlier; only tokens that may
// arise where they stand take part.
func (tr *trie) find(text string, spans []Span, class []class) []match {
	at := reaches(spans)
	todo := tr.candidates(text, at, class)
	if len(todo) == 0 {
		return nil
	}
	var found []match
	taken := make([]bool, len(text))
	for len(todo) > 0 {
		e := todo.pop()
		start, node := int(e.key&(1<<48-1)), &tr.nodes[e.id]
		end := start + int(node.depth)
		switch i := slices.Index(taken[start:end], true); {
		case i < 0:
			for i := start; i < end; i++ {
				taken[i] = true
			}
			found = append(found, match{start, end, node.id})
		case i > 0: // something longer begins within: try what fits before it
			if s := tr.shorter(node.short, i, at.from(start), class); s >= 0 {
				todo.push(tr.candidate(start, s))
			}
		}
	}
	slices.SortFunc(found, func(a, b match) int { return cmp.Compare(a.start, b.start) })
	return found
}

// leftmost gives the special tokens in a text, in order, none overlapping: of those that may arise,
// the first one, and of those that begin with it the longest. That is the rule of Hugging Face's
// tokenizers.
func (tr *trie) leftmost(text string, spans []Span, class []class) (found []match) {
	if len(tr.nodes) == 1 {
		return nil
	}
	at := reaches(spans)
	for i, p := 0, 0; p < len(text); {
		for i+1 < len(at) && at[i+1].start <= p {
			i++
		}
		node := tr.longest(text[p:], at[i].at(p), class)
		if node < 0 {
			p++
			continue
		}
		end := p + int(tr.nodes[node].depth)
		found = append(found, match{p, end, tr.nodes[node].id})
		p = end
	}
	return found
}

// candidate orders the matches that are tried: the longest first, then by place.
func (tr *trie) candidate(pos int, node int32) entry {
	return entry{key: uint64(limits.SpecialTokenBytes.Int()-int(tr.nodes[node].depth))<<48 | uint64(pos), id: node}
}

// candidates finds at each place the longest token that may arise there.
func (tr *trie) candidates(text string, at reachList, class []class) heap {
	var found heap
	for i, r := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1].start
		}
		for p := r.start; p < end; p++ {
			if node := tr.longest(text[p:], r.at(p), class); node >= 0 {
				found = append(found, tr.candidate(p, node))
			}
		}
	}
	found.init()
	return found
}

// longest walks from the beginning of text and gives the last node at which a token ends that may
// arise, or -1.
func (tr *trie) longest(text string, lim room, class []class) int32 {
	best, at := int32(-1), int32(0)
	for i := range len(text) {
		if at = tr.child(at, text[i]); at < 0 {
			break
		}
		if n := &tr.nodes[at]; n.id >= 0 && lim.allows(class[n.id], i+1) {
			best = at
		}
	}
	return best
}

// shorter gives the longest token above a node, at most n bytes long, that may arise; or -1.
func (tr *trie) shorter(node int32, n int, lim room, class []class) int32 {
	for node >= 0 {
		x := &tr.nodes[node]
		if int(x.depth) <= n && lim.allows(class[x.id], int(x.depth)) {
			return node
		}
		node = x.short
	}
	return -1
}

// A reach says up to which byte a stretch of text, with what follows it, allows control tokens and
// reply marks. Its end is the next one's start.
type reach struct{ start, controlEnd, replyEnd int }

type reachList []reach

func (l reachList) from(pos int) room {
	i, ok := slices.BinarySearchFunc(l, pos, func(r reach, pos int) int { return cmp.Compare(r.start, pos) })
	if !ok {
		i--
	}
	return l[i].at(pos)
}

// reaches follows the spans; empty ones divide nothing.
func reaches(spans []Span) reachList {
	var l reachList
	at := 0
	for _, s := range spans {
		if s.Text == "" {
			continue
		}
		l = append(l, reach{start: at})
		end := at + len(s.Text)
		r := &l[len(l)-1]
		if s.Control {
			r.controlEnd = end
		}
		if s.Control || s.Marks {
			r.replyEnd = end
		}
		at = end
	}
	for i := len(l) - 2; i >= 0; i-- {
		r, next := &l[i], l[i+1]
		if r.controlEnd == next.start && next.controlEnd > 0 {
			r.controlEnd = next.controlEnd
		}
		if r.replyEnd == next.start && next.replyEnd > 0 {
			r.replyEnd = next.replyEnd
		}
	}
	return l
}

func (r reach) at(pos int) room { return room{r.controlEnd - pos, r.replyEnd - pos} }

// room is how many bytes from a place on may be part of a control token, or of a reply mark.
type room struct{ control, reply int }

// allows reports whether a token of this class and length may arise.
func (r room) allows(c class, n int) bool {
	switch c {
	case control:
		return n <= r.control
	case reply:
		return n <= r.reply
	}
	return true
}
