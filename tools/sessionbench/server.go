package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A server is Parley in a process of its own, with the built-in model.
type server struct {
	cmd *exec.Cmd
	url string
}

// serve starts a server that keeps its sessions in a folder, and waits until
// it answers.
func serve(o options, data string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	program, err := filepath.Abs(o.parley)
	if err != nil {
		return nil, err
	}
	s := &server{exec.Command(program, "serve", "--no-discover", "--data", data, "--listen", addr), "http://" + addr}
	var said bytes.Buffer
	s.cmd.Stderr = &said
	s.cmd.Dir = o.dir
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return s, nil
		}
	}
	s.kill()
	os.Stderr.Write(said.Bytes())
	return nil, fmt.Errorf("%s did not begin to serve", o.parley)
}

// kill ends the server as a crash does.
func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	http.DefaultClient.CloseIdleConnections()
}

// ask sends a request and reads the answer, which must be a good one.
func (s *server) ask(ctx context.Context, method, path string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		data = nil
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if data, err = io.ReadAll(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	return json.Unmarshal(data, answer)
}

// An object is one in JSON.
type object = map[string]any
