package engine

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/llm"
)

// fakeModel is a model whose logits are a function of all tokens read so far.
// Whatever confuses caches, chunks or neighbours changes its output.
type fakeModel struct {
	size   int                       // of the vocabulary
	before func(batch []step)        // called by each Forward
	cost   time.Duration             // of each token, under a synctest clock
	reads  int                       // tokens read
	runs   bool                      // caches cannot go on behind any token
	states bool                      // they go on only with a state
	window int                       // tokens that some layers see; 0: all see all
	chunks bool                      // they see those of chunks of so many
	blocks int                       // in use
	most   int                       // of them at a time
	pages  int                       // in use, of layers that see a window
	begun  int                       // caches that have read something and are in use; counted where they run
	bytes  int64                     // the most in use at a time
	faults int                       // panics of NewCache to come
	bad    func(tokens []int32) bool // where the logits are NaN
}

const (
	fakeBytes = 10  // of a token's keys and values
	fakeBegun = 100 // of a cache besides, where caches cannot go on behind any token
)

// A fakeBlock tells when it is used after its release, or behind other tokens
// than those behind which it was computed.
type fakeBlock struct {
	model  *fakeModel
	before []int32
	tokens []int32
	users  int
}

func (b *fakeBlock) use() *fakeBlock {
	if b.users < 1 {
		panic("a block is used that was released")
	}
	b.users++
	return b
}

func (b *fakeBlock) Release() {
	if b.users--; b.users < 0 {
		panic("a block is released twice")
	}
	if b.users == 0 {
		b.model.blocks--
		b.tokens = nil
	}
}

// A fakePage is what layers that see a window have of a block.
type fakePage struct {
	model *fakeModel
	users int
}

func (p *fakePage) use() *fakePage {
	if p != nil {
		p.users++
	}
	return p
}

func (p *fakePage) release() {
	if p == nil {
		return
	}
	if p.users--; p.users < 0 {
		panic("a page is released twice")
	}
	if p.users == 0 {
		p.model.pages--
	}
}

// A fakeRef refers to a block as far as it was filled.
type fakeRef struct {
	*fakeBlock
	held int
	page *fakePage
}

func (r *fakeRef) Release() {
	r.Thin()
	r.fakeBlock.Release()
}

func (r *fakeRef) Thick() bool { return r.model.window == 0 || r.page != nil }

func (r *fakeRef) Thin() {
	r.page.release()
	r.page = nil
}

func (r *fakeRef) Thicken(of block) {
	page := of.(*fakeRef).page.use()
	r.Thin()
	r.page = page
}

// pageOf makes one, where there are windows.
func (m *fakeModel) pageOf() *fakePage {
	if m.window == 0 {
		return nil
	}
	m.pages++
	m.bytes = max(m.bytes, m.CacheUsed())
	return &fakePage{m, 1}
}

func (m *fakeModel) block(before, tokens []int32) *fakeBlock {
	m.blocks++
	m.most = max(m.most, m.blocks)
	m.bytes = max(m.bytes, m.CacheUsed())
	return &fakeBlock{m, before, slices.Clone(tokens), 1}
}

// A fakeCache shares blocks as the keys and values of a transformer do.
type fakeCache struct {
	model  *fakeModel
	blocks []*fakeBlock
	pages  []*fakePage // of each block; nil: no window reaches into it any more
	length int
	begun  bool
	since  int // where a model runs: it can go on behind so many tokens and more
	state  *fakeState
}

// A fakeState tells when it is used after its release, or behind other tokens.
type fakeState struct {
	model  *fakeModel
	tokens []int32
	users  int
}

func (s *fakeState) Release() {
	if s.users--; s.users < 0 {
		panic("a state is released twice")
	}
	if s.users == 0 {
		s.model.begun--
	}
}

func (c *fakeCache) State() state {
	if !c.model.states || c.state == nil || !slices.Equal(c.state.tokens, c.tokens()) {
		panic("there is no state here")
	}
	c.state.users++
	return c.state
}

func (c *fakeCache) GoOn(of state) {
	s := of.(*fakeState)
	if s.users < 1 || len(s.tokens) > c.length || !slices.Equal(c.tokens()[:len(s.tokens)], s.tokens) {
		panic("a state of other tokens")
	}
	s.users++
	if c.state != nil {
		c.state.Release()
	}
	c.state = s
	c.Truncate(len(s.tokens))
}

// ownState makes the state that of all that was read.
func (c *fakeCache) ownState(before []int32) {
	if c.state == nil && len(before) > 0 || c.state != nil && !slices.Equal(c.state.tokens, before) {
		panic("a sequence goes on without its state")
	}
	if c.state != nil && c.state.users == 1 {
		return
	}
	if c.state != nil {
		c.state.Release()
	}
	c.model.begun++
	c.state = &fakeState{c.model, before, 1}
	c.model.bytes = max(c.model.bytes, c.model.CacheUsed())
}

