//go:build unix

package hub

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock makes a file one process's own until release, or the file's end.
func lock(f *os.File) (release func(), err error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, err
	}
	return func() { unix.Flock(int(f.Fd()), unix.LOCK_UN) }, nil
}
