package chatformat

import (
	"regexp"
	"strings"
	"unicode"

	"parley/internal/limits"
)

// spaces is the length of the white space that text begins with.
func spaces(text string) int {
	return len(text) - len(strings.TrimLeftFunc(text, unicode.IsSpace))
}

// literal demands a text.
func literal(want string) step {
	return func(_ *call, text string, last bool) (int, status) {
		switch {
		case strings.HasPrefix(text, want):
			return len(want), done
		case strings.HasPrefix(want, text):
			return 0, wait(last)
		}
		return 0, broken
	}
}

// maybe takes a text where it is there.
func maybe(want string) step {
	must := literal(want)
	return func(c *call, text string, last bool) (int, status) {
		n, s := must(c, text, last)
		if s == broken {
			s = done
		}
		return n, s
	}
}

// space takes white space, which may be none.
func space(_ *call, text string, last bool) (int, status) {
	n := spaces(text)
	if n == len(text) && !last {
		return n, more
	}
	return n, done
}

// ending takes a text with white space before it, where it is there: models
// forget it.
func ending(want string) step {
	return func(_ *call, text string, last bool) (int, status) {
		n := spaces(text)
		switch rest := text[n:]; {
		case strings.HasPrefix(rest, want):
			return n + len(want), done
		case !last && strings.HasPrefix(want, rest):
			return 0, more
		}
		return 0, done
	}
}

// word takes what stands before the next white space, bracket, quote or mark.
func word(text string, last bool) (w string, s status) {
	end := strings.IndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("<>[](){}\"'`,;=|", r) })
	switch {
	case end > limits.NameBytes.Int() || end < 0 && len(text) > limits.NameBytes.Int():
		return "", broken
	case end < 0 && !last:
		return "", more
	case end < 0:
		end = len(text)
	}
	if end == 0 {
		return "", broken
	}
	return text[:end], done
}

// functionName takes the function's name.
func functionName(c *call, text string, last bool) (int, status) {
	w, s := word(text, last)
	if s == done && !c.named(w) {
		s = broken
	}
	return len(w), s
}

// callID takes the call's id.
func callID(c *call, text string, last bool) (int, status) {
	w, s := word(text, last)
	c.id = w
	return len(w), s
}

// numberedName takes a name and an id in one: functions.NAME:NUMBER.
func numberedName(c *call, text string, last bool) (int, status) {
	w, s := word(text, last)
	if s != done {
		return 0, s
	}
	name := w
	if m := numbered.FindStringSubmatch(w); m != nil {
		c.id, name = w, m[1]
	}
	if !c.named(name) {
		return 0, broken
	}
	return len(w), done
}

var numbered = regexp.MustCompile(`^(?:functions\.)?(.+):\d+$`)

// whenNext takes steps only where text goes on with the first one's text.
func whenNext(first string, rest ...step) step {
	type place struct{ step int }
	return func(c *call, text string, last bool) (n int, s status) {
		p := scratch[place](c)
		if p.step == 0 {
			n, s = literal(first)(c, text, last)
			if s != done {
				if s == broken {
					s = done
				}
				return n, s
			}
			p.step = 1
		}
		for p.step <= len(rest) {
			size, s := rest[p.step-1](c, text[n:], last)
			if n += size; s != done {
				return n, s
			}
			p.step++
		}
		return n, done
	}
}

// overlap is the length of the longest proper prefix of mark that text ends
// with.
func overlap(text, mark string) int {
	for n := min(len(mark)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, mark[:n]) {
			return n
		}
	}
	return 0
}
