// Package clients runs the clients that people use against the real binary:
// SDKs for Python, Node and Go, LangChain, AutoGen, a terminal client and
// plain scripts. Its test is built with the tag "clients" and wants the
// binary's path in PARLEY_BINARY and the prepared environments in
// PARLEY_CLIENTS; run.sh prepares both.
package clients
