package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/discover"
	"parley/internal/upstream/enginetest"
)

// portOf is the port of an address.
func portOf(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// here listens, as a server does before it looks around.
func here(t *testing.T) listener {
	t.Helper()
	where, err := places([]string{"127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	open, err := listen(t.Context(), where, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { open[0].Close() })
	return open[0]
}

// alone is a place where nothing is found: neither files nor engines.
func alone(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{"HOME", "USERPROFILE", "OLLAMA_MODELS", "XDG_CACHE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "APPDATA", "LLAMA_CACHE", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		t.Setenv(name, t.TempDir())
	}
}

func TestEnginesThatRunAreServed(t *testing.T) {
	alone(t)
	engine := enginetest.Start(t, "ollama", enginetest.Options{})
	us := here(t)
	cfg := config{Discover: discoverConfig{Ports: []int{portOf(t, us.url()), portOf(t, engine.URL)}}, Models: []modelConfig{{builtIn: true}}}
	offers, err := new(serveCmd).discover(t.Context(), &app{stderr: io.Discard}, &cfg, slog.New(slog.DiscardHandler), []listener{us})
	if err != nil {
		t.Fatal(err)
	}
	if len(offers) == 0 || len(cfg.Models) != len(offers)+1 {
		t.Fatalf("%d offers, %d models", len(offers), len(cfg.Models))
	}
	m := cfg.Models[0]
	if m.URL != engine.URL || m.remoteConfig.Kind != "ollama" || m.Model == "" || m.Preload == nil || *m.Preload {
		t.Errorf("%+v", m)
	}
	for _, g := range engine.Generations() {
		t.Errorf("the engine was asked to generate: %+v", g)
	}
	models, err := loadAll(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer models.Close()
	target, err := models.Resolve(t.Context(), m.name())
	if err != nil || target.ID != m.name() {
		t.Errorf("%s is answered by %q, %v", m.name(), target.ID, err)
	}
	if target.Release != nil {
		target.Release()
	}
}

func TestNothingIsLookedForWhereAModelIsChosenOrItIsSwitchedOff(t *testing.T) {
	alone(t)
	engine := enginetest.Start(t, "ollama", enginetest.Options{})
	ports := []int{portOf(t, engine.URL)}
	for name, cfg := range map[string]config{
		"chosen":  {chosen: true, Discover: discoverConfig{Ports: ports}},
		"off":     {Discover: discoverConfig{Engines: new(false), Ports: ports}},
		"no port": {Discover: discoverConfig{Ports: []int{}}},
	} {
		offers, err := new(serveCmd).discover(t.Context(), &app{stderr: io.Discard}, &cfg, slog.New(slog.DiscardHandler), nil)
		if err != nil || len(offers) > 0 {
			t.Errorf("%s: %v, %v", name, offers, err)
		}
	}
	if n := len(engine.Requests()); n > 0 {
		t.Errorf("the engine got %d requests", n)
	}
	cfg := config{path: "parley.toml"}
	if err := cfg.decode([]byte("[discover]\nports = []\n")); err != nil || cfg.Discover.Ports == nil {
		t.Errorf("no ports are %v, %v", cfg.Discover.Ports, err)
	}
}

func TestOffersHaveNamesOfTheirOwn(t *testing.T) {
	t.Setenv("PARLEY_LLAMA_SERVER", "none")
	var cfg config
	offers := cfg.offers(
		[]discover.File{{Name: "llama3.2:3b", Path: "a.gguf"}, {Name: "parley-demo", Path: "b.gguf"}, {Name: "odd", Path: "c.gguf", Refusal: "it is odd"}},
		[]discover.Engine{
			{Kind: "ollama", Title: "Ollama", URL: "http://127.0.0.1:11434", Models: []string{"llama3.2:3b", "mistral"}},
			{Kind: "llamacpp", Title: "llama.cpp", URL: "http://127.0.0.1:8080", Models: []string{"/models/mistral.gguf", "x"}},
			{Kind: "parley", URL: "http://127.0.0.1:8000", Models: []string{"left alone"}},
		})
	var got []string
	for _, o := range offers {
		got = append(got, o.name()+" by "+o.by+o.refused)
	}
	want := []string{
		"llama3.2:3b by this program", "parley-demo-2 by this program",
		"odd by it is odd (llama.cpp may run it: install it, so that llama-server is found)",
		"llama3.2:3b@ollama by Ollama", "mistral by Ollama", "mistral@llamacpp by llama.cpp", "x by llama.cpp",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if m := offers[5].modelConfig; m.Model != "/models/mistral.gguf" {
		t.Errorf("the engine is asked for %q", m.Model)
	}
	t.Setenv("PARLEY_LLAMA_SERVER", "go") // a program that is there
	if o := cfg.offerFile(&discover.File{Name: "odd", Path: "c.gguf", Refusal: "it is odd", Size: 7}); o.by != "llama-server" || o.refused != "" || o.Memory != 7 {
		t.Errorf("%+v", o)
	}
}

func TestATerminalSeesAFewOfManyOffers(t *testing.T) {
	var offers []offer
	for i := range mostShown + 5 {
		o := offer{where: "Ollama", kind: "llama Q4_K 3.2B", size: "2.0 GiB", by: "this program"}
		o.Name = "m\x1b[31m" + strconv.Itoa(i)
		offers = append(offers, o)
	}
	var b bytes.Buffer
	showOffers(&b, style{}, offers)
	s := b.String()
	if strings.Count(s, "run by") != mostShown || !strings.Contains(s, "and 5 more") || strings.Contains(s, "\x1b") || !strings.HasPrefix(s, "  found  ") {
		io.WriteString(t.Output(), s)
		t.Error("not as expected")
	}
}
