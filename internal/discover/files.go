package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"parley/internal/gguf"
	"parley/internal/limits"
)

var deepest = limits.FoundDepth.Int()

// Files looks for model files in the usual places, and in further folders.
func Files(ctx context.Context, e Environment, dirs []string) Found {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(limits.FoundSeconds.Max)*time.Second)
	defer cancel()
	s := &search{ctx: ctx, walked: map[string]bool{}, owners: map[string]string{}}
	for _, p := range e.places(dirs) {
		p.in(s, p)
	}
	s.join()
	s.look(e.Memory)
	found := Found{Notes: s.notes}
	for _, c := range s.found {
		if c.leftOut != "" {
			found.Notes = append(found.Notes, Note{c.Path, c.leftOut})
			continue
		}
		found.Files = append(found.Files, c.File)
	}
	nameAll(found.Files, s.owners)
	return found
}

// A search is a search under way.
type search struct {
	ctx     context.Context
	entries int
	ended   bool            // a bound is reached
	walked  map[string]bool // folders, by their real path
	found   []*candidate
	owners  map[string]string // by path: what stands before a name that is not unique; a folder's name otherwise
	notes   []Note
}

// A candidate is a file that may be a model.
type candidate struct {
	File
	info    fs.FileInfo
	parts   []string
	leftOut string
}

func (s *search) note(path, format string, args ...any) {
	s.notes = append(s.notes, Note{path, fmt.Sprintf(format, args...)})
}

// readDir reads a folder, within the bounds of the search. A folder that is not
// there is none; one that cannot be read is a note.
func (s *search) readDir(dir string) []fs.DirEntry {
	if s.ended {
		return nil
	}
	if s.ctx.Err() != nil {
		s.ended = true
		s.note(dir, "the search ended here, after %d seconds", limits.FoundSeconds.Int())
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDir) {
		s.note(dir, "it cannot be read: %v", cause(err))
	}
	s.entries += len(entries)
	if limits.FoundEntries.CheckInt(s.entries) != nil {
		s.ended = true
		s.note(dir, "the search ended here, after %d entries", limits.FoundEntries.Int())
		return nil
	}
	return entries
}

// cause is an error without the path, which stands beside it.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// add takes a file, unless it is there already under another path; then what
// it is called is an alias.
func (s *search) add(c *candidate) {
	for _, x := range s.found {
		if !os.SameFile(x.info, c.info) {
			continue
		}
		if c.Name != x.Name && !slices.Contains(x.Aliases, c.Name) {
			x.Aliases = append(x.Aliases, c.Name)
		}
		return
	}
	if limits.FoundFiles.CheckInt(len(s.found)+1) != nil {
		if !s.ended {
			s.note(c.Path, "the search ended here, after %d model files", limits.FoundFiles.Int())
		}
		s.ended = true
		return
	}
	s.found = append(s.found, c)
}

func isGGUF(name string) bool { return strings.EqualFold(filepath.Ext(name), ".gguf") }

// walk looks through folders. Links to files and to folders are followed, each
// folder once.
func (s *search) walk(p place) {
	real, err := filepath.EvalSymlinks(p.dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.note(p.dir, "it cannot be read: %v", cause(err))
		}
		return
	}
	if s.walked[real] {
		return
	}
	// A folder of which only the files counted may be walked over later.
	s.walked[real] = p.depth > 0
	for _, entry := range s.readDir(p.dir) {
		path := filepath.Join(p.dir, entry.Name())
		info, err := os.Stat(path)
		if err != nil {
			continue // a link to nothing
		}
		switch {
		case info.IsDir():
			if p.depth > 0 {
				inner := p
				inner.dir, inner.depth = path, p.depth-1
				s.walk(inner)
			}
		case info.Mode().IsRegular() && isGGUF(entry.Name()):
			name := gguf.NameOf(path)
			if p.name != nil {
				name = p.name(path)
			}
			s.add(&candidate{File: File{Name: name, Path: path, Where: p.where}, info: info})
		}
	}
}

