package kernel

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
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
	next  atomic.Int64
	done  atomic.Int64
	group sync.WaitGroup // the same as done, to sleep on
	fault atomic.Pointer[fault]
}

// A fault is a panic on a worker, where nobody could recover from it.
type fault struct {
	value any
	stack []byte
}

// A worker that has nothing to do looks for work so often before it sleeps, a
// few tens of microseconds: the pause between two products of one token is
// shorter than a wake-up.
const looks = 4000

// NewPool starts threads−1 workers; the caller of Run is the other one.
// Less than one is one.
func NewPool(threads int) *Pool {
	p := &Pool{threads: max(1, threads)}
	p.wake = sync.NewCond(&p.mu)
	for range p.threads - 1 {
		go p.work()
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
	j := &job{do: do, n: int64(n)}
	j.group.Add(n)
	p.current.Store(j)
	if p.parked.Load() > 0 {
		p.mu.Lock()
		p.wake.Broadcast()
		p.mu.Unlock()
	}
	j.take()
	if !look(func() bool { return j.done.Load() == j.n }) {
		j.group.Wait()
	}
	p.current.Store(nil)
	if f := j.fault.Load(); f != nil {
		panic(fmt.Sprintf("%v\n\non a worker:\n%s", f.value, f.stack))
	}
}

// take does what is left of a job. A worker that comes late finds nothing.
func (j *job) take() {
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.one(int(i))
	}
}

func (j *job) one(i int) {
	defer func() {
		if v := recover(); v != nil {
			j.fault.CompareAndSwap(nil, &fault{v, debug.Stack()})
		}
		j.done.Add(1)
		j.group.Done()
	}()
	j.do(i)
}

func (p *Pool) work() {
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
			j.take()
		}
	}
}

// look asks for a while whether something is so, letting others run.
func look(so func() bool) bool {
	for i := range looks {
		if so() {
			return true
		}
		if i%64 == 63 {
			runtime.Gosched()
		}
	}
	return false
}
