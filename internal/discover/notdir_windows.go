package discover

import "golang.org/x/sys/windows"

// errNotDir is what reading a file as a folder gives.
const errNotDir = windows.ERROR_DIRECTORY
