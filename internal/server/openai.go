package server

import (
	"context"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/openai"
	"parley/llm"
)

var openaiRoutes = []route{
	{OpenAI, "GET", "/v1/models", forReaders, false, (*Server).listModels},
	{OpenAI, "GET", "/v1/models/", forReaders, false, (*Server).oneModel},
	{OpenAI, "POST", "/v1/chat/completions", forChat, true, (*Server).chatCompletions},
	{OpenAI, "POST", "/v1/completions", forChat, true, (*Server).completions},
	{OpenAI, "POST", "/v1/embeddings", forChat, true, (*Server).embeddings},
}

func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, openai.ParseChat)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	if err := s.cast(ctx, q); err != nil {
		return err
	}
	if q.Session != "" {
		return s.inSession(ctx, w, r, q)
	}
	out := newEvents(w, r)
	target, err := s.resolve(ctx, w, q, out)
	if err != nil {
		return s.breakOff(out, r, err)
	}
	defer target.release()
	staged, err := s.staged(ctx, target, q)
	if err != nil {
		return s.breakOff(out, r, err)
	}
	ask := s.stoppable(r, func(ctx context.Context, choice int) iter.Seq2[chat.Event, error] {
		params := q.Params
		params.Choice = choice
		return staged.ask(ctx, params)
	})
	head := s.head(w, "chatcmpl-", target)
	if q.Stream {
		return s.stream(ctx, out, r, q.Choices, ask, openai.NewChat(head, q), q.Report)
	}
	replies, err := collect(ctx, q.Choices, ask)
	if err != nil {
		return err
	}
	report := gather(q.Report, replies)
	setReport(w.Header(), report)
	return writeJSON(w, r, http.StatusOK, openai.Chat(head, q, replies, report))
}

func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	return s.complete(w, r, body)
}

// complete answers the body of a completion.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, body []byte) error {
	q, err := s.take(r, body, openai.ParseCompletion)
	if err != nil {
		return err
	}
	if q.Prompts, err = s.raws(q.Prompts); err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	out := newEvents(w, r)
	target, err := s.resolve(ctx, w, q, out)
	if err != nil {
		return s.breakOff(out, r, err)
	}
	defer target.release()
	if target.Model == nil {
		return s.breakOff(out, r, cannot(target, "continue prompts", "send messages to /v1/chat/completions"))
	}
	var echo []openai.Echo
	if q.Echo {
		if echo, err = echoes(ctx, target, q); err != nil {
			return s.breakOff(out, r, err)
		}
	}
	if q.Suffix != "" {
		for i, p := range q.Prompts {
			if q.Prompts[i], err = filling(target, p, llm.Text(q.Suffix)); err != nil {
				return s.breakOff(out, r, err)
			}
		}
	}
	ask := s.stoppable(r, func(ctx context.Context, i int) iter.Seq2[chat.Event, error] {
		params := q.Params
		params.Choice = i % q.BestOf
		if q.BestOf > q.Choices && params.LogProbs == nil {
			params.LogProbs = new(0) // to choose by
		}
		return asEvents(target.Model.Complete(ctx, q.Prompts[i/q.BestOf], params))
	})
	head := s.head(w, "cmpl-", target)
	n := q.BestOf * len(q.Prompts)
	if q.Stream {
		return s.stream(ctx, out, r, n, ask, openai.NewCompletion(head, q, echo), q.Report)
	}
	replies, err := collect(ctx, n, ask)
	if err != nil {
		return err
	}
	report := gather(q.Report, replies)
	if q.BestOf > q.Choices {
		if replies, err = likeliest(replies, q.Choices, q.BestOf); err != nil {
			return err
		}
	}
	setReport(w.Header(), report)
	return writeJSON(w, r, http.StatusOK, openai.Completion(head, q, replies, echo, report))
}

// read takes a request from the wire and adds what the server itself has to
// say about it.
func (s *Server) read(w http.ResponseWriter, r *http.Request, parse func([]byte) (*openai.Request, error)) (*openai.Request, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return s.take(r, body, parse)
}

// take is read for a body that is there.
func (s *Server) take(r *http.Request, body []byte, parse func([]byte) (*openai.Request, error)) (*openai.Request, error) {
	q, err := parse(body)
	if err != nil {
		return nil, err
	}
	s.complement(r, q)
	return q, nil
}

