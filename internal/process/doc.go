// Package process runs programs that serve over the network, such as engines
// for language models: it starts them, waits until they answer, keeps what
// they print, ends them with everything that they started, and knows what is
// the matter when one does not run.
//
// A program is never left behind. It runs in a process group of its own that
// is ended with it. Where Parley itself is killed, a watcher that holds the
// other end of a pipe ends the group (on Unix), the kernel ends the program
// (on Linux), or the job object that holds the tree ends with us (on Windows).
package process
