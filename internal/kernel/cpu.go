package kernel

// Name says what computes: "go", or the instruction set that was found when the
// program started ("avx2", "avxvnni", "avx512", "neon").
func Name() string { return string(chosen) }

type implementation string

const goOnly implementation = "go"

// chosen does not change while the program runs, except in tests.
var chosen = available()[0]

// Sets are what this processor can run, as Name says them, the best first.
func Sets() (names []string) {
	for _, i := range available() {
		names = append(names, string(i))
	}
	return names
}

// Use has one of Sets compute instead, for tests: what is made and packed from now
// on is right for it, and nothing else may compute meanwhile. It gives the name of
// the one before.
func Use(name string) (was string) {
	was, chosen = string(chosen), implementation(name)
	return was
}
