package chatformat_test

import (
	"slices"
	"strings"
	"testing"

	"parley/chatformat"
	"parley/llm"
)

func TestAllFormatsAreThere(t *testing.T) {
	if n := len(chatformat.Names()); n != 82 {
		t.Errorf("%d formats, want 81 and raw", n)
	}
	for _, name := range []string{"ChatML", "llama-2", "Llama_3", "gpt-oss", "Mistral v7 tekken", "RAW"} {
		if _, err := chatformat.Lookup(name); err != nil {
			t.Error(err)
		}
	}
	_, err := chatformat.Lookup("wordstar")
	if e := llm.AsError(err); e.Code != llm.NotFound || !strings.Contains(e.Hint, "chatml") {
		t.Errorf("got %v", err)
	}
}

// TestNoClientTextIsControl holds what every format promises against every
// standard conversation.
func TestNoClientTextIsControl(t *testing.T) {
	conversations := readArchive(t, "testdata/conversations.txtar")
	for _, name := range chatformat.Names() {
		for _, c := range conversations.Files {
			r, err := lookup(t, name).Render(readConversation(t, c.Data))
			if err != nil {
				t.Errorf("%s, %s: %v", name, c.Name, err)
				continue
			}
			for _, s := range r.Prompt.Segments {
				ours := s.Source == llm.Source{}
				if s.Control != ours || (s.Trust == llm.TrustFormat) != ours {
					t.Errorf("%s, %s: segment %+v", name, c.Name, s)
				}
			}
		}
	}
}

func TestTheMarksOfAFormatAreItsDelimiters(t *testing.T) {
	for name, want := range map[string][]string{
		"chatml":    {"<|im_start|>", "<|im_end|>"},
		"mistral":   {"[INST]", "[/INST]", "</s>"},
		"deepseek3": {"<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"},
		"alpaca":    {"</s>"},
	} {
		r, err := lookup(t, name).Render(hello())
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range want {
			if !slices.Contains(r.Prompt.Marks.Turn, mark) {
				t.Errorf("%s: %q is no mark in %q", name, mark, r.Prompt.Marks.Turn)
			}
		}
	}
	for _, name := range []string{"qwen3", "chatml"} { // one thinks; in the other too a model may
		r, err := lookup(t, name).Render(hello())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(r.Prompt.Marks.Reply, "<think>") || slices.Contains(r.Prompt.Marks.Turn, "<think>") {
			t.Errorf("%s: marks %+v", name, r.Prompt.Marks)
		}
	}
}

func TestABadFileIsRefusedByLine(t *testing.T) {
	const good = "[user]\nprefix=\"U\"\n[assistant]\nprefix=\"A\"\n"
	for file, want := range map[string]string{
		"":                               "[user] and [assistant]",
		good + "sufix = \"x\"\n":         `line 5: "assistant.sufix" is no key`,
		"name = chatml\n" + good:         "line 1, column",
		"trim = \"both\"\n" + good:       `trim is "both"`,
		good + "[system]\nplace=\"top\"": `system.place is "top"`,
		"stop = [\"\"]\n" + good:         "stop[0] is empty",
		good + "[reasoning]\nopen=\"x\"": "needs open and close",
		good + "[tools]\ncall=\"<tool_call>{name}{arguments}\"":                          "tools.list must hold {tools} once",
		good + "[tools]\nlist=\"{tools}\"\ncall=\"{name}\"":                              "tools.call must hold {arguments} once",
		good + "[tools]\nlist=\"{tools}\"\ncall=\"{arguments}{name}\"":                   "tools.call must hold {name} before",
		good + "[tools]\nlist=\"{tools}\"\ncall=\"{name}{arguments}\"\ncalls=\"x\"":      "tools.calls must hold {calls} once",
		good + "[tools]\nlist=\"{tools}\"\ncall=\"please call {name} with {arguments}\"": "tools.call: calls that are written so cannot be read again",
		strings.Repeat("#", 2<<20):                                                       "format_file_bytes",
		"start = \"" + strings.Repeat("x", 65<<10) + "\"\n" + good:                       "format_text_bytes",
	} {
		_, err := chatformat.ParseMarkup("mine", []byte(file))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "chat format mine: ") {
			t.Errorf("%.60q: got %v, want %q", file, err, want)
		}
	}
}

