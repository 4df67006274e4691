//go:build (amd64 || arm64) && !purego

package kernel

// pieces calls do for n rows, as many at a time as there is a function for.
func pieces(n, functions int, do func(row, function int)) {
	for r, i := 0, functions-1; r < n; r += 1 << i {
		for 1<<i > n-r {
			i--
		}
		do(r, i)
	}
}
