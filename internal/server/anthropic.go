package server

import (
	"cmp"
	"context"
	"iter"
	"net/http"

	"parley/chat"
	"parley/internal/anthropic"
	"parley/internal/openai"
)

var anthropicRoutes = []route{
	{Anthropic, "POST", "/v1/messages", forChat, true, (*Server).messages},
	{Anthropic, "POST", "/v1/messages/count_tokens", forChat, true, (*Server).countMessageTokens},
}

func anthropicProblem(p openai.Problem) (int, []byte) { return anthropic.Problem(p.Status, p.Message) }

func (s *Server) messages(w http.ResponseWriter, r *http.Request) error {
	q, err := s.readMessages(w, r, anthropic.ParseMessages)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	out := newEvents(w, r)
	target, err := s.find(ctx, w, q.Model, q.Stream, &q.Report, out)
	if err != nil {
		return s.breakOff(out, r, err)
	}
	defer target.release()
	if target.Responder == nil {
		return s.breakOff(out, r, cannot(target, "answer conversations", "choose another model"))
	}
	head := anthropic.Head{ID: "msg_" + uniqueID(w), Model: target.ID}
	ask := func(ctx context.Context, _ int) iter.Seq2[chat.Event, error] {
		return located(q.Locate, target.Responder.Respond(ctx, q.Conversation, q.Params))
	}
	if q.Stream {
		return s.stream(ctx, out, r, 1, ask, anthropic.NewStream(head, q), q.Report)
	}
	replies, err := collect(ctx, 1, ask)
	if err != nil {
		return err
	}
	setReport(w.Header(), gather(q.Report, replies))
	return writeJSON(w, r, http.StatusOK, anthropic.Message(head, q, replies[0]))
}

// located is an answer whose error names the place that the client knows.
func located(locate func(error) error, events iter.Seq2[chat.Event, error]) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		for e, err := range events {
			if !yield(e, locate(err)) {
				return
			}
		}
	}
}

func (s *Server) countMessageTokens(w http.ResponseWriter, r *http.Request) error {
	q, err := s.readMessages(w, r, anthropic.ParseCount)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	target, err := s.find(aside(ctx), w, q.Model, false, &q.Report, nil)
	if err != nil {
		return err
	}
	defer target.release()
	renderer, ok := target.Responder.(chat.Renderer)
	if !ok {
		return cannot(target, "count tokens", "the engine that runs it lays messages out itself")
	}
	rendered, err := renderer.Render(ctx, q.Conversation)
	if err != nil {
		return q.Locate(err)
	}
	if rendered.Tokens == nil {
		return cannot(target, "count tokens", "its vocabulary is not known here")
	}
	q.Report.Merge(rendered.Report)
	setReport(w.Header(), q.Report)
	return writeJSON(w, r, http.StatusOK, anthropic.Count(len(rendered.Tokens)))
}

func (s *Server) readMessages(w http.ResponseWriter, r *http.Request, parse func([]byte) (*anthropic.Request, error)) (*anthropic.Request, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	q, err := parse(body)
	if err != nil {
		return nil, err
	}
	q.Conversation.Layout.Media = s.options.Media
	q.Params.CacheScope = s.cacheScope(r)
	return q, nil
}

// anthropicModels lists models as clients of this dialect expect it, on the
// path that they share with OpenAI's.
func (s *Server) anthropicModels(w http.ResponseWriter, r *http.Request, listed []Listed) error {
	all := make([]anthropic.Model, len(listed))
	for i, m := range listed {
		all[i] = anthropic.Model{ID: m.ID, Name: cmp.Or(m.Info.Name, m.ID), Created: m.Created}
	}
	return writeJSON(w, r, http.StatusOK, anthropic.Models(all))
}
