// Package ollama translates between the wire types of Ollama's own API and the
// types of packages llm and chat: bodies of requests into conversations,
// prompts and parameters; replies, events and errors into lines of JSON.
//
// It does no HTTP and holds no state. What is not carried out stands in the
// report or is refused by the name of its field.
package ollama
