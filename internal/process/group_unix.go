//go:build unix

package process

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// A group is the process group of a program. A watcher ends it where we are
// killed ourselves: a shell that waits for the end of a pipe of which we hold
// the other end. Where there is no shell, nothing watches.
type group struct {
	id      int
	watcher *exec.Cmd
	pipe    *os.File
}

// watch waits for a line; where the pipe ends without one, the group is ended.
const watch = `read -r line || kill -s KILL -- "-$1"`

func newGroup(p *os.Process) *group {
	g := &group{id: p.Pid}
	read, write, err := os.Pipe()
	if err != nil {
		return g
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", watch, "sh", strconv.Itoa(p.Pid))
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that Ctrl-C at a terminal does not end it before us
	if cmd.Start() != nil {
		write.Close()
		return g
	}
	g.watcher, g.pipe = cmd, write
	return g
}

func (g *group) terminate() { syscall.Kill(-g.id, syscall.SIGTERM) }
func (g *group) kill()      { syscall.Kill(-g.id, syscall.SIGKILL) }

// close dismisses the watcher.
func (g *group) close() {
	if g.watcher != nil {
		g.pipe.WriteString("\n")
		g.pipe.Close()
		g.watcher.Wait()
	}
}
