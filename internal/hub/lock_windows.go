package hub

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock makes a file one process's own until release, or the file's end.
func lock(f *os.File) (release func(), err error) {
	h := windows.Handle(f.Fd())
	const far = 1 << 30 // beyond the data, which the lock would keep its owner from, too
	at := windows.Overlapped{OffsetHigh: far}
	if err := windows.LockFileEx(h, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at); err != nil {
		return nil, err
	}
	return func() { windows.UnlockFileEx(h, 0, 1, 0, &at) }, nil
}
