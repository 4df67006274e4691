//go:build unix

package gguf

import (
	"os"
	"syscall"
)

// mapFile maps the file read-only and shared: pages come from the page cache, once for all
// processes, and the kernel can drop them under pressure.
func mapFile(f *os.File, size int) (data []byte, unmap func() error, err error) {
	data, err = syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
