package engine

import (
	"parley/internal/transformer"
)

// A transformerModel is a transformer as the loop wants it.
type transformerModel struct {
	*transformer.Model
	size int // of the vocabulary; the file may have rows behind it that mean nothing

	steps []transformer.Step
}

func (m *transformerModel) NewCache() cache             { return &kvCache{m.NewKV()} }
func (m *transformerModel) CacheBytes(tokens int) int64 { return m.KVBytes(tokens) }
func (m *transformerModel) CacheUsed() int64            { return m.KVUsed() }
func (m *transformerModel) Enough() int                 { return m.EnoughTokens() }

func (m *transformerModel) Forward(steps []step) error {
	m.steps = m.steps[:0]
	for _, s := range steps {
		want := transformer.None
		switch {
		case s.scores, s.all:
			want = transformer.All
		case s.see != nil:
			want = transformer.States
		case s.want:
			want = transformer.Last
		}
		m.steps = append(m.steps, transformer.Step{KV: s.cache.(*kvCache).KV, Tokens: s.tokens, Logits: want})
	}
	rows, err := m.Model.Forward(m.steps)
	if err != nil {
		return err
	}
	for i := range steps {
		switch s := &steps[i]; {
		case s.see != nil:
			for _, x := range rows[:len(s.tokens)] {
				if s.scores {
					x = x[:m.size]
				}
				s.see(x)
			}
			rows = rows[len(s.tokens):]
		case s.all:
			s.rows = s.rows[:0]
			for _, x := range rows[:len(s.tokens)] {
				s.rows = append(s.rows, x[:m.size])
			}
			rows = rows[len(s.tokens):]
		case s.want:
			s.logits, rows = rows[0][:m.size], rows[1:]
		}
	}
	return nil
}

// errLeft is what Forward says when nobody wanted it to go on.
var errLeft = transformer.ErrLeft

type kvCache struct{ *transformer.KV }

func (c *kvCache) Block(i int) block    { return &kvBlock{c.KV.Block(i)} }
func (c *kvCache) State() state         { return c.KV.State() }
func (c *kvCache) GoOn(s state)         { c.KV.GoOn(s.(*transformer.State)) }
func (c *kvCache) Adopt(i int, b block) { c.KV.Adopt(i, b.(*kvBlock).Block) }

// A kvBlock is a block of a kvCache.
type kvBlock struct{ *transformer.Block }

func (b *kvBlock) Thicken(of block) { b.Block.Thicken(of.(*kvBlock).Block) }
