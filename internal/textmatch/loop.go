package textmatch

// A LoopGuard notices that a text only repeats itself. It counts each run of
// LoopRun units, which are tokens or words; once Bound units in a row have
// ended a run that was there LoopBefore times already, that is a loop. Lists,
// tables and refrains say something new from time to time, which begins the
// count anew; a loop, of whatever length, never does.
type LoopGuard struct {
	Bound int // 0: off
	Seen  int // units

	recent [LoopRun]uint32
	counts map[uint64]uint8
	stale  int // units in a row that brought nothing new
}

// How long and how frequent what repeats itself is.
const (
	LoopRun    = 16
	LoopBefore = 4

	mostRuns = 1 << 16 // that are remembered
)

// See takes the next unit and reports whether there is a loop.
func (g *LoopGuard) See(unit uint32) bool {
	if g.Bound == 0 {
		return false
	}
	g.recent[g.Seen%LoopRun] = unit
	if g.Seen++; g.Seen < LoopRun {
		return false
	}
	if g.counts == nil || len(g.counts) >= mostRuns {
		g.counts = map[uint64]uint8{}
	}
	hash := uint64(14695981039346656037) // FNV-1a, a unit at a time
	for i := range LoopRun {
		hash = (hash ^ uint64(g.recent[(g.Seen+i)%LoopRun])) * 1099511628211
	}
	n := g.counts[hash]
	if n < LoopBefore {
		g.counts[hash] = n + 1
		g.stale = 0
		return false
	}
	g.stale++
	return g.stale >= g.Bound
}
