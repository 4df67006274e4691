package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"parley/llm"
)

// benching is a measurement on its way.
type benching struct {
	e      *Engine
	o      BenchOptions
	result BenchResult
	chance uint32

	memory func() float64 // bytes of it that are read in a second at the time; set before anything is measured

	done, total int // work, in tokens of prompts
}

const (
	benchWarm     = 128 // tokens of a prompt that is read before anything is measured
	benchBehind   = 256 // tokens that are read behind a context
	benchMessage  = 64  // tokens of a message of a growing chat
	benchStep     = 8   // a step of generating counts as so many tokens of a prompt
	benchCeilings = 256 // and the ceilings as so many
	benchAnswer   = 192 // tokens of an answer that is foreseen
	benchAlone    = 64  // tokens that a stream generates alone, and as many at least beside
)

func newBenching(e *Engine, o BenchOptions) *benching {
	b := &benching{e: e, o: o, chance: 1}
	b.result = BenchResult{
		Model: e.info.Name, Type: e.info.Quantisation, Bytes: e.info.Bytes, Threads: e.Threads(), Kernels: e.Kernels(), KVCache: e.model.CacheType().String(), LoadSeconds: e.loading.Seconds(),
		Prompt: o.Prompt, Generate: o.Generate,
	}
	b.total = benchCeilings + b.warm() + o.Sequences[len(o.Sequences)-1]*o.Prompt + len(o.Sequences)*o.Generate*benchStep
	for range o.behind() {
		at := 0
		for _, n := range o.Contexts {
			b.total += min(n-at, benchBehind) + o.Generate*benchStep
			at = n
		}
	}
	if o.Turns > 0 {
		b.total += o.Prompt + o.Turns*(benchMessage+o.Generate*benchStep)
	}
	if o.Beside > 0 {
		b.total += o.Beside + benchAlone*benchStep
	}
	b.total += 2 * len(o.Foreseen) * benchAnswer * benchStep
	return b
}

// blocksOf is how many blocks so many tokens take.
func blocksOf(tokens int) int { return (tokens + blockTokens - 1) / blockTokens }

func (b *benching) tell(next string) {
	if b.o.Progress != nil {
		b.o.Progress(float64(b.done)/float64(b.total), next)
	}
}

func (b *benching) work(n int) { b.done = min(b.done+n, b.total) }

// tokens are any; speed does not depend on them.
func (b *benching) tokens(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		b.chance = b.chance*1664525 + 1013904223
		list[i] = int32(b.chance>>8) % int32(b.e.words.Size())
	}
	return list
}

// warm is how many tokens are read for nothing: weights are paged in, and chunks
// become as long as they should be.
func (b *benching) warm() int { return min(benchWarm, b.o.Prompt) }

// read has a cache read n tokens in the chunks in which a request's would be read, and
// gives what comes behind them.
func (b *benching) read(ctx context.Context, c cache, n int) (next int32, took time.Duration, err error) {
	l := b.e.loop
	tokens := b.tokens(n)
	for at := 0; at < n; {
		now := c.Len()
		k := share([]job{{left: n - at, cost: l.pacer.cost(l.model.Seen(now))}}, l.chunk(0, 0))[0]
		if most := l.model.MostRead(); most > 0 {
			k = min(k, most)
		}
		one := []step{{cache: c, tokens: tokens[at : at+k], want: at+k == n}}
		begun := time.Now()
		if err = b.forward(ctx, one); err != nil {
			return 0, 0, err
		}
		lasted := time.Since(begun)
		took += lasted
		l.pacer.observe(false, k, float64(k)*l.model.Seen(now+k/2), lasted)
		if at += k; at == n {
			next = argmax(one[0].logits)
		}
		b.work(k)
		b.tell(fmt.Sprintf("a prompt, %d of %d tokens", at, n))
	}
	return next, took, nil
}

func (b *benching) forward(ctx context.Context, steps []step) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return b.e.loop.model.Forward(steps)
}

