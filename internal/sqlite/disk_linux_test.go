// The race detector takes SQLite's memory for Go's.
//go:build !race

package sqlite

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"parley/internal/session"
	"parley/llm"
)

// disk stands between SQLite and the files of a test: it knows what of them is
// on the disk for certain, counts, and may be full.
var disk struct {
	mu      sync.Mutex
	ours    string            // the folder whose files are watched
	durable map[string][]byte // what each file had in it when it was synced last
	syncs   int
	full    bool // nothing gets longer

	usual *lib.Tsqlite3_vfs
	vfs   lib.Tsqlite3_vfs
	ways  map[uintptr]*way // by what SQLite's own are
}

// way is how SQLite reaches a kind of file, with ours before its own.
type way struct {
	ours  lib.Tsqlite3_io_methods // the first field: its address is that of the way
	usual *lib.Tsqlite3_io_methods
}

func wayOf(file uintptr) *way { return at[way](at[lib.TunixFile](file).FpMethod) }

// at is what stands at an address of SQLite's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer is a function as SQLite keeps it, and call the way back.
func pointer(f any) uintptr { return (*[2]uintptr)(unsafe.Pointer(&f))[1] }

func call[F any](f uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{f})) }

type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
	writeFunc    = func(tls *libc.TLS, file, from uintptr, amount int32, offset lib.Tsqlite3_int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size lib.Tsqlite3_int64) int32
)

func pathOf(file uintptr) string {
	name := at[lib.TunixFile](file).FzPath
	if name == 0 {
		return ""
	}
	return libc.GoString(name)
}

func diskOpen(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
	rc := call[openFunc](disk.usual.FxOpen)(tls, uintptr(unsafe.Pointer(disk.usual)), name, file, flags, out)
	if rc != lib.SQLITE_OK || !strings.HasPrefix(pathOf(file), disk.ours) {
		return rc
	}
	f := at[lib.TunixFile](file)
	disk.mu.Lock()
	defer disk.mu.Unlock()
	w := disk.ways[f.FpMethod]
	if w == nil {
		usual := at[lib.Tsqlite3_io_methods](f.FpMethod)
		w = &way{*usual, usual}
		w.ours.FxSync, w.ours.FxWrite, w.ours.FxTruncate = pointer(diskSync), pointer(diskWrite), pointer(diskTruncate)
		disk.ways[f.FpMethod] = w
	}
	f.FpMethod = uintptr(unsafe.Pointer(w))
	return rc
}

func diskSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	disk.mu.Lock()
	defer disk.mu.Unlock()
	rc := call[syncFunc](wayOf(file).usual.FxSync)(tls, file, flags)
	if rc == lib.SQLITE_OK {
		path := pathOf(file)
		data, err := os.ReadFile(path)
		if err != nil {
			return lib.SQLITE_IOERR
		}
		disk.durable[filepath.Base(path)] = data
		disk.syncs++
	}
	return rc
}

func diskWrite(tls *libc.TLS, file, from uintptr, amount int32, offset lib.Tsqlite3_int64) int32 {
	disk.mu.Lock()
	defer disk.mu.Unlock()
	if info, err := os.Stat(pathOf(file)); disk.full && (err != nil || info.Size() < int64(offset)+int64(amount)) {
		return lib.SQLITE_FULL
	}
	return call[writeFunc](wayOf(file).usual.FxWrite)(tls, file, from, amount, offset)
}

func diskTruncate(tls *libc.TLS, file uintptr, size lib.Tsqlite3_int64) int32 {
	disk.mu.Lock()
	defer disk.mu.Unlock()
	return call[truncateFunc](wayOf(file).usual.FxTruncate)(tls, file, size)
}

// watch puts the disk between SQLite and a new folder.
func watch(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	tls := libc.NewTLS()
	disk.ours, disk.durable, disk.syncs, disk.full, disk.ways = dir, map[string][]byte{}, 0, false, map[uintptr]*way{}
	disk.usual = at[lib.Tsqlite3_vfs](lib.Xsqlite3_vfs_find(tls, 0))
	disk.vfs = *disk.usual
	disk.vfs.FpNext, disk.vfs.FxOpen = 0, pointer(diskOpen)
	name, err := libc.CString("watched")
	if err != nil {
		t.Fatal(err)
	}
	disk.vfs.FzName = name
	if rc := lib.Xsqlite3_vfs_register(tls, uintptr(unsafe.Pointer(&disk.vfs)), 1); rc != lib.SQLITE_OK {
		t.Fatal(rc)
	}
	t.Cleanup(func() {
		lib.Xsqlite3_vfs_unregister(tls, uintptr(unsafe.Pointer(&disk.vfs)))
		lib.Xsqlite3_vfs_register(tls, uintptr(unsafe.Pointer(disk.usual)), 1)
		libc.Xfree(tls, name)
		tls.Close()
	})
	return dir
}

