// Package sillytavern runs SillyTavern against the real binary: its own
// server, with a data folder of its own, on its port, and its page in a
// browser. Requests of the shape that its page sends go through its server to
// every connection type that Parley answers. The test is built with the tag
// "clients" and wants the binary's path in PARLEY_BINARY and the prepared
// packages in PARLEY_SILLYTAVERN; run.sh prepares both.
package sillytavern
