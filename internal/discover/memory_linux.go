package discover

import "golang.org/x/sys/unix"

// mainMemory is the bytes of main memory; 0 if that cannot be found out.
func mainMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit))
}
