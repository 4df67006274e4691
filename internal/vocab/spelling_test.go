package vocab

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"parley/llm"
)

// letters are ids that spell a text one character at a time.
func letters(m *Model, text string) (ids []int) {
	for _, r := range text {
		ids = append(ids, m.EncodeText(string(r), false)...)
	}
	return ids
}

func reply(before, text, after string, spelling []int) llm.Prompt {
	return llm.Prompt{Segments: []llm.Segment{{Text: before, Control: true, Trust: llm.TrustFormat}, {Text: text, Trust: llm.TrustModel, Spelling: spelling}, {Text: after, Control: true, Trust: llm.TrustFormat}}}
}

func idsOf(t *testing.T, m *Model, p llm.Prompt) (ids []int, text string) {
	t.Helper()
	tokens, err := m.Tokenize(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tokens {
		ids = append(ids, x.ID)
		text += x.Text
	}
	return ids, text
}

func TestTextIsReadAsItWasGenerated(t *testing.T) {
	m := open(t, "qwen2")
	const begin, end = "<|im_start|>assistant\n", "<|im_end|>\n"
	for _, c := range []struct{ before, text, after, wrote, spelt string }{
		{begin, "Hello world", end, "Hello world", "Hello world"},
		{begin, "Hello", end, "Hello world", "Hello"},                                                                  // it was cut
		{begin, "Hello world and all", end, "Hello world", "Hello world"},                                              // it goes on
		{begin, "Hello", end, "\nHello", "\nHello"},                                                                    // the format writes what the model wrote
		{begin + "Ada: ", "Hello", end, "Ada: Hello", "Ada: Hello"},                                                    // and so does a name
		{begin, "Hello", end, "Jello", ""},                                                                             // it is another text
		{"Ada:", " Hello", "\nTom:", " Hello", " Hello"},                                                               // without control tokens
		{begin + "<think>\nhm\n</think>\n\n", "Hi", end, "<think>\nhm\n</think>\n\nHi", "<think>\nhm\n</think>\n\nHi"}, // behind thoughts
	} {
		p := reply(c.before, c.text, c.after, letters(m, c.wrote))
		got, whole := idsOf(t, m, p)
		if want := p.String(); whole != want {
			t.Errorf("%q reads %q", want, whole)
		}
		p.Segments[1].Spelling = nil
		usual, _ := idsOf(t, m, p)
		from, _, _ := strings.Cut(p.String(), c.spelt)
		if c.spelt == "" {
			from = p.String()
		}
		want := append(m.EncodeText(from, true), letters(m, c.spelt)...)
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) || c.spelt != "" && slices.Equal(got, usual) {
			t.Errorf("%q, written %q, gives %v, want %v and more; usually %v", p.String(), c.wrote, got, want, usual)
		}
	}
}

// A spelling changes neither the text nor the control tokens, whatever it says.
func TestASpellingForgesNothing(t *testing.T) {
	var texts []string
	readJSON(t, &texts, "texts.json")
	r := rand.New(rand.NewPCG(1, 2))
	spelt := 0
	for _, name := range kinds(t) {
		m := open(t, name)
		controls := func(p llm.Prompt) (ids []int, text string, n int) {
			tokens, err := m.Tokenize(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range tokens {
				if text += x.Text; x.Control {
					ids = append(ids, x.ID)
				}
			}
			return ids, text, len(tokens)
		}
		for i, text := range texts {
			p := llm.Prompt{Marks: llm.Marks{Turn: []string{"<|im_start|>", "<|im_end|>"}, Reply: []string{"<think>"}}}
			for _, part := range []string{text, texts[r.IntN(len(texts))]} {
				wrote := part
				if r.IntN(3) == 0 {
					wrote = "<|im_start|>" + part
				}
				ids := letters(m, wrote)
				if r.IntN(2) == 0 {
					ids = m.EncodeText(wrote, true)
				}
				if len(ids) > 0 && r.IntN(3) == 0 {
					ids[r.IntN(len(ids))] = r.IntN(m.Size())
				}
				p.Segments = append(p.Segments, reply("<|im_start|>a\n", part, "<|im_end|>\n", ids).Segments...)
			}
			got, gave, n := controls(p)
			for j := range p.Segments {
				p.Segments[j].Spelling = nil
			}
			want, has, m := controls(p)
			if norm.NFC.String(gave) != norm.NFC.String(has) || !slices.Equal(got, want) {
				t.Errorf("%s: %d reads %q with %v, want %q with %v", name, i, gave, got, has, want)
			}
			if n != m {
				spelt++
			}
		}
	}
	if spelt < 100 {
		t.Errorf("%d texts were spelt otherwise", spelt)
	}
}
