//go:build engines

package engines

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An engine is how one is started and seen to be ready.
type engine struct {
	args  func(gguf, port string) []string
	env   func(folder, port string) []string
	ready string // a path that answers 200 from then on
}

var known = map[string]engine{
	"llama-server": {
		args: func(gguf, port string) []string {
			return []string{"llama-server", "--model", gguf, "--host", "127.0.0.1", "--port", port, "--threads", "2", "--parallel", "2", "--ctx-size", "512", "--alias", "parley-demo"}
		},
		ready: "/health",
	},
}

// Start starts an engine on a free port of this machine with one model, waits
// until it is ready, and ends it, and whatever it started, with the test. What
// it printed is logged where the test failed.
func Start(t testing.TB, name, gguf string) (url string) {
	t.Helper()
	e, ok := known[name]
	if !ok {
		t.Fatalf("there is no engine %q", name)
	}
	gguf, err := filepath.Abs(gguf)
	if err != nil {
		t.Fatal(err)
	}
	folder := built(t, name)
	port := freePort(t)
	args := e.args(gguf, port)
	if !filepath.IsAbs(args[0]) {
		args[0] = filepath.Join(folder, args[0])
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = t.TempDir()
	cmd.Env = os.Environ()
	if e.env != nil {
		cmd.Env = append(cmd.Env, e.env(cmd.Dir, port)...)
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, log.String())
		}
	})
	url = "http://127.0.0.1:" + port
	wait(t, url+e.ready, ended)
	return url
}

// wait asks until the answer is 200.
func wait(t testing.TB, url string, ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ended:
			t.Fatalf("the engine ended before it was ready at %s", url)
		case <-ctx.Done():
			t.Fatalf("the engine was not ready within two minutes at %s", url)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// built is the folder of an engine that build.sh made.
func built(t testing.TB, name string) string {
	t.Helper()
	for folder := range strings.Lines(os.Getenv("PARLEY_ENGINES")) {
		folder = strings.TrimSpace(folder)
		if strings.HasPrefix(filepath.Base(folder), name+"-") {
			return folder
		}
	}
	t.Fatalf("PARLEY_ENGINES names no folder of %s: set it to what tools/engines/build.sh prints", name)
	return ""
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
