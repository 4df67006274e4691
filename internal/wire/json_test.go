package wire_test

import (
	"testing"

	"parley/internal/wire"
)

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "word", `"`, `\`, "\x00", "\x1f", "\x7f", "\n", "<&>", "ü", "\u2028", "\u0085", "\xff", "🍏"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(wire.AppendString([]byte("x"), s)), "x"+string(wire.Encode(s)); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	})
}
