package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"parley/internal/discover"
	"parley/internal/session"
	"parley/internal/sqlite"
)

// What --data says besides a folder.
const (
	dataOff    = "off"
	dataMemory = ":memory:"
)

// dataFile is what sessions are kept in, within their folder.
const dataFile = "sessions.db"

// dataDir is a folder of the user's to keep sessions in.
func dataDir() (string, error) {
	here := discover.Here()
	if dir := here.DataDir(); dir != "" {
		return dir, nil
	}
	return "", &userError{Message: "there is no folder of yours to keep sessions in", Hint: "name one with --data DIR"}
}

// openSessions opens the sessions that are served. Where none can be kept in a
// folder that nobody named, the server is without them and says so.
func openSessions(where string, o session.Options) (_ *session.Sessions, closeAll func() error, err error) {
	nothing := func() error { return nil }
	switch where {
	case dataOff:
		return nil, nothing, nil
	case dataMemory:
		return session.Open(session.NewMemory(), o), nothing, nil
	}
	named := where != ""
	if !named {
		where, err = dataDir()
	}
	if err == nil {
		var s *session.Sessions
		if s, closeAll, err = serveSessions(where, o); err == nil {
			o.Logger.Info("sessions", "folder", where)
			return s, closeAll, nil
		}
	}
	if named {
		return nil, nil, err
	}
	o.Logger.Warn("no sessions are kept", "reason", sentence(err))
	return nil, nothing, nil
}

func serveSessions(dir string, o session.Options) (*session.Sessions, func() error, error) {
	ctx := context.Background()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, &userError{Message: "sessions cannot be kept in " + dir + ": " + err.Error(), Hint: "name another folder with --data DIR", Err: err}
	}
	lock, err := sqlite.Lock(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlite.Open(ctx, filepath.Join(dir, dataFile))
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	s := session.Open(store, o)
	if err := s.Recover(ctx); err != nil {
		return nil, nil, errors.Join(err, store.Close(), lock.Close())
	}
	return s, func() error { return errors.Join(store.Close(), lock.Close()) }, nil
}

// lookAt opens the sessions of a folder to read and to add some, also while a
// server serves them.
func (f *dataFlag) lookAt() (*session.Sessions, func() error, error) {
	store, _, err := f.open()
	if err != nil {
		return nil, nil, err
	}
	return session.Open(store, session.Options{}), store.Close, nil
}

// addTo is lookAt for a folder in which there may be none yet.
func (f *dataFlag) addTo() (*session.Sessions, func() error, error) {
	dir, err := f.dir()
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, &userError{Message: "sessions cannot be kept in " + dir + ": " + err.Error(), Err: err}
	}
	store, err := sqlite.Open(context.Background(), filepath.Join(dir, dataFile))
	if err != nil {
		return nil, nil, err
	}
	return session.Open(store, session.Options{}), store.Close, nil
}
