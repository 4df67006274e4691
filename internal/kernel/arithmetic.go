package kernel

import (
	"sync/atomic"
	"time"
)

// Arithmetic measures how many operations on int8 a second so many threads do in
// registers, two for each multiply-add: the best of several passes with the
// instructions that the kernels use. Prefill cannot compute faster. It is 0 where
// there is no measure of these instructions, and takes about half a second.
func Arithmetic(threads int) float64 {
	const parts, passes = 64, 5
	p := NewPool(threads)
	defer p.Close()
	rounds, best := 1, 0.0
	for pass := 0; pass < passes; {
		var done atomic.Int64
		start := time.Now()
		p.Run(parts, func(int) { done.Add(multiplyAdds(rounds)) })
		took := time.Since(start)
		if done.Load() == 0 {
			return 0
		}
		if took < 50*time.Millisecond {
			rounds *= 2
			continue
		}
		best = max(best, 2*float64(done.Load())/took.Seconds())
		pass++
	}
	return best
}

// multiplyAddsGo makes some multiply-adds of int8 for each round, as the
// reference does them, and says how many.
func multiplyAddsGo(rounds int) int64 {
	var w, x [64]int8
	for i := range w {
		w[i], x[i] = int8(i), int8(7*i)
	}
	sum := int32(0)
	for range rounds {
		for i := range w {
			sum += int32(w[i]) * int32(x[i])
		}
	}
	sink.Store(uint32(sum))
	return int64(rounds) * int64(len(w))
}

// sink keeps results that nobody wants from being left out.
var sink atomic.Uint32
