//go:build !purego

package kernel

// A call of assembly makes so many rounds at most: 50 µs or less.
const mostRounds = 4096

// multiplyAdds is multiplyAddsGo with the instructions that were chosen.
func multiplyAdds(rounds int) (n int64) {
	if chosen == goOnly {
		return multiplyAddsGo(rounds)
	}
	for left := rounds; left > 0; left -= mostRounds {
		multiplyAddsNEON(min(left, mostRounds))
	}
	return int64(rounds) * 16 * 16
}
