package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind says what went wrong, in Python's terms.
type Kind int

const (
	KindSyntax    Kind = iota + 1 // the template does not compile
	KindRaise                     // the template called raise_exception; Msg is its own message
	KindUndefined                 // an undefined value was used
	KindType                      // TypeError
	KindValue                     // ValueError, OverflowError, ZeroDivisionError
	KindKey                       // KeyError, IndexError
	KindSecurity                  // the sandbox forbids it
	KindLimit                     // one of Limits was reached; Python may have gone on
	KindCanceled                  // the context ended
	KindRuntime                   // anything else that jinja2 or Python raise
	KindInternal                  // a fault of this package
)

var kindNames = [...]string{"", "syntax", "raise", "undefined", "type", "value", "key", "security", "limit", "canceled", "runtime", "internal"}

func (k Kind) String() string { return kindNames[k] }

// An Error is why a template did not compile or render.
type Error struct {
	Kind     Kind
	Template string // the name given to Parse
	Line     int    // from 1; 0 where unknown
	Col      int    // in characters, from 1
	Msg      string // as Python words it
	Excerpt  string // the line of the template, and a caret under the column
	Cause    error  // of KindCanceled: the context's error

	placed bool
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("template")
	if e.Template != "" {
		b.WriteString(" " + e.Template)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d, column %d", e.Line, e.Col)
	}
	b.WriteString(": " + e.Msg)
	if e.Excerpt != "" {
		b.WriteString("\n" + e.Excerpt)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

func failf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...)}
}

func typeErrorf(format string, args ...any) error  { return failf(KindType, format, args...) }
func valueErrorf(format string, args ...any) error { return failf(KindValue, format, args...) }

// place gives an error its position, unless a deeper node has done so.
func place(err error, name, source string, pos int) error {
	var e *Error
	if !errors.As(err, &e) || e.placed {
		return err
	}
	e.placed = true
	e.Template = name
	pos = min(max(pos, 0), len(source))
	start := strings.LastIndexByte(source[:pos], '\n') + 1
	end := len(source)
	if i := strings.IndexByte(source[pos:], '\n'); i >= 0 {
		end = pos + i
	}
	e.Line = strings.Count(source[:start], "\n") + 1
	e.Col = utf8.RuneCountInString(source[start:pos]) + 1
	e.Excerpt = excerpt(source[start:end], e.Col-1)
	return e
}

// excerpt shows a line with a caret under its column col (from 0), cut to
// what fits a terminal.
func excerpt(line string, col int) string {
	const before, after = 50, 40
	runes := []rune(line)
	for i, r := range runes {
		if r < ' ' {
			runes[i] = ' '
		}
	}
	col = min(col, len(runes))
	from, to := max(0, col-before), min(len(runes), col+after)
	head, tail := "", ""
	if from > 0 {
		head = "…"
	}
	if to < len(runes) {
		tail = "…"
	}
	caret := strings.Repeat(" ", col-from+utf8.RuneCountInString(head)) + "^"
	return "    " + head + string(runes[from:to]) + tail + "\n    " + caret
}
