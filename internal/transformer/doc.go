// Package transformer computes what a language model says of tokens: it loads
// the weights of a GGUF file and turns sequences of tokens into logits.
//
// Its one contract: the logits of a token depend on the model and on the tokens
// before it in its sequence, and on nothing else, to the last bit. Not on how
// the tokens were cut into calls, on the other sequences of a call, on the
// number of threads, or on whether the keys and values were computed or copied.
// Every sum adds in an order that is fixed by the place of its result alone.
//
// What a file declares is checked when it is loaded; nothing that a file holds
// makes the package panic.
package transformer
