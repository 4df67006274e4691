package grammar

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestGBNF(t *testing.T) {
	for name, c := range map[string]struct {
		source  string
		in, out []string
	}{
		"texts and alternatives": {`root ::= "yes" | "no" | ""`, []string{"yes", "no", ""}, []string{"y", "yesno", "maybe"}},
		"classes":                {`root ::= [a-c_\-\]]+ [^a-z"\n] .`, []string{"ab_A!", "-]0\u2028"}, []string{"abz", "A!", "ab\"x"}},
		"repetitions":            {`root ::= "a"{2} "b"{1,} "c"{0,2} "d"? "e"* ("f" "g")+`, []string{"aabfg", "aabbccdeefgfg"}, []string{"abfg", "aabcccfg", "aab"}},
		"recursion": {"root ::= value\nvalue ::= \"(\" list? \")\" # a comment\nlist ::= value (\",\"\n   value)*",
			[]string{"()", "(())", "((),(()))"}, []string{"(", "(()", "(,)", "())"}},
		"alternatives on the next line":       {"root ::=\n  \"a\" |\n  \"b\"\n\nother ::= root", []string{"a", "b"}, []string{"ab"}},
		"escapes":                             {`root ::= "\x41\u00e9\U0001F600\n\t\"\\"`, []string{"Aé😀\n\t\"\\"}, []string{"A"}},
		"a loop of what may be empty":         {`root ::= ("a"? | "b"*)* "c"`, []string{"c", "abac"}, []string{"", "a"}},
		"what can never end is left out":      {"root ::= \"a\" endless | \"b\"\nendless ::= \"x\" endless", []string{"b"}, []string{"a", "ax"}},
		"rules that call each other for ever": {"root ::= \"x\" root | \"y\" tail\ntail ::= root | \"\"", []string{"y", "xyxy"}, []string{"x", "yx"}},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := GBNF(c.source)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range c.in {
				if !g.Matches(s) {
					t.Errorf("%q is not in the language", s)
				}
			}
			for _, s := range c.out {
				if g.Matches(s) {
					t.Errorf("%q is in the language", s)
				}
			}
		})
	}
}

func TestGBNFThatCannotBeIsRefused(t *testing.T) {
	for source, want := range map[string]string{
		`root ::= "a`:                    "ends inside",
		`root ::= [a`:                    "ends inside",
		`root ::= ("a"`:                  ") is missing",
		"a ::= \"b\"":                    "no rule named root",
		"root ::= b":                     "rule b is used and not defined",
		"root ::= \"a\"\nroot ::= \"b\"": "line 2: rule root is defined twice",
		"root ::= root \"a\" | \"b\"":    "begins with itself",
		"root ::= a? root2\na ::= \"\"\nroot2 ::= a root | \"x\"": "begins with itself",
		"root ::= \"x\" root":                  "no text is in the language",
		"root ::= \"a\"{3,1}":                  "no count",
		"root ::= \"a\"{99999999}":             "grammar_places",
		`root ::= <think>`:                     "tokens in a grammar are not supported",
		`root ::= [z-a]`:                       "wrong way round",
		"root ::= " + strings.Repeat("(", 200): "grammar_depth",
		"root = \"a\"":                         "::= is expected",
		"root ::= \"a\\q\"":                    "unknown escape",
	} {
		if _, err := GBNF(source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", source, err, want)
		}
	}
}

func TestRegexpsMatchAsGoMatchesThem(t *testing.T) {
	alphabet := []string{"a", "b", "c", "A", "0", "9", " ", "\n", "é", "😀", ".", "-"}
	random := rand.New(rand.NewPCG(1, 2))
	for _, source := range []string{
		`a*b`, `(a|b)*c?`, `[a-c]{2,4}`, `(?i)ab+`, `a.c`, `(?s)a.c`, `\d+(\.\d+)?`, `[^a]*`, `(ab|a)(c|bc)`, `é+😀?`, `^ab$`, `^(a|b)`, `a|^b$|c$`,
		`(a*)*b`, `\w\W\s?`, `()`, `[[:alpha:]]-\pL`, `a{0}b{1,}`,
	} {
		g, err := Regexp(source)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		want := regexp.MustCompile(`\A(?:` + strings.NewReplacer("^", "", "$", "").Replace(strings.ReplaceAll(source, "[^", "[\x00")) + `)\z`)
		want = regexp.MustCompile(strings.ReplaceAll(want.String(), "[\x00", "[^"))
		for range 3000 {
			var b strings.Builder
			for range random.IntN(6) {
				b.WriteString(alphabet[random.IntN(len(alphabet))])
			}
			if s := b.String(); g.Matches(s) != want.MatchString(s) {
				t.Errorf("%s: %q: got %v", source, s, g.Matches(s))
			}
		}
	}
	for _, source := range []string{`a\bb`, `a^b`, `(`, `a**`, `a{1001}`} {
		if _, err := Regexp(source); err == nil {
			t.Errorf("%s is not refused", source)
		}
	}
}

