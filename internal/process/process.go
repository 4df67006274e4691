package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// Options say which program runs and how it is known to be well. In Command,
// Env, URL and Stop, {port} stands for the port that the program is to listen
// on; in Stop, {pid} stands for its process id.
type Options struct {
	Name    string   // what it is called in the log and in errors
	Command []string // the program and its arguments; no shell reads them
	Dir     string   // where it runs; "" is where we run
	Env     []string // "NAME=value", beside and before our own environment
	URL     string   // where it answers; "" is http://127.0.0.1:{port}
	Port    int      // that it listens on; 0: any that is free

	// Health is the route that answers with 200 to 299 as soon as the program
	// is ready. "tcp" is satisfied by a port that accepts connections. ""
	// tries /health, and takes a program that answers without knowing that
	// route for ready.
	Health string

	// Stop is a command that asks the program to end, for programs that
	// another one runs (docker stop). Without it they get SIGTERM.
	Stop []string

	Start time.Duration // it has so long to become ready; 0: as in the table of limits
	Grace time.Duration // it has so long to end; 0: as in the table of limits

	LogFile string       // what it prints is kept here too; "" for nowhere
	Logger  *slog.Logger // nil: silent
}

// State is what a process is doing.
type State string

// The states. Broken is stopped after several crashes in a row.
const (
	Stopped  State = "stopped"
	Starting State = "starting"
	Ready    State = "ready"
	Stopping State = "stopping"
	Broken   State = "broken"
)

// Status is a process at one moment.
type Status struct {
	State   State
	Since   time.Time
	PID     int    // 0 when it does not run
	URL     string // "" when it does not run
	Memory  int64  // bytes that it and its children hold in main memory; 0: not known
	Crashes int    // one soon after the other
	Err     error  // why it last failed
}

// A Process is a program that runs at most once at a time. It may be used by
// many goroutines.
type Process struct {
	o      Options
	launch func(launch) (*child, error)
	check  func(ctx context.Context, url, health string) error
	jitter func() float64

	turn chan struct{} // held by the one who starts it

	mu      sync.Mutex
	state   State
	since   time.Time
	run     *Run
	crashes int
	failed  time.Time // when it last crashed
	err     error
	out     *output
}

// A Run is a program that became ready.
type Run struct {
	URL  string
	Gone <-chan struct{} // closed when the program has ended, asked or not

	gone     chan struct{}
	child    *child
	port     int
	leased   bool // the port was found for it
	release  func()
	ready    time.Time
	stopping bool
	mute     bool // it did not answer any more
}

// New makes a Process, which does not run yet.
func New(o Options) *Process {
	o.URL = cmp.Or(o.URL, "http://127.0.0.1:{port}")
	o.Start = cmp.Or(o.Start, seconds(limits.StartSeconds))
	o.Grace = cmp.Or(o.Grace, seconds(limits.GraceSeconds))
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Process{
		o: o, launch: start, check: healthy,
		jitter: func() float64 { return 0.8 + 0.4*rand.Float64() },
		turn:   make(chan struct{}, 1),
		state:  Stopped, since: time.Now(),
		out: newOutput(o.LogFile),
	}
}

func seconds(l *limits.Limit) time.Duration { return time.Duration(l.Max * float64(time.Second)) }

// Start runs the program and waits until it is ready. A program that crashed
// a moment ago is started again after a pause, which doubles from crash to
// crash; one that crashes again and again is not, until some time has passed.
// When ctx ends, so does the start. The error is an *llm.Error.
func (p *Process) Start(ctx context.Context) (*Run, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	if p.state == Ready {
		defer p.mu.Unlock()
		return p.run, nil
	}
	pause, err := p.pause(time.Now())
	if err != nil {
		defer p.mu.Unlock()
		return nil, err
	}
	p.set(Starting)
	p.mu.Unlock()

	run, err := p.try(ctx, pause)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.set(Stopped)
		if ctx.Err() == nil {
			p.fail(err)
		}
		return nil, err
	}
	p.run = run
	run.ready = time.Now()
	p.set(Ready)
	go p.watch(run)
	return run, nil
}

// pause is how long a start has to wait for the sake of crashes before it; the
// error is that it is given up for now.
func (p *Process) pause(now time.Time) (time.Duration, error) {
	if p.crashes == 0 {
		return 0, nil
	}
	since := now.Sub(p.failed)
	if p.crashes >= limits.Crashes.Int() {
		if left := seconds(limits.BrokenSeconds) - since; left > 0 {
			e := llm.Errorf(llm.Unavailable, "", "%s has failed %d times in a row and is left alone for %d seconds", p.o.Name, p.crashes, int(left.Seconds())+1)
			e.Hint = "the server's log has its last lines"
			e.Err = p.err
			return 0, e
		}
		return 0, nil
	}
	wait := min(time.Second<<(p.crashes-1), seconds(limits.BackoffSeconds))
	return max(0, time.Duration(float64(wait)*p.jitter())-since), nil
}

