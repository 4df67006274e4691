package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/llm"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// A fakeHub has one repository, ada/engine, whose files lie on another server,
// as on the real one.
type fakeHub struct {
	*testing.T
	hub, store *httptest.Server
	files      map[string][]byte
	pages      int // that the list of files has
	// serve answers for the content of a file, where it is set and says true.
	serve func(w http.ResponseWriter, r *http.Request, data []byte) bool

	mu       sync.Mutex
	requests []string // to the store: path and range
}

func newHub(t *testing.T, files map[string][]byte) *fakeHub {
	f := &fakeHub{T: t, files: files, pages: 1}
	f.store = httptest.NewServer(http.HandlerFunc(f.content))
	f.hub = httptest.NewServer(http.HandlerFunc(f.answer))
	t.Cleanup(f.hub.Close)
	t.Cleanup(f.store.Close)
	return f
}

func (f *fakeHub) answer(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer secret" {
		http.Error(w, "Invalid username or password.", http.StatusUnauthorized)
		return
	}
	path := r.URL.EscapedPath()
	switch {
	case path == "/api/models/ada/engine/revision/main":
		fmt.Fprintf(w, `{"id":"ada/engine","sha":%q}`, commit)
	case path == "/api/models/ada/engine/tree/"+commit && r.URL.Query().Get("recursive") == "true":
		page := 0
		fmt.Sscan(r.URL.Query().Get("cursor"), &page)
		if page+1 < f.pages {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, Endpoint, path, page+1))
		}
		var list []string
		n := 0
		for name, data := range f.files {
			if len(name)%f.pages == page {
				list = append(list, fmt.Sprintf(`{"type":"file","path":%q,"size":%d,"oid":"x","lfs":{"oid":"%x","size":%d}}`, name, len(data), sha256.Sum256(data), len(data)))
			}
			n++
		}
		list = append(list, `{"type":"directory","path":"d","size":0,"oid":"x"}`, `{"type":"file","path":"README.md","size":3,"oid":"x"}`)
		fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
	case strings.HasPrefix(path, "/ada/engine/resolve/"+commit+"/"):
		http.Redirect(w, r, f.store.URL+"/"+strings.TrimPrefix(path, "/ada/engine/resolve/"+commit+"/")+"?signature=x", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeHub) content(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.URL.Path+" "+r.Header.Get("Range"))
	f.mu.Unlock()
	if r.Header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(r.Header), "secret") {
		f.Errorf("the token went to the store: %v", r.Header)
	}
	data, ok := f.files[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if f.serve != nil && f.serve(w, r, data) {
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (f *fakeHub) client() *Client {
	c, err := New(Options{Endpoint: f.hub.URL, Token: "secret"})
	if err != nil {
		f.Fatal(err)
	}
	c.wait = func(ctx context.Context, d time.Duration) error { return ctx.Err() }
	return c
}

// fetch finds and fetches a model and gives its path.
func (f *fakeHub) fetch(c *Client, dir, ref string) (string, error) {
	r, err := ParseRef(ref)
	if err != nil {
		f.Fatal(err)
	}
	commit, m, err := c.Find(f.Context(), r)
	if err != nil {
		return "", err
	}
	return c.Fetch(f.Context(), r, commit, m, dir, nil)
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

// left lists the files under a folder.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAModelComesWholeWithAllItsParts(t *testing.T) {
	f := newHub(t, map[string][]byte{
		"sub/e Q-F16-00001-of-00002.gguf": bytesOf(3 << 20), "sub/e Q-F16-00002-of-00002.gguf": bytesOf(10), "e-Q8_0.gguf": bytesOf(77),
	})
	f.pages = 3
	dir := t.TempDir()
	c := f.client()
	ref, _ := ParseRef("ada/engine:F16")
	commit, m, err := c.Find(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var last Progress
	path, err := c.Fetch(t.Context(), ref, commit, m, dir, func(p Progress) {
		if p.Done < last.Done || p.Total != m.Size() {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	})
	if err != nil || path != filepath.Join(dir, "ada", "engine", "e Q-F16-00001-of-00002.gguf") || last.Done != m.Size() {
		t.Fatalf("%s, %+v, %v", path, last, err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, f.files["sub/e Q-F16-00001-of-00002.gguf"]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got := left(t, dir); len(got) != 2 {
		t.Error(got)
	}
	// Again, nothing is fetched.
	n := len(f.requests)
	if again, err := f.fetch(c, dir, "ada/engine:F16"); again != path || err != nil || len(f.requests) != n {
		t.Errorf("%s, %v, requests %v", again, err, f.requests[n:])
	}
	// Nor where one part is another version: that one is.
	if err := os.WriteFile(path, bytesOf(3 << 20)[1:], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.fetch(c, dir, "ada/engine:F16"); err != nil || len(f.requests) != n+1 {
		t.Errorf("%v, requests %v", err, f.requests[n:])
	}
}

func TestAFetchThatIsCutGoesOn(t *testing.T) {
	data := bytesOf(1 << 20)
	cut := func(w http.ResponseWriter, data []byte, at int) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data[:at])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		serve func(n int, w http.ResponseWriter, r *http.Request) bool
		want  []string // ranges
	}{
		"by the connection": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 0 {
				cut(w, data, 300_000)
			}
			return false
		}, []string{"", "bytes=300000-"}},
		"by a server that knows no ranges": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 0 {
				cut(w, data, 300_000)
			}
			w.Write(data)
			return true
		}, []string{"", "bytes=300000-"}},
		"by one that is busy": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n < 2 {
				w.WriteHeader([]int{503, 429}[n])
			}
			return n < 2
		}, []string{"", "", ""}},
		"by one that sends another part": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			switch n {
			case 0:
				cut(w, data, 300_000)
			case 1:
				w.Header().Set("Content-Range", "bytes 5-9/10")
				w.WriteHeader(http.StatusPartialContent)
				w.Write(data[5:10])
				return true
			}
			return false
		}, []string{"", "bytes=300000-", "bytes=300000-"}},
		"by one that has lost it": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			switch n {
			case 0:
				cut(w, data, 300_000)
			case 1:
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return true
			}
			return false
		}, []string{"", "bytes=300000-", ""}},
		"or has more at its end than it should": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			w.Write(append(bytes.Clone(data), 'x'))
			return true
		}, []string{""}},
		"with a wrong sum": {func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 0 {
				wrong := bytes.Clone(data)
				wrong[9]++
				w.Write(wrong)
			}
			return n == 0
		}, []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newHub(t, map[string][]byte{"e.gguf": data})
			n := -1
			f.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				n++
				return c.serve(n, w, r)
			}
			path, err := f.fetch(f.client(), t.TempDir(), "ada/engine")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			var ranges []string
			for _, r := range f.requests {
				ranges = append(ranges, strings.TrimPrefix(r, "/e.gguf "))
			}
			if fmt.Sprint(ranges) != fmt.Sprint(c.want) {
				t.Errorf("asked for %q, want %q", ranges, c.want)
			}
		})
	}
}

