package tokenizer

import (
	"fmt"
	"strconv"
	"strings"

	"parley/internal/limits"
)

// rwkv takes at each place the longest token that the text goes on with: the tokenizer of RWKV's World
// models, whose vocabulary of bytes is published with them (BlinkDL/RWKV-LM, RWKV-v5/tokenizer).
type rwkv struct {
	tokens  *trie
	unknown int32 // or -1
}

// rwkvEnd is what the published tokenizer calls token 0, which ends texts and begins them. Files have
// another name for it, while their chat templates may write this one.
const rwkvEnd = "<|rwkv_tokenizer_end_of_text|>"

func newRWKV(v *Vocab, pieces []string) (*rwkv, error) {
	m := &rwkv{tokens: newTrie(), unknown: int32(v.UNK)}
	for id, piece := range pieces {
		if err := limits.SpecialTokenBytes.CheckInt(len(piece)); err != nil {
			return nil, fmt.Errorf("token %d has %d bytes: %w", id, len(piece), err)
		}
		if v.typeOf(id) != Unused { // what only fills a vocabulary up
			m.tokens.add(piece, int32(id))
		}
	}
	return m, nil
}

func (m *rwkv) encode(out []Token, text string, base int, class []class, _ bool) []Token {
	for at := 0; at < len(text); {
		id, n := m.unknown, 1
		if node := m.tokens.longest(text[at:], room{}, class); node >= 0 {
			found := &m.tokens.nodes[node]
			id, n = found.id, int(found.depth)
		}
		if id >= 0 {
			out = append(out, Token{ID: int(id), Start: base + at, End: base + at + n})
		}
		at += n
	}
	return out
}

// rwkvPieces gives the bytes that each token stands for. In a file tokens are written as Python writes
// bytes: what is not a character of ASCII with an escape.
func rwkvPieces(v *Vocab) ([]string, error) {
	pieces := make([]string, len(v.Tokens))
	for id, s := range v.Tokens {
		if !strings.Contains(s, `\`) {
			pieces[id] = s
			continue
		}
		var b strings.Builder
		for rest := s; rest != ""; {
			c := rest[0]
			if rest = rest[1:]; c != '\\' {
				b.WriteByte(c)
				continue
			}
			if rest == "" {
				return nil, fmt.Errorf("token %d, %q, ends within an escape", id, s)
			}
			c, rest = rest[0], rest[1:]
			switch c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			case 'x':
				n, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
				if err != nil || len(rest) < 2 {
					return nil, fmt.Errorf("token %d, %q, has an escape \\x without two hexadecimal digits", id, s)
				}
				c, rest = byte(n), rest[2:]
			}
			b.WriteByte(c)
		}
		pieces[id] = b.String()
	}
	return pieces, nil
}
