package upstream

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// A responder answers conversations with an engine that lays messages out
// itself: it sees to it that the engine gets only such as it takes, and cuts
// the answer off where it ends.
type responder struct {
	engine *Engine
	name   string // of the model, at the engine
	info   llm.Info
	route  *chatRoute
	found  expression

	// rung is how strictly conversations are normalised: the first rung of the
	// ladder that the engine has not refused so far.
	rung atomic.Int32
}

// showingResponder is a responder whose engine shows its prompts.
type showingResponder struct{ *responder }

var (
	_ chat.Responder = (*responder)(nil)
	_ chat.Renderer  = showingResponder{}
)

// newResponder makes a model of an engine answer conversations.
func (e *Engine) newResponder(ctx context.Context, name string, d description) (chat.Responder, error) {
	r := &responder{engine: e, name: name, info: d.info, route: e.kind.chat}
	var err error
	if r.found, err = r.find(ctx, d); err != nil {
		return nil, err
	}
	if r.route.show != nil {
		return showingResponder{r}, nil
	}
	return r, nil
}

// Respond has the engine answer a conversation. Where it refuses the order of
// the messages or their roles, the conversation is normalised more strictly and
// sent again, as long as no part of an answer has come.
func (r *responder) Respond(ctx context.Context, c chat.Conversation, params llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		err := r.check(ctx, params)
		if err != nil {
			yield(nil, err)
			return
		}
		c = r.withDefaults(c)
		rungs := r.rungs(c)
		start := min(int(r.rung.Load()), len(rungs)-1)
		var first error // what the engine refused first
		accepted := false
		for i := start; i < len(rungs); i++ {
			a, err := r.answer(c, params, rungs[i], i)
			if err != nil {
				yield(nil, cmp.Or(first, err))
				return
			}
			a.accepted = accepted
			err = a.stream(ctx, yield)
			if a.begun && i > start {
				r.rung.Store(int32(i))
				r.engine.log.Info("messages are laid out more strictly for this engine", "engine", r.engine.URL(), "model", r.name, "how", rungs[i].Note)
			}
			if err == nil {
				return
			}
			if a.begun || i == len(rungs)-1 || !refusesRoles(err) {
				yield(nil, cmp.Or(first, err))
				return
			}
			first, accepted = cmp.Or(first, err), a.accepted
		}
	}
}

func (r *responder) check(ctx context.Context, params llm.Params) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return params.Check()
}

// withDefaults is a conversation with the layout that the configuration says
// where it does not say itself.
func (r *responder) withDefaults(c chat.Conversation) chat.Conversation {
	l, o := &c.Layout, r.engine.options.Layout
	l.Policy, l.Names = cmp.Or(l.Policy, o.Policy), cmp.Or(l.Names, o.Names)
	l.Note, l.Media = cmp.Or(l.Note, o.Note), cmp.Or(l.Media, o.Media)
	if l.StopInReasoning == nil && o.StopInReasoning {
		l.StopInReasoning = new(true)
	}
	return c
}

// rungs are the ways to normalise a conversation, each stricter than the one
// before.
func (r *responder) rungs(c chat.Conversation) []chatformat.Rung {
	can := r.found.can(c)
	if r.route.oneWord {
		for _, m := range c.Messages {
			can.Names = can.Names && (m.Name == "" || oneWord.MatchString(m.Name))
		}
	}
	return chatformat.Ladder(c.Layout.Policy, can)
}

// oneWord are the names that OpenAI takes.
var oneWord = regexp.MustCompile(`^[^\s<|\\/>]{1,64}$`)

// refusal finds, in what engines say of a conversation, that they do not take
// its roles or their order: their own words and those of common templates.
var refusal = regexp.MustCompile(`(?i)\broles?\b|alternat|system (message|prompt)|jinja|chat.?template|raise_exception|(first|last) message|must (start|begin|end) with`)

// refusesRoles reports whether an error is an engine that does not take the
// order of the messages or their roles.
func refusesRoles(err error) bool {
	s, ok := errors.AsType[*statusError](err)
	if e := llm.AsError(err); !ok || e.Code == llm.TooLong {
		return false
	}
	switch s.status {
	case 0, http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusInternalServerError:
		return refusal.MatchString(s.body)
	}
	return false
}

