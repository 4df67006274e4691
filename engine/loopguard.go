package engine

// A loopGuard notices that a reply only repeats itself. It counts each run of
// loopRun tokens; once bound tokens in a row have ended a run that was there
// loopBefore times already, that is a loop. Lists, tables and refrains say
// something new from time to time, which begins the count anew; a loop, of
// whatever length, never does.
type loopGuard struct {
	bound  int // 0: off
	recent [loopRun]int32
	seen   int // tokens
	counts map[uint64]uint8
	stale  int // tokens in a row that brought nothing new
}

const (
	loopRun    = 16
	loopBefore = 4
	mostRuns   = 1 << 16 // that are remembered
)

// see takes the next token and reports whether there is a loop.
func (g *loopGuard) see(id int32) bool {
	if g.bound == 0 {
		return false
	}
	g.recent[g.seen%loopRun] = id
	if g.seen++; g.seen < loopRun {
		return false
	}
	if g.counts == nil || len(g.counts) >= mostRuns {
		g.counts = map[uint64]uint8{}
	}
	hash := uint64(14695981039346656037) // FNV-1a, a token at a time
	for i := range loopRun {
		hash = (hash ^ uint64(uint32(g.recent[(g.seen+i)%loopRun]))) * 1099511628211
	}
	n := g.counts[hash]
	if n < loopBefore {
		g.counts[hash] = n + 1
		g.stale = 0
		return false
	}
	g.stale++
	return g.stale >= g.bound
}
