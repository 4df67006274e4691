package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"parley/llm"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

// A userError is a sentence for whoever typed the command, and a way out.
type userError struct {
	Message string
	Hint    string
	Usage   bool  // the command line itself is wrong
	Err     error // the cause, in Message already
}

func (e *userError) Error() string { return e.Message }
func (e *userError) Unwrap() error { return e.Err }

func usageError(hint, format string, args ...any) error {
	return &userError{Message: fmt.Sprintf(format, args...), Hint: hint, Usage: true}
}

// fileError says in words why a file cannot be used.
func fileError(what, path string, err error) error {
	e := &userError{Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Message = fmt.Sprintf("there is no %s at %s", what, path)
	case errors.Is(err, fs.ErrPermission):
		e.Message = fmt.Sprintf("the %s %s may not be read: permission denied", what, path)
	default:
		var cause *os.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		e.Message = fmt.Sprintf("the %s %s cannot be read: %v", what, path, err)
	}
	return e
}

// report prints an error for a person and gives the exit code.
func report(w io.Writer, s style, err error) int {
	hint, code := "", exitFailed
	if e, ok := errors.AsType[*userError](err); ok {
		hint = e.Hint
		if e.Usage {
			code = exitUsage
		}
	} else if e, ok := errors.AsType[*llm.Error](err); ok {
		hint = e.Hint
	}
	fmt.Fprintf(w, "%s %s\n", s.red("parley:"), printable(sentence(err)))
	if hint != "" {
		fmt.Fprintf(w, "%s %s\n", s.dim("  hint:"), printable(hint))
	}
	return code
}

// sentence is an error without its way out. Errors of other packages have
// their own sentences; only llm.Error has to be taken apart, since it is made
// for three readers.
func sentence(err error) string {
	if e, ok := errors.AsType[*userError](err); ok {
		return e.Message
	}
	e, ok := errors.AsType[*llm.Error](err)
	if !ok {
		return err.Error()
	}
	message := e.Message
	if e.Field != "" {
		message = e.Field + ": " + message
	}
	// The one at the terminal is the operator too. Some causes are in the
	// message already.
	if e.Err != nil && !strings.Contains(message, e.Err.Error()) {
		message += ": " + e.Err.Error()
	}
	return message
}
