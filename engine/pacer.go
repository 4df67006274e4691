package engine

import (
	"math"
	"time"
)

// A step should take so long at most. A request that is cancelled ends with the
// step, and one that comes begins behind it; a sequence that generates says something
// new after each.
const (
	// Nobody is generating. Tokens enough for the weights to be a small part of the
	// work (model.Enough) are read all the same: a model of 30 billion weights would
	// take three times as long for its prompts else.
	stepAlone = 150 * time.Millisecond
	// Prompts are read while others generate. These wait twice as long as they would
	// without, if that is more: where a model is so large that a step takes longer of
	// itself, prompts would never be read else.
	stepMixed      = 75 * time.Millisecond
	stepMixedTimes = 2
)

const (
	leastChunk = 4 // reading the weights for one token costs nearly as much
	tile       = 8 // weights that were read are used for so many tokens at once
	mostChunk  = 2048
)

// seeingAssumed is how much longer an operation on keys and values takes than one on
// weights, before it is known; measured between 2 and 4.
const seeingAssumed = 3

// A pacer chooses the size of chunks so that steps take as long as they should. Work
// is counted in tokens that see no others: one that sees many costs more, the more
// the longer the context grows. What each costs is learned from the steps before.
type pacer struct {
	seeing       float64 // as seeingAssumed; 0: not known
	alone, mixed pace
}

// A pace is what is known of steps of a kind. Those of few tokens cost more for each,
// since the weights are read for fewer.
type pace struct {
	perToken time.Duration // 0: not known
	proven   float64       // the work of the last full step
	asked    float64       // what it should have, after the last call of chunk
}

// of gives the pace of steps beside others that generate, or of those without.
func (p *pacer) of(mixed bool) *pace {
	if mixed {
		return &p.mixed
	}
	return &p.alone
}

// cost is the work of a token that sees as much as model.Seen says.
func (p *pacer) cost(seen float64) float64 {
	if p.seeing == 0 {
		return 1 + seeingAssumed*seen
	}
	return 1 + p.seeing*seen
}

// chunk is how much work on prompts the next step may do beside that on streams so
// that it takes limit, or as much as least if that is more.
func (p *pace) chunk(limit time.Duration, least, streams float64) float64 {
	n := 0.0
	if p.perToken > 0 {
		if n = float64(limit / p.perToken); n >= 2*tile {
			n -= math.Mod(n, tile)
		}
		n = min(max(n, least), 2*p.proven, mostChunk)
	}
	n = max(leastChunk, n-streams)
	p.asked = n + streams
	return n
}

// observe learns from a step that read so many tokens, some of them of prompts, which
// saw so much together. What a token costs in a step much smaller than allowed, such
// as the end of a prompt, says little about a full one.
func (p *pacer) observe(mixed bool, tokens int, seen float64, took time.Duration) {
	of := p.of(mixed)
	if p.seeing == 0 {
		p.seeing = seeingAssumed
	}
	work := float64(tokens) + p.seeing*seen
	if work < of.asked/2 {
		return
	}
	of.proven = max(work, leastChunk)
	cost := max(1, float64(took)/work)
	if of.perToken == 0 {
		of.perToken = time.Duration(cost)
		return
	}
	// The error is shared between what a token costs and what seeing costs, as either
	// bears on it, so that the whole is corrected by a part of it: the greater one
	// where the step was longer, since it is streams that wait.
	wrong := math.Log(cost / float64(of.perToken))
	if wrong > 0 {
		wrong /= 2
	} else {
		wrong /= 4
	}
	bears := p.seeing * seen / work
	wrong /= 1 + bears*bears
	of.perToken = max(1, time.Duration(float64(of.perToken)*math.Exp(wrong)))
	p.seeing = min(max(p.seeing*math.Exp(wrong*bears), seeingAssumed/8.0), seeingAssumed*8)
}