// generate has caches go on, each behind its next token, and gives how long that took and
// how many bytes of memory were read in a second meanwhile: between any two steps that is asked.
func (b *benching) generate(ctx context.Context, caches []cache, next []int32) (took time.Duration, read float64, err error) {
	batch := make([]step, len(caches))
	for i, c := range caches {
		batch[i] = step{cache: c, want: true}
	}
	what := fmt.Sprintf("%d at a time", len(caches))
	waited := 1 / b.memory() // seconds for a byte, added up
	for range b.o.Generate {
		begun := time.Now()
		for i := range batch {
			batch[i].tokens = next[i : i+1]
		}
		if err = b.forward(ctx, batch); err != nil {
			return 0, 0, err
		}
		for i := range batch {
			next[i] = argmax(batch[i].logits)
		}
		took += time.Since(begun)
		waited += 1 / b.memory()
		b.work(benchStep)
		b.tell(what)
	}
	return took, float64(b.o.Generate+1) / waited, nil
}

// sequences measures prefill on the first sequence, and generation on so many
// at a time. It runs on the loop's goroutine.
func (b *benching) sequences(ctx context.Context) error {
	most := b.o.Sequences[len(b.o.Sequences)-1]
	b.e.loop.makeRoom(most*blocksOf(b.o.Prompt+b.o.Generate), most)
	var caches []cache
	fresh := func() cache {
		caches = append(caches, b.e.loop.model.NewCache())
		return caches[len(caches)-1]
	}
	defer func() {
		for _, c := range caches {
			c.Release()
		}
	}()
	if _, _, err := b.read(ctx, fresh(), b.warm()); err != nil {
		return err
	}
	caches[0].Truncate(0)
	var states []state
	defer func() {
		for _, s := range states {
			s.Release()
		}
	}()
	var first []int32 // what comes behind the prompt of each
	for _, n := range b.o.Sequences {
		for len(first) < n {
			c := caches[0]
			if len(first) > 0 {
				c = fresh()
			}
			next, took, err := b.read(ctx, c, b.o.Prompt)
			if err != nil {
				return err
			}
			if len(first) == 0 {
				b.result.PrefillTPS = float64(b.o.Prompt) / took.Seconds()
			}
			if first = append(first, next); b.e.loop.model.HasStates() {
				states = append(states, c.State())
			}
		}
		took, read, err := b.generate(ctx, caches, slices.Clone(first))
		if err != nil {
			return err
		}
		b.result.Sequences = append(b.result.Sequences, BenchSequences{
			Sequences: n, DecodeTPS: float64(n*b.o.Generate) / took.Seconds(), CeilingTPS: float64(n) * read / float64(b.e.BytesPerToken()),
		})
		for i, c := range caches {
			if len(states) > 0 {
				c.GoOn(states[i])
			}
			if c.Truncate(b.o.Prompt); c.Len() < b.o.Prompt { // too far back for layers that see a window
				if _, _, err := b.read(ctx, c, b.o.Prompt-c.Len()); err != nil {
					return err
				}
			}
		}
	}
	b.result.DecodeTPS = b.result.Sequences[0].DecodeTPS
	return nil
}

