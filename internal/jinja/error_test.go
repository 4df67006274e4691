package jinja

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestErrorsPointAtTheTemplate: name, line, column and a caret.
func TestErrorsPointAtTheTemplate(t *testing.T) {
	for _, c := range []struct {
		source    string
		kind      Kind
		line, col int
		caret     string // what stands over the caret
		msg       string
	}{
		{"a\n{{ nope.x }}", KindUndefined, 2, 8, ".x }}", "'nope' is undefined"},
		{"a\n  {% if 1 %}\n{{ 'ü' + 1 }}{% endif %}", KindType, 3, 8, "+ 1 }}{% endif %}", "can only concatenate str (not \"int\") to str"},
		{"{{ raise_exception('stop') }}", KindRaise, 1, 4, "raise_exception('stop') }}", "stop"},
		{"x\n\n{% for a in 5 %}{% endfor %}", KindType, 3, 4, "for a in 5 %}{% endfor %}", "'int' object is not iterable"},
		{"{% if 1 %}\n{% endfor %}", KindSyntax, 2, 4, "endfor %}", "Encountered unknown tag 'endfor'"},
		{"{% if 1 %}\nx", KindSyntax, 2, 2, "", "The innermost block that needs to be closed is 'if'."},
		{"{{ 1 +* 2 }}", KindSyntax, 1, 7, "* 2 }}", "unexpected '*'"},
		{"{{ 'abc }}", KindSyntax, 1, 4, "'abc }}", "the string has no end"},
		{"{{ x | frobnicate }}", KindSyntax, 1, 8, "frobnicate }}", "No filter named 'frobnicate'."},
		{"\r\n{% break %}", KindSyntax, 2, 4, "break %}", "'break' outside loop"},
		{"{{ [].append(1) }}", KindSecurity, 1, 13, "(1) }}", "access to attribute 'append' of 'list' object is unsafe."},
		{"{{ {}[1].x }}", KindUndefined, 1, 9, ".x }}", "dict object has no element 1"},
		{"{% macro m() %}{{ 1 // 0 }}{% endmacro %}\n{{ m() }}", KindValue, 1, 21, "// 0 }}{% endmacro %}", "integer division or modulo by zero"},
	} {
		tmpl, err := Parse("chat.jinja", c.source, DefaultLimits())
		if err == nil {
			_, err = tmpl.Render(context.Background(), NewDict(), clock)
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: got %v, want an *Error", c.source, err)
			continue
		}
		if e.Kind != c.kind || e.Line != c.line || e.Col != c.col || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%q: got %v %d:%d %q, want %v %d:%d %q", c.source, e.Kind, e.Line, e.Col, e.Msg, c.kind, c.line, c.col, c.msg)
		}
		line, caret, _ := strings.Cut(e.Excerpt, "\n")
		at := len([]rune(caret)) - 1
		if rest := string([]rune(line)[min(at, len([]rune(line))):]); rest != c.caret {
			t.Errorf("%q: the caret points at %q, want %q\n%s", c.source, rest, c.caret, e.Excerpt)
		}
		if !strings.HasPrefix(e.Error(), "template chat.jinja, line ") {
			t.Errorf("got %q", e.Error())
		}
	}
}

// TestExcerptOfALongLine: the caret stays under its place in what is shown.
func TestExcerptOfALongLine(t *testing.T) {
	_, err := renderString("{{ '"+strings.Repeat("a", 500)+"' }}{{ nope.x }}"+strings.Repeat("b", 500), NewDict())
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	line, caret, _ := strings.Cut(e.Excerpt, "\n")
	at := len([]rune(caret)) - 1
	if !strings.HasPrefix(string([]rune(line)[at:]), ".x }}") || len([]rune(line)) > 120 {
		t.Errorf("got\n%s", e.Excerpt)
	}
}
