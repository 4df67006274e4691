package textgen

import (
	"encoding/json"
	"html"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/internal/limits"
	"parley/internal/roleplay"
	"parley/llm"
)

func TestSamplingInTheWordsOfItsAge(t *testing.T) {
	q, err := ParseGenerate([]byte(`{"prompt":"a","max_length":7,"temperature":0.7,"typical":0.9,"rep_pen":1.2,"presence_pen":0.5,"frequency_pen":0.25,"min_length":3,
		"mirostat_mode":2,"mirostat_tau":4,"mirostat_eta":0.2,"ban_eos_token":true,"seed":-1,"custom_token_bans":"5, 6","grammar_string":"root ::= \"a\"",
		"truncation_length":"1024","preset":"Big O","add_bos_token":false,"guidance_scale":1.5}`))
	if err != nil {
		t.Fatal(err)
	}
	p := q.Params
	want := llm.Params{
		MaxTokens: new(7), Temperature: new(0.7), TypicalP: new(0.9), RepetitionPenalty: new(1.2), PresencePenalty: new(0.5), FrequencyPenalty: new(0.25),
		MinTokens: new(3), Mirostat: new(2), MirostatTau: new(4.0), MirostatEta: new(0.2), IgnoreEOS: true, LogitBias: map[int]float64{5: -1000, 6: -1000},
		Constraint: &llm.Constraint{Kind: llm.ConstrainGBNF, Source: `root ::= "a"`, Field: "grammar_string"},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v", p)
	}
	if q.Context != 1024 || q.Preset != "Big O" || !q.NoBOS || len(q.Report) != 1 || q.Report[0].Value != "guidance_scale" {
		t.Errorf("got %+v", q)
	}
}

func TestNoSamplingIsTheMostLikely(t *testing.T) {
	for body, want := range map[string]float64{`{"prompt":"a","do_sample":false,"temperature":0.9}`: 0, `{"prompt":"a","do_sample":true,"temperature":0.9}`: 0.9} {
		if q, err := ParseGenerate([]byte(body)); err != nil || *q.Params.Temperature != want {
			t.Errorf("%s: %v, %v", body, q, err)
		}
	}
}

func TestManyStopStrings(t *testing.T) {
	var stops []string
	for i := range 39 {
		stops = append(stops, "\n["+strings.Repeat("x", i)+"]:")
	}
	body, err := json.Marshal(map[string]any{"prompt": "a", "stopping_strings": stops, "custom_stopping_strings": stops[:3]})
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseGenerate(body)
	if err != nil || !slices.Equal(q.Params.Stop, stops) {
		t.Errorf("got %v, %v", q, err)
	}
}

