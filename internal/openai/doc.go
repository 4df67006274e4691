// Package openai translates between OpenAI's wire types and the types of
// packages llm and chat: bodies of requests into conversations, prompts and
// parameters; replies, events and errors into bodies and chunks.
//
// It does no HTTP and holds no state: bytes in, values out, and back. Reading
// is lenient wherever clients are known to be careless and the meaning is
// plain; whatever is not carried out stands in the request's report or is
// refused by the name of the field. Bad input gives an *llm.Error, never a
// panic.
package openai
