package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"parley/llm"
)

const (
	portMark = "{port}"
	pidMark  = "{pid}"
)

// HasPort reports whether a text has a place for the port.
func HasPort(s string) bool { return strings.Contains(s, portMark) }

// wantsPort reports whether a port has to be found for the program.
func (p *Process) wantsPort() bool {
	for _, list := range [][]string{p.o.Command, p.o.Env, {p.o.URL}} {
		for _, s := range list {
			if HasPort(s) {
				return true
			}
		}
	}
	return false
}

func fill(s string, port, pid int) string {
	return strings.NewReplacer(portMark, strconv.Itoa(port), pidMark, strconv.Itoa(pid)).Replace(s)
}

func fillAll(list []string, port, pid int) []string {
	filled := make([]string, len(list))
	for i, s := range list {
		filled[i] = fill(s, port, pid)
	}
	return filled
}

// environment is ours with own settings laid over it, and without what is
// meant for Parley alone, its key among it.
func environment(own []string) []string {
	var env []string
	for _, s := range os.Environ() {
		if !strings.HasPrefix(strings.ToUpper(s), "PARLEY_") {
			env = append(env, s)
		}
	}
	return append(env, own...) // of two settings the last counts
}

// A launchFailure is a program that could not even be started.
type launchFailure struct{ err error }

func (e *launchFailure) Error() string { return e.err.Error() }
func (e *launchFailure) Unwrap() error { return e.err }

func launchError(o Options, err error) error {
	e := &llm.Error{Code: llm.Broken, Err: &launchFailure{err}}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		e.Message = fmt.Sprintf("the program %s, which is to run %s, is not there", o.Command[0], o.Name)
		e.Hint = "install it, or write its whole path in command"
		if o.Dir != "" {
			if _, missing := os.Stat(o.Dir); missing != nil {
				e.Message = fmt.Sprintf("the folder %s, in which %s is to run, is not there", o.Dir, o.Name)
				e.Hint = "make it, or change dir"
			}
		}
	case errors.Is(err, fs.ErrPermission):
		e.Message = fmt.Sprintf("the program %s, which is to run %s, may not be executed", o.Command[0], o.Name)
		e.Hint = "make it executable, or write another in command"
	default:
		e.Message = fmt.Sprintf("%s cannot be started", o.Name)
	}
	return e
}
