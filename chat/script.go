package chat

import (
	"context"
	"iter"

	"parley/llm"
)

// Script is a Responder that plays the given events to whoever asks. Accepted
// is put before them and Done behind them where they are missing.
func Script(events ...Event) *Scripted { return &Scripted{events: events} }

// Scripted is the Responder that Script makes. Its fields may be set before
// use.
type Scripted struct {
	events []Event

	Err  error           // if set, the stream fails with it after the events
	Gate <-chan struct{} // if set, one value is taken from it before each event

	// Seen is called with every request.
	Seen func(Conversation, llm.Params)
}

// Respond plays the script.
func (s *Scripted) Respond(ctx context.Context, c Conversation, params llm.Params) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if s.Seen != nil {
			s.Seen(c, params)
		}
		if err := s.refuse(ctx, c, params); err != nil {
			yield(nil, err)
			return
		}
		for _, e := range s.whole(params) {
			if s.Gate != nil {
				select {
				case <-s.Gate:
				case <-ctx.Done():
				}
			}
			if err := context.Cause(ctx); err != nil {
				yield(nil, err)
				return
			}
			if _, last := e.(Done); last && s.Err != nil {
				yield(nil, s.Err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (s *Scripted) refuse(ctx context.Context, c Conversation, params llm.Params) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := params.Check(); err != nil {
		return err
	}
	if len(c.Messages) == 0 {
		return llm.Errorf(llm.Invalid, "messages", "there are no messages to answer")
	}
	return nil
}

func (s *Scripted) whole(params llm.Params) []Event {
	var seed int64
	if params.Seed != nil {
		seed = *params.Seed
	}
	events := s.events
	if len(events) == 0 || !isA[Accepted](events[0]) {
		events = append([]Event{Accepted{PromptTokens: 1, Seed: seed}}, events...)
	}
	if !isA[Done](events[len(events)-1]) {
		done := Done{Finish: llm.Finish{
			Reason: llm.ReasonEnd, Seed: seed,
			Usage: llm.Usage{PromptTokens: 1, CompletionTokens: len(s.events)},
		}}
		events = append(events[:len(events):len(events)], done)
	}
	return events
}

func isA[E Event](e Event) bool {
	_, ok := e.(E)
	return ok
}