func TestChoices(t *testing.T) {
	g, err := Choice([]string{"one", "once", "on", "two"})
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{"one": true, "on": true, "once": true, "two": true, "o": false, "onetwo": false} {
		if g.Matches(s) != want {
			t.Errorf("%q: got %v", s, !want)
		}
	}
	if s := g.Step(g.Start(), "two"); s == nil || !s.Ended() {
		t.Error("behind two the text can go on")
	}
	if s := g.Step(g.Start(), "on"); s == nil || s.Ended() || !s.Accepts() {
		t.Error("behind on the text can end and go on")
	}
	for _, none := range [][]string{nil, {"\xff"}} {
		if _, err := Choice(none); err == nil {
			t.Errorf("%q is not refused", none)
		}
	}
}

// TestMasksAllowWhatTheStateAllows compares masks with the definition: a token
// may come if the state can go on with it.
func TestMasksAllowWhatTheStateAllows(t *testing.T) {
	vocabulary := testVocabulary()
	v := NewVocabulary(vocabulary)
	random := rand.New(rand.NewPCG(3, 4))
	for name, g := range testGrammars(t) {
		m := NewMasker(g, v)
		for range 20 {
			s := g.Start()
			for range 40 {
				mask := m.Mask(s)
				var may []int
				for id, text := range vocabulary {
					want := text != "" && g.Step(s, text) != nil
					if mask.Has(id) != want {
						t.Fatalf("%s: token %q: the mask says %v", name, text, mask.Has(id))
					}
					if want {
						may = append(may, id)
					}
				}
				if len(may) == 0 {
					if !s.Accepts() {
						t.Fatalf("%s: a state that is not dead leads nowhere", name)
					}
					break
				}
				s = g.Step(s, vocabulary[may[random.IntN(len(may))]])
			}
		}
	}
}

func testGrammars(t *testing.T) map[string]*Grammar {
	t.Helper()
	all := map[string]*Grammar{}
	for name, source := range map[string]string{
		"nested":    "root ::= list\nlist ::= \"[\" (item (\",\" item)*)? \"]\"\nitem ::= list | word | \"\\\"\" [^\"]* \"\\\"\"\nword ::= [a-z]+",
		"ambiguous": "root ::= x x x \"!\"\nx ::= \"a\"* | \"ab\"* | [a-z]{0,3}",
		"counted":   "root ::= \"\\\"\" [a-zé]{5,300} \"\\\"\" tail\ntail ::= \",\" root | \"\"",
		"quoted":    "root ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" [\"\\\\bfnrt])* \"\\\"\" \",\" root | \"!\"",
		"few":       "root ::= \"[\" [^\\]\\n]{2,9} \"]\" root | \"!\"",
		"two ways":  "root ::= x | y\nx ::= \"\\\"\" [^\"]{3,} \"\\\"\"\ny ::= \"\\\"\" [^\"b]* \"\\\",\" root",
		"open":      "root ::= word \"\\\"\" root | \"\"\nword ::= [^\"]*",
		"loops":     "root ::= list \"!\" root | \"\"\nlist ::= ([^\"]* \"\\\"\"){1,20}",
		"differing": "root ::= list \"!\" root | \"\"\nlist ::= (\"a\" \"b\" | [^a\"] [^\"]* \"\\\"\"){1,20}",
		"runes":     "root ::= [\\u0000-\\U0010FFFF]{1,10} \"end\"",
	} {
		g, err := GBNF(source)
		if err != nil {
			t.Fatal(name, err)
		}
		all[name] = g
	}
	for name, source := range map[string]string{
		"any object": `{"type":"object"}`,
		"person":     `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","ab","b\"c"]}}},"required":["name"]}`,
		"tree":       `{"$defs":{"n":{"type":"object","properties":{"v":{"type":"number"},"l":{"$ref":"#/$defs/n"},"r":{"$ref":"#/$defs/n"}},"additionalProperties":{"type":"null"}}},"$ref":"#/$defs/n"}`,
		"names":      `{"type":"object","properties":{"name":{"type":"string","pattern":"a.*"},"nam":{"type":"string","maxLength":5},"é":{},"":{}},"additionalProperties":{"type":"string","minLength":14}}`,
		"short":      `{"type":"array","items":{"type":"string","maxLength":12}}`,
		"long":       `{"type":"string","minLength":3,"maxLength":200}`,
	} {
		g, err := Schema([]byte(source))
		if err != nil {
			t.Fatal(name, err)
		}
		all[name] = g
	}
	return all
}

// testVocabulary has all bytes, and tokens that go across strings, brackets and
// characters.
func testVocabulary() []string {
	all := []string{""}
	for b := range 256 {
		all = append(all, string([]byte{byte(b)}))
	}
	parts := []string{"a", "b", "ab", "abc", "hello", "\"", "\",", "\":", "\": ", "{", "}", "[", "]", ",", " ", "\n", "1", "23", "-", ".", "e", "é", "😀", "\xc3", "\xa9x", "\\", "\\\"", "\\u00", "null", "true", "\x7f", "\xed\xa0", "nam", "name", "age", "v", "l", "end", "!"}
	random := rand.New(rand.NewPCG(5, 6))
	for range 1500 {
		var b strings.Builder
		for range 1 + random.IntN(5) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		all = append(all, b.String())
	}
	for n := range 22 {
		all = append(all, strings.Repeat("é", n)+"\"", strings.Repeat("n", n)+"\\", strings.Repeat("o", n)+"\xc3", strings.Repeat("p", n)+"\",\"q")
	}
	return append(all, strings.Repeat("a", 70), "\xe2\x82")
}
