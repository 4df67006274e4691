//go:build unix && !linux

package kernel

func inHugePages(b []byte) {}
