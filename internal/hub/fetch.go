package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"parley/llm"
)

// A Progress says how far a fetch is. Done counts what was there already.
type Progress struct {
	File        string // the one that is being worked on
	Checking    bool   // it is there, and being read
	Done, Total int64  // bytes of all files
}

// Fetch brings the files of a model into dir/OWNER/REPO and gives the path of
// the first. Files that are there and whole are not fetched again. tell, which
// may be nil, is called after each piece. The error is an *llm.Error, or the
// context's.
func (c *Client) Fetch(ctx context.Context, ref Ref, commit string, m *Model, dir string, tell func(Progress)) (string, error) {
	if tell == nil {
		tell = func(Progress) {}
	}
	dir = filepath.Join(dir, ref.Owner, ref.Repo)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", storing(dir, err)
	}
	var first string
	var before int64
	for _, f := range m.Files {
		name := path.Base(f.Path)
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\:`) {
			return "", &llm.Error{Code: llm.Broken, Field: "model", Message: fmt.Sprintf("the hub names a file %q, which no file here can be called", clip(f.Path))}
		}
		t := &transfer{
			client: c, ref: ref, file: f, path: filepath.Join(dir, name),
			address: c.endpoint.String() + "/" + ref.Owner + "/" + ref.Repo + "/resolve/" + commit + "/" + escape(f.Path),
			tell: func(done int64, checking bool) {
				tell(Progress{File: name, Checking: checking, Done: before + done, Total: m.Size()})
			},
		}
		if err := t.run(ctx); err != nil {
			return "", err
		}
		if first == "" {
			first = t.path
		}
		before += f.Size
	}
	return first, nil
}

// escape is a path of a repository as a part of an address.
func escape(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// storing is the error of a disk.
func storing(path string, err error) error {
	return &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("%s cannot be written", path), Hint: "is there room, and may you write there? Another folder can be named with --to", Err: err}
}

// A transfer is one file on its way. What has come of it lies in path.SUM.part,
// where SUM begins its SHA-256, so that what is left of another version is not
// gone on with.
type transfer struct {
	client  *Client
	ref     Ref
	file    File
	path    string
	address string
	tell    func(done int64, checking bool)

	part *os.File
	sum  hash.Hash // of the part's bytes
	done int64     // how many there are
}

func (t *transfer) run(ctx context.Context) (err error) {
	whole, err := t.whole(ctx)
	if whole || err != nil {
		return err
	}
	name := t.path + "." + t.file.SHA256[:12] + ".part"
	if t.part, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return storing(name, err)
	}
	defer t.part.Close()
	release, err := lock(t.part)
	if err != nil {
		return &llm.Error{Code: llm.Unavailable, Message: fmt.Sprintf("%s is being fetched already", filepath.Base(t.path)), Hint: "wait for the other one", Err: err}
	}
	release = sync.OnceFunc(release)
	defer release()
	t.sum = sha256.New()
	if t.done, err = t.read(ctx, t.part, t.sum); err != nil {
		return err
	}
	if t.done > t.file.Size {
		if err := t.restart(); err != nil {
			return err
		}
	}
	wrong := 0
	err = t.client.persist(ctx, func() (bool, error) {
		before := t.done
		if err := t.receive(ctx); err != nil {
			return t.done > before, err
		}
		if hex.EncodeToString(t.sum.Sum(nil)) == t.file.SHA256 {
			return true, nil
		}
		// Whatever went wrong is somewhere in it.
		if err := t.restart(); err != nil {
			return false, err
		}
		if wrong++; wrong == 2 {
			return false, &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("%s came twice with another SHA-256 than the hub says: it is not kept", filepath.Base(t.path)),
				Hint: "try again later, or from another mirror (HF_ENDPOINT)"}
		}
		return false, &again{err: errors.New("the SHA-256 is another one")}
	})
	if err != nil {
		return err
	}
	// On the disk before it has its name, so that a name means a whole file also
	// after a power cut.
	if err := t.part.Sync(); err != nil {
		return storing(name, err)
	}
	release()
	t.part.Close()
	if err := os.Rename(name, t.path); err != nil {
		return storing(t.path, err)
	}
	return nil
}

// whole reports whether the file is there already. One of the same size but
// other content is another version, which stays until the new one has come.
func (t *transfer) whole(ctx context.Context) (bool, error) {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, storing(t.path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != t.file.Size {
		return false, nil
	}
	sum := sha256.New()
	if _, err := t.read(ctx, f, sum); err != nil {
		return false, err
	}
	return hex.EncodeToString(sum.Sum(nil)) == t.file.SHA256, nil
}

// read adds a file that is there to a sum.
func (t *transfer) read(ctx context.Context, f *os.File, sum hash.Hash) (n int64, err error) {
	buf := make([]byte, 1<<20)
	for {
		k, err := f.Read(buf)
		sum.Write(buf[:k])
		n += int64(k)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, storing(f.Name(), err)
		}
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		t.tell(min(n, t.file.Size), true)
	}
}

// restart forgets what has come.
func (t *transfer) restart() error {
	if err := t.part.Truncate(0); err != nil {
		return storing(t.part.Name(), err)
	}
	if _, err := t.part.Seek(0, io.SeekStart); err != nil {
		return storing(t.part.Name(), err)
	}
	t.sum.Reset()
	t.done = 0
	return nil
}

// receive asks for the rest and writes what comes.
func (t *transfer) receive(ctx context.Context) error {
	if t.done == t.file.Size {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(t.client.stall, cancel)
	defer stalled.Stop()
	header := http.Header{"Accept-Encoding": {"identity"}}
	if t.done > 0 {
		header.Set("Range", "bytes="+strconv.FormatInt(t.done, 10)+"-")
	}
	resp, err := t.client.get(ctx, t.address, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK: // from the beginning
		if t.done > 0 {
			if err := t.restart(); err != nil {
				return err
			}
		}
	case http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", t.done)) {
			return &again{err: errors.New("another part came than was asked for")}
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if err := t.restart(); err != nil {
			return err
		}
		return &again{err: errors.New("the rest of the file is not there")}
	default:
		return t.client.refused(t.ref, resp)
	}
	buf := make([]byte, 256<<10)
	body := io.LimitReader(resp.Body, t.file.Size-t.done)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			stalled.Reset(t.client.stall)
			if _, err := t.part.Write(buf[:n]); err != nil {
				return storing(t.part.Name(), err)
			}
			t.sum.Write(buf[:n])
			t.done += int64(n)
			t.tell(t.done, false)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if t.done < t.file.Size {
		return &again{err: io.ErrUnexpectedEOF}
	}
	return nil
}
