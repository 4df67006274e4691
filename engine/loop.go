package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// A model is what the loop needs of a transformer. Only the loop calls it.
type model interface {
	// NewCache makes an empty cache.
	NewCache() cache
	// CacheBytes is what a cache of so many tokens takes; of none, what it takes
	// besides its blocks.
	CacheBytes(tokens int) int64
	// CacheUsed is what all caches and blocks take, with what is shared once.
	CacheUsed() int64
	// Rewinds reports whether a cache can go on behind any of its tokens. If not, it
	// can behind whole blocks, behind all that a block holds, and behind the last
	// mostProposed tokens.
	Rewinds() bool
	// HasStates reports whether a cache can go on nowhere but at its end, or, with the blocks
	// up to there, where a state is of.
	HasStates() bool
	// Window is how many tokens some layers see at most, with a token's own, if others see all;
	// 0: all layers see alike. A cache goes on where the blocks that the window reaches into are
	// thick: those from WindowFirst on, the first token that such layers see of one behind n others.
	Window() int
	WindowFirst(n int) int
	// MostRead is how many tokens of a cache may be read at a time for CacheBytes to hold; 0:
	// any number.
	MostRead() int
	// Enough is how many tokens, read at a time, are enough for the weights to be a
	// small part of the work.
	Enough() int
	// Seen is the operations on keys and values for a token behind so many others, for
	// each of those on weights.
	Seen(before int) float64
	// Forward reads the tokens of each step into its cache. Where a step wants
	// logits, those behind its last token are set; they are valid until the
	// next call. Where it wants all, rows are those behind each of its tokens. A
	// step that sees is shown what its tokens make, one after the other: the
	// logits behind each, or else its state. Where nobody wants it any more
	// (loop.unwanted) it may end with errLeft, and then caches are as long as before,
	// but can only be released.
	Forward(steps []step) error
}

// A cache holds the keys and values of one sequence.
type cache interface {
	Len() int             // tokens that it has read
	Behind(n int) int     // the last place up to n, which is less than Len, behind which it can go on
	Truncate(n int)       // to there
	Block(i int) block    // its i-th, which stays as it is
	Adopt(i int, b block) // its i-th is b from now on, or it ends with b behind its last
	State() state         // at its end, which has some tokens and stays as it is
	GoOn(s state)         // it ends where the state is of, and has the blocks up to there
	Release()             // the memory of one that is used no more
}

// A step is the part of one sequence in a call of Forward.
type step struct {
	cache  cache
	tokens []int32
	want   bool
	logits []float32
	all    bool // it wants those behind all its tokens
	rows   [][]float32
	see    func(x []float32) // nil: nobody wants to
	scores bool              // it sees logits
}

// A vocabulary is what the loop needs of a tokenizer.
type vocabulary interface {
	Text(id int) (text string, control bool)
	Ends(id int) bool // the token ends a reply
	Size() int        // the number of tokens
}

// A loop serves requests. One goroutine owns the model, the caches and the
// sequences; what others share with it is under mu, or in a request.
type loop struct {
	model    model
	slots    int   // sequences at a time
	budget   int64 // bytes for caches, promised and kept
	maxQueue int
	log      *slog.Logger

	mu      sync.Mutex
	queue   []*sequence
	tasks   []task
	closed  atomic.Bool // set under mu
	stats   Stats
	wake    chan struct{} // capacity 1: something under mu is new
	stopped chan struct{} // closed when the goroutine has ended

	// Owned by the goroutine.
	running  []*sequence // in the order in which they were begun
	batch    []*sequence // in the present step, if it reads prompts
	prefixes prefixes
	pacer    pacer
	guesser  guesser
	scratch  scratch
	total    Stats
}

// Stats are counts for those who watch an engine.
type Stats struct {
	Running int // sequences being worked on
	Queued  int // requests that have not begun
	Kept    int // blocks of sequences that have ended

	CacheBytes int64 // memory of all caches after the last step

	PromptTokens    uint64 // since the start: tokens of prompts, those found in a cache included
	CachedTokens    uint64 // those of them found in a cache
	GeneratedTokens uint64
	DraftedTokens   uint64 // that were read because they were proposed, before they were chosen
	AcceptedTokens  uint64 // those of them that were chosen
	Steps           uint64
}

