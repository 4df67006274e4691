package apikey

import (
	"strings"
	"testing"
	"time"

	"parley/internal/limits"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 500, time.FixedZone("", 3600))

func TestAKeyIsFoundByItsTextAndKeptWithoutIt(t *testing.T) {
	text, made := New("bot", Read|Chat, noon)
	if strings.Contains(made.Line(), text) || len(text) < 30 {
		t.Errorf("%q, kept as %q", text, made.Line())
	}
	file := "# who may ask\n\n" + made.Line() + "\r\n  chosen by hand  \n"
	keys, err := Parse(strings.NewReader(file))
	if err != nil || len(keys) != 2 || keys[0] != made {
		t.Fatalf("%v, %v, want %v first", keys, err, made)
	}
	if k, ok := Find(keys, text); !ok || k.Name != "bot" || k.Scopes.String() != "read,chat" || !k.Created.Equal(noon.Truncate(time.Second)) {
		t.Errorf("found %+v, %v", k, ok)
	}
	if k, ok := Find(keys, "chosen by hand"); !ok || k.Scopes != All || k.Name != "" {
		t.Errorf("found %+v, %v", k, ok)
	}
	for _, wrong := range []string{"", text + "x", text[:len(text)-1], strings.ToUpper(text), "bot", "chosen", made.Line()} {
		if k, ok := Find(keys, wrong); ok {
			t.Errorf("%q is taken for %+v", wrong, k)
		}
	}
	if other, _ := New("bot", All, noon); other == text {
		t.Error("two keys are the same")
	}
}

func TestAFileThatIsNotRightIsRefusedWithItsLineAndWithoutItsWords(t *testing.T) {
	_, k := New("bot", All, noon)
	good := k.Line()
	for name, line := range map[string]string{
		"no name":      strings.TrimPrefix(good, "bot "),
		"an odd name":  "b*t" + strings.TrimPrefix(good, "bot"),
		"odd scopes":   strings.Replace(good, "admin", "secret", 1),
		"an odd time":  strings.Replace(good, "2026-", "secret", 1),
		"a short one":  good[:len(good)-1],
		"a long one":   good + "0",
		"no hex":       good[:len(good)-1] + "x",
		"too much":     good + " secret",
		"a long name":  strings.Repeat("n", limits.KeyNameBytes.Int()+1) + strings.TrimPrefix(good, "bot"),
		"mark within ": strings.Replace(good, "sha256:", "xsha256:", 1),
	} {
		_, err := Parse(strings.NewReader("first\n" + line))
		if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), k.Line()[len(k.Line())-20:]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := strings.Repeat("#", limits.KeyFileBytes.Int())
	if _, err := Parse(strings.NewReader(long)); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
	if _, err := Parse(strings.NewReader(long + "#")); err == nil {
		t.Error("a file without end is read")
	}
}

func TestRemoveLeavesTheRestAsItIs(t *testing.T) {
	_, bot := New("bot", Chat, noon)
	_, ann := New("ann", Read, noon)
	file := "# keys\r\nplain\n" + bot.Line() + "\n\n" + ann.Line() + "\n" + bot.Line()
	rest, n := Remove([]byte(file), "bot")
	if want := "# keys\r\nplain\n\n" + ann.Line() + "\n"; string(rest) != want || n != 2 {
		t.Errorf("removed %d, left %q, want %q", n, rest, want)
	}
	for _, name := range []string{"", "plain", "nobody"} {
		if rest, n := Remove([]byte(file), name); n != 0 || string(rest) != file {
			t.Errorf("%q removes %d lines", name, n)
		}
	}
}

func TestScopesReadAsTheyAreWritten(t *testing.T) {
	for s := Read; s <= All; s++ {
		if got, err := ParseScope(s.String()); err != nil || got != s {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, wrong := range []string{"", "read,", "root", "Read"} {
		if s, err := ParseScope(wrong); err == nil {
			t.Errorf("%q is %v", wrong, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, k := New("bot", All, noon)
	f.Add("# a\nplain\n" + k.Line())
	f.Add("sha256:")
	f.Add("a read 2026-11-26T12:00:00Z sha256:00")
	f.Fuzz(func(t *testing.T, file string) {
		keys, err := Parse(strings.NewReader(file))
		if err != nil {
			return
		}
		for _, k := range keys {
			if k.Name == "" {
				continue
			}
			again, err := Parse(strings.NewReader(k.Line()))
			if err != nil || len(again) != 1 || again[0].Digest != k.Digest || again[0].Scopes != k.Scopes {
				t.Errorf("%q reads as %v, %v", k.Line(), again, err)
			}
		}
	})
}
