package engine

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
	left int     // tokens to be read before the next can be chosen; 1 while it generates
	wait bool    // it waits for another that reads the same beginning
	cost float64 // work to read one of them, at least 1: that of a token that sees no others
}

// share gives how many tokens each job, in the order in which they were begun,
// reads in the next step.
//
//  1. Every sequence that generates takes part in every step: none waits for
//     longer than one.
//  2. Prompts are read beside them, with as much work as chunk at most, though one
//     token of the oldest and one of the shortest at least. Half of it is for the
//     oldest: no prompt takes longer than twice the time of all that came before it.
//     Half is for the one with the least to read: a short prompt behind a long one has
//     its first token in about twice the time that it would take alone. Of equal ones
//     the oldest is both, since the first would end later if they took turns, and the
//     last no sooner. What is left over goes to the others in order.
func share(jobs []job, chunk float64) []int {
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
	least := jobs[oldest].cost
	if shortest != oldest {
		least += jobs[shortest].cost
	}
	left := max(least, chunk)
	give := func(i int, work float64) {
		const rounded = 1e-9
		n := min(int((min(work, left)+rounded)/jobs[i].cost), jobs[i].left-tokens[i])
		tokens[i] += n
		left -= float64(n) * jobs[i].cost
	}
	give(oldest, max(jobs[oldest].cost, min((left+1)/2, left-least+jobs[oldest].cost)))
	give(shortest, left)
	for i, j := range jobs {
		if !j.wait {
			give(i, left)
		}
	}
	return tokens
}
