// Package llm says what a language model does: it continues a prompt.
//
// A [Prompt] is a list of segments that remember who wrote them; a [Model]
// answers it with a stream of [Piece] values. Engines that run a model in this
// process, engines behind HTTP and the scripted fake in this package all look
// the same from here. Nothing in this package knows of conversations: that is
// package chat, one floor up, and a chat format bridges the two.
//
// The contract of a Model is checked by the suite in llm/llmtest.
package llm
