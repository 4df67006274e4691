// Package wire takes the JSON bodies of requests apart, field by field, for
// all dialects: a [Value] is a part of the body as it was sent, an [Object] is
// read by taking its fields, and what nobody took is looked at in the end. A
// [Reader] keeps the first error, which names the field by its path, and the
// report of what was not carried out.
//
// What local clients send under the same names whatever the dialect stands
// here, too: sampling parameters in all their spellings, constraints, stop
// strings, pictures.
//
// It does no HTTP and holds no state.
package wire
