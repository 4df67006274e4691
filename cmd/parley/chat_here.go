package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"

	"parley/internal/server"
	"parley/internal/session"
	"parley/llm"
)

// serveHere serves the chosen model and the sessions of a folder to this process
// alone, and gives it as a server. where says in which folder they are; end ends it.
func (c *chatCmd) serveHere(a *app) (_ *remote, where string, end func() error, err error) {
	m, cfg, err := c.choose(a)
	if err != nil {
		return nil, "", nil, err
	}
	m.Format = cmp.Or(c.Format, m.Format)
	cfg.Models = []modelConfig{m}
	switch where = cmp.Or(c.Data, cfg.Server.Data); where {
	case "":
		if where, err = dataDir(); err != nil {
			return nil, "", nil, err
		}
	case dataOff:
		return nil, "", nil, usageError("name a folder: --data DIR", "no sessions are kept with --data off")
	}
	log := slog.New(slog.DiscardHandler)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endSignals...)
	models, err := loadAll(cfg, log, signals)
	signal.Stop(signals)
	if err != nil {
		return nil, "", nil, err
	}
	sessions, closeStore, err := keepHere(where, cfg.sessions(models, log))
	if err != nil {
		return nil, "", nil, errors.Join(err, models.Close())
	}
	s := server.New(models, server.Options{Sessions: sessions, Characters: cfg.characters(), Presets: cfg.presets(), Media: cfg.Chat.options().Media, Logger: log})
	l := newPipes()
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(l, server.Own) })
	r := &remote{base: "http://localhost", model: m.name(), client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) },
	}}}
	return r, "in " + where, func() error {
		r.client.CloseIdleConnections()
		err := s.Shutdown(context.Background())
		serving.Wait()
		return errors.Join(err, closeStore(), models.Close())
	}, nil
}

// keepHere opens the sessions of a folder.
func keepHere(where string, o session.Options) (*session.Sessions, func() error, error) {
	if where == dataMemory {
		return openSessions(where, o)
	}
	s, done, err := serveSessions(where, o)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Code == llm.Unavailable {
		err = &userError{Message: e.Message, Hint: "if it is a server, talk to that: --server http://" + defaultListen + "; or name another folder: --data DIR", Err: err}
	}
	return s, done, err
}

// pipes is a listener that nobody outside of the process can reach.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "parley", Net: "unix"} }
