//go:build unix

package main

import (
	"os"
	"syscall"
)

// endSignals ask the program to end.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}
