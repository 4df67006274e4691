package engine

import "time"

// The scheduler decides and does nothing: admit says who begins, share what
// each reads in the next step. They have no clock, no locks and no memory.

// admit gives how many requests, from the front of the queue, begin. waiting
// lists the memory that each may need, free is what is not yet promised to a
// running sequence.
//
// Requests begin in the order in which they came, while there is a slot and
// memory for all that they may need. The first that does not fit holds back
// those behind it: nobody is overtaken for ever.
func admit(waiting []int64, running, slots int, free int64) (n int) {
	for n < len(waiting) && running+n < slots && waiting[n] <= free {
		free -= waiting[n]
		n++
	}
	return n
}

// A job is a running sequence.
type job struct {
	left int  // tokens to be read before the next can be chosen; 1 while it generates
	wait bool // it waits for another that reads the same beginning
}

// share gives how many tokens each job, in the order in which they were begun,
// reads in the next step.
//
//  1. Every sequence that generates takes part in every step.
//  2. Prompts are read beside them, at most chunk tokens of them in one step.
//     Half of that is for the oldest, so that it ends; half for the one with
//     the least to read, so that a short prompt need not wait for a long one.
//     What is left over goes to the others in order.
func share(jobs []job, chunk int) []int {
	tokens := make([]int, len(jobs))
	oldest, shortest := -1, -1
	for i, j := range jobs {
		switch {
		case j.wait:
		case j.left == 1:
			tokens[i] = 1
		case oldest < 0:
			oldest, shortest = i, i
		case j.left < jobs[shortest].left:
			shortest = i
		}
	}
	if oldest < 0 {
		return tokens
	}
	left := max(1, chunk)
	give := func(i, n int) {
		n = min(n, left, jobs[i].left-tokens[i])
		tokens[i] += n
		left -= n
	}
	give(oldest, (left+1)/2)
	give(shortest, left)
	for i, j := range jobs {
		if !j.wait {
			give(i, left)
		}
	}
	return tokens
}

// Steps should take so long at most: a request that is cancelled ends with the
// step, and a sequence that generates says something new after each.
const (
	stepAlone = 150 * time.Millisecond // nobody is generating
	stepMixed = 75 * time.Millisecond  // prompts are read while others generate
)

const (
	leastChunk = 4 // reading the weights for one token costs nearly as much
	tile       = 8 // weights that were read are used for so many tokens at once
	mostChunk  = 2048
)

// A pacer chooses the size of chunks so that steps take as long as they
// should. It learns what a token costs from the steps before.
type pacer struct {
	perToken time.Duration // 0: not known
	proven   int           // the tokens of the last full step
	asked    int           // what it should have, after the last call of chunk
}

// chunk is how many tokens of prompts the next step may read beside those of so
// many sequences that generate.
func (p *pacer) chunk(generating int) int {
	n := max(leastChunk, p.next(generating > 0)-generating)
	p.asked = n + generating
	return n
}

func (p *pacer) next(mixed bool) int {
	if p.perToken == 0 {
		return leastChunk
	}
	limit := stepAlone
	if mixed {
		limit = stepMixed
	}
	n := int(limit / p.perToken)
	if n >= 2*tile {
		n -= n % tile
	}
	return min(n, 2*p.proven, mostChunk)
}

// observe learns from a step that read so many tokens, some of them of
// prompts. What a token costs in a step much smaller than allowed, such as the
// end of a prompt, says little about a full one.
func (p *pacer) observe(tokens int, took time.Duration) {
	if tokens < p.asked/2 {
		return
	}
	cost := max(1, took/time.Duration(tokens))
	if p.perToken == 0 {
		p.perToken = cost
	} else {
		p.perToken = max(1, (p.perToken*3+cost)/4)
	}
	p.proven = max(tokens, leastChunk)
}