// start runs the loop's goroutine.
func (l *loop) start() {
	l.wake = make(chan struct{}, 1)
	l.stopped = make(chan struct{})
	if l.maxQueue == 0 {
		l.maxQueue = limits.Queue.Int()
	}
	go l.run()
}

func (l *loop) run() {
	defer close(l.stopped)
	for {
		worked, closed := l.turn()
		if closed {
			return
		}
		if !worked {
			<-l.wake
		}
	}
}

func (l *loop) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// turn looks at what is new and makes one step. It reports whether there may
// be more to do at once, and whether the loop has ended.
func (l *loop) turn() (worked, closed bool) {
	l.sweep()
	l.mu.Lock()
	tasks := l.tasks
	l.tasks = nil
	if l.closed.Load() {
		queue := l.queue
		l.queue = nil
		l.mu.Unlock()
		l.abandon(queue)
		for _, t := range tasks {
			t.done <- errClosed()
		}
		return false, true
	}
	l.begin()
	l.stats.Running = len(l.running)
	l.mu.Unlock()
	for _, t := range tasks {
		t.done <- t.run()
	}
	return l.guarded() || len(tasks) > 0, false
}

// guarded makes a step. If there is a fault in the loop itself, what it was
// working on ends with an error, and the loop goes on with nothing in memory.
func (l *loop) guarded() (worked bool) {
	defer func() {
		if p := recover(); p != nil {
			for _, s := range l.running {
				if s.cache != nil {
					s.cache.Release()
					s.cache = nil
				}
			}
			l.prefixes.clear()
			l.drop(slices.Clone(l.running), fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			worked = true
		}
	}()
	return l.step()
}

// sweep ends the sequences whose callers have left.
func (l *loop) sweep() {
	l.running = slices.DeleteFunc(l.running, func(s *sequence) bool {
		if s.gone.Load() {
			l.retire(s)
			return true
		}
		return false
	})
}

// retire leaves what a sequence that has ended has read in the prefix cache.
func (l *loop) retire(s *sequence) {
	if s.cache != nil {
		s.cache.end(s.tokens)
	}
	s.cache = nil
	s.guesses.draft.release()
}

func (l *loop) abandon(queue []*sequence) {
	for _, s := range append(queue, l.running...) {
		s.fail(errClosed())
	}
	l.running = nil
	l.prefixes = prefixes{} // the model goes too
}

func errClosed() error {
	return &llm.Error{Code: llm.Unavailable, Message: "the model is being shut down", Hint: "try again later"}
}

// begin takes requests from the queue. The caller holds mu.
func (l *loop) begin() {
	if len(l.queue) == 0 || len(l.running) >= l.slots {
		return
	}
	free := l.budget - l.promised()
	waiting := make([]int64, 0, l.slots)
	for _, s := range l.queue[:min(len(l.queue), l.slots-len(l.running))] {
		need := s.need
		if need > free {
			need -= int64(l.prefixes.settled(s.scope, s.reusable())) * l.lastingBytes()
		}
		waiting = append(waiting, need)
	}
	n := admit(waiting, len(l.running), l.slots, free)
	for _, s := range l.queue[:n] {
		s.begunAt = time.Now()
		l.running = append(l.running, s)
	}
	l.queue = slices.Delete(l.queue, 0, n)
}

// promised is the memory that the running sequences have or may come to need,
// with what they share once. All else can be evicted.
func (l *loop) promised() int64 {
	blocks, rest := l.prefixes.fixed, int64(0)
	for _, s := range l.running {
		rest += s.need
		if s.cache != nil {
			blocks -= s.cache.settled()
		}
	}
	return rest + int64(blocks)*l.lastingBytes()
}

// blockBytes is the memory of a block, lastingBytes that of one which no window reaches into
// any more.
func (l *loop) blockBytes() int64 { return l.model.CacheBytes(blockTokens) - l.model.CacheBytes(0) }

func (l *loop) lastingBytes() int64 {
	const far = 1 << 24
	return l.model.CacheBytes(far+blockTokens) - l.model.CacheBytes(far)
}

// step lets the model read once and every sequence whose prompt has been read
// choose a token. It reports whether there was anything to do.
func (l *loop) step() bool {
	jobs := make([]job, len(l.running))
	generating, streams := 0, 0.0
	for i, s := range l.running {
		l.open(s)
		jobs[i] = l.job(i)
		if !s.reading() {
			generating++
			streams += jobs[i].cost
		}
	}
	chunk := l.chunk(generating, streams)
	tokens := share(jobs, chunk)
	var batch []*sequence
	var steps []step
	total, seen, blocks, fresh, prompts := 0, 0.0, 0, 0, false
	for i, s := range l.running {
		n := tokens[i]
		if n == 0 {
			continue
		}
		l.begun(s)
		n = min(n, s.left(), s.untilMark())
		if s.scores {
			n = min(n, mostScored)
		}
		if most := l.model.MostRead(); most > 0 {
			n = min(n, most)
		}
		at := s.cache.Len()
		steps = append(steps, step{cache: s.cache.cache, tokens: s.tokens[at : at+n], want: s.see == nil && at+n == len(s.tokens), see: s.see, scores: s.scores})
		batch = append(batch, s)
		total += n
		seen += float64(n) * l.model.Seen(at+n/2)
		prompts = prompts || n > 1
	}
	if len(batch) == 0 {
		return false
	}
	if !prompts {
		chunk = 0
	}
	total += l.guess(batch, steps, total, chunk)
	for i, s := range batch {
		blocks += s.cache.blocks(len(steps[i].tokens))
		if !s.cache.begun {
			fresh++
		}
	}
	l.makeRoom(blocks, fresh)
	before := time.Now()
	if prompts { // a step that only generates is short: leaving it would save little, and cost what stands behind the last whole block
		l.batch = batch
	}
	err := l.forward(steps)
	l.batch = nil
	switch {
	case errors.Is(err, errLeft):
		l.forget(batch)
		return true
	case err != nil:
		l.drop(batch, err)
		return true
	}
	if took := time.Since(before); prompts {
		l.pacer.observe(generating > 0, total, seen, took)
	} else {
		l.guesser.costs.observe(total, took)
	}
	for _, s := range batch {
		s.cache.begun, s.cache.copies = true, 0
	}
	l.advance(batch, steps)
	for _, s := range batch {
		if s.cache != nil {
			s.cache.settle(s.tokens)
			if slices.Contains(s.marks, s.cache.Len()) {
				s.cache.point(s.tokens)
			}
		}
	}
	l.publish()
	return true
}

// chunk is how much work on prompts the next step may do beside so many sequences that
// generate, whose work is streams.
func (l *loop) chunk(generating int, streams float64) float64 {
	if generating == 0 {
		return l.pacer.alone.chunk(stepAlone, float64(l.model.Enough()), 0)
	}
	limit := stepMixed
	if costs := &l.guesser.costs; generating < len(costs.took) && costs.known(generating) {
		limit = max(limit, stepMixedTimes*costs.took[generating])
	}
	return l.pacer.mixed.chunk(limit, 0, streams)
}

// mostScored is how many tokens of a text whose logits are seen are read in a
// step: those of one token may take a megabyte.
const mostScored = 32

// reusable is the part of the prompt that may come from the prefix cache: all but
// the last token, which must be read for its logits. What is seen of tokens is in
// no cache.
func (s *sequence) reusable() []int32 {
	if s.see != nil {
		return nil
	}
	return s.prompt[:len(s.prompt)-1]
}

// settledTokens is how many tokens a sequence will never take back.
func (s *sequence) settledTokens() int {
	if s.asked != nil {
		return min(shared(s.request.prompt, s.asked), len(s.asked)-1, len(s.request.prompt)-1)
	}
	return len(s.prompt) - 1
}

// open gives a sequence its memory and takes over the whole blocks of its prompt
// that are in the prefix cache by now, be it that another one has just read them.
func (l *loop) open(s *sequence) {
	begins := s.cache == nil
	if begins {
		c := l.model.NewCache()
		if s.see != nil && !s.scores {
			s.cache = &table{cache: c}
			return
		}
		if l.model.Window() > 0 {
			l.prefixes.first = l.model.WindowFirst
		}
		s.cache = l.prefixes.newTable(c, s.scope, s.settledTokens())
		s.cache.states = l.model.HasStates()
	}
	if s.reading() {
		s.found(s.cache.adopt(s.reusable()))
		s.read.Store(int64(s.cache.Len()))
	}
	if begins {
		s.broke = s.departure()
		s.mark()
	}
}

// mark chooses where the reading of a prompt stops, so that others can go on there with the
// state: at the end, for another reply; and where the prompt departs from what others have
// read without a state.
func (s *sequence) mark() {
	if !s.cache.states {
		return
	}
	tokens := s.reusable()
	_, _, whole := s.cache.path[0].furthest(tokens)
	for _, at := range []int{whole * blockTokens, len(tokens)} {
		if at >= s.cache.Len()+worthWaiting {
			s.marks = append(s.marks, at)
		}
	}
}

// untilMark is how many tokens may be read before the next mark.
func (s *sequence) untilMark() int {
	for _, at := range s.marks {
		if at > s.cache.Len() {
			return at - s.cache.Len()
		}
	}
	return math.MaxInt
}

// found counts tokens of the prompt that were in memory. What is read again behind
// tokens that were taken back is not counted twice.
func (s *sequence) found(n int) {
	if s.promptRead.IsZero() {
		s.cached += n
	}
}

// worthTelling is how many tokens must have been kept in vain to be told of.
const worthTelling = blockTokens

// departure is where the prompt departs from what is in the prefix cache; nil if
// not much is left unused, or if it does not even begin like it.
func (s *sequence) departure() *llm.Break {
	at, tokens := s.cache.Len(), s.reusable()
	m, unused := s.cache.last().departs(tokens[min(at, len(tokens)):])
	if at += m; at == 0 || unused < worthTelling {
		return nil
	}
	return &llm.Break{Token: at, Unused: unused, Source: s.source(at)}
}

// worthWaiting is how many tokens must be saved for a sequence to wait for
// another that is reading the same beginning.
const worthWaiting = 8

// job tells the scheduler of a sequence. One had better wait if an older one is
// about to read what it would read next: the choices of one request, or a burst
// of chats with the same system message.
func (l *loop) job(i int) job {
	s := l.running[i]
	cost := l.pacer.cost(l.model.Seen(s.cache.Len()))
	if !s.reading() || !s.cache.even() {
		return job{left: s.left(), cost: cost}
	}
	if s.cache.states {
		return job{left: s.left(), cost: cost, wait: slices.ContainsFunc(l.running[:i], s.awaits)}
	}
	at := s.cache.Len()
	next := s.ahead()
	node, have := s.cache.last().nearest(next)
	if node != nil {
		have = l.usableOf(node, have)
	}
	soon := 0
	for _, older := range l.running[:i] {
		if !older.beside(s) {
			continue
		}
		n, held := shared(older.tokens[at:], next), older.cache.Len()-at
		have = max(have, l.usable(min(n, held), held))
		if !l.model.Rewinds() {
			n -= n % blockTokens
		}
		if n > held {
			soon = max(soon, n)
		}
	}
	return job{left: s.left() - have, cost: cost, wait: soon >= have+worthWaiting}
}

// awaits reports whether an older one is about to come to a point at which a sequence could
// go on.
func (s *sequence) awaits(older *sequence) bool {
	if older.cache.prefixes == nil || older.cache.path[0] != s.cache.path[0] {
		return false
	}
	tokens := s.reusable()
	return slices.ContainsFunc(older.marks, func(at int) bool {
		return at > older.cache.Len() && at >= s.cache.Len()+worthWaiting && at <= len(tokens) && shared(older.tokens[:at], tokens) == at
	})
}

// beside reports whether a sequence has read what another one has and is in the
// block behind it.
func (s *sequence) beside(other *sequence) bool {
	return s.cache != nil && s.cache.prefixes != nil && s.cache.last() == other.cache.last()
}

// usable is how many of the first n tokens of a block that holds so many a sequence
// can go on behind.
func (l *loop) usable(n, held int) int {
	if n < held && !l.model.Rewinds() {
		return 0
	}
	return n
}

// usableOf is likewise of the first n tokens of a node.
func (l *loop) usableOf(node *node, n int) int {
	if !node.block.Thick() {
		return 0
	}
	return l.usable(n, len(node.tokens))
}

// ahead is what of the reusable tokens is not read, two blocks at most.
func (s *sequence) ahead() []int32 {
	t := s.reusable()
	t = t[min(s.cache.Len(), len(t)):]
	return t[:min(len(t), 2*blockTokens)]
}

// begun gives a sequence that is about to read a block what others have of its
// beginning.
func (l *loop) begun(s *sequence) {
	if !s.reading() || !s.cache.even() || s.cache.states {
		return
	}
	at, next := s.cache.Len(), s.ahead()
	node, n := s.cache.last().nearest(next)
	if node != nil {
		n = l.usableOf(node, n)
	}
	var other *sequence
	for _, r := range l.running {
		if r == s || !r.beside(s) {
			continue
		}
		held := r.tokens[at:r.cache.Len()]
		if m := l.usable(shared(held, next), len(held)); m > n {
			other, n = r, m
		}
	}
	switch {
	case n == 0:
		return
	case other != nil:
		b := other.cache.Block(at / blockTokens)
		s.cache.share(b, n)
		b.Release()
	default:
		s.cache.share(node.block, n)
		l.prefixes.touch(node)
	}
	s.found(s.cache.Len() - at)
	s.read.Store(int64(s.cache.Len()))
}

// makeRoom evicts what nobody uses until there is memory for so many blocks more, and
// for so many sequences that begin.
func (l *loop) makeRoom(blocks, sequences int) {
	most := l.budget - int64(blocks)*l.blockBytes() - int64(sequences)*l.model.CacheBytes(0)
	for l.model.CacheUsed() > most && l.prefixes.evict() {
	}
}

// forward calls the model and turns a panic into an error.
func (l *loop) forward(steps []step) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return l.model.Forward(steps)
}