// power is what a machine finds on its disk that lost its power at this
// moment: what was synced, and of what was not, some.
func power(dir string) map[string][]byte {
	const sector = 512
	disk.mu.Lock()
	defer disk.mu.Unlock()
	left := map[string][]byte{}
	some := rand.IntN(3) // nothing, half, nearly all of what was not synced
	for name, data := range disk.durable {
		now, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue // it was removed
		}
		data = bytes.Clone(data)
		for i := 0; i < len(now); i += sector {
			if end := min(i+sector, len(now)); rand.IntN(10) < some*4 {
				data = append(data, make([]byte, max(0, end-len(data)))...)
				copy(data[i:end], now[i:end])
			}
		}
		left[name] = data
	}
	return left
}

func TestWhatWasAcknowledgedSurvivesALossOfPower(t *testing.T) {
	dir := watch(t)
	s := opened(t, filepath.Join(dir, "x.db"))
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA wal_autocheckpoint = 20"); err != nil { // both files change often
		t.Fatal(err)
	}
	const each = 60
	var mu sync.Mutex
	acknowledged := map[string]int{}
	checked := 0
	lose := func(n int) { // mu is held
		there := maps.Clone(acknowledged)
		after := filepath.Join(t.TempDir(), fmt.Sprint(n))
		if err := os.Mkdir(after, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range power(dir) {
			if err := os.WriteFile(filepath.Join(after, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Open(t.Context(), filepath.Join(after, "x.db"))
		if err != nil {
			t.Error(err)
			return
		}
		defer again.Close()
		for id, n := range there {
			nodes, err := again.Nodes(t.Context(), id)
			if err != nil || len(nodes) < n {
				t.Errorf("%s: %d messages are there of %d that were acknowledged (%v)", id, len(nodes), n, err)
			}
			checked += n
		}
		if wrong, err := again.Check(t.Context()); err != nil || len(wrong) > 0 {
			t.Errorf("the file is not sound: %q (%v)", wrong, err)
		}
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			x := session.Session{ID: fmt.Sprint("s", w)}
			for n := range each {
				if err := s.Commit(t.Context(), message(&x, strings.Repeat("some words ", rand.IntN(100)))); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[x.ID] = x.Messages
				if n%10 == 9 {
					lose(w*each + n)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if checked == 0 {
		t.Error("nothing was looked at")
	}
}

func TestNothingIsAcknowledgedBeforeASync(t *testing.T) {
	dir := watch(t)
	s := opened(t, filepath.Join(dir, "x.db"))
	x := session.Session{ID: "s"}
	for range 20 {
		before := disk.syncs
		if err := s.Commit(t.Context(), message(&x, "Hello")); err != nil {
			t.Fatal(err)
		}
		if disk.syncs == before {
			t.Fatal("a change was acknowledged and not synced")
		}
	}
	before, batch := disk.syncs, make([]job, most)
	for i := range batch {
		batch[i].do = func(c *sql.Conn) error {
			return (&changerOf{c}).exec(fmt.Sprintf("INSERT INTO receipt VALUES ('s', 'key %d', '')", i))
		}
	}
	for _, err := range s.commit(batch) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := disk.syncs - before; n != 1 {
		t.Errorf("%d changes that waited together took %d syncs", most, n)
	}
}

func TestADiskThatIsFullAtAnyMomentLosesNothing(t *testing.T) {
	dir := watch(t)
	s := opened(t, filepath.Join(dir, "x.db"))
	full := func(on bool) {
		disk.mu.Lock()
		defer disk.mu.Unlock()
		disk.full = on
	}
	x := session.Session{ID: "s"}
	refused := 0
	for n := range 60 {
		before := x
		full(n%2 == 1)
		err := s.Commit(t.Context(), message(&x, strings.Repeat("words ", rand.IntN(5000))))
		switch e := llm.AsError(err); {
		case err == nil:
		case e.Code != llm.Unavailable || !strings.Contains(e.Message, "the disk is full"):
			t.Fatalf("change %d: %v", n, err)
		default:
			x = before
			refused++
		}
		nodes, err := s.Nodes(t.Context(), "s")
		if err != nil || len(nodes) != x.Messages {
			t.Fatalf("change %d: %d messages are there of %d (%v)", n, len(nodes), x.Messages, err)
		}
	}
	full(false)
	if refused == 0 || x.Messages < 30 {
		t.Errorf("%d were refused, %d are there", refused, x.Messages)
	}
	if wrong, err := s.Check(t.Context()); err != nil || len(wrong) > 0 {
		t.Errorf("the file is not sound: %q (%v)", wrong, err)
	}
}
