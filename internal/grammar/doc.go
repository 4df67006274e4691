// Package grammar says what may come next: it holds a text to a language while
// the text is being written, one token at a time.
//
// A [Grammar] comes from GBNF, from a JSON schema, from a regular expression
// or from a list of choices. It is a context-free language over bytes. While
// it is followed, a [State] says what can still come; a [Vocabulary] turns
// that into a [Mask] of the tokens that may be chosen.
//
// What is promised: a text that was written under the masks, and ended where
// the state accepts, is in the language; every text of the language can be
// written, whatever tokens it is divided into; and a state that is not dead can
// always be led to an end.
//
// # How it works
//
// Rules are compiled to a nondeterministic automaton over bytes whose calls of
// rules push a frame (Woods, 1970). It is made deterministic while it is used:
// a State is a set of places in the automaton, each with a stack of frames;
// states are interned, and their transitions are remembered, as in a lazy DFA
// (Thompson, 1968; Cox, 2010). A mask is found by going through the trie of the
// vocabulary with the state. What stays inside of the rule that is being
// written does not depend on the stack below, so that this part is computed
// once for each place in a rule, and only the tokens that go beyond the rule's
// end are looked at again (the idea of context-independent tokens is XGrammar's:
// Dong et al., 2024). Inside of strings, where all ordinary characters lead to the
// same place, tokens are told apart by how many of them they begin with and by
// what comes behind, of which there is little.
package grammar
