package engine

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/llm"
)

// A timedModel takes as long as a machine would, and does nothing.
type timedModel struct {
	machine
	seenPerToken float64 // what Seen gives for each token before
	logits       []float32
	unwanted     func() bool
}

func (m *timedModel) NewCache() cache             { return &timedCache{} }
func (m *timedModel) CacheBytes(tokens int) int64 { return int64(blocksOf(tokens)) }
func (m *timedModel) CacheUsed() int64            { return 0 }
func (m *timedModel) Rewinds() bool               { return true }
func (m *timedModel) HasStates() bool             { return false }
func (m *timedModel) Window() int                 { return 0 }
func (m *timedModel) WindowFirst(int) int         { return 0 }
func (m *timedModel) MostRead() int               { return 0 }
func (m *timedModel) Enough() int                 { return 64 }
func (m *timedModel) Seen(before int) float64     { return float64(before) * m.seenPerToken }

func (m *timedModel) Forward(steps []step) error {
	took := m.weights
	for i := range steps {
		s := &steps[i]
		c := s.cache.(*timedCache)
		n := len(s.tokens)
		took += m.cost(n, float64(n*c.length)) - m.weights
		c.length += n
		if s.want {
			s.logits = m.logits
		}
	}
	for range timedLayers {
		if m.unwanted() {
			for i := range steps {
				steps[i].cache.(*timedCache).length -= len(steps[i].tokens)
			}
			return errLeft
		}
		time.Sleep(took / timedLayers)
	}
	return nil
}

const timedLayers = 20

type timedCache struct{ length int }

func (c *timedCache) Len() int          { return c.length }
func (c *timedCache) Behind(n int) int  { return n }
func (c *timedCache) Truncate(n int)    { c.length = min(c.length, n) }
func (c *timedCache) Release()          {}
func (c *timedCache) State() state      { return nil }
func (c *timedCache) GoOn(state)        {}
func (c *timedCache) Block(i int) block { return timedBlock(min(blockTokens, c.length-i*blockTokens)) }

func (c *timedCache) Adopt(i int, b block) {
	if i*blockTokens == c.length {
		c.length += int(b.(timedBlock))
	}
}

type timedBlock int

func (timedBlock) Release()        {}
func (timedBlock) Thick() bool     { return true }
func (timedBlock) Thin()           {}
func (timedBlock) Thicken(_ block) {}

// newTimed is a loop on a machine that reads the weights in 26 ms and a token in 4,
// one that sees 3,500 others in 8, which is more than is assumed.
func newTimed(t *testing.T) (*loop, *timedModel) {
	m := &timedModel{
		machine:      machine{26 * time.Millisecond, 4 * time.Millisecond, 4 * time.Millisecond / 3500},
		seenPerToken: 1.0 / 12_000, logits: randomLogits(1, fakeSize, 3),
	}
	l := &loop{model: m, slots: 8, budget: 1 << 40, log: slog.New(slog.DiscardHandler)}
	l.guesser.off, m.unwanted = true, l.unwanted
	l.start()
	t.Cleanup(l.close)
	return l, m
}

// A talk is a stream that goes on until it is left.
type talk struct {
	gaps []time.Duration // between its tokens
	stop context.CancelFunc
	done chan struct{}
}

func (l *loop) talk(t *testing.T, seed int32) *talk {
	ctx, stop := context.WithCancel(t.Context())
	k := &talk{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		var last time.Time
		l.collect(ctx, l.ask(prompt(20, seed), 1<<20, llm.Params{IgnoreEOS: true, LoopGuard: new(0), Seed: new(int64(seed))}), func(p llm.Piece) bool {
			if len(p.Tokens) > 0 {
				if now := time.Now(); last.IsZero() {
					last = now
				} else {
					k.gaps, last = append(k.gaps, now.Sub(last)), now
				}
			}
			return false
		})
	}()
	return k
}

func (k *talk) end() []time.Duration {
	k.stop()
	<-k.done
	return k.gaps
}

// firstToken gives how long a prompt takes until its first token.
func (l *loop) firstToken(t *testing.T, tokens []int32) time.Duration {
	begun := time.Now()
	r := l.collect(t.Context(), l.ask(tokens, 1, llm.Params{IgnoreEOS: true}), nil)
	if r.err != nil {
		t.Error(r.err)
	}
	return time.Since(begun)
}

// Streams wait no longer than they should for any of their tokens while prompts are
// read: long ones, that grow, behind a context that comes from the cache.
func TestNoStreamWaitsLongerThanItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := newTimed(t)
		deep := prompt(30_000, 1)
		l.firstToken(t, deep)
		streams := []*talk{l.talk(t, 2), l.talk(t, 3)}
		time.Sleep(5 * time.Second)
		before := l.counts().Steps
		alone := l.firstToken(t, prompt(8000, 4))
		if steps := l.counts().Steps - before; alone < time.Duration(steps)*stepMixed*7/10 {
			t.Errorf("steps beside streams are short: %d in %v", steps, alone)
		}
		l.firstToken(t, append(deep, prompt(300, 5)...)) // a jump
		l.firstToken(t, prompt(500, 6))                  // and back
		l.firstToken(t, append(deep, prompt(100, 7)...))
		for _, s := range streams {
			var longest time.Duration
			for _, d := range s.end() {
				longest = max(longest, d)
			}
			if longest > stepMixed*13/10 {
				t.Errorf("a stream waited for %v", longest)
			}
		}
	})
}

