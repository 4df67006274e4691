package character

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/internal/limits"
	"parley/llm"
)

func TestFilesOfAllAges(t *testing.T) {
	for name, c := range map[string]struct {
		file, data string
		want       Character
	}{
		"today's": {"a.yaml", "name: Ada\ngreeting: |-\n  Hello, {{user}}!\ncontext: |\n  Ada counts.\n\nyour_name: Tom\n",
			Character{"Ada", "Tom", "Ada counts.", "Hello, {{user}}!"}},
		"older names": {"a.yml", "bot: Ada\nuser: Tom\ncontext: c\n", Character{"Ada", "Tom", "c", ""}},
		"Pygmalion's": {"a.json", `{"char_name":"Ada","char_persona":"She counts.","char_greeting":"Hi \ud83c\udf4e","world_scenario":"A mill.","example_dialogue":"<START>\n{{user}}: 1\n{{char}}: 2\n"}`,
			Character{"Ada", "", "Ada's Persona: She counts.\nScenario: A mill.\n<START>\n{{user}}: 1\n{{char}}: 2", "Hi 🍎"}},
		"a context goes before a persona": {"a.json", `{"name":"Ada","context":"c","char_persona":"p","example_dialogue":"e"}`, Character{"Ada", "", "c\ne", ""}},
		"a number for a name":             {"a.yaml", "name: 7\n", Character{"7", "", "", ""}},
	} {
		if got, err := Parse(c.file, []byte(c.data)); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, c.want)
		}
	}
}

func TestFilesThatAreNoCharactersAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, data string }{
		"no name":       {"a.yaml", "greeting: hi\n"},
		"a list":        {"a.yaml", "- a\n"},
		"no JSON":       {"a.json", "name: Ada"},
		"a long name":   {"a.yaml", "name: " + strings.Repeat("a", limits.NameBytes.Int()+1)},
		"a large file":  {"a.yaml", "name: Ada\ncontext: " + strings.Repeat("a", limits.CharacterBytes.Int())},
		"half a string": {"a.json", `{"name":"A`},
	} {
		if _, err := Parse(c.file, []byte(c.data)); llm.AsError(err).Code != llm.Unreadable {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAliasesOfAliasesDoNotGrowWithoutEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: Ada\na0: &a0 x\n")
	for i := range 40 { // 9 to the power of 40
		fmt.Fprintf(&b, "a%d: &a%[1]d [%s*a%[3]d]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 8), i)
	}
	long := "name: Ada\na: &a " + strings.Repeat("x", 1<<19) + "\nb: [" + strings.Repeat("*a,", 1000) + "]\n"
	for _, file := range []string{b.String(), long} {
		if _, err := Parse("a.yaml", []byte(file)); llm.AsError(err).Code != llm.Unreadable {
			t.Errorf("as a character: %v", err)
		}
		if _, _, err := ReadCard("a.yaml", []byte(file)); llm.AsError(err).Code != llm.Unreadable {
			t.Errorf("as a card: %v", err)
		}
	}
	few, _, err := ReadCard("a.yaml", []byte("name: &n Ada\ncontext: *n\ngreeting: *n\nx: &x {y: *n}\nz:\n  <<: *x\n"))
	if err != nil || few.Description != "Ada" || few.FirstMessage != "Ada" || string(few.Extra["z"]) != `{"y":"Ada"}` {
		t.Errorf("%+v, %v", few, err)
	}
}

func TestNamesStandForWhatTheyAre(t *testing.T) {
	got := Fill("{{user}} and {{CHAR}}, <USER>, <bot>, <Char>; {{User}} {{x}} <b> {", "Tom {{char}}", "Ada")
	if want := "Tom {{char}} and Ada, Tom {{char}}, Ada, Ada; Tom {{char}} {{x}} <b> {"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFolderGivesItsCharactersAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "characters")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string]string{
		filepath.Join(dir, "secret.yaml"):         "name: Secret\n",
		filepath.Join(inside, "Ada.yaml"):         "name: Ada\n",
		filepath.Join(inside, "Tom & Co.json"):    `{"name":"Tom"}`,
		filepath.Join(inside, "nothing.yaml"):     "greeting: a\n",
		filepath.Join(inside, "Assistant.v1.yml"): "name: A\n",
	} {
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := Folder(inside)
	for name, want := range map[string]string{"Ada": "Ada", "Tom & Co": "Tom", "Assistant.v1": "A"} {
		if c, err := f.Character(t.Context(), name); err != nil || c.Name != want {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../secret", `..\secret`, "secret", "Ada\x00", "c:Ada", strings.Repeat("a", 1000)} {
		if _, err := f.Character(t.Context(), name); llm.AsError(err).Code != llm.NotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret.yaml"), filepath.Join(inside, "link.yaml")); err == nil {
		if c, err := f.Character(t.Context(), "link"); err == nil {
			t.Errorf("a link led out of the folder, to %+v", c)
		}
	}
	if _, err := f.Character(t.Context(), "nothing"); llm.AsError(err).Code != llm.Unreadable {
		t.Error(err)
	}
	if _, err := Folder(filepath.Join(dir, "nowhere")).Character(t.Context(), "Ada"); llm.AsError(err).Code != llm.Broken {
		t.Error(err)
	}
}

func write(t *testing.T, dir, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a.yaml", "name: &a Ada\ncontext: *a\n? [b]\n: !!binary aGk=\n")
	f.Add("a.json", `{"name":"A","data":{"x":[1,2]}}`)
	f.Fuzz(func(t *testing.T, file, data string) {
		c, err := Parse(file, []byte(data))
		if err != nil {
			if e, ok := errors.AsType[*llm.Error](err); !ok || e.Message == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if c.Name == "" || !utf8.ValidString(c.Name+c.Context+c.Greeting+c.User) {
			t.Fatalf("%+v", c)
		}
		Fill(c.Context, "u", "c")
	})
}
