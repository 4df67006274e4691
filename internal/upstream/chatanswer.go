package upstream

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// A chatAnswer is what an engine answers to a conversation, on its way to the
// caller.
type chatAnswer struct {
	*responder
	call  *call
	seed  int64
	names []string // stop strings that are added

	parser   chatformat.Parser // finds thoughts in the text; nil: the engine keeps them apart
	repeated string            // of the conversation, with which the answer begins; "" once it is gone
	held     string            // text that may be it

	text, thoughts *output
	ended          *llm.Finish // why the answer is over, before the engine says so

	accepted bool // Accepted has been yielded
	begun    bool // a part of the answer has come

	told   chunk // the counts that the engine tells
	tokens int   // that came one by one
	chunks int   // that had text or thoughts
	sent   time.Time
	first  time.Time // when the answer began
}

// stream yields the events of the answer. An error has not been yielded; nil
// is an answer that was read to its end, or whose reader has gone.
func (a *chatAnswer) stream(ctx context.Context, yield func(chat.Event, error) bool) error {
	a.sent = time.Now()
	if n := a.call.params.MaxTokens; n != nil && *n == 0 {
		a.accept(yield)
		yield(chat.Done{Finish: a.finish(llm.ReasonLength, "")}, nil)
		return nil
	}
	var last *chunk
	for c, err := range a.engine.generate(ctx, a.route.endpoint, a.call) {
		if err != nil {
			return err
		}
		if c.accepted {
			if !a.accept(yield) {
				return nil
			}
			continue
		}
		if c.progress != nil && !a.begun && !yield(chat.Waiting(*c.progress), nil) {
			return nil
		}
		a.see(c)
		if last != nil {
			continue // it only counts tokens now
		}
		for _, e := range a.events(c) {
			if !yield(e, nil) {
				return nil
			}
		}
		if a.ended != nil { // breaking off ends the engine's work
			yield(chat.Done{Finish: a.finish(a.ended.Reason, a.ended.Stop)}, nil)
			return nil
		}
		if c.finish != "" {
			last = new(c) // the only chunk that outlives its turn
		}
	}
	if last == nil {
		return nil
	}
	for _, e := range a.rest() {
		if !yield(e, nil) {
			return nil
		}
	}
	reason, stop := last.finish, last.stop
	switch {
	case a.ended != nil:
		reason, stop = a.ended.Reason, a.ended.Stop
	case reason == llm.ReasonStop && !slices.Contains(a.call.stops, stop):
		reason = llm.ReasonEnd
	}
	yield(chat.Done{Finish: a.finish(reason, stop)}, nil)
	return nil
}

func (a *chatAnswer) accept(yield func(chat.Event, error) bool) bool {
	if a.accepted {
		return true
	}
	a.accepted = true
	return yield(chat.Accepted{Seed: a.seed, Stops: a.names, Report: slices.Clone(a.call.report)}, nil)
}

// see takes note of what is counted.
func (a *chatAnswer) see(c chunk) {
	a.told.prompt = max(a.told.prompt, c.prompt)
	a.told.cached, a.told.cacheTold = max(a.told.cached, c.cached), a.told.cacheTold || c.cacheTold
	a.told.completion = max(a.told.completion, c.completion)
	if c.progress != nil {
		a.told.prompt = max(a.told.prompt, c.progress.Total)
	}
	a.tokens += len(c.tokens)
	if c.text == "" && c.reasoning == "" && len(c.calls) == 0 {
		return
	}
	if !a.begun {
		a.begun, a.first = true, time.Now()
	}
	a.chunks++
}

// events are what a chunk says. If it ends the answer, a.ended is set.
func (a *chatAnswer) events(c chunk) (list []chat.Event) {
	tokens := c.tokens
	if c.reasoning != "" {
		thought := tokens
		if c.text != "" {
			thought = nil
		}
		list = a.think(list, c.reasoning, thought)
	}
	if text := a.fresh(c.text); text != "" {
		list = a.read(list, llm.Piece{Text: text, Tokens: tokens})
	}
	for _, d := range c.calls {
		if a.ended == nil {
			list = append(list, d)
		}
	}
	return list
}

