// Package sqlite keeps sessions and characters in a file, as a
// [session.Store].
//
// What was acknowledged is on the disk: the file is in WAL mode with
// synchronous=FULL, and on macOS with fullfsync. Changes that come while
// another is being written are written together, with one sync.
package sqlite
