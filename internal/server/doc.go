// Package server is Parley's HTTP surface: routes, guards, limits and streams.
//
// It knows no engine and no chat format. What it needs of the models is the
// interface [Models]; what goes over the wire is made by the package of each
// dialect (internal/openai). Its contract: a request is answered by exactly
// one response or one error in the words of its dialect; after the first byte
// of a stream an error is one event and the end; a client that leaves ends the
// work that was done for it; nothing is served to web pages and host names
// that the operator did not allow.
package server
