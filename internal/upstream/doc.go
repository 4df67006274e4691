// Package upstream runs models on engines that are already there: servers that
// speak HTTP, on this machine or elsewhere.
//
// An engine is used in one of two ways. As a model it is an llm.Model: we lay
// the conversation out, we find the stop strings, we read the reply, and the
// engine only continues a prompt, as token ids where it takes them. As someone
// who answers it is a chat.Responder: it lays messages out itself, and we see
// to it that it gets only such messages as it takes.
//
// A [Kind] is what one family of engines has in common: facts in a table and,
// for each of its endpoints, a function that writes a request and one that
// reads a frame of the answer. Everything else (connections, framing, stop
// strings, cancelling, errors) is the same for all kinds and stands once.
package upstream
