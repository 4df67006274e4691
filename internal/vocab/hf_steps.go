package vocab

import (
	"strings"

	"parley/internal/tokenizer"

	"golang.org/x/text/unicode/norm"
)

// An hfStep is one step of what is done to text before and after it is cut
// into tokens. Which fields count depends on the type.
type hfStep struct {
	Type string `json:"type"`

	Normalizers   []hfStep `json:"normalizers"`
	PreTokenizers []hfStep `json:"pretokenizers"`
	Processors    []hfStep `json:"processors"`

	Pattern struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	} `json:"pattern"`
	Content          string  `json:"content"`
	Prepend          string  `json:"prepend"`
	Behavior         string  `json:"behavior"`
	Invert           bool    `json:"invert"`
	IndividualDigits bool    `json:"individual_digits"`
	UseRegex         *bool   `json:"use_regex"`
	AddPrefixSpace   *bool   `json:"add_prefix_space"`
	Replacement      string  `json:"replacement"`
	PrependScheme    *string `json:"prepend_scheme"`
	Split            *bool   `json:"split"`

	Single        []hfPiece `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int `json:"ids"`
	} `json:"special_tokens"`
}

// An hfPiece is a part of what a text becomes: the text, or a token.
type hfPiece struct {
	SpecialToken *struct {
		ID string `json:"id"`
	}
	Sequence *struct {
		ID string `json:"id"`
	}
}

// flat lists steps without the sequences around them.
func (s *hfStep) flat() (list []hfStep) {
	if s == nil {
		return nil
	}
	if s.Type != "Sequence" {
		return []hfStep{*s}
	}
	for _, group := range [][]hfStep{s.Normalizers, s.PreTokenizers, s.Processors} {
		for i := range group {
			list = append(list, group[i].flat()...)
		}
	}
	return list
}

const (
	spaceMark = "▁"
	gpt2Words = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
)

// steps finds out what kind of vocabulary it is and what is done to text
// first.
func (r *hfReader) steps(v *tokenizer.Vocab) error {
	pre := r.file.PreTokenizer.flat()
	for _, s := range pre {
		if s.Type == "ByteLevel" {
			return r.byteSteps(v, pre)
		}
	}
	return r.spaceSteps(v, pre)
}

// byteSteps reads the steps of a byte-level vocabulary.
func (r *hfReader) byteSteps(v *tokenizer.Vocab, pre []hfStep) error {
	for _, s := range r.file.Normalizer.flat() {
		if s.Type != "NFC" {
			return unsupported("the normalizer %q is not understood here", s.Type)
		}
		v.HF.NFC = true
	}
	if add := r.config.AddPrefixSpace; add != nil && *add {
		return unsupported("a space is put before text (add_prefix_space of tokenizer_config.json)")
	}
	bytes := false
	for _, s := range pre {
		words, err := s.words()
		if err != nil {
			return err
		}
		if s.Type == "ByteLevel" {
			if bytes {
				return unsupported("two pre-tokenizers are ByteLevel")
			}
			bytes = true
		} else if bytes {
			return unsupported("the pre-tokenizer %q comes after ByteLevel", s.Type)
		}
		if words != "" {
			v.HF.Words = append(v.HF.Words, words)
		}
	}
	if len(v.HF.Words) == 0 {
		return unsupported("nothing cuts text into words")
	}
	return nil
}

// words is the expression by which a pre-tokenizer cuts text, or "".
func (s *hfStep) words() (string, error) {
	switch s.Type {
	case "ByteLevel":
		if s.AddPrefixSpace == nil || *s.AddPrefixSpace {
			return "", unsupported("the pre-tokenizer ByteLevel puts a space before text (add_prefix_space)")
		}
		if s.UseRegex != nil && !*s.UseRegex {
			return "", nil
		}
		return gpt2Words, nil
	case "Digits":
		if s.IndividualDigits {
			return `\p{N}`, nil
		}
		return `\p{N}+`, nil
	case "Punctuation":
		if s.Behavior == "Contiguous" {
			return tokenizer.Punctuation, nil
		}
		return "", unsupported("the pre-tokenizer Punctuation cuts text by the rule %q", s.Behavior)
	case "Split":
		if s.Pattern.Regex == nil {
			return "", unsupported("a pre-tokenizer splits at a text")
		}
		x := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(*s.Pattern.Regex)
		if !tokenizer.KnowsWords(x) {
			return "", unsupported("the expression %q that cuts text into words is not known", x)
		}
		// What lies between matches is kept by one rule and dropped by the
		// other: the same where there is nothing between them.
		isolated := s.Behavior == "Isolated" && !s.Invert
		if !isolated && !(s.Behavior == "Removed" && s.Invert && strings.HasSuffix(x, `|\s+`)) {
			return "", unsupported("a pre-tokenizer splits by the rule %q, inverted: %t", s.Behavior, s.Invert)
		}
		return x, nil
	}
	return "", unsupported("the pre-tokenizer %q is not understood", s.Type)
}

// spaceSteps reads the steps of a vocabulary that writes spaces as ▁, made of
// SentencePiece's.
func (r *hfReader) spaceSteps(v *tokenizer.Vocab, pre []hfStep) error {
	m := &r.file.Model
	if !m.ByteFallback {
		return unsupported("the vocabulary is not of bytes (ByteLevel), and has no bytes for what it cannot write (byte_fallback)")
	}
	if m.IgnoreMerges {
		return unsupported("model.ignore_merges is set for a vocabulary that is not of bytes")
	}
	v.Model, v.Pre = "llama", ""
	replaced := false
	for _, s := range r.file.Normalizer.flat() {
		switch {
		case s.Type == "Prepend" && s.Prepend == spaceMark && !replaced && !v.AddSpacePrefix:
			v.AddSpacePrefix = true
		case s.Type == "Replace" && s.Content == spaceMark && s.Pattern.String != nil && *s.Pattern.String == " ":
			replaced = true
		default:
			return unsupported("the normalizer %q is not understood here", s.Type)
		}
	}
	for _, s := range pre {
		switch {
		case s.Type == "Split" && replaced && s.Pattern.String != nil && *s.Pattern.String == " ":
			// No space is left.
		case s.Type == "Metaspace" && s.Replacement == spaceMark && !replaced && !v.AddSpacePrefix:
			if err := s.metaspace(v); err != nil {
				return err
			}
			replaced = true
		default:
			return unsupported("the pre-tokenizer %q is not understood here", s.Type)
		}
	}
	if !replaced {
		return unsupported("nothing writes spaces as %s", spaceMark)
	}
	if add := r.config.AddPrefixSpace; add != nil && *add != v.AddSpacePrefix {
		return unsupported("add_prefix_space of tokenizer_config.json is %t, and tokenizer.json says otherwise", *add)
	}
	return nil
}

func (s *hfStep) metaspace(v *tokenizer.Vocab) error {
	if s.Split == nil || *s.Split {
		return unsupported("the pre-tokenizer Metaspace cuts text at spaces (split)")
	}
	scheme := "always"
	if s.PrependScheme != nil {
		scheme = *s.PrependScheme
	} else if s.AddPrefixSpace != nil && !*s.AddPrefixSpace {
		scheme = "never"
	}
	switch scheme {
	case "never":
	case "always", "first":
		v.AddSpacePrefix, v.HF.PrefixUnlessSpace, v.HF.PrefixOnce = true, true, scheme == "first"
	default:
		return unsupported("the pre-tokenizer Metaspace has the prepend_scheme %q", scheme)
	}
	return nil
}

// plain reports whether an added token is the same in normalised text.
func (r *hfReader) plain(content string, v *tokenizer.Vocab) bool {
	switch steps := r.file.Normalizer.flat(); {
	case len(steps) == 0:
		return true
	case v.Model == "llama":
		return !v.AddSpacePrefix && !strings.ContainsAny(content, " "+spaceMark)
	}
	return norm.NFC.IsNormalString(content)
}

// adds gives the tokens that are put before and after a text.
func (s *hfStep) adds() (before, after []int, err error) {
	for _, s := range s.flat() {
		switch s.Type {
		case "ByteLevel": // it moves offsets only
			continue
		case "TemplateProcessing":
		default:
			return nil, nil, unsupported("the post_processor %q is not understood", s.Type)
		}
		if before != nil || after != nil {
			return nil, nil, unsupported("two post-processors add tokens")
		}
		seen := false
		for _, p := range s.Single {
			switch {
			case p.Sequence != nil && p.Sequence.ID == "A" && !seen:
				seen = true
			case p.SpecialToken != nil && seen:
				after = append(after, s.SpecialTokens[p.SpecialToken.ID].IDs...)
			case p.SpecialToken != nil:
				before = append(before, s.SpecialTokens[p.SpecialToken.ID].IDs...)
			default:
				return nil, nil, unsupported("the post_processor's template for one text is not understood")
			}
		}
	}
	return before, after, nil
}