func TestWhoseBodyItIs(t *testing.T) {
	for body, want := range map[string]bool{
		`{"prompt":"a"}`:                                      false,
		`{"prompt":"a","max_new_tokens":1}`:                   true,
		`{"prompt":"a","stopping_strings":[]}`:                true,
		`{"prompt":"a","max_length":1,"stop_sequence":[]}`:    false,
		`{"prompt":"a","seed":1,"max_context_length":2048}`:   false,
		`{"prompt":"a","preset":"None","ban_eos_token":true}`: true,
		`[]`: false, `{`: false, ``: false,
	} {
		if got := Ours([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

// TestAHistoryGrows over turns, is taken back by one and continued, and shows
// what the model does not see: HTML.
func TestAHistoryGrows(t *testing.T) {
	step := func(h History, body, reply string) History {
		t.Helper()
		var sent map[string]any
		if err := json.Unmarshal([]byte(body), &sent); err != nil {
			t.Fatal(err)
		}
		sent["history"] = h.wire()
		data, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseChat(data)
		if err != nil {
			t.Fatal(err)
		}
		if c.Nothing() {
			return c.History
		}
		return c.With(reply, "Tom")
	}
	h := step(History{}, `{"_continue":true}`, "never")
	h = step(h, `{"regenerate":true}`, "never")
	if len(h.Internal) != 0 {
		t.Errorf("something came of nothing: %v", h)
	}
	h = step(h, `{"user_input":"a <b>"}`, "  c & {{user}}")
	h = step(h, `{"user_input":"d"}`, " e")
	h = step(h, `{"regenerate":true,"user_input":"left over"}`, " f")
	h = step(h, `{"_continue":true}`, " \"g\"")
	want := History{
		Internal: [][2]string{{"a <b>", "c & {{user}}"}, {"d", `f "g"`}},
		Visible:  [][2]string{{"a &lt;b&gt;", "c &amp; Tom"}, {"d", "f &quot;g&quot;"}},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %q", h)
	}
}

func TestTurnsOfAHistory(t *testing.T) {
	for body, want := range map[string]string{
		`{"user_input":"x","history":{"internal":[["<|BEGIN-VISIBLE-CHAT|>","g"],["a","b"],["","c"]]}}`: "bot:g user:a bot:b bot:c user:x",
		`{"user_input":"","history":{"internal":[["a","b"]]}}`:                                          "user:a bot:b",
		`{"regenerate":true,"history":{"internal":[["a","b"],["c","d"]]}}`:                              "user:a bot:b user:c",
		`{"_continue":true,"history":{"internal":[["a","b"],["c","d"]]}}`:                               "user:a bot:b user:c bot:d open",
		`{"_continue":true,"history":{"internal":[["a","b"],["c",""]]}}`:                                "user:a bot:b user:c",
		`{"user_input":"x","mode":"instruct","context_instruct":"s"}`:                                   "system:s user:x",
		`{"user_input":"x","mode":"chat","context_instruct":"s"}`:                                       "user:x",
		`{"user_input":"x","history":null}`:                                                             "user:x",
	} {
		c, err := ParseChat([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		turns, open := c.Turns()
		var got []string
		for _, turn := range turns {
			got = append(got, map[roleplay.Speaker]string{roleplay.User: "user:", roleplay.Bot: "bot:", roleplay.Narration: "system:"}[turn.Who]+turn.Text)
		}
		if open {
			got = append(got, "open")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q", body, got)
		}
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                              "user_input",
		`{"user_input":1}`:                "user_input",
		`{"user_input":"a","history":[]}`: "history",
		`{"user_input":"a","history":{"internal":{}}}`:                                           "history.internal",
		`{"user_input":"a","history":{"internal":[["a","b","c"]]}}`:                              "history.internal[0]",
		`{"user_input":"a","history":{"internal":[[1,"b"]]}}`:                                    "history.internal[0][0]",
		`{"regenerate":true,"_continue":true}`:                                                   "_continue",
		`{"user_input":"a","mode":"x"}`:                                                          "mode",
		`{"user_input":"a","temperature":1e9}`:                                                   "temperature",
		`{"user_input":"a","your_name":"` + strings.Repeat("n", limits.NameBytes.Int()+1) + `"}`: "user_name",
	} {
		if _, err := ParseChat([]byte(body)); err == nil || llm.AsError(err).Field != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// FuzzChat: whatever comes is refused with a sentence, or answered with a
// history that holds what was said and can be sent again.
func FuzzChat(f *testing.F) {
	f.Add(`{"user_input":"a <b>","history":{"internal":[["a","b"]],"visible":[["a","b"]]},"mode":"chat","character":"Ada","your_name":"You"}`, "c & d")
	f.Add(`{"_continue":true,"history":{"internal":[["<|BEGIN-VISIBLE-CHAT|>",null]],"visible":[]}}`, " x")
	f.Fuzz(func(t *testing.T, body, reply string) {
		ParseGenerate([]byte(body))
		ParseAction([]byte(body))
		ParseTokens([]byte(body))
		ParseTop([]byte(body))
		c, err := ParseChat([]byte(body))
		if err != nil {
			if e := llm.AsError(err); e.Message == "" || e.Code == llm.Broken {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if c.Nothing() {
			return
		}
		c.Turns()
		reply = strings.ToValidUTF8(reply, "")
		h := c.With(reply, "Tom")
		var back struct {
			Results []struct {
				History struct{ Internal, Visible [][2]string }
			}
		}
		if err := json.Unmarshal(h.JSON(), &back); err != nil || len(back.Results[0].History.Internal) != len(back.Results[0].History.Visible) {
			t.Fatalf("%s: %v", h.JSON(), err)
		}
		last := back.Results[0].History.Internal[len(h.Internal)-1][1]
		if !strings.HasSuffix(last, strings.TrimLeft(reply, " ")) {
			t.Fatalf("the history ends with %q, not %q", last, reply)
		}
		if shown := h.Visible[len(h.Visible)-1][1]; strings.ContainsAny(strings.TrimPrefix(shown, visibleBefore(c)), `<>"'`) {
			t.Fatalf("%q is not HTML of %q", shown, html.UnescapeString(shown))
		}
	})
}

// visibleBefore is what was shown of the last answer before.
func visibleBefore(c *Chat) string {
	if !c.Continue {
		return ""
	}
	return c.History.Visible[len(c.History.Visible)-1][1]
}
