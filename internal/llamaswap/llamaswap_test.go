package llamaswap

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func none(string) (string, bool) { return "", false }

func TestCommandsAreSplitAsInAShell(t *testing.T) {
	for text, want := range map[string][]string{
		"":                              nil,
		"  a  b\tc\n d ":                {"a", "b", "c", "d"},
		`a 'b c' "d e" f\ g`:            {"a", "b c", "d e", "f g"},
		`a "b \" \\ \n $x" '\' c\"d`:    {"a", `b " \ \n $x`, `\`, `c"d`},
		`a '' "" b`:                     {"a", "", "", "b"},
		`--x="a b"'c d'e`:               {"--x=a bc de"},
		"a \\\n b \\\n  # no\n c # yes": {"a", "b", "c", "#", "yes"},
		"# all\n# of it":                nil,
		"a \"b\nc\"":                    {"a", "b\nc"},
	} {
		got, err := splitCommand(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`a "b`, `a 'b`, `"\`} {
		if got, err := splitCommand(text); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"models: [":                                                  "",
		"models: 3":                                                  "models: is no table",
		"models: {a: {}}":                                            "models.a.cmd: is no command",
		"models: {a: {cmd: [x]}}":                                    "models.a.cmd: is no text",
		"models: {a: {cmd: \"x 'y\"}}":                               "a ' is not closed",
		"models: {a: {cmd: x, ttl: soon}}":                           `models.a.ttl: "soon" is no number`,
		"models: {a: {cmd: x, unlisted: maybe}}":                     `"maybe" is neither true nor false`,
		"models: {a: {cmd: x, env: [NAME]}}":                         `models.a.env: "NAME" is not NAME=value`,
		"models: {a: {cmd: x, env: {A: b}}}":                         "models.a.env: is no list",
		"models: {a: {cmd: '${env.HOME}'}}":                          "the environment has no HOME",
		"macros: {a: '${b}', b: '${a}'}\nmodels: {x: {cmd: '${a}'}}": "macros use each other without end",
		"macros: {a: [1]}":                                           "macros.a: a macro is a text",
		"peers: {p: {models: [m]}}":                                  "peers.p: has no proxy",
	} {
		if _, err := Parse([]byte(text), none); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestMacrosAndAnchorsThatGrowWithoutBoundAreRefused(t *testing.T) {
	var macros, anchors strings.Builder
	macros.WriteString("macros:\n  m0: xxxxxxxxxxxxxxxx\n")
	anchors.WriteString("a0: &a0 [x, x]\n")
	for i := range 12 {
		fmt.Fprintf(&macros, "  m%d: \"%s\"\n", i+1, strings.Repeat(fmt.Sprintf("${m%d}", i), 10))
	}
	for i := range 8 {
		fmt.Fprintf(&anchors, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 100), ","))
	}
	macros.WriteString("models: {x: {cmd: \"${m12}\"}}\n")
	for _, text := range []string{
		macros.String(), anchors.String(),
		strings.Repeat("[", 100_000), strings.Repeat("{a: ", 100_000), strings.Repeat("- ", 100_000), strings.Repeat("? ", 100_000),
	} {
		if _, err := Parse([]byte(text), none); err == nil {
			t.Errorf("no error for %.60s", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("models: {a: {cmd: 's --port ${PORT}', env: [A=b], ttl: 3}}\nmacros: {x: '${y}'}")
	f.Add("matrix: {vars: {a: b}, sets: {s: '(a | b) & c'}}\ngroups: {g: {members: [a]}}")
	f.Add("a: &a [*a]\nb: *b\nc: &c {d: *c}\n")
	f.Add("a: &a\n  b: 1\nc:\n  <<: *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		c, err := Parse([]byte(text), none)
		if (c == nil) == (err == nil) {
			t.Errorf("%v, %v", c, err)
		}
	})
}
