//go:build unix

package main

import "syscall"

// private has files that f makes be its owner's alone, from the moment that
// they are there. The mask is the whole process's: nothing else makes files
// while the server starts to listen.
func private(f func()) {
	defer syscall.Umask(syscall.Umask(0o077))
	f()
}