// fresh is text without what the answer repeats of the conversation.
func (a *chatAnswer) fresh(text string) string {
	if a.repeated == "" {
		return text
	}
	a.held += text
	if rest, whole := strings.CutPrefix(a.held, a.repeated); whole {
		a.repeated, a.held = "", ""
		return rest
	}
	if strings.HasPrefix(a.repeated, a.held) {
		return ""
	}
	text, a.repeated, a.held = a.held, "", ""
	return text
}

// read divides text into thoughts and what is said.
func (a *chatAnswer) read(list []chat.Event, p llm.Piece) []chat.Event {
	if a.parser == nil {
		return a.say(list, p.Text, p.Tokens)
	}
	for _, e := range a.parser.Parse(p) {
		switch e := e.(type) {
		case chat.ReasoningDelta:
			list = a.think(list, e.Text, e.Tokens)
		case chat.TextDelta:
			list = a.say(list, e.Text, e.Tokens)
		}
	}
	return list
}

func (a *chatAnswer) think(list []chat.Event, text string, tokens []llm.Token) []chat.Event {
	return a.pass(list, a.thoughts, text, tokens)
}

func (a *chatAnswer) say(list []chat.Event, text string, tokens []llm.Token) []chat.Event {
	if list = a.flush(list, a.thoughts); a.ended != nil {
		return list
	}
	return a.pass(list, a.text, text, tokens)
}

// pass puts text through an output.
func (a *chatAnswer) pass(list []chat.Event, o *output, text string, tokens []llm.Token) []chat.Event {
	if a.ended != nil {
		return list
	}
	clear, given, stop, loop := o.push(text, tokens)
	switch {
	case stop != "":
		a.ended = &llm.Finish{Reason: llm.ReasonStop, Stop: stop}
	case loop:
		a.ended = &llm.Finish{Reason: llm.ReasonLoop}
	}
	return a.delta(list, o, clear, given)
}

// flush gives what an output has held back.
func (a *chatAnswer) flush(list []chat.Event, o *output) []chat.Event {
	if a.ended != nil {
		return list
	}
	clear, given, stop := o.finish()
	if stop != "" {
		a.ended = &llm.Finish{Reason: llm.ReasonStop, Stop: stop}
	}
	return a.delta(list, o, clear, given)
}

func (a *chatAnswer) delta(list []chat.Event, o *output, text string, tokens []llm.Token) []chat.Event {
	switch {
	case text == "" && len(tokens) == 0:
		return list
	case o == a.thoughts:
		return append(list, chat.ReasoningDelta{Text: text, Tokens: tokens})
	}
	return append(list, chat.TextDelta{Text: text, Tokens: tokens})
}

// rest is what was held back when the engine has ended its answer.
func (a *chatAnswer) rest() (list []chat.Event) {
	held := a.held
	a.repeated, a.held = "", ""
	if held != "" {
		list = a.read(list, llm.Piece{Text: held})
	}
	if a.parser != nil {
		list = a.read(list, llm.Piece{Finish: &llm.Finish{}})
	}
	list = a.flush(list, a.thoughts)
	return a.flush(list, a.text)
}

// finish is the end of the answer. What the engine does not count is counted
// here as well as can be, and reported.
func (a *chatAnswer) finish(reason llm.Reason, stop string) llm.Finish {
	f := llm.Finish{Reason: reason, Stop: stop, Seed: a.seed, Report: slices.Clone(a.call.report)}
	u := &f.Usage
	u.PromptTokens, u.CachedTokens, u.CompletionTokens = a.told.prompt, a.told.cached, max(a.told.completion, a.tokens)
	u.CacheUntold = !a.told.cacheTold
	if u.PromptTokens == 0 {
		f.Report.Add("usage", "prompt_tokens", "the engine does not count the prompt's tokens")
	}
	if u.CompletionTokens == 0 && a.chunks > 0 {
		u.CompletionTokens = a.chunks
		f.Report.Add("usage", "completion_tokens", "the engine does not count them: these are the parts in which the text came")
	}
	if reason == llm.ReasonLoop {
		f.Report.Add("loop", strconv.Itoa(a.text.guard.Bound), "the reply only repeated itself for so many words and was ended")
	}
	if !a.first.IsZero() {
		u.Prefill = a.first.Sub(a.sent)
		u.Decode = time.Since(a.first)
	}
	return f
}