// contexts measures sequences as they grow, on the loop's goroutine.
func (b *benching) contexts(ctx context.Context) error {
	if len(b.o.Contexts) == 0 {
		return nil
	}
	for _, n := range b.o.behind() {
		if err := b.behind(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// behind measures so many sequences at a time.
func (b *benching) behind(ctx context.Context, sequences int) error {
	b.e.loop.makeRoom(sequences*blocksOf(b.o.Contexts[len(b.o.Contexts)-1]+b.o.Generate), sequences)
	caches := make([]cache, sequences)
	for i := range caches {
		caches[i] = b.e.loop.model.NewCache()
		defer caches[i].Release()
	}
	first := caches[0].(*kvCache)
	for _, n := range b.o.Contexts {
		next := make([]int32, sequences)
		var row BenchContext
		for i, c := range caches {
			read := benchBehind
			if i > 0 {
				read = 1
			}
			if read+blockTokens < n {
				if first.Len() < blockTokens { // there is nothing to copy yet
					if _, _, err := b.read(ctx, first, blockTokens); err != nil {
						return err
					}
				}
				c.(*kvCache).Fill(first.KV, n-read)
			}
			fresh := n - c.Len()
			if fresh < 1 {
				break // what was generated behind the context before reaches that far
			}
			id, took, err := b.read(ctx, c, fresh)
			if err != nil {
				return err
			}
			if next[i] = id; i == 0 {
				row = BenchContext{Context: n, Sequences: sequences, PrefillTPS: float64(fresh) / took.Seconds()}
			}
		}
		if row.Context == 0 {
			continue
		}
		took, read, err := b.generate(ctx, caches, next)
		if err != nil {
			return err
		}
		b.rate(&row, took, read)
		b.result.Contexts = append(b.result.Contexts, row)
	}
	return nil
}

// rate says how fast a context is, by what generating behind it took and how many bytes of memory are
// read in a second.
func (b *benching) rate(row *BenchContext, took time.Duration, read float64) {
	n := float64(row.Sequences)
	step := took.Seconds() / float64(b.o.Generate)
	row.DecodeTPS = n / step
	cached := n * float64(b.e.model.KVRead(row.Context))
	row.CeilingTPS = n * read / (float64(b.e.BytesPerToken()) + cached)
	for _, s := range b.result.Sequences {
		short := n * float64(b.e.model.KVRead(b.o.Prompt))
		if longer := step - n/s.DecodeTPS; s.Sequences == row.Sequences && longer > 0 && cached > short {
			row.CacheGBPS = (cached - short) / longer / 1e9
		}
	}
}

// prompt is n tokens as a request has them.
func (b *benching) prompt(n int) (list []int) {
	for _, id := range b.tokens(n) {
		list = append(list, int(id))
	}
	return list
}

// complete answers at a temperature of 1: a likelier answer might repeat itself, and
// would come faster than others.
func (b *benching) complete(ctx context.Context, prompt []int, most int, each func(llm.Piece) bool) error {
	params := llm.Params{MaxTokens: &most, Temperature: new(1.0), Seed: new(int64(1)), IgnoreEOS: true, LoopGuard: new(0)}
	for piece, err := range b.e.Complete(ctx, llm.Tokens(prompt), params) {
		if err != nil {
			return err
		}
		if !each(piece) {
			return nil
		}
	}
	return nil
}

// turns measures a chat that grows by a message and a reply each time.
func (b *benching) turns(ctx context.Context) error {
	if b.o.Turns == 0 {
		return nil
	}
	history := b.prompt(b.o.Prompt)
	for turn := range b.o.Turns {
		b.tell(fmt.Sprintf("turn %d of a chat", turn+1))
		history = append(history, b.prompt(benchMessage)...)
		row := BenchTurn{Prompt: len(history)}
		begun := time.Now()
		err := b.complete(ctx, history, b.o.Generate, func(p llm.Piece) bool {
			if len(p.Tokens) > 0 && row.FirstMS == 0 {
				row.FirstMS = milliseconds(time.Since(begun))
			}
			for _, t := range p.Tokens {
				history = append(history, t.ID)
			}
			if p.Finish != nil {
				row.Cached = p.Finish.Usage.CachedTokens
			}
			return true
		})
		if err != nil {
			return err
		}
		b.result.Turns = append(b.result.Turns, row)
		b.work(benchMessage + b.o.Generate*benchStep)
	}
	b.work(b.o.Prompt)
	return nil
}

// beside measures the pauses of a stream, alone and while a prompt is read.
func (b *benching) beside(ctx context.Context) error {
	if b.o.Beside == 0 {
		return nil
	}
	b.tell("a stream alone")
	var alone, beside []time.Duration
	var read chan error // of the prompt; nil: not begun
	var last, asked time.Time
	ended := false
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := func(p llm.Piece) bool {
		if len(p.Tokens) == 0 {
			return true
		}
		now := time.Now()
		switch {
		case last.IsZero():
		case read == nil:
			alone = append(alone, now.Sub(last))
		default:
			beside = append(beside, now.Sub(last))
		}
		last = now
		if len(alone) == benchAlone && read == nil {
			b.tell("a stream beside a prompt")
			read, asked = make(chan error, 1), now
			long := b.prompt(b.o.Beside)
			go func() { read <- b.complete(ctx, long, 1, func(llm.Piece) bool { return true }) }()
		}
		ended = len(read) > 0
		return !ended
	}
	for !ended { // a stream that is at the end of the context before the prompt is read is followed by another
		last = time.Time{}
		if err := b.complete(ctx, b.prompt(benchMessage), b.e.info.Context-benchMessage, seen); err != nil {
			cancel()
			if read != nil {
				<-read
			}
			return err
		}
	}
	if err := <-read; err != nil {
		return err
	}
	b.work(b.o.Beside + benchAlone*benchStep)
	b.result.Beside = &BenchBeside{
		Prompt: b.o.Beside, PromptTPS: float64(b.o.Beside) / last.Sub(asked).Seconds(),
		AloneP50MS: milliseconds(quantile(alone, 50)), AloneP99MS: milliseconds(quantile(alone, 99)),
		BesideP50MS: milliseconds(quantile(beside, 50)), BesideP99MS: milliseconds(quantile(beside, 99)),
	}
	return nil
}

// foreseen measures an answer, as it comes and again with a part of it proposed.
// It is drawn at a temperature of 1: a likelier one might repeat itself.
func (b *benching) foreseen(ctx context.Context) error {
	prompt := b.prompt(benchMessage)
	params := llm.Params{MaxTokens: new(benchAnswer), Temperature: new(1.0), Seed: new(int64(1)), IgnoreEOS: true}
	one := func(expected []int32) (answer []int32, u llm.Usage, err error) {
		r, _, err := b.e.request(ctx, llm.Tokens(prompt), params)
		if err != nil {
			return nil, u, err
		}
		r.expected = expected
		b.e.loop.stream(ctx, r, &llm.Accepted{}, func(p llm.Piece, failed error) bool {
			for _, t := range p.Tokens {
				answer = append(answer, int32(t.ID))
			}
			if p.Finish != nil {
				u = p.Finish.Usage
			}
			err = failed
			return err == nil
		})
		b.work(benchAnswer * benchStep)
		return answer, u, err
	}
	literally := func(off bool) error { return b.e.loop.do(ctx, func() { b.e.loop.guesser.off = off }) }
	was := b.e.loop.guesser.off
	for _, percent := range b.o.Foreseen {
		b.tell(fmt.Sprintf("an answer of which %d %% are foreseen", percent))
		if err := literally(true); err != nil {
			return err
		}
		answer, alone, err := one(nil)
		if err := cmp.Or(literally(was), err); err != nil {
			return err
		}
		for i := range answer {
			if b.chance = b.chance*1664525 + 1013904223; int(b.chance>>8)%100 >= percent {
				answer[i] = (answer[i] + 1) % int32(b.e.words.Size())
			}
		}
		_, u, err := one(answer)
		if err != nil {
			return err
		}
		speed := func(u llm.Usage) float64 { return float64(u.CompletionTokens) / u.Decode.Seconds() }
		b.result.Foreseen = append(b.result.Foreseen, BenchForeseen{
			Percent: percent, DecodeTPS: speed(u), LiteralTPS: speed(alone), Drafted: u.DraftedTokens, Accepted: u.AcceptedTokens,
		})
	}
	return nil
}

// quantile is the least of some times that so many percent of them do not
// exceed; 0 of none.
func quantile(list []time.Duration, percent int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[max(0, (len(list)*percent+99)/100-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
