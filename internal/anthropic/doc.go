// Package anthropic translates between the wire types of Anthropic's Messages
// API and the types of packages llm and chat: bodies of requests into
// conversations and parameters; replies, events and errors into bodies and
// server-sent events.
//
// It does no HTTP and holds no state. Reading is strict about what decides the
// meaning of a request and lenient about the rest; what is not carried out
// stands in the report or is refused by the name of its field.
package anthropic
