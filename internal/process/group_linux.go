package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// attributes put a program into a group of its own, and have the kernel end it
// with us.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// memory sums what the processes of a group hold in main memory, in bytes.
// /proc/PID/stat is "pid (name) state ppid pgrp …", where a name may hold
// anything; its field 24 is the resident set in pages.
func memory(group int) (total int64) {
	const pgrp, rss = 5 - 3, 24 - 3 // counted from the state
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		end := bytes.LastIndexByte(data, ')')
		f := strings.Fields(string(data[end+1:]))
		if end < 0 || len(f) <= rss || f[pgrp] != strconv.Itoa(group) {
			continue
		}
		if pages, err := strconv.ParseInt(f[rss], 10, 64); err == nil {
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}
