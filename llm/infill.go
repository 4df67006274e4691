package llm

import "slices"

// An Infill is how a model that was trained for it is asked to fill a gap in a
// text: it continues Prefix, the text before the gap, Suffix, the text behind
// it, Middle. All are ids of the model's own vocabulary (Bavarian et al., 2022,
// "Efficient Training of Language Models to Fill in the Middle").
type Infill struct {
	Prefix, Suffix, Middle []int
	// File stands before each other file that is shown, and before the one with
	// the gap if there are any; nil: the model knows no such token.
	File []int
	// BOS begins the prompt; nil: nothing does.
	BOS []int
}

// Prompt asks for what belongs between two texts, with other files before
// them. No control token matches in any of these.
func (f *Infill) Prompt(before, after Prompt, files ...Prompt) Prompt {
	var p Prompt
	mark := func(ids []int) {
		if len(ids) > 0 {
			p.Segments = append(p.Segments, Segment{Tokens: ids, Control: true, Trust: TrustFormat})
		}
	}
	text := func(t Prompt) {
		for _, s := range t.Segments {
			s.Control = false
			p.Segments = append(p.Segments, s)
		}
	}
	mark(f.BOS)
	for _, file := range files {
		mark(f.File)
		text(file)
	}
	if len(files) > 0 {
		mark(f.File)
	}
	mark(f.Prefix)
	text(before)
	mark(f.Suffix)
	text(after)
	mark(f.Middle)
	p.Segments = slices.Clip(p.Segments)
	return p
}
