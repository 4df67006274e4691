package textmatch

import "unicode/utf8"

// A Cutter passes a text on up to the first of several strings. It holds back
// what may become one of them, and nothing else.
type Cutter struct {
	stops *Scanner // nil: there are none
	after *Scanner // finds the marker behind which they count; nil: they count

	opens func(text string) (opens, known bool) // nil: that is known
	head  string                                // the text while it is not
}

// NewCutter begins a text that ends before the earliest of stops; of those that
// begin at one place the longest counts. They count once the text has had the
// marker after, if that is not empty. Where opens is not nil it says whether
// after holds for this text at all, or that the text is too short to tell.
//
// Stops that are no UTF-8 are left out: they cannot occur in a text, and
// looking for them might divide a rune.
func NewCutter(stops []string, after string, opens func(text string) (opens, known bool)) *Cutter {
	var valid []string
	for _, s := range stops {
		if utf8.ValidString(s) {
			valid = append(valid, s)
		}
	}
	set := New(valid...)
	if set.Empty() {
		return &Cutter{}
	}
	c := &Cutter{stops: set.NewScanner()}
	if after != "" {
		c.after = New(after).NewScanner()
		c.opens = opens
	}
	return c
}

// Clone makes a cutter that goes on from the same place.
func (c *Cutter) Clone() *Cutter {
	n := *c
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
	}
	safe, m := c.stops.Feed(text)
	if m != nil {
		stop = m.Text
	}
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
	rest, m := c.stops.Flush()
	if m != nil {
		stop = m.Text
	}
	return clear + rest, stop
}
