// Package engine runs GGUF models in this process.
//
// [Open] reads a file and gives an [Engine], which is an llm.Model. Its
// contract beyond that of llm.Model: the tokens of a request do not depend on
// what else the engine works on, on what its cache holds, or on how the prompt
// was cut into chunks; a request that nobody waits for any more costs nothing
// after the step in which its caller left.
//
// A request comes in through engine.go, where segments become tokens, and
// stream.go (the caller's side of a stream). Inside, scheduler.go decides
// what is read next, speculate.go what is read ahead, and loop.go does it: one
// goroutine owns the model, the prefix cache (prefix.go) and the sequences
// (sequence.go), each of which has a table of what it has read (table.go), a
// sampler and an output.
package engine
