package kernel

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A Pool is a number of threads that share work. Idle workers sleep.
type Pool struct {
	threads int
	current atomic.Pointer[job]
	parked  atomic.Int32 // workers asleep or about to
	closed  atomic.Bool
	mu      sync.Mutex
	wake    *sync.Cond
}

type job struct {
	do    func(i int)
	n     int64
	spans []span // one for each thread
	done  atomic.Int64
	group sync.WaitGroup // the same as done, to sleep on
	fault atomic.Pointer[fault]
}

// A span is what one thread begins with: neighbours, so that it reads memory in one go,
// which is what processors foresee. What is left of it others take.
type span struct {
	next atomic.Int64
	end  int64
	_    [48]byte // a line of the cache for each
}

// A fault is a panic on a worker, where nobody could recover from it.
type fault struct {
	value any
	stack []byte
}

// A worker that has nothing to do looks for work so long before it sleeps. What one thread does
// alone between two products of one token takes some ten microseconds, but to wake a thread
// takes up to eighty: one that is asleep is missing for the whole of a short job.
const patience = 200 * time.Microsecond

// NewPool starts threads−1 workers; the caller of Run is the other one.
// Less than one is one.
func NewPool(threads int) *Pool {
	p := &Pool{threads: max(1, threads)}
	p.wake = sync.NewCond(&p.mu)
	for i := range p.threads - 1 {
		go p.work(i + 1)
	}
	return p
}

// Threads is the number of threads, the caller's included.
func (p *Pool) Threads() int { return p.threads }

// Close ends the workers. Run still works after it, on one thread.
func (p *Pool) Close() {
	p.closed.Store(true)
	p.mu.Lock()
	p.wake.Broadcast()
	p.mu.Unlock()
}

// Run calls do(0) to do(n-1), each once, in any order and on any thread, and
// returns when all have returned. One Run at a time. If some of them panic, Run
// panics with the first one's value, on the caller's thread.
func (p *Pool) Run(n int, do func(i int)) {
	if n <= 1 || p.threads == 1 {
		for i := range n {
			do(i)
		}
		return
	}
	j := &job{do: do, n: int64(n), spans: make([]span, p.threads)}
	for i := range j.spans {
		j.spans[i].next.Store(int64(n * i / p.threads))
		j.spans[i].end = int64(n * (i + 1) / p.threads)
	}
	j.group.Add(n)
	p.current.Store(j)
	if p.parked.Load() > 0 {
		p.mu.Lock()
		p.wake.Broadcast()
		p.mu.Unlock()
	}
	j.take(0)
	if !look(func() bool { return j.done.Load() == j.n }) {
		j.group.Wait()
	}
	p.current.Store(nil)
	if f := j.fault.Load(); f != nil {
		panic(fmt.Sprintf("%v\n\non a worker:\n%s", f.value, f.stack))
	}
}

// take does what is left of a job, that of one thread first. A worker that comes late
// finds nothing.
func (j *job) take(thread int) {
	for k := range j.spans {
		for s := &j.spans[(thread+k)%len(j.spans)]; s.next.Load() < s.end; {
			j.takeOf(s)
		}
	}
}

// takeOf does what is left of a span, or up to a panic.
func (j *job) takeOf(s *span) {
	taken := 0
	defer func() {
		if v := recover(); v != nil {
			j.fault.CompareAndSwap(nil, &fault{v, debug.Stack()})
		}
		j.done.Add(int64(taken))
		j.group.Add(-taken)
	}()
	for i := s.next.Add(1) - 1; i < s.end; i = s.next.Add(1) - 1 {
		taken++
		j.do(int(i))
	}
}

func (p *Pool) work(thread int) {
	var last *job
	news := func() bool {
		j := p.current.Load()
		return j != nil && j != last || p.closed.Load()
	}
	for !p.closed.Load() {
		if !look(news) {
			p.mu.Lock()
			p.parked.Add(1)
			for !news() {
				p.wake.Wait()
			}
			p.parked.Add(-1)
			p.mu.Unlock()
		}
		if j := p.current.Load(); j != nil {
			last = j
			j.take(thread)
		}
	}
}

// look asks for a while whether something is so, letting others run.
func look(so func() bool) bool {
	const looks = 64 // while others wait, and without asking the time
	var until time.Time
	for i := 0; ; i++ {
		if so() {
			return true
		}
		if i%looks < looks-1 {
			continue
		}
		now := time.Now()
		if until.IsZero() {
			until = now.Add(patience)
		}
		if now.After(until) {
			return false
		}
		runtime.Gosched()
	}
}
