package discover

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/demo"
	"parley/internal/gguf"
	"parley/internal/limits"
)

// A machine is a made-up one: its home and its working directory are folders
// that the test fills.
type machine struct {
	*testing.T
	root      string
	variables map[string]string
}

func newMachine(t *testing.T) *machine {
	return &machine{t, t.TempDir(), map[string]string{}}
}

func (m *machine) at(path string) string { return filepath.Join(m.root, filepath.FromSlash(path)) }

func (m *machine) write(path string, data []byte) {
	m.Helper()
	if err := os.MkdirAll(filepath.Dir(m.at(path)), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(m.at(path), data, 0o644); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) link(to, path string) {
	m.Helper()
	if err := os.MkdirAll(filepath.Dir(m.at(path)), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.Symlink(to, m.at(path)); err != nil {
		m.Skip("this system has no links: ", err)
	}
}

func (m *machine) environment(system string) Environment {
	return Environment{
		OS: system, Home: m.at("home"), Dir: m.at("work"), Root: m.at("system"),
		Getenv: func(name string) string { return m.variables[name] },
	}
}

func (m *machine) find(dirs ...string) Found {
	m.Helper()
	return Files(m.Context(), m.environment("linux"), dirs)
}

// names are those of the files found, each with who keeps it.
func names(f Found) (list []string) {
	for _, x := range f.Files {
		list = append(list, x.Name+" @ "+x.Where)
	}
	return list
}

// reason is why a file was left out; "" if it was not.
func reason(f Found, base string) string {
	for _, n := range f.Notes {
		if filepath.Base(n.Path) == base {
			return n.Reason
		}
	}
	return ""
}

// model writes a file with some metadata and a tensor.
func model(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var list []gguf.KV
	for i := 0; i < len(pairs); i += 2 {
		value := gguf.ValueOf(pairs[i+1])
		if n, err := strconv.Atoi(pairs[i+1]); err == nil {
			value = gguf.ValueOf(uint32(n))
		}
		list = append(list, gguf.KV{Key: pairs[i], Value: value})
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, list, []gguf.TensorSource{{Name: "x", Type: gguf.F32, Shape: []uint64{4}, Data: bytes.NewReader(make([]byte, 16))}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// partOf is model for one part of a split one. No name of a key or a tensor
// stands in another.
func partOf(t *testing.T, number, count int) []byte {
	data := model(t, "general.architecture", "llama", "split.xount", strconv.Itoa(count))
	data = bytes.Replace(data, []byte("split.xount"), []byte("split.count"), 1)
	return bytes.Replace(data, []byte("\x01\x00\x00\x00\x00\x00\x00\x00x"), []byte("\x01\x00\x00\x00\x00\x00\x00\x00"+strconv.Itoa(number)), 1)
}

// ollama puts a model into a store.
func (m *machine) ollama(store, manifest string, data []byte, layers ...string) {
	m.Helper()
	id := fmt.Sprintf("%x", sha256.Sum256(data))
	m.write(store+"/blobs/sha256-"+id, data)
	list := fmt.Sprintf(`{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:%s"}`, id)
	for _, kind := range layers {
		list += fmt.Sprintf(`,{"mediaType":"application/vnd.ollama.image.%s","digest":"sha256:%s"}`, kind, strings.Repeat("0", 64))
	}
	m.write(store+"/manifests/"+manifest, []byte(`{"schemaVersion":2,"layers":[`+list+`]}`))
}

func TestFilesAreFoundWhereProgramsKeepThem(t *testing.T) {
	m := newMachine(t)
	one := func(name string) []byte { return model(t, "general.architecture", "llama", "general.name", name) }
	m.write("work/here.gguf", one("a"))
	m.write("work/elsewhere/deep.gguf", one("b")) // not looked for
	m.write("work/models/sub/There.GGUF", one("c"))
	m.write("home/.lmstudio/models/owner/repo/studio-Q4_K_M.gguf", one("d"))
	m.write("home/.cache/llama.cpp/owner_repo-GGUF_cached-Q8_0.gguf", one("e"))
	m.write("home/.local/share/nomic.ai/GPT4All/all.gguf", one("f"))
	m.write("home/.local/share/Jan/data/llamacpp/models/jan/model.gguf", one("g"))
	m.ollama("home/.ollama/models", "registry.ollama.ai/library/llama3.2/3b", one("h"), "template", "params", "license")
	m.ollama("system/usr/share/ollama/.ollama/models", "registry.ollama.ai/library/mistral/latest", one("i"))
	m.ollama("home/.ollama/models", "registry.ollama.ai/someone/theirs/latest", one("j"))
	m.ollama("home/.ollama/models", "hf.co/owner/repo/Q4_K_M", one("k"))
	m.write("extra/more.gguf", one("l"))

	found := m.find(m.at("extra"))
	want := []string{
		"more @ " + m.at("extra"), "here @ this folder", "There @ ./models",
		"hf.co/owner/repo:Q4_K_M @ Ollama", "llama3.2:3b @ Ollama", "someone/theirs @ Ollama", "mistral @ Ollama",
		"studio-Q4_K_M @ LM Studio", "cached-Q8_0 @ llama.cpp", "all @ GPT4All", "model @ Jan",
	}
	if got := names(found); !slices.Equal(got, want) {
		t.Errorf("found %q\nwant  %q\nnotes %v", got, want, found.Notes)
	}
	if x := found.Named("llama3.2:3b"); x == nil || !slices.Equal(x.Extras, []string{"template", "params"}) {
		t.Errorf("llama3.2:3b is %+v", x)
	}
	if len(found.Notes) != 0 {
		t.Errorf("notes %v", found.Notes)
	}
}

func TestVariablesAndSystemsSayWhereThePlacesAre(t *testing.T) {
	m := newMachine(t)
	all := func(system string) string {
		e := m.environment(system)
		var dirs []string
		for _, p := range e.places(nil) {
			dirs = append(dirs, filepath.ToSlash(strings.TrimPrefix(p.dir, m.root)))
		}
		return strings.Join(dirs, "\n") + "\n"
	}
	has := func(system string, want ...string) {
		t.Helper()
		for _, w := range want {
			if got := all(system); !strings.Contains(got, w+"\n") {
				t.Errorf("%s: no %s in\n%s", system, w, got)
			}
		}
	}
	has("linux", "/home/.ollama/models", "/system/usr/share/ollama/.ollama/models", "/home/.cache/llama.cpp", "/home/.cache/huggingface/hub", "/home/.local/share/nomic.ai/GPT4All")
	has("darwin", "/home/.ollama/models", "/home/Library/Caches/llama.cpp", "/home/.cache/huggingface/hub", "/home/Library/Application Support/nomic.ai/GPT4All")
	m.variables["LOCALAPPDATA"], m.variables["APPDATA"] = m.at("local"), m.at("roaming")
	has("windows", "/home/.ollama/models", "/local/llama.cpp", "/home/.cache/huggingface/hub", "/local/nomic.ai/GPT4All", "/roaming/Jan/data/llamacpp/models")
	m.variables["XDG_CACHE_HOME"], m.variables["XDG_DATA_HOME"] = m.at("c"), m.at("d")
	has("linux", "/c/llama.cpp", "/c/huggingface/hub", "/d/nomic.ai/GPT4All")
	m.variables["HF_HOME"] = m.at("hf")
	has("linux", "/hf/hub")
	m.variables["HF_HUB_CACHE"], m.variables["OLLAMA_MODELS"], m.variables["LLAMA_CACHE"] = m.at("hub"), m.at("o"), m.at("l")
	has("linux", "/hub", "/o", "/l")
	if strings.Contains(all("linux"), "ollama") {
		t.Error("OLLAMA_MODELS does not stand for the usual places")
	}
	if e := (Environment{OS: "linux", Getenv: func(string) string { return "" }}); len(e.places(nil)) != 1 {
		t.Errorf("with no home: %v", e.places(nil))
	}
}

func TestWhatIsNoModelToTalkWithIsLeftOutWithAReason(t *testing.T) {
	m := newMachine(t)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"mmproj.gguf":    {model(t, "general.architecture", "clip"), "mmproj"},
		"mmproj2.gguf":   {model(t, "general.architecture", "llama", "general.type", "mmproj"), "mmproj"},
		"lora.gguf":      {model(t, "general.architecture", "llama", "general.type", "adapter"), "adapter"},
		"lora2.gguf":     {model(t, "general.architecture", "llama", "adapter.type", "lora"), "adapter"},
		"imatrix.gguf":   {model(t, "general.type", "imatrix"), "quantising"},
		"bge.gguf":       {model(t, "general.architecture", "bert"), "embeddings"},
		"embedding.gguf": {model(t, "general.architecture", "qwen3", "qwen3.pooling_type", "3"), "embeddings"},
		"flux.gguf":      {model(t, "general.architecture", "flux"), "writes no text"},
		"nothing.gguf":   {model(t), "does not say"},
		"cut.gguf":       {demo.Model()[:len(demo.Model())-1000], "the download is incomplete"},
		"text.gguf":      {[]byte("This is not a model, whatever it is called."), "not a GGUF file"},
		"empty.gguf":     {nil, "not a GGUF file"},
	} {
		m.write("work/models/"+name, c.data)
		if got := reason(m.find(), name); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", name, got, c.want)
		}
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, []gguf.KV{{Key: "general.architecture", Value: gguf.ValueOf("llama")}}, nil); err != nil {
		t.Fatal(err)
	}
	m.write("work/vocabulary.gguf", b.Bytes())
	found := m.find()
	if got := reason(found, "vocabulary.gguf"); !strings.Contains(got, "vocabulary") {
		t.Error(got)
	}
	if len(found.Files) != 0 {
		t.Errorf("files %v", names(found))
	}
}

func TestTheVerdictIsTheEngines(t *testing.T) {
	m := newMachine(t)
	m.write("work/runs.gguf", demo.Model())
	m.write("work/novel.gguf", model(t, "general.architecture", "novel"))
	found := m.find()
	x := found.Named("runs")
	if x == nil || !x.Runs() || x.Parameters < 1e6 || x.Context == 0 || x.Quantisation == "" || x.Size != int64(len(demo.Model())) || x.Architecture != "llama" {
		t.Errorf("%+v", x)
	}
	if x := found.Named("novel"); x == nil || x.Runs() || !strings.Contains(x.Refusal, `"novel"`) || strings.Contains(x.Refusal, m.root) {
		t.Errorf("%+v", x)
	}
	e := m.environment("linux")
	e.Memory = 1 << 20
	found = Files(t.Context(), e, nil)
	if x := found.Named("runs"); x == nil || !strings.Contains(x.Refusal, "memory") {
		t.Errorf("larger than memory: %+v", x)
	}
}

func TestASplitModelIsOne(t *testing.T) {
	m := newMachine(t)
	for i := range 3 {
		m.write(fmt.Sprintf("work/models/big-%05d-of-00003.gguf", i+1), partOf(t, i+1, 3))
	}
	m.write("work/models/half-00002-of-00002.gguf", partOf(t, 2, 2))
	found := m.find()
	if len(found.Files) != 1 {
		t.Fatalf("found %v, notes %v", names(found), found.Notes)
	}
	x := found.Files[0]
	if x.Name != "big" || x.Parts != 3 || x.Size != 3*int64(len(partOf(t, 1, 3))) || x.Parameters != 12 || filepath.Base(x.Path) != "big-00001-of-00003.gguf" || !strings.Contains(x.Refusal, "block_count") {
		t.Errorf("%+v", x)
	}
	m.write("work/models/big-00003-of-00003.gguf", partOf(t, 1, 3))
	if got := reason(m.find(), "big-00001-of-00003.gguf"); !strings.Contains(got, "in another part") {
		t.Error(got)
	}
	if got := reason(found, "half-00002-of-00002.gguf"); !strings.Contains(got, "of its 2 parts 1") {
		t.Error(got)
	}
}

func TestNamesAreUniqueAndAFileIsOneUnderAllOfThem(t *testing.T) {
	m := newMachine(t)
	m.write("work/models/a/model.gguf", model(t, "general.architecture", "llama"))
	m.write("work/models/b/model.gguf", model(t, "general.architecture", "llama"))
	m.write("work/models/c/b/model.gguf", model(t, "general.architecture", "llama"))
	m.link(m.at("work/models/a/model.gguf"), "work/models/linked.gguf")
	for i := range 6 { // folders without end
		m.link(m.at("work/models"), fmt.Sprintf("work/models/loop%d", i))
	}
	m.link(m.at("nowhere"), "work/models/broken.gguf")
	data := model(t, "general.architecture", "llama", "general.name", "x")
	m.ollama("home/.ollama/models", "registry.ollama.ai/library/x/1b", data)
	m.ollama("home/.ollama/models", "registry.ollama.ai/library/x/latest", data)
	found := m.find()
	if got, want := names(found), []string{"model @ ./models", "b/model @ ./models", "b/model-2 @ ./models", "x:1b @ Ollama"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if len(found.Notes) != 0 {
		t.Errorf("notes %v", found.Notes)
	}
	if x := found.Named("linked"); x == nil || x.Name != "model" {
		t.Errorf("linked is %+v", x)
	}
	if x := found.Named("x"); x == nil || x.Name != "x:1b" {
		t.Errorf("x is %+v", x)
	}
	if x := found.Named("y"); x != nil {
		t.Errorf("y is %+v", x)
	}
}

func TestTheHubsCacheIsRead(t *testing.T) {
	m := newMachine(t)
	const hub = "home/.cache/huggingface/hub/models--owner--repo-GGUF"
	m.write(hub+"/blobs/aaaa", model(t, "general.architecture", "llama", "general.name", "new"))
	m.write(hub+"/blobs/bbbb", model(t, "general.architecture", "llama", "general.name", "old"))
	m.write(hub+"/refs/main", []byte("9999\n"))
	m.link("../../blobs/bbbb", hub+"/snapshots/1111/m.gguf")
	m.link("../../blobs/aaaa", hub+"/snapshots/9999/m.gguf")
	m.link("../../../blobs/aaaa", hub+"/snapshots/2222/q/m.gguf")
	m.link("../../blobs/gone", hub+"/snapshots/9999/gone.gguf")
	m.write("secret.gguf", model(t, "general.architecture", "llama"))
	m.link(m.at("secret.gguf"), hub+"/snapshots/9999/escape.gguf")
	found := m.find()
	if got, want := names(found), []string{"m @ Hugging Face", "owner/repo-GGUF/m @ Hugging Face"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if len(found.Files) > 0 && !strings.Contains(found.Files[0].Path, "9999") {
		t.Errorf("the first is %s, not main's", found.Files[0].Path)
	}
	if got := reason(found, "escape.gguf"); !strings.Contains(got, "not followed") {
		t.Errorf("a link out of the cache: %q", got)
	}
}

func TestAStoreLeadsOnlyToItsOwnFiles(t *testing.T) {
	m := newMachine(t)
	const store, at = "home/.ollama/models", "registry.ollama.ai/library/"
	m.write("secret.gguf", demo.Model())
	put := func(name, digest string) {
		m.write(store+"/manifests/"+at+name+"/latest", fmt.Appendf(nil, `{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":%q}]}`, digest))
	}
	put("up", "sha256:../../../../secret.gguf")
	put("absolute", m.at("secret.gguf"))
	put("short", "sha256:abcd")
	put("gone", "sha256:"+strings.Repeat("a", 64))
	put("linked", "sha256:"+strings.Repeat("b", 64))
	m.link(m.at("secret.gguf"), store+"/blobs/sha256-"+strings.Repeat("b", 64))
	m.write(store+"/manifests/"+at+"broken/latest", []byte(`{"layers":`))
	m.write(store+"/manifests/"+at+"long/latest", make([]byte, limits.ManifestBytes.Int()+1))
	m.ollama(store, at+"adapted/latest", model(t, "general.architecture", "llama"), "adapter")
	m.write(store+"/manifests/"+at+"too/deep/for/it", []byte(`{}`))
	found := m.find()
	if len(found.Files) != 0 || len(found.Notes) != 8 {
		t.Errorf("found %v, notes %q", names(found), found.Notes)
	}
	for _, n := range found.Notes {
		if strings.Contains(n.Reason, "secret") {
			t.Errorf("%+v", n)
		}
	}
}

func TestWhatCannotBeReadIsANote(t *testing.T) {
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Log("here every file can be read: only the rest is tested")
	}
	m := newMachine(t)
	m.write("work/fine.gguf", model(t, "general.architecture", "llama"))
	m.write("work/models", []byte("a file where a folder is expected"))
	m.write("home/.ollama/models", []byte("likewise"))
	m.write("home/.lmstudio/models/locked/x.gguf", model(t, "general.architecture", "llama", "general.name", "locked"))
	if err := os.Chmod(m.at("home/.lmstudio/models/locked"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(m.at("home/.lmstudio/models/locked"), 0o755) })
	found := m.find()
	if found.Named("fine") == nil {
		t.Errorf("found %v", names(found))
	}
	if found.Named("x") == nil && reason(found, "locked") == "" {
		t.Errorf("a folder that cannot be read is not told: %v", found.Notes)
	}
}

func TestTheSearchIsBounded(t *testing.T) {
	m := newMachine(t)
	deep := "work/models"
	for range limits.FoundDepth.Int() + 1 {
		deep += "/d"
	}
	m.write(deep+"/deep.gguf", model(t, "general.architecture", "llama"))
	m.write("work/models/flat.gguf", model(t, "general.architecture", "llama"))
	if got := names(m.find()); !slices.Equal(got, []string{"flat @ ./models"}) {
		t.Errorf("found %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := Files(ctx, m.environment("linux"), nil); len(f.Files) != 0 || len(f.Notes) == 0 {
		t.Errorf("a search that is broken off: %+v", f)
	}
	for i := range limits.FoundFiles.Int() + 1 {
		m.write(fmt.Sprintf("many/%04d.gguf", i), nil)
	}
	f := m.find(m.at("many"))
	if got := reason(f, fmt.Sprintf("%04d.gguf", limits.FoundFiles.Int())); !strings.Contains(got, "ended here") {
		t.Errorf("%q", got)
	}
}

func TestEnginesAreFoundAndOnesOwnPortsAreNot(t *testing.T) {
	serve := func(kind string) int {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, kind) }))
		t.Cleanup(s.Close)
		_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
		n, _ := strconv.Atoi(port)
		return n
	}
	probe := func(ctx context.Context, url string) (Engine, error) {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return Engine{}, err
		}
		defer resp.Body.Close()
		kind, err := io.ReadAll(resp.Body)
		if err != nil || string(kind) == "page" {
			return Engine{}, errors.New("no engine")
		}
		return Engine{Kind: string(kind), Title: string(kind), Version: "1", Models: []string{"m"}}, nil
	}
	ours, page, ollama, other := serve("parley"), serve("page"), serve("ollama"), serve("parley")
	closed := httptest.NewServer(nil)
	_, nobody, _ := strings.Cut(strings.TrimPrefix(closed.URL, "http://"), ":")
	closed.Close()
	free, _ := strconv.Atoi(nobody)

	var said []string
	for _, e := range Engines(t.Context(), []int{ours, other, free, page, ollama}, []int{ours}, probe) {
		said = append(said, fmt.Sprintf("%t %s", e.Serves(), e.Says()))
	}
	want := []string{
		fmt.Sprintf("false parley 1 at http://127.0.0.1:%d: another server of this kind, left alone", other),
		fmt.Sprintf("true ollama 1 at http://127.0.0.1:%d, with m", ollama),
	}
	if !slices.Equal(said, want) {
		t.Errorf("%q\nwant %q", said, want)
	}
	many := Engine{Title: "X", URL: "u", Models: []string{"a", "b", "c", "d", "e"}}
	if got := many.Says(); got != "X at u, with a, b, c and 2 more" {
		t.Error(got)
	}
	if none := (&Engine{Title: "X", URL: "u"}); none.Says() != "X at u, which names no models" || none.Serves() {
		t.Error(none.Says())
	}
}

func TestAnEngineThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	s := httptest.NewServer(nil)
	t.Cleanup(s.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	n, _ := strconv.Atoi(port)
	got := Engines(t.Context(), []int{n}, nil, func(ctx context.Context, _ string) (Engine, error) {
		<-ctx.Done() // it ends by itself
		return Engine{}, ctx.Err()
	})
	if len(got) != 0 {
		t.Error(got)
	}
}
