//go:build unix

package gguf

import "golang.org/x/sys/unix"

// forget gives back the memory of a mapping, which is read from the file again
// when it is used.
func forget(data []byte) { _ = unix.Madvise(data, unix.MADV_DONTNEED) }

// readAhead has a mapping read; what is asked for at a time is less than a disk's queue holds.
func readAhead(data []byte) { _ = unix.Madvise(data, unix.MADV_WILLNEED) }
