package load

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Process is a program that is measured.
type Process struct{ *exec.Cmd }

// Again starts this very program once more with a flag that tells it what to be,
// and gives the process and the first line that it says, which is where it
// listens.
func Again(flag string) (p Process, line string, err error) {
	self, err := os.Executable()
	if err != nil {
		return p, "", err
	}
	cmd := exec.Command(self, flag)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return p, "", err
	}
	if err := cmd.Start(); err != nil {
		return p, "", err
	}
	p = Process{Cmd: cmd}
	if line, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		p.Stop()
		return p, "", fmt.Errorf("%s did not start: %w", flag, err)
	}
	return p, strings.TrimSpace(line), nil
}

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
