//go:build unix

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate is memory of zeros outside Go's heap, which would otherwise let as much
// garbage pile up beside it.
func allocate(n int) ([]byte, error) {
	// What huge pages are aligned to has to be cut out of more.
	reserved := n
	if n >= hugePage {
		reserved += hugePage
	}
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(reserved), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	all := unsafe.Slice((*byte)(at), reserved)
	if n < hugePage {
		return all, nil
	}
	from := int(-uintptr(at) % hugePage)
	page := unix.Getpagesize()
	to := (from + n + page - 1) / page * page
	release(all[:from])
	release(all[min(to, reserved):])
	b := all[from:][:n:n]
	inHugePages(b)
	return b, nil
}

func release(b []byte) {
	if len(b) > 0 {
		_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
	}
}