// complement adds to a request what the server itself has to say.
func (s *Server) complement(r *http.Request, q *openai.Request) {
	switch strings.ToLower(r.Header.Get("Parley-Report")) {
	case "", "0", "false":
	default:
		q.WantReport = true
	}
	if q.Conversation.Layout.Media == "" {
		q.Conversation.Layout.Media = s.options.Media
	}
	s.preset(q.Preset, &q.Params, &q.Report)
	q.Params.CacheScope = s.cacheScope(r)
	if q.Params.Seed == nil && q.BestOf > 1 {
		// All choices come from one seed, so that it can be told and repeated.
		// More than 53 bits would not survive JavaScript.
		q.Params.Seed = new(rand.Int64N(1 << 53))
	}
}

// resolve finds the model of a request.
func (s *Server) resolve(ctx context.Context, w http.ResponseWriter, q *openai.Request, out *events) (Target, error) {
	return s.find(ctx, w, q.Model, q.Stream && out != nil, &q.Report, out)
}

// find finds a model, which may take as long as it takes to load: the reader
// of a stream gets signs of life meanwhile. Where the name means a character,
// that answers.
func (s *Server) find(ctx context.Context, w http.ResponseWriter, name string, stream bool, report *llm.Report, out *events) (Target, error) {
	if s.options.Strict {
		if err := unheeded(*report); err != nil {
			return Target{}, err
		}
	}
	if stream {
		var stop func()
		ctx, stop = out.pinging(ctx, *report)
		defer stop()
	}
	who, name, err := s.play(ctx, name)
	if err != nil {
		return Target{}, err
	}
	target, err := s.models.Resolve(ctx, name)
	if err != nil {
		return Target{}, err
	}
	noteModel(w, target.ID)
	report.Merge(target.Report)
	if who != "" {
		target = s.played(target, who)
	}
	return target, nil
}

// unheeded refuses a request with fields that the answer would be made without.
func unheeded(report llm.Report) error {
	for _, n := range report {
		if n.Code == "ignored" {
			return &llm.Error{Code: llm.Unsupported, Field: n.Value, Message: "the answer would be made without this field: " + n.Detail,
				Hint: "leave it out, or have the server started without --strict, and it is reported instead"}
		}
	}
	return nil
}

func (s *Server) head(w http.ResponseWriter, prefix string, t Target) openai.Head {
	return openai.Head{ID: prefix + uniqueID(w), Created: s.now().Unix(), Model: t.ID}
}

func cannot(t Target, what, hint string) error {
	return &llm.Error{Code: llm.Unsupported, Field: "model", Message: "the model " + t.ID + " cannot " + what, Hint: hint}
}

func gather(report llm.Report, replies []chat.Reply) llm.Report {
	for _, reply := range replies {
		report.Merge(reply.Accepted.Report)
		report.Merge(reply.Finish.Report)
	}
	return report
}

// asEvents is the continuation of a raw prompt as the events of a reply.
func asEvents(pieces iter.Seq2[llm.Piece, error]) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		for p, err := range pieces {
			switch {
			case err != nil:
				yield(nil, err)
				return
			case p.Accepted != nil:
				if !yield(chat.Accepted{PromptTokens: p.Accepted.PromptTokens, Seed: p.Accepted.Seed, Report: p.Accepted.Report}, nil) {
					return
				}
			case p.Waiting != nil:
				if !yield(chat.Waiting(*p.Waiting), nil) {
					return
				}
			}
			if p.Text != "" || len(p.Tokens) > 0 {
				if !yield(chat.TextDelta{Text: p.Text, Tokens: p.Tokens}, nil) {
					return
				}
			}
			if p.Finish != nil && !yield(chat.Done{Finish: *p.Finish}, nil) {
				return
			}
		}
	}
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	listed, err := s.listed(r.Context())
	if err != nil {
		return err
	}
	if r.Header.Get("Anthropic-Version") != "" {
		return s.anthropicModels(w, r, listed)
	}
	all := make([]openai.Model, len(listed))
	for i, m := range listed {
		all[i] = m.wire()
	}
	return writeJSON(w, r, http.StatusOK, openai.ModelList(all))
}

func (m Listed) wire() openai.Model {
	return openai.Model{ID: m.ID, Created: m.Created.Unix(), Info: m.Info}
}

// oneModel describes a model under its own name, also to those who ask for it
// by another.
func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) error {
	id := strings.TrimPrefix(clean(r.URL.Path), "/v1/models/")
	listed, err := s.listed(r.Context())
	if err != nil {
		return err
	}
	for _, m := range listed {
		if m.ID == id || slices.Contains(m.Aliases, id) {
			return writeJSON(w, r, http.StatusOK, m.wire().JSON())
		}
	}
	return llm.Errorf(llm.NotFound, "model", "there is no model %q", printable(id))
}