// otherPorts is how often a start that failed since its port was taken in the
// meantime is tried again with another.
const otherPorts = 3

func (p *Process) try(ctx context.Context, pause time.Duration) (*Run, error) {
	if pause > 0 {
		p.o.Logger.Info("waiting before another start", "engine", p.o.Name, "wait", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	for attempt := 1; ; attempt++ {
		run, err := p.once(ctx)
		if err == nil || attempt == otherPorts || !errors.Is(err, errPortTaken) || p.o.Port != 0 {
			return run, err
		}
	}
}

// once starts the program on a port of its own and waits for it.
func (p *Process) once(ctx context.Context) (*Run, error) {
	port, leased := p.o.Port, false
	if port == 0 && p.wantsPort() {
		var err error
		if port, err = lease(); err != nil {
			return nil, &llm.Error{Code: llm.Broken, Message: "no port is free for " + p.o.Name, Err: err}
		}
		leased = true
	} else if port != 0 && taken(port) {
		e := llm.Errorf(llm.Broken, "", "port %d, on which %s is to listen, is taken by another program", port, p.o.Name)
		e.Hint = "end that program, or leave out port and write {port} in the command"
		return nil, e
	}
	run := &Run{URL: fill(p.o.URL, port, 0), gone: make(chan struct{}), port: port, leased: leased}
	run.release = sync.OnceFunc(func() {
		if leased {
			giveBack(port)
		}
	})
	run.Gone = run.gone
	begun := time.Now()
	c, err := p.launch(launch{
		command: fillAll(p.o.Command, port, 0), dir: p.o.Dir,
		env: environment(fillAll(p.o.Env, port, 0)), out: p.out,
	})
	if err != nil {
		run.release()
		return nil, launchError(p.o, err)
	}
	p.o.Logger.Info("started", "engine", p.o.Name, "pid", c.pid, "url", run.URL)
	run.child = c
	p.mu.Lock()
	p.run = run
	p.mu.Unlock()
	if err := p.await(ctx, run); err != nil {
		p.end(run)
		p.mu.Lock()
		p.run = nil
		p.mu.Unlock()
		return nil, err
	}
	p.o.Logger.Info("ready", "engine", p.o.Name, "pid", c.pid, "took", time.Since(begun))
	return run, nil
}

// await waits until the program answers; the error says why it never did.
func (p *Process) await(ctx context.Context, run *Run) error {
	limit, cancel := context.WithTimeout(ctx, p.o.Start)
	defer cancel()
	well := make(chan error, 1)
	go func() {
		well <- poll(limit, func(ctx context.Context) error { return p.check(ctx, run.URL, p.o.Health) })
	}()
	var err error
	select {
	case err = <-well:
	case <-run.child.done:
	}
	select {
	case <-run.child.done:
		// Also when it seems well: then somebody else answers at its port.
		if run.leased && taken(run.port) {
			return &llm.Error{Code: llm.Broken, Message: "the port of " + p.o.Name + " was taken by another program", Err: errPortTaken}
		}
		return p.lines(llm.Errorf(llm.Broken, "", "%s ended before it was ready: %s", p.o.Name, reason(run.child.err)))
	default:
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := llm.Errorf(llm.Broken, "", "%s was not ready within %s: %v", p.o.Name, p.o.Start, err)
	e.Hint = "give it more time with start_seconds, or another route with health"
	return p.lines(e)
}

var errPortTaken = errors.New("the port is taken")

// lines puts the program's last lines into an error, for the log.
func (p *Process) lines(e *llm.Error) *llm.Error {
	if said := p.out.tail(errorLines); len(said) > 0 {
		e.Err = &outputError{said}
	}
	return e
}

// errorLines is how many of its last lines explain a failure.
const errorLines = 20

// watch waits for the end of a program that was ready, and tells it to others
// when it is known why.
func (p *Process) watch(run *Run) {
	<-run.child.done
	defer close(run.gone)
	p.mu.Lock()
	defer p.mu.Unlock()
	run.release()
	if run.stopping {
		return // whoever stops it says so
	}
	p.run = nil
	if time.Since(run.ready) >= seconds(limits.SettledSeconds) {
		p.crashes = 0
	}
	p.set(Stopped)
	e := llm.Errorf(llm.Broken, "", "%s has crashed: %s", p.o.Name, reason(run.child.err))
	if run.mute {
		e = llm.Errorf(llm.Broken, "", "%s did not answer any more and was ended", p.o.Name)
	}
	p.fail(p.lines(e))
}

// fail notes a failure.
func (p *Process) fail(err error) {
	p.err, p.failed = err, time.Now()
	if e, ok := errors.AsType[*launchFailure](err); ok {
		p.o.Logger.Error("not started", "engine", p.o.Name, "cause", e.Error())
		return // nothing ran: trying again costs nothing
	}
	p.crashes++
	if p.crashes >= limits.Crashes.Int() {
		p.set(Broken)
	}
	p.o.Logger.Error("failed", "engine", p.o.Name, "crashes", p.crashes, "cause", err.Error())
}

// Stop ends a run and returns when the program is gone with everything that it
// started: asked to, and after the time of grace not asked any more. It does
// nothing where the run is over. The error is that it cannot be ended.
func (p *Process) Stop(run *Run) error {
	p.mu.Lock()
	if p.run != run {
		p.mu.Unlock()
		return nil
	}
	run.stopping = true
	p.set(Stopping)
	p.mu.Unlock()

	err := p.end(run)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		if time.Since(run.ready) >= seconds(limits.SettledSeconds) {
			p.crashes = 0
		}
		p.run = nil
		p.set(Stopped)
		p.o.Logger.Info("stopped", "engine", p.o.Name)
	} else {
		p.err = err
		p.o.Logger.Error("cannot be ended", "engine", p.o.Name, "cause", err.Error())
	}
	return err
}

// killed is how long the system may take to end what was killed.
const killed = 10 * time.Second

func (p *Process) end(run *Run) error {
	defer run.release()
	select {
	case <-run.child.done:
		return nil
	default:
	}
	if len(p.o.Stop) > 0 {
		p.askToStop(run)
	} else {
		run.child.terminate()
	}
	for _, wait := range []time.Duration{p.o.Grace, killed} {
		select {
		case <-run.child.done:
			return nil
		case <-time.After(wait):
			p.o.Logger.Warn("does not end: killed", "engine", p.o.Name, "pid", run.child.pid, "after", wait)
			run.child.kill()
		}
	}
	select {
	case <-run.child.done:
		return nil
	default:
		return llm.Errorf(llm.Broken, "", "%s (process %d) cannot be ended", p.o.Name, run.child.pid)
	}
}

// askToStop runs the command that ends the program, for as long as the program
// may take.
func (p *Process) askToStop(run *Run) {
	c, err := p.launch(launch{
		command: fillAll(p.o.Stop, run.port, run.child.pid), dir: p.o.Dir,
		env: environment(fillAll(p.o.Env, run.port, 0)), out: p.out,
	})
	if err != nil {
		p.o.Logger.Warn("the stop command does not run", "engine", p.o.Name, "cause", err.Error())
		run.child.terminate()
		return
	}
	go func() {
		select {
		case <-c.done:
		case <-time.After(p.o.Grace):
			c.kill()
		}
	}()
}

// Doubt is for those who got no answer from a program that runs: one that does
// not even say how it is hangs, and is killed as if it had crashed. It returns
// whether that was so, when the program is gone.
func (p *Process) Doubt(ctx context.Context, run *Run) bool {
	one, cancel := context.WithTimeout(ctx, oneLook)
	defer cancel()
	if p.check(one, run.URL, p.o.Health) == nil || ctx.Err() != nil {
		return false
	}
	p.mu.Lock()
	if p.run != run || run.stopping {
		p.mu.Unlock()
		return false
	}
	run.mute = true
	p.mu.Unlock()
	run.child.kill()
	select {
	case <-run.Gone:
		return true
	case <-time.After(killed):
		return false
	}
}

// Crash is why the program is not there any more, for those who used it; nil
// if it was stopped, or is there.
func (p *Process) Crash() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil || p.state == Stopping {
		return nil
	}
	return p.err
}

// Status tells what the process is doing.
func (p *Process) Status() Status {
	p.mu.Lock()
	s := Status{State: p.state, Since: p.since, Crashes: p.crashes, Err: p.err}
	if p.run != nil && p.run.child != nil {
		s.PID, s.URL = p.run.child.pid, p.run.URL
	}
	p.mu.Unlock()
	if s.PID != 0 {
		s.Memory = memory(s.PID)
	}
	return s
}

func (p *Process) set(s State) {
	if p.state != s {
		p.state, p.since = s, time.Now()
	}
}

// reason is why a program ended, in words.
func reason(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// outputError is the end of what a program printed.
type outputError struct{ lines []string }

func (e *outputError) Error() string {
	return fmt.Sprintf("its last lines: %q", e.lines)
}
