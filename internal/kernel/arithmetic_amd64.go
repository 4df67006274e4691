//go:build !purego

package kernel

// A call of assembly makes so many rounds at most: 50 µs or less.
const mostRounds = 4096

// multiplyAdds is multiplyAddsGo with the instructions that were chosen.
func multiplyAdds(rounds int) (n int64) {
	if chosen == goOnly {
		return multiplyAddsGo(rounds)
	}
	one, each := multiplyAddsAVX2, int64(8*32)
	switch chosen {
	case avxvnni:
		one, each = multiplyAddsAVXVNNI, 12*32
	case avx512:
		one, each = multiplyAddsAVX512, 16*64
	}
	for left := rounds; left > 0; left -= mostRounds {
		one(min(left, mostRounds))
	}
	return int64(rounds) * each
}

// multiplyAddsAVX2 makes eight times 32 multiply-adds a round: VPMADDUBSW,
// VPMADDWD and VPADDD on registers.
//
//go:noescape
func multiplyAddsAVX2(rounds int)

// multiplyAddsAVX512 makes 16 times 64 multiply-adds a round: VPDPBUSD on
// registers.
//
//go:noescape
func multiplyAddsAVX512(rounds int)