// unwanted reports whether all those have left for whom a step reads prompts, so that
// it need not come to its end.
func (l *loop) unwanted() bool {
	if len(l.batch) == 0 {
		return false
	}
	return l.closed.Load() || !slices.ContainsFunc(l.batch, func(s *sequence) bool { return !s.gone.Load() })
}

// forget ends a batch whose step was left. Of what was read before, whole blocks stay in
// the prefix cache.
func (l *loop) forget(batch []*sequence) {
	for _, s := range batch {
		s.cache.abandon()
		s.cache = nil
		s.guesses.draft.release()
		if !s.gone.Load() {
			s.fail(errClosed())
		}
	}
	l.running = slices.DeleteFunc(l.running, func(s *sequence) bool { return slices.Contains(batch, s) })
}

// drop ends a batch that failed. Nothing is known of its caches any more.
func (l *loop) drop(batch []*sequence, err error) {
	l.log.Error("a step of the model failed", "sequences", len(batch), "err", err)
	for _, s := range batch {
		if s.cache != nil {
			s.cache.abandon()
			s.cache = nil
		}
		s.guesses.draft.release()
		s.fail(&llm.Error{Code: llm.Broken, Message: "the engine failed while working on this request", Err: err})
	}
	l.running = slices.DeleteFunc(l.running, func(s *sequence) bool { return slices.Contains(batch, s) })
}

