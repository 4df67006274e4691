//go:build unix

package kernel

import "syscall"

// allocate is memory of zeros outside Go's heap, which would otherwise let as much
// garbage pile up beside it.
func allocate(n int) ([]byte, error) {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	inHugePages(b)
	return b, nil
}

func release(b []byte) { _ = syscall.Munmap(b) }