// call makes a conversation ready for the engine.
func (r *responder) call(c chat.Conversation, params llm.Params, rung chatformat.Rung, at int) (*call, error) {
	c.Layout.Policy = rung.Policy
	var report llm.Report
	if r.found.noTools && len(c.Tools) > 0 {
		if err := toolsRefused(c, &report); err != nil {
			return nil, err
		}
		c.Tools = nil
	}
	for _, t := range c.Tools {
		if t.Strict {
			report.Add(llm.CodeArgumentsUnheld, t.Name, "whether the engine holds arguments to the schema is not known")
		}
	}
	c, notes, err := r.guard(c)
	if err != nil {
		return nil, err
	}
	report.Merge(notes)
	if c, notes, err = chatformat.Normalise(c, rung.Abilities); err != nil {
		return nil, err
	}
	report.Merge(notes)
	if at > 0 {
		report.Add(chatformat.CodeRepaired, rung.Note, "the engine has refused conversations that were repaired less")
	}
	if last := len(c.Messages) - 1; c.Continue && c.Messages[last].Text() == "" {
		c.Messages, c.Continue = c.Messages[:last], false // nothing of the reply is there yet
	}
	if len(c.Messages) == 0 {
		return nil, llm.Errorf(llm.Invalid, "messages", "there are no messages to answer")
	}
	return &call{
		model: r.name, stream: r.route.framing != framedWhole, room: r.info.Context, id: callID(),
		conversation: c, prefill: r.found.prefill, params: params, report: report,
	}, nil
}

// answer prepares a call and the reading of its answer.
func (r *responder) answer(c chat.Conversation, params llm.Params, rung chatformat.Rung, at int) (*chatAnswer, error) {
	params = params.WithDefaults(r.info.Sampling)
	names := chatformat.NameStops(c)
	params.StopLines = append(params.StopLines[:len(params.StopLines):len(params.StopLines)], names...)
	asked := params
	if params.Seed == nil && r.route.words.has("Seed") {
		params.Seed = new(rand.Int64N(1 << 31))
	}
	demands := params.MaxTokens == nil || *params.MaxTokens < 0
	if demands = demands && r.route.demands > 0; demands {
		params.MaxTokens = new(r.route.demands)
	}
	call, err := r.call(c, params, rung, at)
	if err != nil {
		return nil, err
	}
	if demands {
		call.report.Add("max_tokens", strconv.Itoa(r.route.demands), "the engine wants a number, and none was given")
	}
	a := &chatAnswer{responder: r, call: call, names: names}
	if params.Seed != nil {
		a.seed = *params.Seed
	}
	inThoughts := asked
	if s := c.Layout.StopInReasoning; s == nil || !*s {
		inThoughts.Stop, inThoughts.StopLines = nil, nil
	}
	last := call.conversation.Messages[len(call.conversation.Messages)-1]
	continues := call.conversation.Continue || r.found.prefill.always() && last.Role == chat.Assistant
	a.text, a.thoughts = newOutput(asked, continues && !strings.HasSuffix(last.Text(), "\n")), newOutput(inThoughts, false)
	if continues && r.route.repeats {
		a.repeated = last.Text()
	}
	if r.route.thinks && !continues {
		a.parser = chatformat.ThinkingReply()
	}
	return a, nil
}

// Render shows the prompt of a conversation as the engine lays it out.
func (r showingResponder) Render(ctx context.Context, c chat.Conversation) (chat.Rendered, error) {
	if err := context.Cause(ctx); err != nil {
		return chat.Rendered{}, err
	}
	c = r.withDefaults(c)
	rungs := r.rungs(c)
	var first error
	for i := min(int(r.rung.Load()), len(rungs)-1); ; i++ {
		call, err := r.call(c, llm.Params{}, rungs[i], i)
		if err != nil {
			return chat.Rendered{}, cmp.Or(first, err)
		}
		shown, err := r.shown(ctx, call)
		if err == nil {
			report := call.report
			report.Merge(shown.Report)
			shown.Report = report
			if shown.Abilities == nil {
				shown.Abilities = rungs[i].Abilities.Map()
			}
			return shown, nil
		}
		first = cmp.Or(first, err)
		if i == len(rungs)-1 || !refusesRoles(err) {
			return chat.Rendered{}, first
		}
	}
}

// shown asks the engine for the prompt of a call.
func (r *responder) shown(ctx context.Context, c *call) (chat.Rendered, error) {
	c.stream = false
	body, err := r.route.encode(c)
	if err != nil {
		return chat.Rendered{}, err
	}
	delete(body, "stream")
	return r.route.show(ctx, r.engine.transport, body)
}
