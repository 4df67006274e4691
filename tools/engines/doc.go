// Package engines starts other people's engines for tests, with a small model,
// and keeps what they answer. build.sh builds them at their pinned versions;
// the package is built with the tag "engines" and wants what build.sh printed
// in PARLEY_ENGINES, and the path of our own binary in PARLEY_BINARY.
//
// testdata holds one transcript for each engine: requests, and what came back.
// Whoever writes a client or a stand-in of an engine finds there how it behaves.
package engines
