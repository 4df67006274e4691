package chatformat_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

var callTools = append(slices.Clone(corpusTools), chat.ToolSpec{Name: "now", Description: "The time."})

// callCases gives every output in testdata/calls with the syntaxes in which it
// is to be read.
func callCases(t testing.TB, each func(path string, a *txtar.Archive, syntaxes []string, name, output string)) {
	t.Helper()
	paths, err := filepath.Glob("testdata/calls/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var syntaxes []string
		for _, f := range slices.Clone(a.Files) {
			kind, name, _ := strings.Cut(f.Name, " ")
			switch kind {
			case "syntax":
				syntaxes = strings.Fields(string(f.Data))
			case "output":
				each(path, a, syntaxes, name, strings.TrimSuffix(string(f.Data), "\n"))
			}
		}
	}
}

// readCalls reads an output in pieces and writes down what comes out, laid
// side by side.
func readCalls(t testing.TB, p chatformat.Parser, pieces []string) string {
	t.Helper()
	var b strings.Builder
	var text strings.Builder
	kind := ""
	flush := func(next string) {
		if kind != next && text.Len() > 0 {
			fmt.Fprintf(&b, "%s %s\n", kind, quote(text.String()))
			text.Reset()
		}
		kind = next
	}
	var got []int
	for i, piece := range pieces {
		in := llm.Piece{Text: piece, Tokens: []llm.Token{{ID: i, Text: piece}}}
		if i == len(pieces)-1 {
			in.Finish = &llm.Finish{}
		}
		for _, e := range p.Parse(in) {
			switch e := e.(type) {
			case chat.TextDelta:
				if e.Text != "" {
					flush("text")
				}
				text.WriteString(e.Text)
				got = append(got, ids(e.Tokens)...)
			case chat.ReasoningDelta:
				flush("reasoning")
				text.WriteString(e.Text)
				got = append(got, ids(e.Tokens)...)
			case chat.ToolCallDelta:
				switch {
				case e.Broken:
					flush("")
					fmt.Fprintf(&b, "broken %d\n", e.Index)
				case e.Name != "" || e.ID != "":
					flush("")
					fmt.Fprintf(&b, "call %d %s %s\n", e.Index, e.ID, e.Name)
				default:
					flush(fmt.Sprintf("arguments %d", e.Index))
					text.WriteString(e.Arguments)
				}
			}
		}
	}
	flush("")
	for _, n := range p.Report() {
		fmt.Fprintf(&b, "report %s=%s: %s\n", n.Code, n.Value, n.Detail)
	}
	if len(got) != len(pieces) || !slices.IsSorted(got) {
		t.Errorf("of %d tokens came %v", len(pieces), got)
	}
	return b.String()
}

func callConversation() chat.Conversation {
	return chat.Conversation{Tools: callTools, Messages: []chat.Message{chat.Say(chat.User, "Hi")}}
}

// TestCallsAreRead reads every output in testdata/calls at once.
func TestCallsAreRead(t *testing.T) {
	covered := map[string]bool{}
	archives := map[string]*txtar.Archive{}
	callCases(t, func(path string, _ *txtar.Archive, syntaxes []string, name, output string) {
		a := archives[path]
		if a == nil {
			a = readArchive(t, path)
			archives[path] = a
		}
		if len(syntaxes) == 1 {
			covered[syntaxes[0]] = true
		}
		got := readCalls(t, chatformat.NewCallParser(callConversation(), "", syntaxes...), []string{output})
		compare(t, a, "events "+name, got)
		checkArguments(t, path+" "+name, got)
	})
	for path, a := range archives {
		writeArchive(t, path, a)
	}
	for _, name := range chatformat.ToolSyntaxes() {
		if !covered[name] {
			t.Errorf("no case in testdata/calls shows the syntax %s", name)
		}
	}
}

// checkArguments holds that the arguments of a call that is not broken are a
// JSON object.
func checkArguments(t *testing.T, name, events string) {
	t.Helper()
	lines := strings.Split(events, "\n")
	for i, line := range lines {
		what, rest, _ := strings.Cut(line, " ")
		if what != "arguments" {
			continue
		}
		_, quoted, _ := strings.Cut(rest, " ")
		var text string
		var object map[string]any
		if err := json.Unmarshal([]byte(quoted), &text); err != nil {
			t.Fatal(err)
		}
		err := json.Unmarshal([]byte(text), &object)
		if isBroken := strings.HasPrefix(lines[i+1], "broken"); isBroken == (err == nil) {
			t.Errorf("%s: arguments %s, broken: %t", name, text, isBroken)
		}
	}
}

// TestCallsDoNotDependOnThePieces divides every output in all ways in two, in
// single characters, and at random.
func TestCallsDoNotDependOnThePieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	callCases(t, func(path string, _ *txtar.Archive, syntaxes []string, name, output string) {
		want := readCalls(t, chatformat.NewCallParser(callConversation(), "", syntaxes...), []string{output})
		try := func(pieces []string) {
			if got := readCalls(t, chatformat.NewCallParser(callConversation(), "", syntaxes...), pieces); got != want {
				t.Fatalf("%s %s in the pieces %q:\n got\n%s\nwant\n%s", path, name, pieces, got, want)
			}
		}
		for i := range output {
			if i > 0 {
				try([]string{output[:i], output[i:]})
			}
		}
		try(strings.Split(output, ""))
		for range 40 {
			try(randomPieces(r, output))
		}
	})
}

