package load

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A Process is a program that is measured.
type Process struct{ *exec.Cmd }

// Stop kills it.
func (p *Process) Stop() {
	p.Process.Kill()
	p.Wait()
}

// Memory is how many bytes the process has in memory, where the system tells
// it; 0: it does not.
func (p *Process) Memory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kib int64
	fmt.Sscan(string(rest), &kib)
	return kib << 10
}

// Computed is the time that the process has computed, where the system tells
// it; it does not depend on what else the machine does.
func (p *Process) Computed() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	fields := bytes.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system int
	fmt.Sscan(string(fields[11]), &user)
	fmt.Sscan(string(fields[12]), &system)
	return time.Duration(user+system) * time.Second / 100
}

// Megabytes is a number of bytes in words, "–" of none.
func Megabytes(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%d MB", n>>20)
}
