// Package llamaserver translates between the wire types of llama.cpp's own
// server and the types of packages llm and chat: completions of raw prompts,
// tokens, and what the server tells of itself.
//
// It does no HTTP and holds no state. What is not carried out stands in the
// report or is refused by the name of its field.
package llamaserver
