package main

import (
	"slices"
	"strings"
	"testing"
)

func TestDiffLines(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"x", "x", " x"},
		{"a b c", "a c", " a|-b| c"},
		{"a c", "a b c", " a|+b| c"},
		{"a x b y c", "a b z c", " a|-x| b|-y|+z| c"},
		{"p q", "r", "-p|-q|+r"},
	} {
		got := diffLines(strings.Fields(c.a), strings.Fields(c.b))
		if want := strings.Split(c.want, "|"); !slices.Equal(got, want) {
			t.Errorf("%q, %q: got %q, want %q", c.a, c.b, got, want)
		}
	}
	long := slices.Repeat([]string{"a", "b"}, 3000)
	if n := len(diffLines(long, slices.Repeat([]string{"b", "c"}, 3000))); n != 12000 {
		t.Errorf("what is too long has %d lines", n)
	}
}
