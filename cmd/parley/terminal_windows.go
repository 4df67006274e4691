package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableEscapes has the console understand escape sequences. It is false where
// the console is too old for that.
func enableEscapes(f *os.File) bool {
	console := windows.Handle(f.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(console, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