func randomPieces(r *rand.Rand, text string) (pieces []string) {
	most := 1 + r.IntN(12)
	for text != "" {
		n := min(1+r.IntN(most), len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		pieces, text = append(pieces, text[:n]), text[n:]
	}
	if len(pieces) == 0 {
		pieces = []string{""}
	}
	return pieces
}

// TestArgumentsAreNeverHalfAnEscape gives an output one character at a time.
func TestArgumentsAreNeverHalfAnEscape(t *testing.T) {
	const output = `<tool_call>{"name": "search", "arguments": {"query": "a\"b\\cü\ud83c\udf4f"}}</tool_call>`
	p := chatformat.NewCallParser(callConversation(), "", "hermes")
	arguments, began := "", 0
	for i, c := range output {
		for _, e := range p.Parse(llm.Piece{Text: string(c)}) {
			d, ok := e.(chat.ToolCallDelta)
			if !ok {
				continue
			}
			arguments += d.Arguments
			if d.Name != "" {
				began = i
			}
			var text string
			if inside := strings.Count(arguments, `"`) > 2; inside && json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimPrefix(arguments, `{"query": `), `"}`)+`"`), &text) != nil && !strings.HasSuffix(arguments, "}") && !strings.HasSuffix(arguments, `"`) {
				t.Errorf("after %q the arguments are %q", output[:i+1], arguments)
			}
			if strings.HasSuffix(arguments, `\ud83c`) || strings.HasSuffix(arguments, `a\`) {
				t.Errorf("half an escape was passed on: %q", arguments)
			}
		}
	}
	if began > strings.Index(output, `{"query"`) {
		t.Errorf("the call began only at %d", began)
	}
	if want := `{"query": "a\"b\\cü\ud83c\udf4f"}`; arguments != want {
		t.Errorf("got %s, want %s", arguments, want)
	}
}

// TestAStringBetweenTagsComesAsItIsWritten, but for what may be its end.
func TestAStringBetweenTagsComesAsItIsWritten(t *testing.T) {
	p := chatformat.NewCallParser(callConversation(), "", "qwen-coder")
	arguments := ""
	for _, c := range []struct{ piece, want string }{
		{"<tool_call>\n<function=get_weather>\n<parameter=location", `{`},
		{">\n", `{"location": "`},
		{"Ulm \"on\"\n", `{"location": "Ulm \"on\"`},
		{"the Danube\n</param", `{"location": "Ulm \"on\"\nthe Danube`},
		{"eter>\n<parameter=days>\n1", `{"location": "Ulm \"on\"\nthe Danube"`},
		{"2\n</parameter>\n</function>", `{"location": "Ulm \"on\"\nthe Danube", "days": 12}`},
	} {
		for _, e := range p.Parse(llm.Piece{Text: c.piece}) {
			arguments += e.(chat.ToolCallDelta).Arguments
		}
		if arguments != c.want {
			t.Errorf("after %q the arguments are %s, want %s", c.piece, arguments, c.want)
		}
	}
}

// TestAnAnswerInJSONIsNotHeldBack where calls are bare JSON, either.
func TestAnAnswerInJSONIsNotHeldBack(t *testing.T) {
	p := chatformat.NewCallParser(callConversation(), "", "json", "pythonic", "glm4")
	const piece = `{"answer": "It is `
	events := p.Parse(llm.Piece{Text: piece})
	if len(events) != 1 || events[0].(chat.TextDelta).Text != strings.TrimRight(piece, " ") {
		t.Errorf("after %q came %v", piece, events)
	}
}

// TestNoMarkBeginsAnother: a mark that did would be taken for it where a piece
// ends between the two.
func TestNoMarkBeginsAnother(t *testing.T) {
	for _, a := range chatformat.CallMarks() {
		for _, b := range chatformat.CallMarks() {
			if a != b && strings.HasPrefix(b, a) {
				t.Errorf("%q begins with %q", b, a)
			}
		}
	}
}

// TestAMarkAloneIsText, in every syntax that has it.
func TestAMarkAloneIsText(t *testing.T) {
	for _, mark := range chatformat.CallMarks() {
		for _, rest := range []string{"", "\x00", " x", mark} {
			events := readCalls(t, chatformat.NewCallParser(callConversation(), "", chatformat.ToolSyntaxes()[1:]...), []string{mark + rest})
			if rest != mark && !strings.HasPrefix(events, "text "+quote(mark+rest)) {
				t.Errorf("%q came out as %s", mark+rest, events)
			}
			for _, name := range chatformat.ToolSyntaxes()[1:] {
				events := readCalls(t, chatformat.NewCallParser(callConversation(), "", name), []string{mark + rest})
				if !strings.HasPrefix(events, "text "+quote(mark+rest)) {
					t.Errorf("%s: %q came out as %s", name, mark+rest, events)
				}
			}
		}
	}
}

// FuzzCalls reads outputs in all syntaxes, divided in two ways.
func FuzzCalls(f *testing.F) {
	names := chatformat.ToolSyntaxes()
	callCases(f, func(_ string, _ *txtar.Archive, syntaxes []string, _, output string) {
		f.Add(output, uint8(max(0, slices.Index(names, syntaxes[0]))), uint64(7))
		f.Add(output, uint8(255), uint64(3))
	})
	f.Fuzz(func(t *testing.T, output string, which uint8, seed uint64) {
		output = strings.ToValidUTF8(output, "\ufffd")
		syntaxes := names[1:]
		if int(which) < len(names) {
			syntaxes = names[which : which+1]
		}
		want := readCalls(t, chatformat.NewCallParser(callConversation(), "", syntaxes...), []string{output})
		checkArguments(t, syntaxes[0], want)
		r := rand.New(rand.NewPCG(seed, 1))
		pieces := randomPieces(r, output)
		if got := readCalls(t, chatformat.NewCallParser(callConversation(), "", syntaxes...), pieces); got != want {
			t.Fatalf("in the pieces %q:\n got\n%s\nwant\n%s", pieces, got, want)
		}
	})
}
