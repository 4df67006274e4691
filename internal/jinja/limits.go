package jinja

import (
	"time"

	"parley/internal/limits"
)

// Limits bounds what one template and one render may cost. Every field counts;
// zero allows nothing.
type Limits struct {
	SourceBytes int           // length of a template
	Depth       int           // nesting of blocks, expressions, calls and values
	Steps       int           // evaluation steps of a render
	OutputBytes int           // length of the output
	LiveBytes   int           // strings and lists that a render makes, in total
	Range       int           // length of a range()
	Time        time.Duration // of a render, besides the context's own deadline
}

// DefaultLimits are those of the table of limits.
func DefaultLimits() Limits {
	return Limits{
		SourceBytes: limits.TemplateBytes.Int(),
		Depth:       limits.TemplateDepth.Int(),
		Steps:       limits.TemplateSteps.Int(),
		OutputBytes: limits.TemplateOutput.Int(),
		LiveBytes:   limits.TemplateLive.Int(),
		Range:       limits.TemplateRange.Int(),
		Time:        time.Duration(limits.TemplateTime.Max * float64(time.Second)),
	}
}

const (
	// heightPerDepth: a syntax tree may be so many times higher than its
	// brackets and blocks are deep.
	heightPerDepth = 4
	// bytesPerStep: work on a string counts one step for so many bytes.
	bytesPerStep = 64
	// checkEvery so many steps the clock and the context are asked.
	checkEvery = 2048
)

// chain bounds what a parser's loop may stack on one expression: a.b.c, a|f|g,
// a-b-c.
func chain(n int, what string) error {
	if err := limits.TemplateChain.CheckInt(n); err != nil {
		return failf(KindLimit, "%s in a row: %v", what, err)
	}
	return nil
}
