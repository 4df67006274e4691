//go:build !unix

package main

import "os"

// endSignals ask the program to end.
var endSignals = []os.Signal{os.Interrupt}
