package main

import (
	"context"
	"io/fs"
	"os"
	"time"
)

// A watch notices that files change. It looks at them: that works on every
// system, and for files that are replaced behind a link, as secrets of
// containers are.
type watch struct {
	paths []string
	seen  []fs.FileInfo
}

// watchFiles begins to watch. Files that are read afterwards are never older
// than what the watch takes for unchanged.
func watchFiles(paths ...string) *watch {
	w := &watch{paths: paths}
	w.seen = w.look()
	return w
}

func (w *watch) look() (seen []fs.FileInfo) {
	for _, p := range w.paths {
		info, _ := os.Stat(p)
		seen = append(seen, info)
	}
	return seen
}

// run calls changed whenever one of the files has, until ctx is done.
func (w *watch) run(ctx context.Context, changed func()) {
	const often = time.Second
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if w.changed() {
			changed()
		}
	}
}

// changed reports whether a file is another than before. One that has gone is
// not: something is about to take its place.
func (w *watch) changed() bool {
	now, other := w.look(), false
	for i, a := range now {
		b := w.seen[i]
		if a == nil {
			now[i] = b
			continue
		}
		other = other || b == nil || !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())
	}
	w.seen = now
	return other
}
