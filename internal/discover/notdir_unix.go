//go:build !windows

package discover

import "syscall"

// errNotDir is what reading a file as a folder gives.
const errNotDir = syscall.ENOTDIR
