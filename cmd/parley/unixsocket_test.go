//go:build unix

package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"parley/internal/server"
)

func TestASocketThatIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	// One that was left behind: bound, and nobody listens.
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	syscall.Close(fd)

	open, err := listenOn(t, "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may use it: %v, %v", info.Mode(), err)
	}
	s := server.New(nil, server.Options{})
	go s.Serve(open[0], open[0].face)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	resp, err := client.Get("http://localhost/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	if _, err := listenOn(t, "unix:"+path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a socket that is in use is taken: %v", err)
	}
	client.CloseIdleConnections()
	s.Shutdown(t.Context())
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket stays behind")
	}

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenOn(t, "unix:"+path); err == nil {
		t.Error("a file is taken for a socket")
	}
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Errorf("the file is %q", data)
	}
	for _, address := range []string{"unix:", "unix:" + filepath.Join(t.TempDir(), "no", "folder")} {
		if _, err := listenOn(t, address); err == nil || !strings.Contains(err.Error(), "--listen "+address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
