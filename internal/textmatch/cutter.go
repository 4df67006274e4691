package textmatch

import "unicode/utf8"

// Stops are strings that end a text before them. Those that are no UTF-8 are
// left out: they cannot occur in a text, and looking for them might divide a
// rune.
type Stops struct {
	Anywhere []string
	Lines    []string // where a line begins with them
	Within   bool     // the text begins within a line

	// They count once the text has had the marker After, if that is not empty;
	// behind it a line begins. Where Opens is not nil it says whether After holds
	// for this text at all, or that the text is too short to tell.
	After string
	Opens func(text string) (opens, known bool)
}

// A Cutter passes a text on up to the first of several strings. It holds back
// what may become one of them, and nothing else. Texts are UTF-8.
type Cutter struct {
	stops *Scanner // nil: there are none
	lines *lines   // nil: none that only begin lines
	after *Scanner // finds the marker behind which they count; nil: they count

	opens func(text string) (opens, known bool) // nil: that is known
	head  string                                // the text while it is not
}

// NewCutter begins a text that ends before the earliest of stops; of those that
// begin at one place the longest counts.
func NewCutter(s Stops) *Cutter {
	anywhere, begin := valid(s.Anywhere), valid(s.Lines)
	c := &Cutter{}
	set := New(anywhere...)
	if len(begin) > 0 {
		c.lines = &lines{within: s.Within}
		set = c.lines.set(anywhere, begin)
	}
	if set.Empty() {
		return &Cutter{}
	}
	c.stops = set.NewScanner()
	if s.After != "" {
		c.after = New(s.After).NewScanner()
		c.opens = s.Opens
	}
	return c
}

func valid(strs []string) (ok []string) {
	for _, s := range strs {
		if s != "" && utf8.ValidString(s) {
			ok = append(ok, s)
		}
	}
	return ok
}

// Clone makes a cutter that goes on from the same place.
func (c *Cutter) Clone() *Cutter {
	n := *c
	if c.lines != nil {
		n.lines = new(*c.lines)
	}
	for _, s := range []**Scanner{&n.stops, &n.after} {
		if *s != nil {
			*s = (*s).Clone()
		}
	}
	return &n
}

// Armed reports whether stops count now. Where it is not known yet they do.
func (c *Cutter) Armed() bool { return c.after == nil || c.opens != nil }

// Feed reads the next piece of the text and gives what can be passed on. If
// stop is not empty it was found, and clear is the last of the text.
func (c *Cutter) Feed(text string) (clear, stop string) {
	if c.stops == nil {
		return text, ""
	}
	if c.opens != nil {
		opens, known := c.opens(c.head + text)
		if !known {
			c.head += text
			return "", ""
		}
		text = c.begun(opens) + text
	}
	if c.after != nil {
		_, m := c.after.Feed(text)
		if m == nil {
			return text, ""
		}
		// One string alone is found at its last byte: what the scanner still
		// holds is the text behind it.
		n := len(text) - c.after.Held()
		clear, text, c.after = text[:n], text[n:], nil
		if c.lines != nil {
			c.lines.within = false
		}
	}
	safe, m := c.stops.Feed(c.lines.mark(text))
	safe, stop = c.lines.unmark(safe, m)
	return clear + safe, stop
}

// begun says whether the text begins as it might have begun, and gives what
// was kept of it until this was known.
func (c *Cutter) begun(opens bool) (head string) {
	if !opens {
		c.after = nil
	}
	head = c.head
	c.opens, c.head = nil, ""
	return head
}

// Flush says that the text has ended, and gives the rest of it. A stop that
// might have grown into a longer one is decided now.
func (c *Cutter) Flush() (clear, stop string) {
	if c.opens != nil { // the text is too short to begin as it might have
		if clear, stop = c.Feed(c.begun(false)); stop != "" {
			return clear, stop
		}
	}
	if c.stops == nil || c.after != nil {
		return clear, ""
	}
	rest, stop := c.lines.unmark(c.stops.Flush())
	return clear + rest, stop
}
