package engine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatAModelNeedsIsKnownBeforeItIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, tiny{}.file(t), 0o600); err != nil {
		t.Fatal(err)
	}
	least := int64(1 << 40)
	for name, o := range map[string]Options{
		"nothing said":          {},
		"one sequence":          {Sequences: 1},
		"a short context":       {Context: 70},
		"a context too long":    {Context: 1 << 16},
		"a bound":               {CacheBytes: 12345678},
		"a bound that cuts":     {CacheBytes: 123456},
		"small keys and values": {KVCache: "q8_0"},
		"a small model":         {Draft: path, Sequences: 3},
	} {
		want, err := Need(path, o)
		if err != nil {
			t.Fatal(name, err)
		}
		e, err := Open(path, o)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := e.Memory(); got != want {
			t.Errorf("%s: %d bytes, before it was loaded %d", name, got, want)
		}
		least = min(least, want)
		e.Close()
	}
	if want, err := Need(path, Options{}); err != nil || want == least {
		t.Errorf("keys and values count for nothing: %d, %v", want, err)
	}
	if _, err := Need(filepath.Join(t.TempDir(), "none"), Options{}); err == nil {
		t.Error("a file that is not there needs nothing")
	}
}
