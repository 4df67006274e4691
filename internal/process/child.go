package process

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// A launch is what it takes to start a program.
type launch struct {
	command []string
	dir     string
	env     []string
	out     io.Writer
}

// A child is a program that was started.
type child struct {
	pid  int
	done <-chan struct{} // closed when it is gone, and its process group with it
	err  error           // why it ended; set before done is closed

	terminate func() // ask it and its group to end
	kill      func() // end it and its group
}

// drain is how long what a program printed before its end may take to arrive:
// something that it started elsewhere can hold its pipe open for ever.
const drain = time.Second

// start runs a program. The thread that starts it stays with it until it ends:
// Linux takes the end of that thread for the end of the parent.
func start(l launch) (*child, error) {
	c := &child{}
	done := make(chan struct{})
	c.done = done
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		read, write, err := os.Pipe()
		if err != nil {
			started <- err
			return
		}
		cmd := exec.Command(l.command[0], l.command[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = l.dir, l.env, write, write
		cmd.SysProcAttr = attributes()
		err = cmd.Start()
		write.Close()
		if err != nil {
			read.Close()
			started <- err
			return
		}
		group := newGroup(cmd.Process)
		c.pid, c.terminate, c.kill = cmd.Process.Pid, group.terminate, group.kill
		started <- nil

		printed := make(chan struct{})
		go func() {
			io.Copy(l.out, read)
			close(printed)
		}()
		c.err = cmd.Wait()
		group.kill() // what it leaves behind
		group.close()
		select {
		case <-printed:
		case <-time.After(drain):
		}
		read.Close()
		<-printed
		if o, ok := l.out.(*output); ok {
			o.close()
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}
