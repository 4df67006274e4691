package main

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// freeMemory is how many bytes of main memory programs can still get, as the
// kernel estimates it, within the bounds of a container; 0 if that is not
// known.
func freeMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var free int64
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		// "MemAvailable:   12345 kB"
		f := strings.Fields(lines.Text())
		if len(f) >= 2 && f[0] == "MemAvailable:" {
			if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				free = kib << 10
			}
		}
	}
	if limit, ok := readNumber("/sys/fs/cgroup/memory.max"); ok {
		used, _ := readNumber("/sys/fs/cgroup/memory.current")
		free = min(free, max(0, limit-used))
	}
	return free
}

func readNumber(path string) (int64, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil
}
