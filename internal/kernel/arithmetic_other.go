//go:build !amd64 || purego

package kernel

func multiplyAdds(rounds int) int64 {
	if chosen != goOnly {
		return 0
	}
	return multiplyAddsGo(rounds)
}
