package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"parley/internal/sqlite"
)

type sessionBackupCmd struct {
	File string `arg:"" help:"The file to write. It must not be there."`
	dataFlag
}

func (*sessionBackupCmd) Help() string {
	return `The copy is of one moment, and on the disk when the command ends. It is a database of
SQLite, as the one that a server keeps. Example:

    parley session backup ~/backups/parley-2026-01-31.db`
}

func (c *sessionBackupCmd) Run(a *app) (err error) {
	store, _, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, store.Close()) }()
	return store.Backup(context.Background(), c.File)
}

type sessionRestoreCmd struct {
	File string `arg:"" help:"A backup: what parley session backup wrote, or the copy that was made before a newer Parley took the sessions over."`
	dataFlag
}

func (*sessionRestoreCmd) Help() string {
	return `No server may keep the sessions meanwhile. The backup is checked first; what is there now is
moved aside, into a file whose name is told. Example:

    parley session restore ~/backups/parley-2026-01-31.db`
}

func (c *sessionRestoreCmd) Run(a *app) (err error) {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &userError{Message: "sessions cannot be kept in " + dir + ": " + err.Error(), Err: err}
	}
	ctx := context.Background()
	lock, err := sqlite.Lock(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, lock.Close()) }()
	aside, err := sqlite.Restore(ctx, c.File, filepath.Join(dir, dataFile))
	if err == nil && aside != "" {
		fmt.Fprintln(a.stderr, a.err.dim("what was there is now "+printable(aside)))
	}
	return err
}

type sessionCheckCmd struct{ dataFlag }

func (*sessionCheckCmd) Help() string {
	return `Nothing is printed where all is well; else the exit code is 1. Example:

    parley session check`
}

func (c *sessionCheckCmd) Run(a *app) (err error) {
	store, path, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = orElse(err, store.Close()) }()
	wrong, err := store.Check(context.Background())
	if err != nil {
		return err
	}
	for _, line := range wrong {
		fmt.Fprintln(a.stdout, printable(line))
	}
	if len(wrong) > 0 {
		return &userError{Message: path + " is not sound", Hint: "restore a backup: parley session restore FILE"}
	}
	return nil
}

// dir is the folder that is meant.
func (f *dataFlag) dir() (string, error) {
	if f.Data == "" {
		return dataDir()
	}
	return f.Data, nil
}

// open opens what is kept in the folder.
func (f *dataFlag) open() (store *sqlite.Store, path string, err error) {
	dir, err := f.dir()
	if err != nil {
		return nil, "", err
	}
	path = filepath.Join(dir, dataFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, "", &userError{Message: "there are no sessions in " + dir, Hint: "parley serve --data " + quoted(dir) + " begins to keep some"}
	}
	store, err = sqlite.Open(context.Background(), path)
	return store, path, err
}
