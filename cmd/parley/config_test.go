package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/internal/demo"
)

const example = "../../parley.example.toml"

func TestTheExampleIsTheReference(t *testing.T) {
	cfg, err := readConfig(example)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Server.Listen, []string{defaultListen}; !reflect.DeepEqual(got, want) {
		t.Errorf("server.listen is %v in the example and %v without a file", got, want)
	}
	for _, key := range settings(reflect.TypeFor[config](), "") {
		name := key[strings.LastIndex(key, ".")+1:]
		found := false
		for line := range strings.Lines(string(data)) {
			found = found || strings.HasPrefix(line, name+" = ") || strings.HasPrefix(line, "["+key+"]") || strings.HasPrefix(line, "[["+key+"]]")
		}
		if !found {
			t.Errorf("%s is not in the example", key)
		}
	}
}

// settings lists every key that the file may have.
func settings(typ reflect.Type, prefix string) (keys []string) {
	if typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	for f := range fields(typ) {
		key := prefix + f.Tag.Get("toml")
		if f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct { // tables with names of their own
			keys = append(keys, settings(f.Type.Elem(), key+".")...)
			continue
		}
		keys = append(keys, key)
		keys = append(keys, settings(f.Type, key+".")...)
	}
	return keys
}

func TestConfigErrors(t *testing.T) {
	tests := []struct{ name, toml, want string }{
		{"unknown key", "[server]\nlisten = []\nlisen = []\n", `parley.toml:3: there is no setting "server.lisen" (did you mean "listen"?`},
		{"unknown table", "[servers]\n", `there is no setting "servers" (did you mean "server"?`},
		{"unknown key of a model", "[[models]]\npath = \"a\"\nalias = []\n", `parley.toml:3: there is no setting "models.alias" (did you mean "aliases"?`},
		{"unknown key of sampling", "[[models]]\npath = \"a\"\n[models.sampling]\ntemprature = 1\n", `did you mean "temperature"?`},
		{"nothing near", "[server]\nzzz = 1\n", `(known here: listen, as`},
		{"wrong type", "[engine]\nthreads = \"two\"\n", "parley.toml:2:"},
		{"not TOML", "[server\n", "parley.toml:1:"},
		{"out of range", "[engine]\ncontext = 1\n", "engine.context:"},
		{"a quota", "[server]\ntokens_per_minute = -1\n", "server.tokens_per_minute: -1 is less than none"},
		{"negative threads", "[engine]\nthreads = -1\n", "engine.threads:"},
		{"an unknown cache", "[engine]\nkv_cache = \"q4_0\"\n", "engine.kv_cache:"},
		{"a model without a path", "[[models]]\nname = \"x\"\n", "models[0] needs a path, a url or a command"},
		{"a command without a port", "[[models]]\ncommand = [\"x\"]\n", "models[0].command: does not tell the engine where to listen"},
		{"a command without a file", "[[models]]\ncommand = [\"x\", \"{path}\", \"{port}\"]\n", "models[0].command: has a {path}, and there is no path"},
		{"an empty command", "[[models]]\ncommand = [\"\", \"{port}\"]\n", "models[0].command: begins with the program's name"},
		{"health without a command", "[[models]]\npath = \"a\"\nhealth = \"/x\"\n", "models[0].health: means something only with command"},
		{"key without an engine", "[[models]]\npath = \"a\"\nkey = \"x\"\n", "models[0].key: means something only with url or command"},
		{"a draft for an engine", "[[models]]\nurl = \"http://127.0.0.1:1\"\ndraft = \"x\"\n", "models[0].draft: means something only with a path"},
		{"no port", "[[models]]\ncommand = [\"x\"]\nport = 70000\n", "models[0].port: 70000 is not a port"},
		{"no time", "[[models]]\npath = \"a\"\nidle = \"10 minutes\"\n", `"10 minutes" is not a time, as 90s`},
		{"a time below zero", "[[models]]\npath = \"a\"\nidle = \"-1s\"\n", `"-1s" is not a time`},
		{"a time without a unit", "[[models]]\npath = \"a\"\nidle = 600\n", `"600" is not a time, as 90s`},
		{"cache", "[engine]\ncache = -1\n", "engine.cache: -1 is less than none"},
		{"memory", "[engine]\nmemory = -1\n", "engine.memory: -1 is less than none"},
		{"memory of a GPU", "[engine]\ngpu_memory = { 0 = -1 }\n", "engine.gpu_memory.0: -1 is less than none"},
		{"memory of a model", "[[models]]\npath = \"a\"\nmemory = -1\n", "models[0].memory: -1 is less than none"},
		{"no size", "[engine]\nmemory = \"much\"\n", `"much" is not a size, as 16GB`},
		{"no size of a GPU", "[engine]\ngpu_memory = { 0 = \"24 apples\" }\n", `"24 apples" is not a size`},
		{"no group", "[[models]]\npath = \"a\"\ngroup = \"g\"\n", "models[0].group: there is no [groups.g]"},
		{"unknown key of a group", "[groups.g]\ntogehter = 1\n", `there is no setting "groups.g.togehter" (did you mean "together"?`},
		{"together", "[groups.g]\ntogether = -1\n", "groups.g.together: -1 is less than none"},
		{"gpu", "[[models]]\npath = \"a\"\ngpu = \"0,,1\"\n", "models[0].gpu:"},
		{"parallel", "[[models]]\npath = \"a\"\nparallel = -1\n", "models[0].parallel: -1"},
		{"a preset out of range", "[presets.x]\ntop_p = 2\n", "presets.x.top_p:"},
		{"a preset of nothing", "[presets.x]\ntemprature = 2\n", `did you mean "temperature"?`},
		{"sampling out of range", "[[models]]\npath = \"a\"\n[models.sampling]\ntop_p = 2\n", "models[0].sampling.top_p:"},
		{"policy", "[chat]\npolicy = \"strcit\"\n", `chat.policy: "strcit" is not one of auto, `},
		{"log", "[server]\nlog_format = \"xml\"\n", `"xml" is not one of`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config{path: "parley.toml"}
			err := cfg.decode([]byte(tt.toml))
			if err == nil {
				t.Fatal("no error")
			}
			e := err.(*userError)
			if said := e.Message + " (" + e.Hint + ")"; !strings.Contains(said, tt.want) {
				t.Errorf("says %q, want %q in it", said, tt.want)
			}
		})
	}
}

