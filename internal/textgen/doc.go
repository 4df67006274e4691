// Package textgen translates between the wire types of text-generation-webui
// and the types of packages llm and roleplay: those of its API of 2023, which
// continues prompts and talks as characters, over HTTP and over WebSockets, and
// those of what it has beside OpenAI's routes today.
//
// It does no HTTP and holds no state. What is not carried out stands in the
// report or is refused by the name of its field.
package textgen
