package process

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

func TestAProgramIsStartedWatchedAndStopped(t *testing.T) {
	o := helper("serve", "127.0.0.1:{port}")
	p := New(o)
	run, err := p.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Start(t.Context()); err != nil || again != run {
		t.Errorf("a second start: %v, %v", again, err)
	}
	s := p.Status()
	if s.State != Ready || s.PID == 0 || s.URL != run.URL || runtime.GOOS == "linux" && s.Memory < 1<<20 {
		t.Errorf("status %+v", s)
	}
	gone := hold(t, strings.TrimPrefix(run.URL, "http://"))
	if err := p.Stop(run); err != nil {
		t.Error(err)
	}
	within(t, "the end", gone)
	within(t, "being told", run.Gone)
	if s := p.Status(); s.State != Stopped || s.PID != 0 || s.Err != nil {
		t.Errorf("after it: %+v", s)
	}
	if run, err = p.Start(t.Context()); err != nil {
		t.Fatalf("started again: %v", err)
	}
	if err := p.Stop(run); err != nil {
		t.Error(err)
	}
	within(t, "the second end", run.Gone)
}

func TestAProgramIsReadyWhenItSaysSo(t *testing.T) {
	address := freeAddress(t)
	o := helper("slow", address)
	o.URL = "http://" + address
	p := New(o)
	asked := make(chan struct{})
	check := p.check
	p.check = func(ctx context.Context, url, health string) error {
		err := check(ctx, url, health)
		if err != nil && strings.Contains(err.Error(), "503") {
			select {
			case <-asked:
			default:
				close(asked)
			}
		}
		return err
	}
	done := make(chan error, 1)
	var run *Run
	go func() {
		var err error
		run, err = p.Start(t.Context())
		done <- err
	}()
	within(t, "a look before it is ready", asked)
	if s := p.Status(); s.State != Starting || s.PID == 0 {
		t.Errorf("status %+v", s)
	}
	resp, err := http.Get("http://" + address + "/wake")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.Stop(run)
}

