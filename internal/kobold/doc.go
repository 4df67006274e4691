// Package kobold translates between the wire types of KoboldAI United and
// KoboldCpp and the types of packages llm and chat: bodies of requests into
// prompts and parameters; replies, events and errors into bodies and
// server-sent events.
//
// It does no HTTP and holds no state. What is not carried out stands in the
// report or is refused by the name of its field.
package kobold
