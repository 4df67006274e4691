package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
)

// A certificate is what a server shows in TLS, from two files that may change.
type certificate struct {
	cert, key string // PEM files
	now       atomic.Pointer[tls.Certificate]
}

// load reads the files. If one is not right the certificate stays as it was.
func (c *certificate) load() error {
	for what, path := range map[string]string{"TLS certificate": c.cert, "TLS key": c.key} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return fileError(what, path, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return &userError{Message: fmt.Sprintf("the TLS certificate %s and its key %s cannot be used: %v", c.cert, c.key, err),
			Hint: "both are PEM files, and the key is the certificate's", Err: err}
	}
	c.now.Store(&pair)
	return nil
}

// reload is load while the server runs.
func (c *certificate) reload(log *slog.Logger) {
	if err := c.load(); err != nil {
		log.Error("the TLS certificate stays as it was", "cause", sentence(err))
		return
	}
	log.Info("the TLS certificate has changed")
}

// wrap has the listeners on ports speak TLS: HTTP/1.1, in which what this
// server promises about connections is proved.
func (c *certificate) wrap(open []listener) {
	config := &tls.Config{
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
	}
	for i := range open {
		if !open[i].isUnix() {
			open[i].Listener = tls.NewListener(open[i].Listener, config)
			open[i].secure = true
		}
	}
}
