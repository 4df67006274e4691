package kernel

// Name says what computes: "go", or the instruction set that was found when the
// program started ("avx2", "avx512", "neon").
func Name() string { return string(chosen) }

type implementation string

const goOnly implementation = "go"

// chosen does not change while the program runs, except in tests.
var chosen = available()[0]
