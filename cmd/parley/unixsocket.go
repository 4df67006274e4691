package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// unixPrefix is how --listen names a socket that is a file.
const unixPrefix = "unix:"

// listenUnix opens a socket that is a file and that its owner alone can use.
// One that a program has left behind which is not there any more is replaced.
func listenUnix(ctx context.Context, address string) (net.Listener, error) {
	path := strings.TrimPrefix(address, unixPrefix)
	if path == "" {
		return nil, usageError("write it as unix:/run/parley.sock", "--listen %s names no file", address)
	}
	var l net.Listener
	var err error
	private(func() {
		var lc net.ListenConfig
		if l, err = lc.Listen(ctx, "unix", path); errors.Is(err, syscall.EADDRINUSE) && abandoned(ctx, path) && os.Remove(path) == nil {
			l, err = lc.Listen(ctx, "unix", path)
		}
	})
	if err == nil {
		return l, nil
	}
	e := &userError{Message: fmt.Sprintf("--listen %s: %v", address, plainCause(err)), Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Message = fmt.Sprintf("--listen %s: the socket is in use, or a file of another kind", address)
		e.Hint = "stop the program that has it, or name another"
	case errors.Is(err, fs.ErrNotExist):
		e.Message = fmt.Sprintf("--listen %s: there is no such folder", address)
	}
	return nil, e
}

// abandoned reports whether a path is a socket at which nobody listens.
func abandoned(ctx context.Context, path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// plainCause is an error of the network without its operation.
func plainCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
