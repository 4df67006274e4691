package chat

import (
	"context"
	"iter"
	"slices"
	"strings"

	"parley/llm"
)

// A Responder answers a conversation.
//
// The stream ends with exactly one of: a Done event, or an error. A stream
// that does not fail begins with Accepted. Breaking off the range, or
// cancelling ctx, ends the work wherever it is. Every message of the
// conversation reaches the model, in order; what cannot be expressed is an
// error that names the message, and what was changed stands in Accepted's
// report.
type Responder interface {
	Respond(ctx context.Context, c Conversation, params llm.Params) iter.Seq2[Event, error]
}

// A Renderer is a Responder that can show the prompt of a conversation.
type Renderer interface {
	// Render lays the conversation out exactly as Respond would, where the
	// request does not say how long the reply may be, or Layout.Reply does.
	Render(ctx context.Context, c Conversation) (Rendered, error)
}

// Rendered is a prompt for a person to look at.
type Rendered struct {
	Format string // name of the chat format
	Prompt llm.Prompt
	Tokens []llm.Token // nil where the model cannot tell
	Stop   []string    // the stop strings that are added: the format's, and those of names
	// Abilities says by name what the format expresses as it is sent, and what
	// is repaired where it occurs; nil where that is not known.
	Abilities map[string]bool
	Report    llm.Report // what was repaired, dropped or shortened
}

// A Reply is a whole answer.
type Reply struct {
	Message  Message
	Tokens   []llm.Token // of the text, not of the reasoning
	Accepted Accepted
	Finish   llm.Finish
}

// Collect reads a stream of events to its end.
func Collect(events iter.Seq2[Event, error]) (Reply, error) {
	r := Reply{Message: Message{Role: Assistant}}
	var text, reasoning strings.Builder
	var ids []int
	var broken []int // calls that are none
	for e, err := range events {
		if err != nil {
			return Reply{}, err
		}
		switch e := e.(type) {
		case Accepted:
			r.Accepted = e
		case Waiting:
		case TextDelta:
			text.WriteString(e.Text)
			r.Tokens = append(r.Tokens, e.Tokens...)
			ids = appendIDs(ids, e.Tokens)
		case ReasoningDelta:
			reasoning.WriteString(e.Text)
			ids = appendIDs(ids, e.Tokens)
		case ToolCallDelta:
			for len(r.Message.ToolCalls) <= e.Index {
				r.Message.ToolCalls = append(r.Message.ToolCalls, ToolCall{})
			}
			call := &r.Message.ToolCalls[e.Index]
			call.ID += e.ID
			call.Name += e.Name
			call.Arguments += e.Arguments
			if e.Broken {
				broken = append(broken, e.Index)
			}
		case Done:
			r.Finish = e.Finish
		}
	}
	slices.Sort(broken)
	for _, i := range slices.Backward(broken) {
		r.Message.ToolCalls = slices.Delete(r.Message.ToolCalls, i, i+1)
	}
	r.Message.Parts = []Part{{Text: text.String()}}
	r.Message.Reasoning = reasoning.String()
	if !slices.ContainsFunc(ids, func(id int) bool { return id < 0 }) { // else they are not all known
		r.Message.Tokens = ids
	}
	return r, nil
}

func appendIDs(ids []int, tokens []llm.Token) []int {
	for _, t := range tokens {
		ids = append(ids, t.ID)
	}
	return ids
}
