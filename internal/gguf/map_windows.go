package gguf

import (
	"os"
	"syscall"
	"unsafe"
)

// mapFile maps the file read-only. The view keeps the mapping object alive, so its handle is closed
// at once.
func mapFile(f *os.File, size int) (data []byte, unmap func() error, err error) {
	m, err := syscall.CreateFileMapping(syscall.Handle(f.Fd()), nil, syscall.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, nil, os.NewSyscallError("CreateFileMapping", err)
	}
	defer syscall.CloseHandle(m)
	addr, err := syscall.MapViewOfFile(m, syscall.FILE_MAP_READ, 0, 0, uintptr(size))
	if err != nil {
		return nil, nil, os.NewSyscallError("MapViewOfFile", err)
	}
	// The address is outside Go's heap, so it may be made a pointer; written through a pointer to it
	// since vet cannot know that. The length is the one just mapped.
	data = unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&addr))), size)
	return data, func() error { return syscall.UnmapViewOfFile(addr) }, nil
}
