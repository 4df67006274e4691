//go:build !windows

package main

import "os"

// enableEscapes is for terminals that have to be asked: these have not.
func enableEscapes(*os.File) bool { return true }
