package engine

// A lookup finds where the end of a text stood in it before, so that what came
// then can be proposed as what comes now (prompt lookup; Saxena, 2023). Each run
// of lookupRun tokens is filed under its hash, the newest first; what is found is
// compared, so that a hash that two runs share costs time and nothing else.
type lookup struct {
	tokens []int32 // what is expected to be said, if that is known, and then the text
	given  int     // tokens that are expected
	newest []int32 // by hash: the place behind the newest run; 0: none
	older  []int32 // by place: the one behind the next older run with this hash

	draft []int32 // scratch
}

const (
	lookupRun   = 3  // tokens that must be the same at least
	lookupLong  = 32 // more than that are not counted
	lookupTries = 16 // places that are compared at most
)

// newLookup makes a lookup for a text that becomes no longer than so many tokens.
// expected is what may be said at its end, or nil.
func newLookup(text, expected []int32, longest int) *lookup {
	size := 256
	for size < 2*(len(expected)+longest) && size < 1<<18 {
		size *= 2
	}
	room := len(expected) + len(text) + 64
	l := &lookup{given: len(expected), newest: make([]int32, size), tokens: make([]int32, 0, room), older: make([]int32, 0, room)}
	for _, id := range expected {
		l.add(id)
	}
	for _, id := range text {
		l.add(id)
	}
	return l
}

// add makes the text longer.
func (l *lookup) add(id int32) {
	l.tokens = append(l.tokens, id)
	n := len(l.tokens)
	l.older = append(l.older, 0)
	if l.filed(n) {
		h := l.hash(n)
		l.older[n-1], *h = *h, int32(n)
	}
}

// filed reports whether a run ends before a place. None reaches from what is
// expected into the text.
func (l *lookup) filed(n int) bool {
	return n >= lookupRun && (n <= l.given || n-l.given >= lookupRun)
}

func (l *lookup) hash(n int) *int32 {
	h := uint32(0)
	for _, id := range l.tokens[n-lookupRun : n] {
		h = (h ^ uint32(id)) * 0x9E3779B1
		h ^= h >> 15
	}
	return &l.newest[h&uint32(len(l.newest)-1)]
}

// rewind takes the text back to so many tokens.
func (l *lookup) rewind(length int) {
	for n := len(l.tokens); n > l.given+length; n-- {
		if l.filed(n) {
			*l.hash(n) = l.older[n-1]
		}
		l.tokens, l.older = l.tokens[:n-1], l.older[:n-1]
	}
}

// length is that of the text.
func (l *lookup) length() int { return len(l.tokens) - l.given }

// find proposes up to so many tokens as what comes next, and tells how many of
// the last tokens stood before them. It is valid until the next call.
func (l *lookup) find(most int) (draft []int32, run int) {
	n := len(l.tokens)
	if !l.filed(n) || most < 1 {
		return nil, 0
	}
	best := 0
	at := int(l.older[n-1])
	for range lookupTries {
		if at == 0 || run == lookupLong {
			break
		}
		if m := l.same(at, n); m > run {
			best, run = at, m
		}
		at = int(l.older[at-1])
	}
	if run < lookupRun {
		return nil, 0
	}
	return l.behind(best, most), run
}

// same is how many tokens before a place are the last of the text.
func (l *lookup) same(at, end int) int {
	most := min(at, end-l.given, lookupLong)
	if at > l.given {
		most = min(most, at-l.given)
	}
	n := 0
	for n < most && l.tokens[at-1-n] == l.tokens[end-1-n] {
		n++
	}
	return n
}

// behind is what stands at a place. Where that reaches the end of the text, the
// text repeats itself and goes on as it began.
func (l *lookup) behind(at, most int) []int32 {
	if at <= l.given {
		return l.tokens[at:min(at+most, l.given)]
	}
	l.draft = l.draft[:0]
	for i := range most {
		if at+i < len(l.tokens) {
			l.draft = append(l.draft, l.tokens[at+i])
		} else {
			l.draft = append(l.draft, l.draft[at+i-len(l.tokens)])
		}
	}
	return l.draft
}
