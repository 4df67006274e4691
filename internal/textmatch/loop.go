package textmatch

// A LoopGuard notices that a text only repeats itself. It counts each run of
// LoopRun units, which are tokens or words; once Bound units in a row have
// ended a run that was there LoopBefore times already, that is a loop. Lists,
// tables and refrains say something new from time to time, which begins the
// count anew; a loop, of whatever length, never does.
type LoopGuard struct {
	Bound int // 0: off
	Seen  int // units

	early []uint32 // units that have not been counted yet

	recent  [LoopRun]uint32
	counted int // units
	counts  map[uint64]uint8
	stale   int // units in a row that brought nothing new
}

// How long and how frequent what repeats itself is.
const (
	LoopRun    = 16
	LoopBefore = 4

	mostRuns = 1 << 16 // that are remembered

	// mostEarly is how many units are only kept, and counted when there are
	// more: most texts are over by then, and no loop is found before Bound units.
	mostEarly = 1024
)

// See takes the next unit and reports whether there is a loop.
func (g *LoopGuard) See(unit uint32) bool {
	if g.Bound == 0 {
		return false
	}
	g.Seen++
	if g.Seen < min(g.Bound, mostEarly) {
		g.early = append(g.early, unit)
		return false
	}
	for _, u := range g.early {
		g.count(u)
	}
	g.early = nil
	return g.count(unit)
}

// count takes the next unit and reports whether there is a loop.
func (g *LoopGuard) count(unit uint32) bool {
	g.recent[g.counted%LoopRun] = unit
	if g.counted++; g.counted < LoopRun {
		return false
	}
	if g.counts == nil || len(g.counts) >= mostRuns {
		g.counts = map[uint64]uint8{}
	}
	hash := uint64(14695981039346656037) // FNV-1a, a unit at a time
	for i := range LoopRun {
		hash = (hash ^ uint64(g.recent[(g.counted+i)%LoopRun])) * 1099511628211
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
