// Package jinja renders the chat templates that models are shipped with, as
// Python's jinja2 does in transformers' environment (sandboxed and immutable,
// trim_blocks, lstrip_blocks, loop controls, generation blocks).
//
// Its contract: the text is the one that Python would give, each of its
// characters knows whether the template or a client wrote it, and no template
// and no value can make it crash, hang or use unbounded memory. Python's
// semantics come first: undefined is not none, an int is not a float, dicts
// keep their order, strings count code points.
//
// A Template is made by Parse, may be used by several goroutines, and renders
// a Dict of variables. The values of one render are made with String, NewList,
// NewDict, FromJSON and so on; each text in them carries an Origin, a number
// that the caller chooses and gets back in Output.Spans.
//
// Reading order: value.go and text.go (what there is), lexer.go, parser.go,
// ast.go (what a template says), scope.go (which variable a name means),
// exec.go and eval.go (what it does), the rest is Python's library.
package jinja
