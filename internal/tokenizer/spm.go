package tokenizer

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode/utf8"
)

const spaceMark = "▁" // how SentencePiece writes a space

// spm merges characters to the tokens of the highest score, or in the order of a list of pairs.
type spm struct {
	ids     map[string]int32
	ranks   []uint32          // by id: the score, so that smaller is better
	longest int               // bytes of the longest token
	bytes   [256]int32        // the token of a byte, or the unknown token, or -1
	pairs   map[uint64]merged // nil: scores decide
	lines   bool              // line ends do not merge with anything else, and as many as are a token are that token
	prefix  func(text string, base int, first bool) bool
	mergers sync.Pool
}

func newSPM(v *Vocab, ids map[string]int32) (*spm, error) {
	m := &spm{ids: ids, prefix: prefixOf(v), lines: v.Model == "gemma4"}
	m.mergers.New = func() any { return new(merger) }
	for _, s := range v.Tokens {
		m.longest = max(m.longest, len(s))
	}
	if v.HF != nil || v.Model == "gemma4" {
		var err error
		if m.pairs, err = pairsOf(v.Merges, ids); err != nil {
			return nil, err
		}
	} else {
		m.ranks = make([]uint32, len(v.Tokens))
		for id, score := range v.Scores {
			m.ranks[id] = rankOf(score)
		}
	}
	unknown := int32(-1)
	if v.UNK >= 0 && v.typeOf(v.UNK) == Unknown && v.UNK != v.EOS {
		unknown = int32(v.UNK)
	}
	for b := range m.bytes {
		id, ok := ids[fmt.Sprintf("<0x%02X>", b)]
		if !ok {
			id, ok = ids[string([]byte{byte(b)})]
		}
		if !ok {
			id = unknown
		}
		m.bytes[b] = id
	}
	return m, nil
}

// prefixOf says before which text a space is put: all that begins the prompt or follows a special
// token, or as HF has it.
func prefixOf(v *Vocab) func(text string, base int, first bool) bool {
	return func(text string, base int, first bool) bool {
		switch {
		case !v.AddSpacePrefix || !first || v.Model == "gemma4":
			return false
		case v.HF == nil:
			return true
		case v.HF.PrefixOnce && base > 0:
			return false
		}
		return !v.HF.PrefixUnlessSpace || !strings.HasPrefix(text, " ") && !strings.HasPrefix(text, spaceMark)
	}
}

// pairsOf is a list of merges by the ids of their halves.
func pairsOf(merges []string, ids map[string]int32) (map[uint64]merged, error) {
	pairs := make(map[uint64]merged, len(merges))
	for rank, s := range merges {
		l, r, ok := strings.Cut(s, " ")
		left, ok1 := ids[l]
		right, ok2 := ids[r]
		whole, ok3 := ids[l+r]
		if !ok || !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("merge %d, %q, is not a pair of tokens that make a token", rank, s)
		}
		key := uint64(left)<<32 | uint64(right)
		if _, ok := pairs[key]; !ok {
			pairs[key] = merged{whole, uint32(rank)}
		}
	}
	return pairs, nil
}

// rankOf maps scores to integers so that a higher score is a smaller integer.
func rankOf(score float32) uint32 {
	b := math.Float32bits(score + 0) // -0 becomes 0
	if b>>31 == 0 {
		return ^(b | 1<<31)
	}
	return b
}

func (m *spm) encode(out []Token, text string, base int, class []class, first bool) []Token {
	g := m.mergers.Get().(*merger)
	defer m.mergers.Put(g)
	g.reset()
	added := 0
	if m.prefix(text, base, first) {
		text = " " + text
		added = 1
	}
	// Offsets in the escaped text become offsets in the original one: each ▁ that was a space is
	// two bytes longer.
	escaped := strings.ReplaceAll(text, " ", spaceMark)
	for at := 0; at < len(escaped); {
		_, n := utf8.DecodeRuneInString(escaped[at:])
		if m.lines && (at == 0 || escaped[at-1] != '\n') {
			n = max(n, m.lineEnds(escaped[at:], class))
		}
		id := int32(-1)
		if m.pairs != nil {
			if x, ok := m.ids[escaped[at:at+n]]; ok && class[x] == free {
				id = x
			}
		}
		g.add(int32(at), int32(n), id)
		at += n
	}
	lookup := func(at, n int32) (int32, bool) {
		if int(n) > m.longest {
			return 0, false
		}
		id, ok := m.ids[escaped[at:at+n]]
		return id, ok && class[id] == free
	}
	g.run(func(l, r *symbol) (int32, uint32, bool) {
		if m.pairs != nil {
			if l.id < 0 || r.id < 0 {
				return 0, 0, false
			}
			if m.lines && (escaped[l.at] == '\n') != (escaped[r.at] == '\n') {
				return 0, 0, false
			}
			p, ok := m.pairs[uint64(l.id)<<32|uint64(r.id)]
			return p.id, p.rank, ok && class[p.id] == free
		}
		id, ok := lookup(l.at, l.n+r.n)
		if !ok {
			return 0, 0, false
		}
		return id, m.ranks[id], true
	})
	start := base // in the original text, of the symbol
	from := 0     // in the text with the added space
	for i := int32(0); i >= 0; i = g.symbols[i].next {
		s := &g.symbols[i]
		piece := escaped[s.at : s.at+s.n]
		from = originalEnd(text, from, piece)
		end := base + max(from-added, 0)
		if id, ok := lookup(s.at, s.n); ok {
			out = append(out, Token{ID: int(id), Start: start, End: end})
		} else {
			out = m.spell(out, piece, start, end)
		}
		start = end
	}
	return out
}

// lineEnds is the length of all line ends that a text begins with, if they are a token
// that may arise; otherwise 0.
func (m *spm) lineEnds(text string, class []class) int {
	n := len(text) - len(strings.TrimLeft(text, "\n"))
	if n > m.longest {
		return 0
	}
	if id, ok := m.ids[text[:n]]; !ok || class[id] != free {
		return 0
	}
	return n
}

// originalEnd walks over the characters of an escaped piece in the text that it was made from.
func originalEnd(text string, from int, piece string) int {
	for len(piece) > 0 {
		_, n := utf8.DecodeRuneInString(piece)
		if strings.HasPrefix(piece, spaceMark) && text[from] == ' ' {
			from++
		} else {
			from += n
		}
		piece = piece[n:]
	}
	return from
}

// spell writes a piece that is no token byte by byte.
func (m *spm) spell(out []Token, piece string, start, end int) []Token {
	for i := range len(piece) {
		id := m.bytes[piece[i]]
		if id < 0 {
			continue
		}
		at := min(start+i, end)
		next := min(at+1, end)
		if i == len(piece)-1 {
			next = end
		}
		out = append(out, Token{ID: int(id), Start: at, End: next})
	}
	return out
}

// spacePieces gives the bytes that each token stands for.
func spacePieces(v *Vocab) []string {
	pieces := make([]string, len(v.Tokens))
	for id, s := range v.Tokens {
		var b byte
		switch v.typeOf(id) {
		case Byte:
			if _, err := fmt.Sscanf(s, "<0x%02X>", &b); err == nil && len(s) == 6 {
				s = string([]byte{b})
			}
		case Normal, Unused:
			s = strings.ReplaceAll(s, spaceMark, " ")
		}
		pieces[id] = s
	}
	return pieces
}
