package discover

import "golang.org/x/sys/unix"

// mainMemory is the bytes of main memory; 0 if that cannot be found out.
func mainMemory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
