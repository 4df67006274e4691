package chatformat

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/llm"
)

// CodeShortened says that messages were left out because the conversation does
// not fit the context.
const CodeShortened = "shortened"

// fitted lays a conversation out so that it fits, with room for a reply.
//
// Shortening leaves out the oldest turns. A turn is a user message with all
// that follows up to the next one, so that tool calls keep their results; one
// with a pinned message stays whole. System messages stay, and so does
// everything from the last user message on; examples (system messages with the
// name example_user or example_assistant) go first. It cuts in steps of a
// quarter of the context, so that the beginning of the prompt stays the same
// for many turns and is not read again.
func (r *Responder) fitted(ctx context.Context, c chat.Conversation, params llm.Params) (Format, Rendering, error) {
	f, laid, err := r.lay(c)
	counter, counts := r.model.(llm.Tokenizer)
	if err != nil || cmp.Or(c.Layout.Fit, r.options.Fit) != chat.FitDropOldest || !counts || r.info.Context <= 0 {
		return f, laid, err
	}
	count := func(p llm.Prompt) (int, error) {
		tokens, err := counter.Tokenize(ctx, p)
		return len(tokens), err
	}
	size, err := count(laid.Prompt)
	if err != nil {
		return nil, Rendering{}, err
	}
	step := max(r.info.Context/4, 1)
	room := r.info.Context - cmp.Or(c.Layout.Reply, replyRoom(params, step))
	if size <= room {
		return f, laid, nil
	}
	groups, err := droppable(c, count)
	if err != nil || len(groups) == 0 {
		return f, laid, err
	}
	for target := (size - room + step - 1) / step * step; ; target += step {
		dropped, all := choose(groups, target)
		f, short, err := r.without(c, dropped)
		if err != nil {
			return nil, Rendering{}, err
		}
		left, err := count(short.Prompt)
		if err != nil {
			return nil, Rendering{}, err
		}
		if left <= room || all {
			short.Report.Add(CodeShortened, strconv.Itoa(len(dropped)),
				fmt.Sprintf("%d messages were left out: the conversation had %d tokens, now it has %d of %d", len(dropped), size, left, r.info.Context))
			return f, short, nil
		}
	}
}

// replyRoom is how many tokens are kept free: what was asked for, but no more
// than one step.
func replyRoom(params llm.Params, step int) int {
	if m := params.MaxTokens; m != nil && *m > 0 {
		return min(*m, step)
	}
	return step
}

// A group is a number of messages that go together.
type group struct {
	messages []int
	tokens   int
}

// droppable lists what may be left out, in the order in which it goes.
func droppable(c chat.Conversation, count func(llm.Prompt) (int, error)) ([]group, error) {
	last := len(c.Messages) - 1
	for last > 0 && c.Messages[last].Role != chat.User {
		last--
	}
	var examples, turns []group
	for i, m := range c.Messages[:last] {
		system := m.Role == chat.System || m.Role == chat.Developer
		switch {
		case system && strings.HasPrefix(m.Name, "example_"):
			examples = append(examples, group{messages: []int{i}})
		case system:
		case m.Role == chat.User || len(turns) == 0:
			turns = append(turns, group{messages: []int{i}})
		default:
			g := &turns[len(turns)-1]
			g.messages = append(g.messages, i)
		}
	}
	groups := slices.DeleteFunc(append(examples, turns...), func(g group) bool {
		return slices.ContainsFunc(g.messages, func(i int) bool { return c.Messages[i].Pinned })
	})
	for i := range groups {
		for _, m := range groups[i].messages {
			n, err := count(messageText(c.Messages[m]))
			if err != nil {
				return nil, err
			}
			groups[i].tokens += n
		}
	}
	return groups, nil
}

// messageText is a message without any format, to be counted.
func messageText(m chat.Message) llm.Prompt {
	p := llm.Prompt{Segments: []llm.Segment{{Text: m.Text()}}}
	for _, call := range m.ToolCalls {
		p.Segments = append(p.Segments, llm.Segment{Text: call.Name + call.Arguments})
	}
	return p
}

// choose takes groups from the front until they make up a number of tokens.
func choose(groups []group, tokens int) (dropped []int, all bool) {
	for _, g := range groups {
		if tokens <= 0 {
			return dropped, false
		}
		dropped = append(dropped, g.messages...)
		tokens -= g.tokens
	}
	return dropped, true
}

// without lays a conversation out without some of its messages. What it says
// of messages names their places in the whole conversation.
func (r *Responder) without(c chat.Conversation, dropped []int) (Format, Rendering, error) {
	var kept []int
	whole := c.Messages
	c.Messages = nil
	for i, m := range whole {
		if !slices.Contains(dropped, i) {
			kept = append(kept, i)
			c.Messages = append(c.Messages, m)
		}
	}
	f, laid, err := r.lay(c)
	if err != nil {
		e := *llm.AsError(err)
		e.Field, e.Message = renumbered(e.Field, kept), renumbered(e.Message, kept)
		return nil, Rendering{}, &e
	}
	laid.Prompt.Segments = slices.Clone(laid.Prompt.Segments)
	for i := range laid.Prompt.Segments {
		if s := &laid.Prompt.Segments[i].Source; s.Kind == llm.FromMessage {
			s.Index = kept[s.Index]
		}
	}
	for i := range laid.Report {
		n := &laid.Report[i]
		n.Value, n.Detail = renumbered(n.Value, kept), renumbered(n.Detail, kept)
	}
	return f, laid, nil
}

var messageIndex = regexp.MustCompile(`messages\[\d+\]`)

func renumbered(text string, kept []int) string {
	return messageIndex.ReplaceAllStringFunc(text, func(s string) string {
		i, err := strconv.Atoi(s[len("messages[") : len(s)-1])
		if err != nil || i >= len(kept) {
			return s
		}
		return fmt.Sprintf("messages[%d]", kept[i])
	})
}
