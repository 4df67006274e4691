// Package textmatch finds strings in text that arrives in pieces.
//
// A [Scanner] passes text through as early as it can and reports the first
// occurrence of any string of its [Set]: the earliest start wins, at the same
// start the longest string. It holds back no more than the longest suffix of
// the text that is a proper prefix of some string, and its answers do not
// depend on how the text was divided. A [Cutter] ends a text before the first
// one, a [LoopGuard] notices a text that only repeats itself.
package textmatch

import (
	"slices"
	"strings"
)

// A Set is a number of strings, prepared to be found together (Aho and
// Corasick, 1975). It is immutable and may be shared by goroutines. It takes
// about 20 bytes of memory for each byte of the strings.
type Set struct {
	strings []string

	// The nodes of the trie in breadth-first order; 0 is the root. Since a
	// node's children are made one after the other, they are the nodes from
	// first[u] to first[u+1], in the order of their labels.
	label []byte
	first []int32
	fail  []int32 // the node of the longest proper suffix that is in the trie
	found []int32 // the longest string that ends here, an index of strings; -1: none
	live  []int32 // length of the longest suffix that may grow into a string
	long  []int32 // depth: length of the node's own string

	root [256]int32 // children of the root; 0: none
}

// New prepares strings. Empty ones are left out, of equal ones the first
// counts. It takes time and memory in proportion to their total length.
func New(strs ...string) *Set {
	s := &Set{strings: slices.Clone(strs)}
	order := make([]int32, 0, len(strs))
	for i, str := range strs {
		if str != "" {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return strings.Compare(strs[a], strs[b]) })
	order = slices.CompactFunc(order, func(a, b int32) bool { return strs[a] == strs[b] })
	s.build(order)
	return s
}

// A span is the run of sorted strings that begin with a node's string.
type span struct{ from, to int32 }

func (s *Set) build(order []int32) {
	spans := []span{{0, int32(len(order))}}
	s.add(0, 0, 0)
	for u := int32(0); int(u) < len(spans); u++ {
		depth, sp := s.long[u], spans[u]
		s.first = append(s.first, int32(len(spans)))
		if sp.from < sp.to && len(s.strings[order[sp.from]]) == int(depth) && u > 0 {
			s.found[u] = order[sp.from] // the shortest comes first in sorted order
			sp.from++
		} else if u > 0 {
			s.found[u] = s.found[s.fail[u]]
		}
		for sp.from < sp.to {
			c := s.strings[order[sp.from]][depth]
			end := sp.from + 1
			for end < sp.to && s.strings[order[end]][depth] == c {
				end++
			}
			child := int32(len(spans))
			fail := int32(0)
			if u > 0 {
				fail = s.next(s.fail[u], c)
			} else {
				s.root[c] = child
			}
			s.add(c, fail, depth+1)
			spans = append(spans, span{sp.from, end})
			sp.from = end
		}
	}
	s.first = append(s.first, int32(len(spans)))
	s.live = make([]int32, len(spans))
	for u := 1; u < len(spans); u++ {
		if s.first[u] < s.first[u+1] {
			s.live[u] = s.long[u]
		} else {
			s.live[u] = s.live[s.fail[u]]
		}
	}
}

func (s *Set) add(c byte, fail, depth int32) {
	s.label = append(s.label, c)
	s.fail = append(s.fail, fail)
	s.found = append(s.found, -1)
	s.long = append(s.long, depth)
}

// next is the node of the longest suffix of u's string and c that is in the
// trie.
func (s *Set) next(u int32, c byte) int32 {
	for u != 0 {
		from, to := s.first[u], s.first[u+1]
		if to-from == 1 {
			if s.label[from] == c {
				return from
			}
		} else if i, ok := slices.BinarySearch(s.label[from:to], c); ok {
			return from + int32(i)
		}
		u = s.fail[u]
	}
	return s.root[c]
}

// Empty reports whether there is nothing to find.
func (s *Set) Empty() bool { return len(s.label) == 1 }

// A Match is an occurrence of a string.
type Match struct {
	Index int // which string, an index of the arguments of New
	Text  string
}

// NewScanner begins a text.
func (s *Set) NewScanner() *Scanner { return &Scanner{set: s} }

// A Scanner reads one text. It is not for several goroutines at once.
//
// It takes time in proportion to the text up to a match; the bytes held back
// behind a match, fewer than the longest string has, are read once more.
type Scanner struct {
	set  *Set
	buf  []byte // text from off on has not been passed on
	off  int
	pos  int   // text up to pos has been read
	node int32 // after reading up to pos

	match int32 // the best string found so far, -1 or 0 with end == 0: none
	start int   // where it begins and ends
	end   int
}

// Clone makes a scanner that goes on from the same place.
func (sc *Scanner) Clone() *Scanner {
	c := *sc
	c.buf = slices.Clone(sc.buf)
	return &c
}

// Feed reads the next piece of the text and gives the text that can be passed
// on. If a string was found, match tells which, safe is the text before it,
// and the text behind it is kept: it comes with further calls, so call
// Feed("") until match is nil.
func (sc *Scanner) Feed(text string) (safe string, match *Match) {
	sc.buf = append(sc.buf, text...)
	s := sc.set
	for sc.pos < len(sc.buf) {
		sc.node = s.next(sc.node, sc.buf[sc.pos])
		sc.pos++
		sc.consider()
		if sc.end > 0 && sc.pos-int(s.live[sc.node]) > sc.start {
			return sc.take()
		}
	}
	return sc.pass(sc.pos - int(s.live[sc.node])), nil
}

// consider takes note of the longest string that ends at pos. It begins before
// all others that end there.
func (sc *Scanner) consider() {
	i := sc.set.found[sc.node]
	if i < 0 {
		return
	}
	start := sc.pos - len(sc.set.strings[i])
	if sc.end == 0 || start <= sc.start {
		sc.match, sc.start, sc.end = i, start, sc.pos
	}
}

// take ends the search at the best string found and goes back to its end.
func (sc *Scanner) take() (string, *Match) {
	m := &Match{Index: int(sc.match), Text: sc.set.strings[sc.match]}
	end := sc.end
	sc.node, sc.end = 0, 0
	safe := string(sc.buf[sc.off:sc.start])
	sc.off, sc.pos = end, end
	sc.compact()
	return safe, m
}

// pass gives the text up to end away.
func (sc *Scanner) pass(end int) string {
	safe := string(sc.buf[sc.off:end])
	sc.off = end
	sc.compact()
	return safe
}

// compact drops what was passed on, once that is most of the buffer, so that
// each byte is moved a bounded number of times.
func (sc *Scanner) compact() {
	if sc.off < len(sc.buf)-sc.off {
		return
	}
	n := copy(sc.buf, sc.buf[sc.off:])
	sc.buf = sc.buf[:n]
	sc.pos -= sc.off
	if sc.end > 0 {
		sc.start -= sc.off
		sc.end -= sc.off
	}
	sc.off = 0
}

// Flush says that the text has ended. Like Feed it gives text or a match; call
// it until match is nil. The scanner is then ready for another text.
func (sc *Scanner) Flush() (safe string, match *Match) {
	if safe, match = sc.Feed(""); match != nil {
		return safe, match
	}
	if sc.end > 0 {
		rest, match := sc.take()
		return safe + rest, match
	}
	safe += string(sc.buf[sc.off:])
	*sc = Scanner{set: sc.set, buf: sc.buf[:0]}
	return safe, nil
}

// Held is the number of bytes that have been fed and not been passed on.
func (sc *Scanner) Held() int { return len(sc.buf) - sc.off }
