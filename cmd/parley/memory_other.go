//go:build !linux

package main

// freeMemory is not known here: what is loaded at a time is bounded only by
// the configuration.
func freeMemory() int64 { return 0 }