func TestAStalledFetchIsGivenUpAndWhatCameIsKept(t *testing.T) {
	data := bytesOf(1 << 20)
	f := newHub(t, map[string][]byte{"e.gguf": data})
	f.serve = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.Header.Get("Range") == "" {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:300_000])
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done() // until the client goes
		return true
	}
	dir := t.TempDir()
	c := f.client()
	c.stall = 50 * time.Millisecond
	_, err := f.fetch(c, dir, "ada/engine")
	if e := llm.AsError(err); e.Code != llm.Unavailable || !strings.Contains(e.Hint, "kept") {
		t.Errorf("%v", err)
	}
	if got := left(t, dir); len(got) != 1 || !strings.HasSuffix(got[0], ".part") {
		t.Fatal(got)
	}
	// Another process goes on from there.
	f = newHub(t, f.files)
	path, err := f.fetch(f.client(), dir, "ada/engine")
	if err != nil || len(f.requests) != 1 || f.requests[0] != "/e.gguf bytes=300000-" {
		t.Fatalf("%v, %v", f.requests, err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, data) || len(left(t, dir)) != 1 {
		t.Errorf("%d bytes, %v", len(got), left(t, dir))
	}
}

func TestWhatIsNotTheFileNeverHasItsName(t *testing.T) {
	f := newHub(t, map[string][]byte{"e.gguf": bytesOf(1000)})
	f.serve = func(w http.ResponseWriter, r *http.Request, data []byte) bool {
		w.Write(make([]byte, len(data)))
		return true
	}
	dir := t.TempDir()
	_, err := f.fetch(f.client(), dir, "ada/engine")
	if e := llm.AsError(err); e.Code != llm.Broken || !strings.Contains(e.Message, "SHA-256") {
		t.Error(err)
	}
	if got := left(t, dir); len(got) != 1 || !strings.HasSuffix(got[0], ".part") {
		t.Error(got)
	}
	// Nor does one that was interrupted.
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	f.serve = func(w http.ResponseWriter, r *http.Request, data []byte) bool {
		w.Header().Set("Content-Length", "1000")
		w.Write(data[:100])
		w.(http.Flusher).Flush()
		cancel(stop)
		<-r.Context().Done()
		return true
	}
	ref, _ := ParseRef("ada/engine")
	c := f.client()
	commit, m, err := c.Find(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fetch(ctx, ref, commit, m, dir, nil); !errors.Is(err, stop) {
		t.Error(err)
	}
	if got := left(t, dir); len(got) != 1 || !strings.HasSuffix(got[0], ".part") {
		t.Error(got)
	}
}

func TestTwoDoNotFetchTheSameFile(t *testing.T) {
	f := newHub(t, map[string][]byte{"e.gguf": bytesOf(1000)})
	dir := t.TempDir()
	second := make(chan error, 1)
	var once sync.Once
	f.serve = func(w http.ResponseWriter, r *http.Request, data []byte) bool {
		once.Do(func() {
			_, err := f.fetch(f.client(), dir, "ada/engine")
			second <- err
		})
		return false
	}
	if _, err := f.fetch(f.client(), dir, "ada/engine"); err != nil {
		t.Error(err)
	}
	if err := <-second; llm.AsError(err).Code != llm.Unavailable || !strings.Contains(err.Error(), "already") {
		t.Error(err)
	}
}

func TestRefusalsOfAHubSayWhatToDo(t *testing.T) {
	f := newHub(t, map[string][]byte{"e.gguf": bytesOf(10)})
	if _, err := f.fetch(f.client(), t.TempDir(), "ada/nothing"); llm.AsError(err).Code != llm.NotFound || !strings.Contains(err.Error(), "ada/nothing") {
		t.Error(err)
	}
	c, err := New(Options{Endpoint: f.hub.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.fetch(c, t.TempDir(), "ada/engine"); llm.AsError(err).Code != llm.Forbidden || !strings.Contains(err.Error(), "HF_TOKEN") {
		t.Error(err)
	}
	for _, address := range []string{"huggingface.co", "ftp://x", "https://a@b", "http://x?y=1"} {
		if _, err := New(Options{Endpoint: address}); llm.AsError(err).Field != "HF_ENDPOINT" {
			t.Errorf("%s: %v", address, err)
		}
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>Sign in to the network</html>") }))
	defer page.Close()
	c, err = New(Options{Endpoint: page.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.fetch(c, t.TempDir(), "ada/engine"); llm.AsError(err).Code != llm.Broken || !strings.Contains(err.Error(), "as a hub") {
		t.Error(err)
	}
}

func TestAHubThatIsBusyIsWaitedForAsItSays(t *testing.T) {
	n := 0
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.Header().Set("Retry-After", "40")
		}
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer hub.Close()
	c, err := New(Options{Endpoint: hub.URL})
	if err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	c.wait = func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }
	_, _, err = c.Find(t.Context(), Ref{"ada", "engine", "main", ""})
	if llm.AsError(err).Code != llm.Unavailable || n != attempts {
		t.Errorf("%v after %d requests", err, n)
	}
	if want := "[40s 2s 4s 8s 16s]"; fmt.Sprint(waited) != want {
		t.Errorf("waited %v, want %s", waited, want)
	}
}

func TestNamesOfFilesDoNotLeadOut(t *testing.T) {
	for _, name := range []string{`x\..\..\e.gguf`, "c:e.gguf"} {
		f := newHub(t, map[string][]byte{name: bytesOf(10)})
		dir := t.TempDir()
		if _, err := f.fetch(f.client(), dir, "ada/engine"); llm.AsError(err).Code != llm.Broken || len(left(t, dir)) > 0 {
			t.Errorf("%s: %v, left %v", name, err, left(t, dir))
		}
	}
}

func TestRedirectsKeepTheConnectionProtected(t *testing.T) {
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("it was followed") }))
	defer open.Close()
	hub := httptest.NewTLSServer(http.RedirectHandler(open.URL, http.StatusFound))
	defer hub.Close()
	c, err := New(Options{Endpoint: hub.URL, Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport = hub.Client().Transport
	c.wait = func(context.Context, time.Duration) error { return nil }
	if _, _, err := c.Find(t.Context(), Ref{"ada", "engine", "main", ""}); err == nil || !strings.Contains(err.Error(), "not protected") {
		t.Error(err)
	}
}

func TestTheTokenIsTheOneOfTheHubsOwnPrograms(t *testing.T) {
	home := t.TempDir()
	write := func(path string) {
		path = filepath.Join(home, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(filepath.Base(filepath.Dir(path))+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".cache/huggingface/token")
	write("hf/token")
	write("own/file")
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "huggingface"},
		{map[string]string{"HF_HOME": filepath.Join(home, "hf")}, "hf"},
		{map[string]string{"HF_HOME": filepath.Join(home, "hf"), "HF_TOKEN_PATH": filepath.Join(home, "own", "file")}, "own"},
		{map[string]string{"HF_TOKEN": " mine "}, "mine"},
		{map[string]string{"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, ""},
	} {
		if o := FromEnvironment(func(name string) string { return c.env[name] }, home); o.Token != c.want {
			t.Errorf("%v: %q, want %q", c.env, o.Token, c.want)
		}
	}
}
