// Package chatformat lays conversations out as prompts and reads the replies
// back.
//
// A [Format] is how one family of models was trained to read a conversation:
// [Markup] is a format described in TOML by what stands before and behind each
// message, [Template] the chat template that a model is shipped with. One
// value, [Rendering], holds the prompt and the reader of its reply, since how
// a reply begins depends on how the prompt ended.
//
// The contract: every message of the conversation is in the prompt, in order,
// or Render fails with an *llm.Error that names the message; what had to be
// changed to make a conversation expressible is in the Rendering's report.
// Text of a client is never in a segment with Control set.
//
// [NewResponder] makes a model and a format into something that answers.
package chatformat
