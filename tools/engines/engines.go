//go:build engines

package engines

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ModelName is what a model is called in every engine that has names.
const ModelName = "parley-demo"

// An engine is how one is started and seen to be ready.
type engine struct {
	program string // in the folder that build.sh made
	args    func(gguf, port string) []string
	env     func(folder, port string) []string
	ready   string                               // a path that answers 200 from then on
	serve   func(t testing.TB, url, gguf string) // makes it serve the model, where its command line cannot
}

var known = map[string]engine{
	"llama-server": {
		program: "llama-server",
		args: func(gguf, port string) []string {
			return []string{"--model", gguf, "--host", "127.0.0.1", "--port", port, "--threads", "1", "--parallel", "2", "--ctx-size", "512", "--alias", ModelName}
		},
		ready: "/health",
	},
	"parley": {
		args: func(gguf, port string) []string {
			return []string{"serve", "--model", ModelName + "=" + gguf, "--listen", "127.0.0.1:" + port, "--threads", "1"}
		},
		ready: "/readyz",
	},
	"llama-cpp-python": {
		program: "python/bin/python",
		args: func(gguf, port string) []string {
			return []string{"-m", "llama_cpp.server", "--model", gguf, "--host", "127.0.0.1", "--port", port, "--n_threads", "1", "--n_threads_batch", "1", "--n_ctx", "256", "--model_alias", ModelName}
		},
		ready: "/v1/models",
	},
	"ollama": {
		program: "ollama",
		args:    func(gguf, port string) []string { return []string{"serve"} },
		// Who leaves this version of Ollama while it has the next piece ready takes
		// a place of its queue along for good (its handler is gone, and the piece
		// waits for it). With real models that is next to never so; this one is
		// ready thousands of times a second, so it gets more places than we leave.
		env: func(folder, port string) []string {
			return []string{"OLLAMA_NUM_PARALLEL=32", "HOME=" + folder, "OLLAMA_MODELS=" + folder, "OLLAMA_HOST=127.0.0.1:" + port, "OLLAMA_NO_CLOUD=1", "OLLAMA_CONTEXT_LENGTH=256"}
		},
		ready: "/api/version",
		serve: createInOllama,
	},
}

// Start starts an engine on a free port of this machine with one model, waits
// until it is ready, and ends it, and whatever it started, with the test. The
// end of what it printed is logged where the test failed.
func Start(t testing.TB, name, gguf string) (url string) {
	t.Helper()
	e, path := known[name], program(name)
	if path == "" {
		t.Fatalf("there is no engine %q: set PARLEY_ENGINES to what tools/engines/build.sh %[1]s prints", name)
	}
	return start(t, name, path, e, gguf)
}

func start(t testing.TB, name, program string, e engine, gguf string) (url string) {
	t.Helper()
	gguf, err := filepath.Abs(gguf)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := exec.Command(program, e.args(gguf, port)...)
	cmd.Dir = t.TempDir()
	cmd.Env = os.Environ()
	if e.env != nil {
		cmd.Env = append(cmd.Env, e.env(cmd.Dir, port)...)
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = 5 * time.Second // for what keeps its output open
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
			t.Logf("%s printed last:\n%s", name, log.Bytes()[max(0, log.Len()-4000):])
		}
	})
	url = "http://127.0.0.1:" + port
	wait(t, url+e.ready, ended)
	if e.serve != nil {
		e.serve(t, url, gguf)
	}
	return url
}

// createInOllama gives Ollama the model under the name that it has everywhere
// here.
func createInOllama(t testing.TB, url, gguf string) {
	t.Helper()
	file, err := os.ReadFile(gguf)
	if err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(file))
	post(t, url+"/api/blobs/"+digest, file)
	post(t, url+"/api/create", fmt.Appendf(nil, `{"model":%q,"files":{"model.gguf":%q},"parameters":{"num_thread":1},"stream":false}`, ModelName, digest))
}

func post(t testing.TB, url string, body []byte) {
	t.Helper()
	resp, err := http.Post(url, "", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		t.Fatalf("POST %s: %s: %s", url, resp.Status, answer)
	}
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

// Built names the engines that there are: those that build.sh was asked for,
// and a second Parley.
func Built(t testing.TB) (names []string) {
	t.Helper()
	for name := range known {
		if program(name) != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("no engine is there: set PARLEY_ENGINES to what tools/engines/build.sh prints, or PARLEY_BINARY")
	}
	slices.Sort(names)
	return names
}

// program is where an engine's program lies, or "".
func program(name string) string {
	if name == "parley" {
		return os.Getenv("PARLEY_BINARY")
	}
	for folder := range strings.Lines(os.Getenv("PARLEY_ENGINES")) {
		folder = strings.TrimSpace(folder)
		if strings.HasPrefix(filepath.Base(folder), name+"-") {
			return filepath.Join(folder, known[name].program)
		}
	}
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
