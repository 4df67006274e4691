package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
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
		{"negative threads", "[engine]\nthreads = -1\n", "engine.threads:"},
		{"a model without a path", "[[models]]\nname = \"x\"\n", "models[0] needs a path or a url"},
		{"sampling out of range", "[[models]]\npath = \"a\"\n[models.sampling]\ntop_p = 2\n", "models[0].sampling.top_p:"},
		{"policy", "[chat]\npolicy = \"strcit\"\n", `chat.policy: "strcit" is not one of auto, `},
		{"log", "[server]\nlog = \"xml\"\n", `"xml" is not one of`},
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

func TestNearest(t *testing.T) {
	known := []string{"listen", "strict", "log"}
	for name, want := range map[string]string{"lisen": "listen", "Listen": "listen", "strikt": "strict", "lgo": "log", "log": "log", "quite different": "", "": ""} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
