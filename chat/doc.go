// Package chat says what a conversation is and what answers one.
//
// A [Conversation] is a list of messages as a client sent it; a [Responder]
// answers it with a stream of [Event] values. A language model becomes a
// Responder through a chat format (chatformat.NewResponder); a chat service
// on the network is one of itself. [Collect] turns a stream of events into a
// whole reply and is the only way in which that is done.
package chat
