// Package check finds out from outside whether a chat server keeps Parley's
// promises: ours or another's, by nothing but requests over HTTP.
//
// It speaks OpenAI's dialect and uses what else answers. No check trusts that
// a model is clever: what reached the prompt is told by counted tokens, where
// it stands there by the prompt cache, by probabilities or by a prompt that
// the server shows, and replies are compared with replies. So a model of
// random weights will do. What cannot be told is said to be so: a check calls
// a promise broken only when it holds the evidence, and gives the request that
// shows it.
//
// A server is not trusted either: every answer is capped, every wait ends, and
// what is quoted of it is short.
package check
