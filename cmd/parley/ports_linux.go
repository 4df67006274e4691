package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// processListening names the process that listens on a TCP port: the kernel's
// table of sockets has the socket's inode, and the process that has it open
// shows it among its descriptors. Other users' processes hide theirs, then the
// answer is "".
func processListening(port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if inode, ok := listeningInode(lines.Text(), port); ok {
				inodes["socket:["+inode+"]"] = true
			}
		}
		f.Close()
	}
	if len(inodes) == 0 {
		return ""
	}
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range descriptors {
		if target, err := os.Readlink(fd); err == nil && inodes[target] {
			pid := strings.Split(fd, "/")[2]
			return processName(pid)
		}
	}
	return ""
}

// listeningInode reads a line of /proc/net/tcp: "sl local_address rem_address
// st … inode", addresses as hexadecimal IP:PORT, state 0A for listening.
func listeningInode(line string, port int) (string, bool) {
	const listening, inode = "0A", 9
	f := strings.Fields(line)
	if len(f) <= inode || f[3] != listening {
		return "", false
	}
	_, hex, _ := strings.Cut(f[1], ":")
	n, err := strconv.ParseUint(hex, 16, 16)
	return f[inode], err == nil && int(n) == port
}

func processName(pid string) string {
	name, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return "process " + pid
	}
	return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
}