func TestAProgramThatEndsAtOnceSaysWhy(t *testing.T) {
	t.Setenv("PARLEY_API_KEY", "secret")
	o := helper("exit", "3")
	o.LogFile = filepath.Join(t.TempDir(), "logs", "exit.log")
	p := New(o)
	_, err := p.Start(t.Context())
	e, ok := errors.AsType[*llm.Error](err)
	if !ok || e.Code != llm.Broken || !strings.Contains(e.Message, "exit status 3") || strings.Contains(e.Message, "damaged") {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"model file is damaged[31m", "key unknown"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if log, err := os.ReadFile(o.LogFile); err != nil || !strings.Contains(string(log), "cannot go on") {
		t.Errorf("the log file has %q, %v", log, err)
	}
}

func TestWhatIsWrongWithACommandIsASentence(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for name, test := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"no program":     {func(o *Options) { o.Command = []string{"no-such-engine"} }, "no-such-engine, which is to run m, is not there"},
		"no path":        {func(o *Options) { o.Command = []string{plain + "-not"} }, "is not there"},
		"not executable": {func(o *Options) { o.Command = []string{plain} }, "may not be executed"},
		"no folder":      {func(o *Options) { o.Dir = plain + "-not" }, "the folder"},
		"port taken":     {func(o *Options) { o.Port = busy.Addr().(*net.TCPAddr).Port }, "is taken by another program"},
		"never well": {func(o *Options) {
			o.Command, o.Env, o.Start = []string{os.Args[0], "127.0.0.1:{port}"}, []string{"HELPER=slow"}, 200*time.Millisecond
		}, "was not ready within 200ms: http://127.0.0.1:"},
		"never listening": {func(o *Options) { o.Env, o.Start = []string{"HELPER=hang"}, 200*time.Millisecond }, "nothing answers at"},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && name == "not executable" {
				return // there it is the name that decides
			}
			o := helper("serve", "127.0.0.1:{port}")
			o.Name = "m"
			test.change(&o)
			_, err := New(o).Start(t.Context())
			e, ok := errors.AsType[*llm.Error](err)
			if !ok || !strings.Contains(e.Message, test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}

func TestACrashIsKnownToThoseWhoUseTheProgram(t *testing.T) {
	p := New(helper("serve", "127.0.0.1:{port}"))
	run, err := p.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kill(p.Status().PID)
	within(t, "its end", run.Gone)
	if err := p.Crash(); err == nil || !strings.Contains(err.Error(), "has crashed: ") {
		t.Errorf("got %v", err)
	}
	if s := p.Status(); s.State != Stopped || s.Crashes != 1 {
		t.Errorf("status %+v", s)
	}
	again, err := p.Start(t.Context()) // after a second, about
	if err != nil {
		t.Fatal(err)
	}
	if p.Crash() != nil {
		t.Error("crashed while it runs")
	}
	p.Stop(again)
	<-again.Gone
}

func kill(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
}

func TestAProgramThatDoesNotHeedIsKilled(t *testing.T) {
	o := helper("deaf", "127.0.0.1:{port}")
	o.Grace = 100 * time.Millisecond
	p := New(o)
	run, err := p.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(run); err != nil {
		t.Error(err)
	}
	within(t, "its end", run.Gone)
}

func TestWhatAProgramStartsEndsWithIt(t *testing.T) {
	for name, end := range map[string]func(*Process, *Run){
		"stopped": func(p *Process, run *Run) { p.Stop(run) },
		"crashed": func(p *Process, _ *Run) { kill(p.Status().PID) },
	} {
		t.Run(name, func(t *testing.T) {
			address, other := freeAddress(t), freeAddress(t)
			o := helper("tree", address, other)
			o.URL = "http://" + other // the child's child
			p := New(o)
			run, err := p.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			gone := hold(t, other)
			end(p, run)
			within(t, "the end of the child's child", gone)
			p.Stop(run)
		})
	}
}

// TestNothingIsLeftWhenWeAreKilled: kill -9 of whoever runs a program ends the
// program and what that started.
func TestNothingIsLeftWhenWeAreKilled(t *testing.T) {
	address, other := freeAddress(t), freeAddress(t)
	parent := exec.Command(os.Args[0], other, address)
	parent.Env = append(os.Environ(), "HELPER=parent")
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer parent.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	child := hold(t, other)
	var grandchild <-chan struct{}
	for grandchild == nil { // it may come later than its parent
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			grandchild = hold(t, address)
		}
	}
	parent.Process.Kill()
	parent.Wait()
	within(t, "the child's end", child)
	within(t, "its child's end", grandchild)
}

func TestAStartEndsWithThoseWhoWantIt(t *testing.T) {
	address := freeAddress(t)
	o := helper("slow", address)
	o.URL = "http://" + address
	p := New(o)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	done := make(chan error, 1)
	go func() { _, err := p.Start(ctx); done <- err }()
	var gone <-chan struct{}
	for gone == nil {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			gone = hold(t, address)
		}
	}
	leave()
	within(t, "its end", gone)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if s := p.Status(); s.State != Stopped || s.Crashes != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestAnOldRunIsNotTheNewOne(t *testing.T) {
	p := New(helper("serve", "127.0.0.1:{port}"))
	old, err := p.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(old); err != nil {
		t.Fatal(err)
	}
	run, err := p.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(old); err != nil || p.Status().State != Ready {
		t.Errorf("%v, and the new one is %s", err, p.Status().State)
	}
	p.Stop(run)
}

func TestTheStopCommandEndsAProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // there is no kill
	}
	o := helper("deaf", "127.0.0.1:{port}")
	o.Grace = time.Minute
	o.Stop = []string{"/bin/sh", "-c", "kill -s INT {pid}"}
	p := New(o)
	run, err := p.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(run); err != nil {
		t.Error(err)
	}
	within(t, "its end", run.Gone)
}

func TestHealthWithoutARouteTakesAnyAnswer(t *testing.T) {
	for _, test := range []struct {
		health string
		status int
		well   bool
	}{
		{"", 200, true}, {"", 404, true}, {"", 401, true}, {"", 503, false}, {"", 500, false},
		{"/ok", 204, true}, {"/ok", 404, false}, {"/ok", 302, false}, {"tcp", 503, true},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(test.status) })}
		go s.Serve(l)
		if err := healthy(t.Context(), "http://"+l.Addr().String(), test.health); (err == nil) != test.well {
			t.Errorf("%+v: %v", test, err)
		}
		s.Close()
	}
	if err := healthy(t.Context(), "http://"+freeAddress(t), "tcp"); err == nil {
		t.Error("well where nobody listens")
	}
}

func TestTheLogFileIsRotatedAndTheMemoryBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.log")
	o := newOutput(file)
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 3 * limits.LogFileBytes.Int() / len(line) {
		o.Write(line)
	}
	o.Write([]byte("the last\r\nline"))
	o.close()
	for _, name := range []string{file, file + ".old"} {
		info, err := os.Stat(name)
		if err != nil || info.Size() > limits.LogFileBytes.Int64() || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if got := o.tail(2); len(got) != 2 || got[0] != "the last" || got[1] != "line" {
		t.Errorf("tail %q", got)
	}
	if cap(o.ring) > 8*limits.OutputBytes.Int()+2*len(line) {
		t.Errorf("%d bytes are kept", cap(o.ring))
	}
}
