package process

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// stage is a launcher whose programs do as they are told.
type stage struct {
	launched int
	last     chan struct{} // closed by the test to have the program end
	child    *child
	deaf     bool // does not end when asked
	immortal bool // does not even end when killed
}

func (s *stage) launch(launch) (*child, error) {
	s.launched++
	done := make(chan struct{})
	s.last = done
	once := func() {
		select {
		case <-done:
		default:
			close(done)
		}
	}
	s.child = &child{pid: -s.launched, done: done, err: errors.New("signal: killed")}
	s.child.terminate = func() {
		if !s.deaf && !s.immortal {
			once()
		}
	}
	s.child.kill = func() {
		if !s.immortal {
			once()
		}
	}
	return s.child, nil
}

func staged(well func() error) (*Process, *stage) {
	s := &stage{}
	p := New(Options{Name: "m", Command: []string{"x"}, URL: "http://x", Start: 10 * time.Second})
	p.launch, p.jitter = s.launch, func() float64 { return 1 }
	p.check = func(context.Context, string, string) error { return well() }
	return p, s
}

func always() error { return nil }

func TestAProgramThatCrashesIsStartedMoreAndMoreSeldomAndThenLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := staged(always)
		for n := range limits.Crashes.Int() {
			begun := time.Now()
			run, err := p.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := time.Duration(0)
			if n > 0 {
				want = time.Second << (n - 1)
			}
			if got := time.Since(begun); got != want {
				t.Errorf("start %d after %s, want %s", n, got, want)
			}
			close(s.last)
			<-run.Gone
		}
		if p.Status().State != Broken {
			t.Errorf("state %s", p.Status().State)
		}
		_, err := p.Start(t.Context())
		if e := llm.AsError(err); e.Code != llm.Unavailable || e.Err == nil {
			t.Errorf("left alone: %v", err)
		}
		time.Sleep(seconds(limits.BrokenSeconds))
		run, err := p.Start(t.Context())
		if err != nil {
			t.Fatalf("after the rest: %v", err)
		}
		// Once it has run for long, a crash is the first again.
		time.Sleep(seconds(limits.SettledSeconds))
		close(s.last)
		<-run.Gone
		if got := p.Status(); got.Crashes != 1 || got.State != Stopped {
			t.Errorf("status %+v", got)
		}
	})
}

func TestAProgramThatWasWellWhenItWasStoppedIsForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := staged(always)
		run, _ := p.Start(t.Context())
		close(s.last)
		<-run.Gone
		if run, _ = p.Start(t.Context()); run == nil {
			t.Fatal("not started")
		}
		time.Sleep(seconds(limits.SettledSeconds))
		p.Stop(run)
		if got := p.Status(); got.Crashes != 0 || got.State != Stopped {
			t.Errorf("status %+v", got)
		}
	})
}

func TestAStartHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := staged(func() error { return errors.New("still loading") })
		begun := time.Now()
		_, err := p.Start(t.Context())
		if err == nil || time.Since(begun) != 10*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		select {
		case <-s.child.done:
		default:
			t.Error("the program was left running")
		}
		// It waits for the next start, and can be given up meanwhile.
		ctx, leave := context.WithTimeout(t.Context(), time.Second/2)
		defer leave()
		if _, err := p.Start(ctx); !errors.Is(err, context.DeadlineExceeded) || s.launched != 1 {
			t.Errorf("launched %d times, %v", s.launched, err)
		}
	})
}

func TestStoppingTakesItsTimeAndNoMore(t *testing.T) {
	for name, test := range map[string]struct {
		deaf, immortal bool
		took           time.Duration
		fails          bool
	}{
		"heeds":          {false, false, 0, false},
		"must be killed": {true, false, seconds(limits.GraceSeconds), false},
		"cannot be":      {true, true, seconds(limits.GraceSeconds) + killed, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := staged(always)
				run, err := p.Start(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				s.deaf, s.immortal = test.deaf, test.immortal
				begun := time.Now()
				if err := p.Stop(run); (err != nil) != test.fails || time.Since(begun) != test.took {
					t.Errorf("after %s: %v", time.Since(begun), err)
				}
				if test.immortal {
					close(s.last)
					synctest.Wait()
				}
			})
		})
	}
}

func TestAProgramThatHangsIsKilledOnceSomebodyDoubtsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := staged(always)
		run, err := p.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Doubt(t.Context(), run) {
			t.Error("it is well, and was killed")
		}
		p.check = func(ctx context.Context, _, _ string) error { <-ctx.Done(); return errors.New("no answer") }
		s.deaf = true
		begun := time.Now()
		if !p.Doubt(t.Context(), run) || time.Since(begun) != oneLook {
			t.Errorf("after %s it is %+v", time.Since(begun), p.Status())
		}
		if err := p.Crash(); err == nil || !strings.Contains(err.Error(), "did not answer any more") || p.Status().Crashes != 1 {
			t.Errorf("%v, %+v", err, p.Status())
		}
		if p.Doubt(t.Context(), run) {
			t.Error("killed twice")
		}
	})
}