func (c *fakeCache) Len() int { return c.length }

// sees reports whether all is there that the layers look at behind n tokens.
func (c *fakeCache) sees(n int) bool {
	for i := c.model.WindowFirst(n) / blockTokens; c.model.window > 0 && i*blockTokens < n; i++ {
		if c.pages[i] == nil {
			return false
		}
	}
	return true
}

// fakeSlack is how many tokens can be taken back where there are windows.
const fakeSlack = blockTokens

// slide gives up the pages that nobody looks at any more.
func (c *fakeCache) slide() {
	for i := 0; (i+1)*blockTokens <= c.model.WindowFirst(max(0, c.length-fakeSlack)); i++ {
		c.pages[i].release()
		c.pages[i] = nil
	}
}

func (c *fakeCache) Behind(n int) int {
	switch {
	case !c.sees(n) || c.model.states && (c.state == nil || n != len(c.state.tokens)):
		return 0
	case c.model.runs && n < c.since:
		return n - n%blockTokens
	}
	return n
}

func (c *fakeCache) Truncate(n int) {
	if n < c.length {
		n = c.Behind(n)
	}
	if n <= 0 && c.state != nil {
		c.state.Release()
		c.state = nil
	}
	c.length = min(c.length, n)
	c.since = min(c.since, c.length)
	for len(c.blocks)*blockTokens >= c.length+blockTokens {
		last := len(c.blocks) - 1
		c.blocks[last].Release()
		c.pages[last].release()
		c.blocks, c.pages = c.blocks[:last], c.pages[:last]
	}
}

func (c *fakeCache) Release() {
	c.Truncate(0)
	if c.begun {
		c.begun = false
		c.model.begun--
	}
}

func (c *fakeCache) Block(i int) block {
	return &fakeRef{c.blocks[i].use(), min(blockTokens, c.length-i*blockTokens), c.pages[i].use()}
}

func (c *fakeCache) Adopt(i int, b block) {
	r := b.(*fakeRef)
	if i*blockTokens == c.length {
		c.blocks, c.pages = append(c.blocks, r.use()), append(c.pages, r.page.use())
		c.length += r.held
		c.since = c.length
		c.slide()
		return
	}
	c.blocks[i].Release()
	c.blocks[i] = r.use()
	if r.page != nil {
		c.pages[i].release()
		c.pages[i] = r.page.use()
	}
}

func (c *fakeCache) read(tokens []int32) {
	if c.model.runs && !c.begun {
		c.begun = true
		c.model.begun++
	}
	if c.model.states && len(tokens) > 0 {
		before := c.tokens()
		c.ownState(before)
		c.state.tokens = slices.Concat(before, tokens)
	}
	defer func() { c.since = max(c.since, c.length-mostProposed) }()
	defer c.slide()
	if !c.sees(c.length) {
		panic("a sequence goes on without what its window reaches back into")
	}
	for _, t := range tokens {
		i, at := c.length/blockTokens, c.length%blockTokens
		if at == 0 {
			c.blocks, c.pages = append(c.blocks, c.model.block(c.tokens(), nil)), append(c.pages, c.model.pageOf())
		} else if old := c.blocks[i]; old.users > 1 {
			c.blocks[i] = c.model.block(old.before, old.tokens)
			old.Release()
			c.pages[i].release()
			c.pages[i] = c.model.pageOf()
		}
		b := c.blocks[i]
		b.tokens = append(b.tokens[:at], t)
		c.length++
	}
}

// tokens are all that it has read.
func (c *fakeCache) tokens() (all []int32) {
	for i, b := range c.blocks {
		if b.users < 1 || !slices.Equal(b.before, all) {
			panic("a block is not what it should be")
		}
		all = append(all, b.tokens[:min(blockTokens, c.length-i*blockTokens)]...)
	}
	return all
}

func (m *fakeModel) NewCache() cache {
	if m.faults > 0 {
		m.faults--
		panic("out of memory")
	}
	return &fakeCache{model: m}
}

func (m *fakeModel) CacheBytes(tokens int) int64 {
	n := int64((tokens + blockTokens - 1) / blockTokens * blockTokens * fakeBytes)
	if m.window > 0 {
		n += int64(min((tokens+blockTokens-1)/blockTokens, (m.window+fakeSlack+fakeMostRead)/blockTokens+2) * blockTokens * fakeBytes)
	}
	if m.runs || m.states {
		n += fakeBegun
	}
	return n
}

