package textmatch

import "strings"

// lines has a Scanner find strings where lines begin: the text that it reads
// has a mark there, which no UTF-8 has, and so have the strings. Its nil is a
// text without marks.
type lines struct {
	strings []string // of each string of the set the one that it stands for
	within  bool     // no line begins where the text goes on
}

const lineMark = "\xff"

// set prepares strings that may stand anywhere and such that begin a line. The
// former are looked for at the beginning of a line as well as elsewhere, so that
// the longest is found there.
func (l *lines) set(anywhere, begin []string) *Set {
	var marked []string
	add := func(mark, s string) {
		marked = append(marked, mark+strings.ReplaceAll(s, "\n", "\n"+lineMark))
		l.strings = append(l.strings, s)
	}
	for _, s := range anywhere {
		add("", s)
		add(lineMark, s)
	}
	for _, s := range begin {
		add(lineMark, s)
	}
	return New(marked...)
}

// mark puts the marks into the next piece of a text.
func (l *lines) mark(text string) string {
	if l == nil || text == "" {
		return text
	}
	marked := strings.ReplaceAll(text, "\n", "\n"+lineMark)
	if !l.within {
		marked = lineMark + marked
	}
	l.within = true // behind a line feed the mark is there already
	return marked
}

// unmark takes them away again from what was found.
func (l *lines) unmark(safe string, m *Match) (text, stop string) {
	if l != nil {
		safe = strings.ReplaceAll(safe, lineMark, "")
	}
	switch {
	case m == nil:
		return safe, ""
	case l != nil:
		return safe, l.strings[m.Index]
	}
	return safe, m.Text
}
