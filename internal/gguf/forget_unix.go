//go:build unix

package gguf

import "syscall"

// forget gives back the memory of a mapping, which is read from the file again
// when it is used.
func forget(data []byte) { _ = syscall.Madvise(data, syscall.MADV_DONTNEED) }
