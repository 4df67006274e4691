// Package kernel does arithmetic on quantised blocks and rows of floats: the
// inner loops of a transformer.
//
// Its one contract: a result has one value. For every operation the Go code
// says in which order floats are multiplied and added, and what the processor
// has instead (assembly) gives the very same bits. So a product does not
// depend on the machine, on the number of threads, or on what else is computed
// in the same call. This holds for finite numbers; what NaN and infinities
// turn into is not promised, except that nothing panics.
//
// The product of a row of blocks and a token is one float, to which each block adds
// what its whole numbers come to times its scales, the first block first (see
// blocks.go). Products of rows of floats run in lanes, as a vector register has
// them: element i is added to one of 16 lanes, and the lanes are added up pairwise
// at the end (see sum16). A product and a sum are two roundings, since Go has no
// fused multiply-add of float32 that is the same everywhere; only what attention adds up,
// where it counts most, is rounded once, and Go's code makes that of float64 (see fma).
//
// The build tag purego removes all assembly.
package kernel
