package grammar

import (
	"sort"
	"unicode/utf8"
)

// A Vocabulary is the tokens that a text is written in, prepared for masks. It
// is immutable.
//
// Most tokens are of ordinary characters only, or of some and an end like `",`.
// Inside of a string, where one ordinary character is as good as the other,
// tokens are told apart by their ends alone, and there are few of those.
type Vocabulary struct {
	size   int
	all    trie
	behind [mostOrdinary + 1]trie // by the number of ordinary characters that tokens begin with: what comes behind them
	longer trie                   // tokens that begin with more
	ends   trie                   // what comes behind ordinary characters, one at least
	only   Mask                   // tokens of nothing but ordinary characters
}

// mostOrdinary is how many ordinary characters are counted.
const mostOrdinary = 16

// ordinary are characters that in the usual grammars of strings are not told
// apart.
var ordinary = class{{0, 0x1f}, {'"', '"'}, {'\\', '\\'}, {0x7f, 0x7f}, {0xd800, 0xdfff}}.not()

// NewVocabulary prepares the tokens of a model: texts[id] is the bytes that a
// token stands for. Tokens without a text never may come.
func NewVocabulary(texts []string) *Vocabulary {
	v := &Vocabulary{size: len(texts), only: make(Mask, (len(texts)+63)/64)}
	var all, longer, ends []piece
	var behind [mostOrdinary + 1][]piece
	for id, s := range texts {
		if s == "" {
			continue
		}
		p := piece{s, int32(id)}
		all = append(all, p)
		n, rest := head(s)
		if n > mostOrdinary {
			longer = append(longer, p)
		} else {
			behind[n] = append(behind[n], piece{rest, p.id})
		}
		if n > 0 {
			ends = append(ends, piece{rest, p.id})
		}
	}
	v.all, v.longer, v.ends = newTrie(all), newTrie(longer), newTrie(ends)
	for n := range behind {
		v.behind[n] = newTrie(behind[n])
	}
	v.only.add(v.ends.empty)
	return v
}

// head counts the ordinary characters that a text begins with.
func head(s string) (n int, rest string) {
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 || !ordinary.has(r) {
			break
		}
		n, s = n+1, s[size:]
	}
	return n, s
}

// A trie is texts of tokens.
type trie struct {
	nodes []trieNode // in the order of their texts, each before those that begin with it
	ids   []int32    // tokens, those of one node side by side
	empty []int32    // tokens without a text
	depth int32      // bytes of the longest
}

type trieNode struct {
	label byte
	depth int32 // from 1
	deep  int32 // bytes of the longest token that begins with this one's text
	end   int32 // the first node that does not begin with this one's text
	from  int32 // its tokens in ids
	to    int32
}

// A piece is a token's text, or the rest of it.
type piece struct {
	text string
	id   int32
}

func newTrie(pieces []piece) trie {
	sort.SliceStable(pieces, func(i, j int) bool { return pieces[i].text < pieces[j].text })
	var t trie
	var path []int32 // the node at each depth
	before := ""
	for _, p := range pieces {
		if p.text == "" {
			t.empty = append(t.empty, p.id)
			continue
		}
		s := p.text
		common := 0
		for common < min(len(s), len(before)) && s[common] == before[common] {
			common++
		}
		for len(path) > common {
			t.nodes[path[len(path)-1]].end = int32(len(t.nodes))
			path = path[:len(path)-1]
		}
		for _, n := range path {
			t.nodes[n].deep = max(t.nodes[n].deep, int32(len(s)))
		}
		for i := common; i < len(s); i++ {
			path = append(path, int32(len(t.nodes)))
			t.depth = max(t.depth, int32(i+1))
			n := int32(len(t.ids))
			t.nodes = append(t.nodes, trieNode{label: s[i], depth: int32(i + 1), deep: int32(len(s)), from: n, to: n})
		}
		t.ids = append(t.ids, p.id)
		t.nodes[path[len(path)-1]].to = int32(len(t.ids))
		before = s
	}
	for _, n := range path {
		t.nodes[n].end = int32(len(t.nodes))
	}
	return t
}

// of are the tokens of a node.
func (t *trie) of(n int32) []int32 { return t.ids[t.nodes[n].from:t.nodes[n].to] }

// from are the tokens that begin with a node's text.
func (t *trie) from(n int32) []int32 {
	last := int32(len(t.ids))
	if end := t.nodes[n].end; end < int32(len(t.nodes)) {
		last = t.nodes[end].from
	}
	return t.ids[t.nodes[n].from:last]
}
