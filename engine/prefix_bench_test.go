package engine

import (
	"fmt"
	"slices"
	"testing"
)

// A nullCache has no keys and values.
type nullCache struct {
	length int
}

type nullBlock struct{}

func (nullBlock) Release()                {}
func (nullBlock) Thick() bool             { return true }
func (nullBlock) Thin()                   {}
func (nullBlock) Thicken(block)           {}
func (c *nullCache) Len() int             { return c.length }
func (c *nullCache) Behind(n int) int     { return n }
func (c *nullCache) Truncate(n int)       { c.length = min(c.length, n) }
func (c *nullCache) Block(int) block      { return nullBlock{} }
func (c *nullCache) Adopt(i int, _ block) { c.length = max(c.length, (i+1)*blockTokens) }
func (c *nullCache) Release()             {}
func (c *nullCache) State() state         { return nil }
func (c *nullCache) GoOn(state)           {}

// What a turn costs besides the model, as chats get longer and others branch off
// from the same beginning: to find 64 tokens fewer than the whole, and to keep the
// whole.
func BenchmarkATurn(b *testing.B) {
	for _, length := range []int{1_000, 10_000, 100_000} {
		for _, branches := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("tokens=%d/branches=%d", length, branches), func(b *testing.B) {
				p := &prefixes{}
				chat := prompt(length, 1)
				keep := func(tokens []int32) {
					c := &nullCache{}
					t := p.newTable(c, "", len(tokens))
					t.adopt(tokens)
					if n, m := t.last().nearest(tokens[t.Len():]); m > 0 {
						t.share(n.block, m)
					}
					c.length = len(tokens)
					t.end(tokens)
				}
				for i := range int32(branches) {
					keep(append(slices.Clone(chat[:length/2]), i, i, i))
				}
				keep(chat)
				for b.Loop() {
					c := &nullCache{}
					t := p.newTable(c, "", len(chat))
					t.adopt(chat[:len(chat)-64])
					t.last().nearest(chat[t.Len() : len(chat)-64])
					c.length = len(chat)
					t.end(chat)
				}
			})
		}
	}
}
