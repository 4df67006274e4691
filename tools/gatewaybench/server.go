package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"parley/tools/load"
)

// A subject is a server to measure, not yet started.
type subject struct {
	name  string
	start func(*stubProcess) (*server, error)
}

// A server runs before the stub engine. Two of its models, perhaps at two
// addresses, lead to the engine that answers at once and to the slow one.
type server struct {
	*load.Process
	fast, slow       string // addresses
	model, slowModel string
}

// llamaSwap stands before an engine that runs already: it is given a command to
// start that does nothing.
func llamaSwap(binary string) subject {
	config := `
healthCheckTimeout: 15
logLevel: error
models:
  fast: {cmd: sleep 100000, proxy: "http://FAST", checkEndpoint: none, concurrencyLimit: 10000}
  slow: {cmd: sleep 100000, proxy: "http://SLOW", checkEndpoint: none, concurrencyLimit: 10000}
groups:
  all: {swap: false, members: [fast, slow]}
`
	return subject{"llama-swap before it", func(e *stubProcess) (*server, error) {
		return start(e, binary, "config.yaml", config, "/health", func(file, addr string) []string {
			return []string{"-config", file, "-listen", addr}
		})
	}}
}

// parley stands before the engine in each way there is: as before a chat
// endpoint, whose answers it passes on, and as before a model, whose prompts it
// writes and whose replies it reads.
func parley(binary string) (subjects []subject) {
	for _, way := range []struct{ name, keys string }{
		{"Parley before it, a chat endpoint", "kind = \"openai\"\nway = \"chat\"\n"},
		{"Parley before it, a model over text", "kind = \"openai\"\nway = \"model\"\nformat = \"chatml\"\n"},
		{"Parley before it, a model of llama.cpp", "kind = \"llamacpp\"\nway = \"model\"\nformat = \"chatml\"\n"},
	} {
		config := "[server]\nlog_format = \"text\"\n"
		for _, name := range []string{"fast", "slow"} {
			config += fmt.Sprintf("[[models]]\nname = %q\nurl = \"http://%s\"\nmodel = \"stub\"\n%s", name, strings.ToUpper(name), way.keys)
		}
		subjects = append(subjects, subject{way.name, func(e *stubProcess) (*server, error) {
			return start(e, binary, "parley.toml", config, "/readyz", func(file, addr string) []string {
				return []string{"serve", "--config", file, "--listen", addr}
			})
		}})
	}
	return subjects
}

// start writes a configuration, in which FAST and SLOW are the engine's
// addresses, starts a server with it and waits until it answers.
func start(e *stubProcess, binary, name, config, ready string, args func(file, addr string) []string) (*server, error) {
	folder, err := os.MkdirTemp("", "gatewaybench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, name)
	config = strings.NewReplacer("FAST", e.fast, "SLOW", e.slow).Replace(config)
	if err := os.WriteFile(file, []byte(config), 0o666); err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args(file, addr)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{Process: &load.Process{Cmd: cmd}, fast: addr, slow: addr, model: "fast", slowModel: "slow"}
	for range 500 {
		if resp, err := http.Get("http://" + addr + ready); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.Stop()
	return nil, fmt.Errorf("%s was not ready within ten seconds: %s", binary, said.String())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
