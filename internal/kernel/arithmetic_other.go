//go:build (!amd64 && !arm64) || purego

package kernel

func multiplyAdds(rounds int) int64 { return multiplyAddsGo(rounds) }
