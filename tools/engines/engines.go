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
	args  func(gguf, port string) []string
	env   func(folder, port string) []string
	ready string                               // a path that answers 200 from then on
	serve func(t testing.TB, url, gguf string) // makes it serve the model, where its command line cannot
}

var known = map[string]engine{
	"llama-server": {
		args: func(gguf, port string) []string {
			return []string{"llama-server", "--model", gguf, "--host", "127.0.0.1", "--port", port, "--threads", "2", "--parallel", "2", "--ctx-size", "512", "--alias", ModelName}
		},
		ready: "/health",
	},
	"ollama": {
		args: func(gguf, port string) []string { return []string{"ollama", "serve"} },
		env: func(folder, port string) []string {
			return []string{"HOME=" + folder, "OLLAMA_MODELS=" + folder, "OLLAMA_HOST=127.0.0.1:" + port, "OLLAMA_NO_CLOUD=1", "OLLAMA_CONTEXT_LENGTH=256"}
		},
		ready: "/api/version",
		serve: createInOllama,
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
	post(t, url+"/api/create", fmt.Appendf(nil, `{"model":%q,"files":{"model.gguf":%q},"stream":false}`, ModelName, digest))
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