// advance lets each sequence of the batch whose prompt has been read choose its
// next token.
func (l *loop) advance(batch []*sequence, steps []step) {
	var ended []*sequence
	for i, s := range batch {
		s.read.Store(int64(min(s.cache.Len(), len(s.request.prompt))))
		seen := s.see != nil && s.left() == 0
		if !steps[i].want && !steps[i].all && !seen {
			continue
		}
		if s.promptRead.IsZero() {
			s.promptRead = time.Now()
			l.total.PromptTokens += uint64(s.promptTokens())
			l.total.CachedTokens += uint64(s.cached)
		}
		if seen {
			s.put(llm.Piece{Finish: s.end(llm.ReasonEnd, "")})
			l.retire(s)
			ended = append(ended, s)
			continue
		}
		done, err := l.chooseAll(s, &steps[i])
		if err != nil {
			l.log.Error("a sequence failed", "err", err)
			s.fail(err)
		}
		if done || err != nil {
			l.retire(s)
			ended = append(ended, s)
		}
	}
	if len(ended) > 0 {
		l.running = slices.DeleteFunc(l.running, func(s *sequence) bool { return slices.Contains(ended, s) })
	}
}

// choose is sequence.next with a panic turned into an error.
func (l *loop) choose(s *sequence, logits []float32) (ended bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &llm.Error{
				Code: llm.Broken, Message: "the engine failed while working on this request",
				Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack()),
			}
		}
	}()
	return s.next(logits, &l.scratch)
}

