package macro

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"parley/internal/limits"
	"parley/llm"
)

var values = Values{
	Char: "Ada", User: "Tom {{char}} <BOT>", Persona: "a baker", Description: "d {{char}}", Personality: "p", Scenario: "s", Examples: "e",
	Original: "the operator's", Now: time.Date(2026, 2, 3, 16, 5, 0, 0, time.UTC), Idle: 3 * time.Hour, Place: "t", Seed: 1, Chat: 2,
}

func expand(t *testing.T, text string, v Values) Result {
	t.Helper()
	r, err := Expand(text, v)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

func TestMacrosStandForTheirValues(t *testing.T) {
	group := values
	group.Group = "Ada, Bob"
	for text, want := range map[string]string{
		"no macro":                     "no macro",
		"{{char}} {{CHAR}} {{ char }}": "Ada Ada Ada",
		"<USER>|<bot>|<Char>|<b>":      "Tom {{char}} <BOT>|Ada|Ada|<b>",
		"{{user}}":                     "Tom {{char}} <BOT>",
		"{{persona}} {{description}} {{personality}} {{scenario}} {{mesExamples}}": "a baker d {{char}} p s e",
		"{{group}}/{{charIfNotGroup}}":                                             "Ada/Ada",
		"a {{original}}b{{original}}":                                              "a the operator'sb",
		"{{time}} {{isotime}} {{date}}":                                            "4:05 PM 16:05 February 3, 2026",
		"{{isodate}} {{weekday}} {{time_UTC+2}} {{idle_duration}}":                 "2026-02-03 Tuesday 6:05 PM 3 hours",
		"a{{newline}}b{{newline::2}}c{{noop}}":                                     "a\nb\n\nc",
		"a\n\n{{trim}}\n\nb":                                                       "a" + "b",
		"{{trim}}\n{{char}}":                                                       "Ada",
		"a{{// said {{user}} to none}}b{{comment: c}}{{hidden_key: k}}":            "ab",
		"{{reverse:abc}} {{reverse:{{char}}}} {{reverse::ab}}":                     "cba adA ba",
		"{{reverse:äö}}":                                                           "öä",
		"{{random:only}} {{random::only}} {{pick:{{char}}}}":                       "only only Ada",
		`{{random:a\,b}}`:                                                          "a,b",
		"{{roll:1}} {{roll:d1}} {{roll 3d1}} {{roll:2d1+5}}":                       "1 1 3 7",
		"{{roll::9d1-4}} {{ roll: 1 }} {{roll:1d1--1}}":                            "5 1 {{roll:1d1--1}}",
		"{{random::a,a}} {{pick::a,a}} {{random a, a}} {{ random :: a :: a }}":     "a a a a",
		"a{{space}}b{{space::2}}c <group> <CharIfNotGroup>":                        "a b  c Ada Ada",
		"{{charDescription}} {{charPersonality}} {{charScenario}} {{charifnot}}":   "d {{char}} p s {{charifnot}}",
		"{{time::UTC+2}} {{time_UTC-2}} {{time::noon}} {{idleDuration}}":           "6:05 PM 2:05 PM {{time::noon}} 3 hours",
		"{{datetimeformat DD.MM.YYYY HH:mm}} {{datetimeformat::LLLL}}":             "03.02.2026 16:05 Tuesday, February 3, 2026 4:05 PM",
		"{{datetimeformat::[Day] Do MMM YY, h:mm a}} {{datetimeformat}}":           "Day 3rd Feb 26, 4:05 pm {{datetimeformat}}",
		"{{ }} {{}} {{:}} {{random:}} {{random::}}":                                "{{ }} {{}} {{:}} {{random:}} {{random::}}",
		"{{": "{{", "{{char": "{{char", "char}}": "char}}", "{{a {{char}}": "{{a Ada", "{{{char}}}": "{{{char}}}",
		"{{getvar::x}} {{x {{char}}}}": "{{getvar::x}} {{x Ada}}",
		"{{roll:x}}{{random:}}":        "{{roll:x}}{{random:}}",
	} {
		if got := expand(t, text, values); got.Text != want {
			t.Errorf("%q: got %q, want %q", text, got.Text, want)
		}
	}
	if got := expand(t, "{{group}}/{{charIfNotGroup}}", group).Text; got != "Ada, Bob/Ada, Bob" {
		t.Error(got)
	}
}

func TestUnknownMacrosAndHiddenKeysAreTold(t *testing.T) {
	got := expand(t, "{{zzz}} {{zzz}} {{hidden_key: the {{char}} mill}} {{roll:0}} {{"+strings.Repeat("long", 100)+"}}", values)
	if !slices.Equal(got.Hidden, []string{"the Ada mill"}) {
		t.Error(got.Hidden)
	}
	if len(got.Unknown) != 3 || got.Unknown[0] != "{{zzz}}" || got.Unknown[1] != "{{roll:0}}" || len(got.Unknown[2]) > limits.QuotedBytes.Int()+len("…") {
		t.Error(got.Unknown)
	}
}

func TestDrawsAreToldAndCanBeRepeated(t *testing.T) {
	const text = "{{random:a,b,c,d,e,f,g,h}} {{random::a,1::b::c}} {{pick:a,b,c,d,e,f,g,h}} {{roll:1000000}}"
	first := expand(t, text, values)
	if again := expand(t, text, values); !reflect.DeepEqual(first, again) {
		t.Errorf("%+v, then %+v", first, again)
	}
	var drawn []string
	for _, d := range first.Draws {
		drawn = append(drawn, d.Value)
	}
	if len(drawn) != 4 || strings.Join(drawn, " ") != first.Text || !first.Changes {
		t.Errorf("%+v", first)
	}
	// Another seed changes what is drawn anew, and never what is picked.
	rolls, picks := map[string]bool{}, map[string]bool{}
	for seed := range uint64(50) {
		v := values
		v.Seed = seed
		r := expand(t, text, v)
		picks[r.Draws[2].Value], rolls[r.Draws[3].Value] = true, true
	}
	if len(picks) != 1 || len(rolls) < 40 {
		t.Errorf("%d picks, %d rolls", len(picks), len(rolls))
	}
	// Another chat and another place pick anew.
	for name, set := range map[string]func(*Values, int){
		"chat":  func(v *Values, i int) { v.Chat = uint64(i) },
		"place": func(v *Values, i int) { v.Place = strings.Repeat("x", i) },
	} {
		picks := map[string]bool{}
		for i := range 50 {
			v := values
			set(&v, i)
			picks[expand(t, "{{pick:a,b,c,d}}", v).Text] = true
		}
		if len(picks) != 4 {
			t.Errorf("another %s: %v", name, picks)
		}
	}
	for text, changes := range map[string]bool{"{{char}}": false, "{{pick:a,b}}": false, "{{random:a,b}}": true, "{{date}}": true, "{{time::UTC+1}}": true, "{{datetimeformat::LT}}": true, "{{roll:6}}": true} {
		if got := expand(t, text, values); got.Changes != changes {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestEveryChoiceAndEveryFaceOfADieIsDrawn(t *testing.T) {
	choices, faces := map[string]bool{}, map[string]bool{}
	for seed := range uint64(200) {
		v := values
		v.Seed = seed
		choices[expand(t, "{{random:a, b ,{{char}}}}", v).Text] = true
		faces[expand(t, "{{roll:d6}}", v).Text] = true
	}
	if len(choices) != 3 || !choices["a"] || !choices["b"] || !choices["Ada"] {
		t.Error(choices)
	}
	if len(faces) != 6 || !faces["1"] || !faces["6"] {
		t.Error(faces)
	}
}

func TestMacrosWithinMacrosAreReadSoFar(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("{{reverse:", n) + "ab" + strings.Repeat("}}", n) }
	if got := expand(t, deep(maxDepth), values).Text; got != "ab" {
		t.Error(got)
	}
	if got := expand(t, deep(maxDepth+1), values).Text; !strings.Contains(got, "{{reverse:ab}}") {
		t.Error(got)
	}
}

func TestTextsThatGrowWithoutEndAreRefused(t *testing.T) {
	v := values
	v.Description = strings.Repeat("d", 1<<20)
	if _, err := Expand(strings.Repeat("{{description}}", 100), v); llm.AsError(err).Code != llm.Invalid {
		t.Error(err)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("{{random:a,{{random::b::{{user}}}}}} {{// {{x}} }} {{trim}}\n<USER>{{roll:2d6+1}}{{reverse:ab{{char}}}}")
	f.Add("{{{{{{}}}}}}{{pick:}}{{:}}{{ }}{{newline:9}}{{hidden_key:{{hidden_key:a}}}}")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Expand(text, values)
		if err != nil {
			return
		}
		if b, _ := Expand(text, values); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v, then %+v", a, b)
		}
		if utf8.ValidString(text) && !utf8.ValidString(a.Text) {
			t.Fatalf("%q", a.Text)
		}
	})
}