// Where a step takes longer than it should without any prompt, prompts are read all the
// same, and streams are half as fast meanwhile, no less.
func TestPromptsAreReadWhereStepsAreLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newTimed(t)
		m.machine = machine{500 * time.Millisecond, 20 * time.Millisecond, 0}
		s := l.talk(t, 2)
		time.Sleep(20 * time.Second)
		took := l.firstToken(t, prompt(500, 1))
		if took > time.Minute {
			t.Errorf("500 tokens took %v", took)
		}
		for _, d := range s.end() {
			if d > stepMixedTimes*520*time.Millisecond*12/10 {
				t.Errorf("a stream waited for %v", d)
			}
		}
	})
}

// A short prompt behind long ones has its first token soon; equal ones come in order,
// the last as soon as if they took turns; streams miss no step.
func TestPromptsShareTheirPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := newTimed(t)
		s := l.talk(t, 1)
		time.Sleep(5 * time.Second)
		shortAlone, longAlone := l.firstToken(t, prompt(200, 2)), l.firstToken(t, prompt(3000, 3))
		var first, second, short time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { first = l.firstToken(t, prompt(3000, 4)) })
		time.Sleep(time.Millisecond)
		wg.Go(func() { second = l.firstToken(t, prompt(3000, 5)) })
		time.Sleep(3 * time.Second)
		short = l.firstToken(t, prompt(200, 6))
		wg.Wait()
		if short > 3*shortAlone {
			t.Errorf("a short prompt behind long ones took %v, alone %v", short, shortAlone)
		}
		if first > longAlone+2*shortAlone {
			t.Errorf("the first of two took %v, alone %v", first, longAlone)
		}
		if second > 2*longAlone+3*shortAlone {
			t.Errorf("the second of two took %v, alone %v", second, longAlone)
		}
		steps, gaps := l.counts().Steps, len(s.end())
		if uint64(gaps+10) < steps {
			t.Errorf("the stream took part in %d steps of %d", gaps, steps)
		}
	})
}

// As many prompts as there are slots, deep and shallow, old and new: each has its first
// token within twice the time of all that came before it.
func TestNoPromptStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := newTimed(t)
		s := l.talk(t, 1)
		deep := prompt(20_000, 2)
		l.firstToken(t, deep)
		alone := l.firstToken(t, append(deep, prompt(300, 3)...))
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i := range int32(4) { // short ones without end
			wg.Go(func() {
				for n := int32(0); ctx.Err() == nil; n++ {
					l.firstToken(t, prompt(100, 1000*(i+1)+n))
				}
			})
		}
		time.Sleep(time.Second)
		if took := l.firstToken(t, append(deep, prompt(300, 4)...)); took > 4*alone {
			t.Errorf("a prompt among short ones took %v, alone %v", took, alone)
		}
		cancel()
		wg.Wait()
		s.end()
	})
}

// A step that takes long is left when nobody wants it any more, and not before: neither
// those who come next wait for it, nor those who close the model.
func TestAStepThatNobodyWantsIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := newTimed(t)
		m.machine = machine{time.Second, 90 * time.Millisecond, 0}
		leave := func(after time.Duration, seed int32) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			r := l.collect(ctx, l.ask(prompt(2000, seed), 5, llm.Params{}), nil)
			if r.err != context.DeadlineExceeded {
				t.Errorf("it ended with %v", r)
			}
		}
		leave(40*time.Second, 1)
		if took := l.firstToken(t, prompt(2, 9)); took > 1500*time.Millisecond+m.cost(2, 0) {
			t.Errorf("the next one waited for a step that nobody wanted: %v", took)
		}
		if r := l.collect(t.Context(), l.ask(prompt(2000, 1)[:200], 1, llm.Params{}), nil); r.finish.Usage.CachedTokens < 2*blockTokens {
			t.Errorf("what was read before is lost: %+v", r.finish.Usage)
		}

		var wg sync.WaitGroup
		var stays result
		wg.Go(func() { stays = l.collect(t.Context(), l.ask(prompt(500, 2), 1, llm.Params{}), nil) })
		leave(20*time.Second, 3)
		wg.Wait()
		if stays.err != nil {
			t.Errorf("one that stayed: %v", stays.err)
		}

		wg.Go(func() { stays = l.collect(t.Context(), l.ask(prompt(2000, 4), 1, llm.Params{}), nil) })
		time.Sleep(30 * time.Second)
		before := time.Now()
		l.close()
		if d := time.Since(before); d > time.Second {
			t.Errorf("closing took %v", d)
		}
		wg.Wait()
		if e := llm.AsError(stays.err); e.Code != llm.Unavailable {
			t.Errorf("what was being read then: %v", stays)
		}
		if err := l.do(t.Context(), func() {}); err == nil {
			t.Error("it is not closed")
		}
	})
}