func TestWhatAModelNeedsIsKnownBeforeItIsLoaded(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int64{"large.gguf": 1000, "small.gguf": 100} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config{Engine: engineConfig{Memory: 10000, Cache: 50}}
	m := modelConfig{Path: filepath.Join(dir, "large.gguf"), Draft: filepath.Join(dir, "small.gguf")}
	if e := m.entry(cfg, nil); e.Memory != 1150 || !e.AtLeast {
		t.Errorf("the files, the cache: %d, at least: %v", e.Memory, e.AtLeast)
	}
	m = modelConfig{Path: filepath.Join(dir, "demo.gguf")}
	if err := os.WriteFile(m.Path, demo.Model(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []byteSize{0, 1 << 20} {
		cfg.Engine.Cache = cache
		e := m.entry(cfg, nil)
		loaded, err := e.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := loaded.Memory(); e.Memory != n || n <= int64(len(demo.Model()))/2+int64(cache) {
			t.Errorf("cache %d: %d bytes before it is loaded, %d then", cache, e.Memory, n)
		}
		loaded.Close()
	}
	m.Memory = 7
	if e := m.entry(cfg, nil); e.Memory != 7 || e.AtLeast {
		t.Errorf("what is configured: %d, at least: %v", e.Memory, e.AtLeast)
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "parley.toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("[[models]]\npath = \"m.gguf\"\nformat = \"f.toml\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := readConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.Models[0].Path, filepath.Join(dir, "sub", "m.gguf"); got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	if got, want := cfg.Models[0].Format, filepath.Join(dir, "sub", "f.toml"); got != want {
		t.Errorf("format %s, want %s", got, want)
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "0": 0, "1024": 1024, "16GB": 16 << 30, "1.5 GiB": 3 << 29, "512m": 512 << 20, "2TB": 2 << 40, "7 kib": 7 << 10} {
		var n byteSize
		if err := n.UnmarshalText([]byte(text)); err != nil || int64(n) != want {
			t.Errorf("%q is %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"-1", "1e999", "GB", "1 XB", "9999999TB", "1.2.3", "inf", "NaN"} {
		var n byteSize
		if err := n.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
	for text, want := range map[string]time.Duration{"": 0, "0": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute} {
		var d duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Duration != want {
			t.Errorf("%q is %v, %v; want %v", text, d, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "strict", "log"}
	for name, want := range map[string]string{"lisen": "listen", "Listen": "listen", "strikt": "strict", "lgo": "log", "log": "log", "quite different": "", "": ""} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestPresetsAreOfTheFileAndOfModels(t *testing.T) {
	cfg := config{
		Presets: map[string]samplingConfig{"calm": {Temperature: new(0.25)}, "both": {TopK: new(3)}},
		Models: []modelConfig{
			{Name: "both", Sampling: samplingConfig{TopK: new(7)}}, {Name: "m", Sampling: samplingConfig{TopP: new(0.5)}}, {Name: "plain"},
		},
	}
	got := cfg.presets()
	if len(got) != 3 || *got["calm"].Temperature != 0.25 || *got["both"].TopK != 3 || *got["m"].TopP != 0.5 {
		t.Errorf("got %v", got)
	}
}