func (m *fakeModel) CacheUsed() int64 {
	return int64((m.blocks+m.pages)*blockTokens*fakeBytes + m.begun*fakeBegun)
}

const fakeMostRead = 300

func (m *fakeModel) Window() int { return m.window }

func (m *fakeModel) WindowFirst(n int) int {
	switch {
	case m.window == 0:
		return 0
	case m.chunks:
		return n - n%m.window
	}
	return max(0, n+1-m.window)
}

func (m *fakeModel) MostRead() int { return fakeMostRead * min(1, m.window) }

func (m *fakeModel) Rewinds() bool { return !m.runs && !m.states }

func (m *fakeModel) HasStates() bool { return m.states }

func (m *fakeModel) Enough() int { return 1 }

func (m *fakeModel) Seen(int) float64 { return 0 }

func (m *fakeModel) Forward(steps []step) error {
	if m.before != nil {
		m.before(steps)
	}
	for i := range steps {
		s := &steps[i]
		c := s.cache.(*fakeCache)
		c.read(s.tokens)
		m.reads += len(s.tokens)
		if m.cost > 0 {
			time.Sleep(m.cost * time.Duration(len(s.tokens)))
		}
		all := c.tokens()
		if s.want {
			s.logits = m.logits(all)
		}
		for j := range s.tokens {
			if s.all {
				s.rows = append(s.rows, m.logits(all[:len(all)-len(s.tokens)+1+j]))
			}
		}
	}
	return nil
}

func (m *fakeModel) logits(tokens []int32) []float32 {
	h := fnv.New64a()
	fmt.Fprint(h, tokens)
	out := randomLogits(h.Sum64(), m.size, 3)
	if m.bad != nil && m.bad(tokens) {
		for i := range out {
			out[i] = float32(0) / out[i] * 0
			out[i] /= out[i]
		}
	}
	return out
}

// fakeWords spells token i as "w<i> "; the last token is a control token and
// the one before it ends a reply.
type fakeWords struct {
	size int
	mark bool // the control token is text
}

func (w fakeWords) Text(id int) (string, bool) {
	switch id {
	case w.size - 1:
		return "<ctl>", !w.mark
	case w.size - 2:
		return "<end>", true
	}
	return fmt.Sprintf("w%d ", id), false
}

func (w fakeWords) Ends(id int) bool { return id == w.size-2 }

func (w fakeWords) Size() int { return w.size }

const fakeSize = 50

func newFake(t *testing.T, change func(*loop, *fakeModel)) (*loop, *fakeModel) {
	m := &fakeModel{size: fakeSize}
	l := &loop{
		model: m,
		slots: 8, budget: 1 << 40, log: slog.New(slog.DiscardHandler),
	}
	l.guesser.off = true // what is read is counted
	if change != nil {
		change(l, m)
	}
	l.start()
	t.Cleanup(l.close)
	return l, m
}

// ask makes a request for a prompt of token ids.
func (l *loop) ask(prompt []int32, maxTokens int, p llm.Params) *request {
	return &request{
		prompt: prompt, maxTokens: maxTokens, settings: settle(p), stop: p.Stop, banned: p.BannedStrings,
		ends: []int32{fakeSize - 2}, closers: []int32{fakeSize - 1}, scope: p.CacheScope, words: fakeWords{size: fakeSize},
		need: l.model.CacheBytes(len(prompt) + maxTokens),
	}
}

type result struct {
	text   string
	ids    []int
	finish *llm.Finish
	waited []llm.Waiting
	err    error
}

func (r result) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprint(r.text, r.ids, r.finish.Reason, r.finish.Stop)
}

// collect reads a stream to its end; stop, if set, says when to break off.
func (l *loop) collect(ctx context.Context, r *request, stop func(llm.Piece) bool) (out result) {
	l.stream(ctx, r, &llm.Accepted{PromptTokens: len(r.prompt)}, func(p llm.Piece, err error) bool {
		if out.finish != nil || out.err != nil {
			panic("something came after the end")
		}
		out.text += p.Text
		for _, t := range p.Tokens {
			out.ids = append(out.ids, t.ID)
		}
		if p.Waiting != nil {
			out.waited = append(out.waited, *p.Waiting)
		}
		out.finish, out.err = p.Finish, err
		return err == nil && (stop == nil || !stop(p))
	})
	return out
}

func prompt(n int, seed int32) []int32 {
	out := make([]int32, n)
	x := uint32(seed)*2654435761 + 1
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = int32(x>>16) % (fakeSize - 2)
	}
	return out
}

func spell(ids []int) string {
	var b strings.Builder
	for _, id := range ids {
		if text, control := (fakeWords{size: fakeSize}).Text(id); !control {
			b.WriteString(text)
		}
	}
	return b.String()
}
