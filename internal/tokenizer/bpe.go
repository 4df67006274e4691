package tokenizer

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// alphabet is how byte-level vocabularies write bytes: printable ones as themselves, the rest as
// the characters from U+0100 on. It was published with GPT-2.
var alphabet = func() (a struct {
	char [256]rune
	byte map[rune]byte
}) {
	a.byte = make(map[rune]byte, 256)
	next := rune(256)
	for b := range 256 {
		c := rune(b)
		printable := b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae
		if !printable {
			c = next
			next++
		}
		a.char[b], a.byte[c] = c, byte(b)
	}
	return a
}()

// unbyte gives the bytes that a token's text in the byte alphabet stands for.
func unbyte(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		x, ok := alphabet.byte[r]
		if !ok {
			return "", false
		}
		b = append(b, x)
	}
	return string(b), true
}

// bytePieces gives the bytes that each token stands for.
func bytePieces(v *Vocab) []string {
	pieces := make([]string, len(v.Tokens))
	for id, s := range v.Tokens {
		pieces[id] = s
		typ := v.typeOf(id)
		plain := typ != UserDefined && typ != Control && typ != Unknown // those are written as they are
		if b, ok := unbyte(s); ok && (plain || len(b) == 1 && typ != UserDefined) {
			pieces[id] = b
		}
	}
	return pieces
}

// bpe merges the bytes of each word in the order of a list of pairs. A symbol is known by the id
// of its token; what merges name and is no token has an id beyond the vocabulary.
type bpe struct {
	words   splitter
	tokens  int              // ids below are tokens
	ids     map[string]int32 // by the bytes that they stand for
	pairs   map[uint64]merged
	bytes   [256]int32
	whole   bool // a word that is a token is that token
	mergers sync.Pool
}

type merged struct {
	id   int32
	rank uint32
}

func newBPE(v *Vocab) (*bpe, error) {
	words, err := splitterOf(v)
	if err != nil {
		return nil, err
	}
	m := &bpe{
		words: words, tokens: len(v.Tokens), whole: v.IgnoreMerges,
		ids: make(map[string]int32, len(v.Tokens)), pairs: make(map[uint64]merged, len(v.Merges)),
	}
	m.mergers.New = func() any { return new(merger) }
	for id, s := range v.Tokens {
		if b, ok := unbyte(s); ok && b != "" {
			m.ids[b] = int32(id) // unique, since texts are and the alphabet is one to one
		}
	}
	extra := map[string]int32{}
	intern := func(b string) int32 {
		if id, ok := m.ids[b]; ok {
			return id
		}
		id, ok := extra[b]
		if !ok {
			id = int32(m.tokens + len(extra))
			extra[b] = id
		}
		return id
	}
	for b := range m.bytes {
		m.bytes[b] = intern(string([]byte{byte(b)}))
		inUTF8 := b != 0xc0 && b != 0xc1 && b < 0xf5
		if v.HF != nil && inUTF8 && int(m.bytes[b]) >= m.tokens {
			return nil, fmt.Errorf("the vocabulary has no token for byte %d", b)
		}
	}
	for rank, s := range v.Merges {
		_, n := utf8.DecodeRuneInString(s) // a pair's first half is at least one character
		i := strings.IndexByte(s[n:], ' ')
		if i < 0 {
			return nil, fmt.Errorf("merge %d, %q, is not a pair", rank, s)
		}
		left, ok1 := unbyte(s[:n+i])
		right, ok2 := unbyte(s[n+i+1:])
		if !ok1 || !ok2 || right == "" {
			continue // no text has these characters
		}
		key := uint64(intern(left))<<32 | uint64(intern(right))
		if _, ok := m.pairs[key]; !ok {
			m.pairs[key] = merged{intern(left + right), uint32(rank)}
		}
	}
	return m, nil
}

func (m *bpe) encode(out []Token, text string, base int, class []class, _ bool) []Token {
	g := m.mergers.Get().(*merger)
	defer m.mergers.Put(g)
	c := newChars(text)
	at := 0
	for _, end := range split(c, m.words) {
		to := c.offset(end)
		out = m.word(out, g, text[at:to], base+at, class)
		at = to
	}
	return out
}

// word tokenises one word.
func (m *bpe) word(out []Token, g *merger, word string, base int, class []class) []Token {
	usable := func(id int32) bool { return int(id) >= m.tokens || class[id] == free }
	if m.whole {
		if id, ok := m.ids[word]; ok && usable(id) {
			return append(out, Token{ID: int(id), Start: base, End: base + len(word)})
		}
	}
	g.reset()
	for i := range len(word) {
		g.add(int32(i), 1, m.bytes[word[i]])
	}
	g.run(func(l, r *symbol) (int32, uint32, bool) {
		p, ok := m.pairs[uint64(l.id)<<32|uint64(r.id)]
		return p.id, p.rank, ok && usable(p.id)
	})
	for i := int32(0); i >= 0; i = g.symbols[i].next {
		s := &g.symbols[i]
		start := base + int(s.at)
		if int(s.id) < m.tokens && usable(s.id) {
			out = append(out, Token{ID: int(s.id), Start: start, End: start + int(s.n)})
			continue
		}
		for j := range int(s.n) { // no token: byte by byte
			id := m.bytes[word[int(s.at)+j]]
			if int(id) < m.tokens && usable(id) {
				out = append(out, Token{ID: int(id), Start: start + j, End: start + j + 1})
			}
		}
	}
	return out
}
