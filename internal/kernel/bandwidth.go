package kernel

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// A Bandwidth measures how fast the threads of a pool read memory: more than caches hold, in
// pages as weights have, each thread in one go and asking for memory ahead of its use. Decoding
// does not read weights faster, at the time. On a machine that others share that is not the
// same for long, so it is asked again and again, between the steps of what is compared with it
// and runs on the same pool, whose threads stay awake. Not for use by several goroutines.
type Bandwidth struct {
	memory []byte
	pool   *Pool
	at     int
	sink   atomic.Uint64
}

const (
	bandwidthMemory = 512 << 20
	bandwidthSample = 128 << 20
)

// NewBandwidth allocates and writes the memory, 512 MiB, which takes some tenths of a second.
// The caller closes it.
func NewBandwidth(p *Pool) (*Bandwidth, error) {
	memory, err := allocate(bandwidthMemory)
	if err != nil {
		return nil, fmt.Errorf("kernel: %d MiB of memory to read: %w", bandwidthMemory>>20, err)
	}
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1 // pages that were never written are all the same one
	}
	return &Bandwidth{memory: memory, pool: p}, nil
}

// Close gives the memory back.
func (b *Bandwidth) Close() {
	release(b.memory)
	b.memory = nil
}

// Sample reads the next 128 MiB and gives the bytes that were read in a second.
func (b *Bandwidth) Sample() float64 {
	const part = 64 << 10
	if b.at+bandwidthSample > len(b.memory) {
		b.at = 0
	}
	from := b.memory[b.at:][:bandwidthSample]
	b.at += bandwidthSample
	begun := time.Now()
	b.pool.Run(bandwidthSample/part, func(i int) { b.sink.Add(read(from[i*part:][:part])) })
	return bandwidthSample / time.Since(begun).Seconds()
}

// Typical is the median of several samples in turn.
func (b *Bandwidth) Typical() float64 {
	const samples = 33
	list := make([]float64, samples)
	for i := range list {
		list[i] = b.Sample()
	}
	slices.Sort(list)
	return list[samples/2]
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