func TestDetect(t *testing.T) {
	f, err := chatformat.Detect(llm.Info{ChatTemplate: plainTemplate, BOS: "<s>"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := f.Render(hello()); err != nil || r.Prompt.String() != "<s><|system|>Be brief.<|end|><|user|>Hello!<|end|><|assistant|>" {
		t.Errorf("got %q, %v", r.Prompt.String(), err)
	}
	for _, template := range []string{"", " \n", "{% if %}", "no messages"} {
		_, err := chatformat.Detect(llm.Info{ChatTemplate: template})
		if e := llm.AsError(err); e.Code != llm.Unsupported || !strings.Contains(e.Hint, "--format") || !strings.Contains(e.Hint, "chatml") {
			t.Errorf("%q: got %v", template, err)
		}
	}
}

// Files of RWKV have the name of a format in place of a template, or nothing: there is one that
// all models of these architectures know.
func TestAFileMayNameItsFormat(t *testing.T) {
	const world = "System: Be brief.\n\nUser: Hello!\n\nAssistant:"
	for name, c := range map[string]struct {
		info        llm.Info
		name, lines string
	}{
		"a name":                     {llm.Info{ChatTemplate: " rwkv-world\n"}, "rwkv-world", world},
		"another one":                {llm.Info{ChatTemplate: "ChatML", Architecture: "rwkv7"}, "chatml", "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"},
		"nothing, RWKV 7":            {llm.Info{Architecture: "rwkv7"}, "rwkv-world", world},
		"nothing, RWKV 6":            {llm.Info{Architecture: "rwkv6", ChatTemplate: " "}, "rwkv-world", world},
		"a template goes before all": {llm.Info{Architecture: "rwkv7", ChatTemplate: plainTemplate, BOS: "<s>"}, "of the model's file", "<s><|system|>Be brief.<|end|><|user|>Hello!<|end|><|assistant|>"},
	} {
		f, err := chatformat.Detect(c.info)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r, err := f.Render(hello()); err != nil || f.Name() != c.name || r.Prompt.String() != c.lines {
			t.Errorf("%s: %s lays out %q, %v", name, f.Name(), r.Prompt.String(), err)
		}
	}
	for _, other := range []llm.Info{{Architecture: "arwkv7"}, {Architecture: "llama"}, {ChatTemplate: "rwkv-moon", Architecture: "rwkv7"}} {
		if f, err := chatformat.Detect(other); err == nil {
			t.Errorf("%+v: %s", other, f.Name())
		}
	}
}

func TestAModelWithoutAFormatStillAnswersConversationsThatChooseOne(t *testing.T) {
	r := chatformat.NewResponder(nil, chatformat.None(), chatformat.Options{})
	if _, err := r.Render(t.Context(), hello()); llm.AsError(err).Code != llm.Unsupported || !strings.Contains(err.Error(), "no chat template") || !strings.Contains(err.Error(), "--format") {
		t.Errorf("got %v", err)
	}
	c := hello()
	c.Layout.Format = "chatml"
	if got, err := r.Render(t.Context(), c); err != nil || got.Format != "chatml" || !strings.Contains(got.Prompt.String(), "Hello!") {
		t.Errorf("got %q, %v", got.Prompt.String(), err)
	}
}

func FuzzParseMarkup(f *testing.F) {
	f.Add([]byte("[user]\nprefix=\"U {n} {user}\"\n[assistant]\nprefix=\"A {char}\"\n"))
	f.Add([]byte("alternate=true\n[system]\nplace=\"user\"\ndefault=\"D\"\n[user]\n[assistant]\n[reasoning]\nopen=\"a\"\nclose=\"a\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := chatformat.ParseMarkup("fuzz", data)
		if err != nil {
			return
		}
		if r, err := m.Render(hello()); err != nil || !strings.Contains(r.Prompt.String(), "Hello!") {
			t.Errorf("got %q, %v", r.Prompt.String(), err)
		}
	})
}
