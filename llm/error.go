package llm

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an error for a program. Each dialect maps codes to its own
// statuses and words in one place.
type Code string

const (
	Invalid     Code = "invalid"     // the request is wrong; Field says where
	TooLong     Code = "too_long"    // the prompt does not fit; Err is a *ContextError
	NotFound    Code = "not_found"   // no such model, character, session …
	Unsupported Code = "unsupported" // right, but not something that this model or server can do
	Unreadable  Code = "unreadable"  // well-formed, but the chat format cannot express it
	Forbidden   Code = "forbidden"   // not allowed for this caller or from there
	Conflict    Code = "conflict"    // not as things stand now: something has changed, or is still going on
	Overloaded  Code = "overloaded"  // the queue is full; try again later
	Unavailable Code = "unavailable" // shutting down, or an engine is not there
	Broken      Code = "broken"      // an engine or a file failed; not the caller's fault
)

// Error is an error with three readers: a program (Code, Field), a user
// (Message, Hint) and an operator (Err).
type Error struct {
	Code    Code
	Field   string // JSON path of the offending field ("messages[3].content"), or ""
	Message string // a sentence that names what is wrong; never a secret, never a stack
	Hint    string // a sentence with a way out, or ""
	Err     error  // the cause, for the log; may be nil
}

func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a code and a field.
func Errorf(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// AsError finds the Error in err, or wraps err as Broken with a sentence that
// tells a stranger nothing.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Broken, Message: "internal error", Err: err}
}

// ContextError is a prompt that does not fit.
type ContextError struct {
	PromptTokens int
	Context      int // tokens that the context holds, prompt and output together
}

func (e *ContextError) Error() string {
	return fmt.Sprintf("the prompt has %d tokens and the context holds %d, at least one of them for the reply", e.PromptTokens, e.Context)
}

// BusyError is the cause of an Overloaded or Unavailable error that says when
// to come again.
type BusyError struct {
	RetryAfter time.Duration // 0: not known
	Err        error         // the cause of it; may be nil
}

func (e *BusyError) Error() string {
	s := "try again later"
	if e.RetryAfter > 0 {
		s = fmt.Sprintf("try again after %s", e.RetryAfter)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *BusyError) Unwrap() error { return e.Err }

// TooLongError is the Error for a prompt that does not fit.
func TooLongError(promptTokens, context int) *Error {
	c := &ContextError{promptTokens, context}
	return &Error{Code: TooLong, Message: c.Error(), Hint: "shorten the conversation or serve the model with a larger --ctx", Err: c}
}