// publish makes the counts known.
func (l *loop) publish() {
	l.total.Steps++
	l.total.Running, l.total.Kept = len(l.running), l.prefixes.kept
	l.total.CacheBytes = l.model.CacheUsed()
	l.mu.Lock()
	l.stats = l.total
	l.mu.Unlock()
}

// counts gives the counts after the last step.
func (l *loop) counts() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Queued = len(l.queue)
	return s
}

// submit puts a sequence into the queue.
func (l *loop) submit(s *sequence) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return errClosed()
	}
	if s.need > l.budget {
		return &llm.Error{
			Code: llm.Unsupported, Hint: "shorten the prompt, ask for fewer tokens, or give the cache more memory",
			Message: fmt.Sprintf("this request may need %d bytes for keys and values, and all that there is are %d", s.need, l.budget),
		}
	}
	if len(l.queue) >= l.maxQueue {
		return &llm.Error{
			Code: llm.Overloaded, Hint: "try again later",
			Message: fmt.Sprintf("%d requests are waiting for this model already", len(l.queue)),
		}
	}
	s.submitted = time.Now()
	l.queue = append(l.queue, s)
	l.nudge()
	return nil
}

// leave is called when a caller wants no more.
func (l *loop) leave(s *sequence) {
	s.gone.Store(true)
	l.mu.Lock()
	l.queue = slices.DeleteFunc(l.queue, func(q *sequence) bool { return q == s })
	l.mu.Unlock()
	l.nudge()
}

// position is the place of a request in the queue, counted from 1; 0 if it has
// begun.
func (l *loop) position(s *sequence) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Index(l.queue, s) + 1
}

// do runs f on the loop's goroutine between two steps, where it has the model
// to itself, and waits for it.
func (l *loop) do(ctx context.Context, f func()) error {
	t := task{ctx, f, make(chan error, 1)}
	l.mu.Lock()
	if l.closed.Load() {
		l.mu.Unlock()
		return errClosed()
	}
	l.tasks = append(l.tasks, t)
	l.mu.Unlock()
	l.nudge()
	return <-t.done
}

// A task is something to be done between two steps.
type task struct {
	ctx  context.Context
	do   func()
	done chan error // capacity 1
}

func (t task) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if t.ctx.Err() == nil {
		t.do()
	}
	return context.Cause(t.ctx)
}

// close ends all requests with an error and waits until the goroutine has
// ended.
func (l *loop) close() {
	l.mu.Lock()
	l.closed.Store(true)
	l.mu.Unlock()
	l.nudge()
	<-l.stopped
}