// hub looks through the cache of Hugging Face's libraries:
// models--OWNER--NAME/snapshots/REVISION/…, in which files are links to blobs.
// Links that lead out of the cache are not followed.
func (s *search) hub(p place) {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.note(p.dir, "it cannot be read: %v", cause(err))
		}
		return
	}
	defer root.Close()
	for _, repository := range s.readDir(p.dir) {
		if !repository.IsDir() || !strings.HasPrefix(repository.Name(), "models--") {
			continue
		}
		snapshots := filepath.Join(repository.Name(), "snapshots")
		revisions := s.readDir(filepath.Join(p.dir, snapshots))
		main := readSmall(root, filepath.Join(repository.Name(), "refs", "main"))
		slices.SortStableFunc(revisions, func(a, b fs.DirEntry) int {
			return cmp.Compare(btoi(b.Name() == main), btoi(a.Name() == main))
		})
		for _, r := range revisions {
			if r.IsDir() {
				s.snapshot(p, root, filepath.Join(snapshots, r.Name()), p.depth)
			}
		}
	}
}

func (s *search) snapshot(p place, root *os.Root, dir string, depth int) {
	owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.ToSlash(dir), "models--"), "/")
	owner = strings.ReplaceAll(owner, "--", "/")
	for _, entry := range s.readDir(filepath.Join(p.dir, dir)) {
		rel := filepath.Join(dir, entry.Name())
		path := filepath.Join(p.dir, rel)
		switch {
		case entry.IsDir():
			if depth > 0 {
				s.snapshot(p, root, rel, depth-1)
			}
		case isGGUF(entry.Name()):
			info, err := root.Stat(rel)
			if errors.Is(err, fs.ErrNotExist) {
				continue // not fetched, or removed
			}
			if err != nil {
				s.note(path, "it is not followed: %v", cause(err))
				continue
			}
			if info.Mode().IsRegular() {
				s.owners[path] = owner
				s.add(&candidate{File: File{Name: gguf.NameOf(path), Path: path, Where: p.where}, info: info})
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// readSmall is a file with one line, or "".
func readSmall(root *os.Root, name string) string {
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > limits.NameBytes.Int64() {
		return ""
	}
	data, err := root.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// part is the end of the name of one of several files that are one model.
var part = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})$`)

// join makes one candidate of the parts of a split model.
func (s *search) join() {
	type key struct{ where, count string }
	firsts := map[key]*candidate{}
	var whole []*candidate
	for _, c := range s.found {
		m := part.FindStringSubmatch(strings.TrimSuffix(filepath.Base(c.Path), filepath.Ext(c.Path)))
		if m == nil {
			c.Parts, c.Size = 1, c.info.Size()
			whole = append(whole, c)
			continue
		}
		k := key{filepath.Join(filepath.Dir(c.Path), m[1]), m[3]}
		first := firsts[k]
		if first == nil {
			first = c
			firsts[k] = c
			whole = append(whole, c)
		}
		first.Size += c.info.Size()
		first.parts = append(first.parts, c.Path)
		first.Parts, _ = strconv.Atoi(m[3])
	}
	for _, c := range firsts {
		slices.Sort(c.parts)
		c.Path = c.parts[0]
		if len(c.parts) != c.Parts {
			c.leftOut = fmt.Sprintf("of its %d parts %d are here: fetch the others too", c.Parts, len(c.parts))
		}
	}
	s.found = whole
}

// look reads what describes each model, several files at a time.
func (s *search) look(memory int64) {
	todo := make(chan *candidate)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(s.found)) {
		workers.Go(func() {
			for c := range todo {
				if s.ctx.Err() != nil && c.leftOut == "" {
					c.leftOut = "it was not looked into: the search took too long"
				}
				if c.leftOut == "" {
					c.leftOut = c.describe(memory)
				}
			}
		})
	}
	for _, c := range s.found {
		todo <- c
	}
	close(todo)
	workers.Wait()
}

// nameAll makes names unique: those that are not get the name of the folder
// before them, and a number if need be. Aliases that are another's are dropped.
func nameAll(files []File, owners map[string]string) {
	count := map[string]int{}
	for i := range files {
		count[files[i].Name]++
	}
	taken := map[string]bool{}
	for i := range files {
		f := &files[i]
		name := f.Name
		if count[name] > 1 && taken[name] {
			name = cmp.Or(owners[f.Path], filepath.Base(filepath.Dir(f.Path))) + "/" + name
		}
		unique := name
		for n := 2; taken[unique]; n++ {
			unique = fmt.Sprintf("%s-%d", name, n)
		}
		f.Name = unique
		taken[unique] = true
	}
	for i := range files {
		f := &files[i]
		f.Aliases = slices.DeleteFunc(f.Aliases, func(alias string) bool {
			if taken[alias] {
				return true
			}
			taken[alias] = true
			return false
		})
	}
}
