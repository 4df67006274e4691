package kernel

import "testing"

func TestArenaGivesZerosToEach(t *testing.T) {
	var a Arena
	sizes := []int{1, 63, 64, 65, 4096, arenaChunk - 1, arenaChunk, arenaChunk + 1, 3<<20 + 7}
	var pieces [][]byte
	for round := range 2 {
		for _, n := range sizes {
			b := a.Bytes(n)
			if len(b) != n || cap(b) != n {
				t.Fatalf("%d bytes of %d, asked for %d", len(b), cap(b), n)
			}
			for i, v := range b {
				if v != 0 {
					t.Fatalf("byte %d of %d is %d: somebody else's", i, n, v)
				}
				b[i] = byte(1 + round)
			}
			pieces = append(pieces, b)
		}
	}
	for i, b := range pieces {
		for _, v := range b {
			if v != byte(1+i/len(sizes)) {
				t.Fatalf("piece %d was written by another", i)
			}
		}
	}
	if f := a.Floats(33); len(f) != 33 || f[32] != 0 {
		t.Errorf("%d floats, the last %v", len(f), f[len(f)-1])
	}
	a.Free()
	a.Free()
	if b := a.Bytes(3); len(b) != 3 || b[0] != 0 {
		t.Errorf("after Free: %v", b)
	}
	a.Free()
}
