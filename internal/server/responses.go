package server

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/openai"
	"parley/llm"
)

var responsesRoutes = []route{
	{Responses, "POST", "/v1/responses", forChat, true, (*Server).createResponse},
	{Responses, "GET", "/v1/responses/", forChat, false, (*Server).keptResponse},
	{Responses, "DELETE", "/v1/responses/", forChat, false, (*Server).forgetResponse},
}

func (s *Server) createResponse(w http.ResponseWriter, r *http.Request) error {
	q, err := s.readResponse(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	now := func() int64 { return s.now().Unix() }
	parts := openai.NewResponseStream(q, now)
	out := newEvents(w, r)
	out.failed = parts.Fail
	target, err := s.resolve(ctx, w, q.Request, out)
	if err != nil {
		return s.breakOff(out, r, err)
	}
	defer target.release()
	if target.Responder == nil {
		return s.breakOff(out, r, cannot(target, "answer conversations", "send a prompt to /v1/completions"))
	}
	head := s.head(w, "resp_", target)
	parts.Head = openai.ResponseHead{ID: head.ID, Created: head.Created, Model: head.Model, Sampling: target.sampling()}
	ask := func(ctx context.Context, _ int) iter.Seq2[chat.Event, error] {
		return located(q.Locate, target.Responder.Respond(ctx, q.Conversation, q.Params))
	}
	keep := func(body []byte, reply chat.Reply) {
		if q.Store {
			s.responses.keep(s.keyScope(r), head.ID, body, append(slices.Clone(q.Said()), reply.Message))
		}
	}
	if q.Stream {
		heard := &hearing{ResponseStream: parts, keep: keep}
		return s.stream(ctx, out, r, 1, ask, heard, q.Report)
	}
	replies, err := collect(ctx, 1, ask)
	if err != nil {
		return err
	}
	report := gather(q.Report, replies)
	setReport(w.Header(), report)
	body := openai.Response(parts.Head, q, replies[0], report, now())
	keep(body, replies[0])
	return writeJSON(w, r, http.StatusOK, body)
}

func (s *Server) readResponse(w http.ResponseWriter, r *http.Request) (*openai.ResponseRequest, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	q, err := openai.ParseResponse(body)
	if err != nil {
		return nil, err
	}
	s.complement(r, q.Request)
	if q.Previous == "" {
		return q, nil
	}
	before, ok := s.responses.find(s.keyScope(r), q.Previous)
	if !ok {
		e := llm.Errorf(llm.NotFound, "previous_response_id", "there is no response %q", printable(q.Previous))
		e.Hint = "responses are kept in memory for a while, and not at all with store: false; send the items themselves"
		return nil, e
	}
	q.Follow(before.said)
	return q, nil
}

// hearing is a streamed response that is kept when it is whole.
type hearing struct {
	*openai.ResponseStream
	keep  func(body []byte, reply chat.Reply)
	heard []chat.Event
}

// Event notes what was said.
func (h *hearing) Event(choice int, e chat.Event) []byte {
	h.heard = append(h.heard, e)
	return h.ResponseStream.Event(choice, e)
}

// End keeps the response before its client hears that it is whole.
func (h *hearing) End(report llm.Report) []byte {
	last := h.ResponseStream.End(report)
	reply, err := chat.Collect(func(yield func(chat.Event, error) bool) {
		for _, e := range h.heard {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err == nil {
		h.keep(h.Body, reply)
	}
	return last
}

// sampling is what the model does where a request leaves it open.
func (t Target) sampling() llm.Params {
	if d, ok := t.Model.(llm.Describer); ok {
		return d.Describe().Sampling
	}
	return llm.Params{}
}

func keptID(r *http.Request) string { return strings.TrimPrefix(clean(r.URL.Path), "/v1/responses/") }

func noResponse(id string) error {
	return llm.Errorf(llm.NotFound, "", "there is no response %q, or none any more", printable(id))
}

func (s *Server) keptResponse(w http.ResponseWriter, r *http.Request) error {
	if stream := r.URL.Query().Get("stream"); stream != "" && stream != "false" {
		return &llm.Error{Code: llm.Unsupported, Field: "stream", Message: "a response that is whole is not streamed again", Hint: "leave it out"}
	}
	kept, ok := s.responses.find(s.keyScope(r), keptID(r))
	if !ok {
		return noResponse(keptID(r))
	}
	return writeJSON(w, r, http.StatusOK, slices.Clone(kept.body))
}

func (s *Server) forgetResponse(w http.ResponseWriter, r *http.Request) error {
	if !s.responses.forget(s.keyScope(r), keptID(r)) {
		return noResponse(keptID(r))
	}
	return writeJSON(w, r, http.StatusOK, openai.ResponseDeleted(keptID(r)))
}
