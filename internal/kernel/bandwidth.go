package kernel

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"
)

// ReadBandwidth measures how many bytes a second so many threads read from memory:
// the median of several passes over 512 MiB, more than caches hold, in pages as weights have, each
// thread in one go and asking for memory ahead of its use. Decoding does not
// read weights faster, at the time. It takes about half a second.
func ReadBandwidth(threads int) float64 {
	const size, part, passes = 512 << 20, 64 << 10, 9
	b, err := allocate(size) // as weights lie
	if err != nil {
		return 0
	}
	defer release(b)
	for i := 0; i < size; i += 4096 {
		b[i] = 1 // pages that were never written are all the same one
	}
	p := NewPool(threads)
	defer p.Close()
	var sink atomic.Uint64
	took := make([]float64, passes)
	for k := range took {
		start := time.Now()
		p.Run(size/part, func(i int) { sink.Add(read(b[i*part:][:part])) })
		took[k] = time.Since(start).Seconds()
	}
	slices.Sort(took)
	return size / took[passes/2]
}

func readGo(b []byte) uint64 {
	var x [4]uint64
	for ; len(b) >= 32; b = b[32:] {
		x[0] ^= binary.LittleEndian.Uint64(b)
		x[1] ^= binary.LittleEndian.Uint64(b[8:])
		x[2] ^= binary.LittleEndian.Uint64(b[16:])
		x[3] ^= binary.LittleEndian.Uint64(b[24:])
	}
	return x[0] ^ x[1] ^ x[2] ^ x[3]
}
