package tokenizer

import (
	"strings"
	"testing"

	"parley/internal/limits"
)

func TestControlTokensMatchUpToTheirLimit(t *testing.T) {
	most := limits.SpecialTokenBytes.Int()
	for length, want := range map[int]bool{most: true, most + 1: false} {
		mark := "<" + strings.Repeat("x", length-2) + ">"
		tok := build(t, spaceVocab(tokenOf{mark, Control}))
		got := tok.Encode([]Span{{Text: mark, Control: true}})
		if matched := len(got) == 1 && got[0].Control; matched != want {
			t.Errorf("a control token of %d bytes matches: %v, want %v", length, matched, want)
		}
	}
}
