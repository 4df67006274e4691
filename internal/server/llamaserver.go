package server

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/llamaserver"
	"parley/internal/openai"
	"parley/llm"
)

var llamaRoutes = []route{
	{LlamaCPP, "POST", "/completion", forChat, true, (*Server).llamaCompletion},
	{LlamaCPP, "POST", "/completions", forChat, true, (*Server).llamaOrOpenAI},
	{LlamaCPP, "POST", "/chat/completions", forChat, true, (*Server).chatCompletions},
	{LlamaCPP, "GET", "/models", forReaders, false, (*Server).listModels},
	{LlamaCPP, "POST", "/tokenize", forChat, true, (*Server).llamaTokenize},
	{LlamaCPP, "POST", "/detokenize", forChat, true, (*Server).llamaDetokenize},
	{LlamaCPP, "POST", "/apply-template", forChat, true, (*Server).llamaTemplate},
	{LlamaCPP, "POST", "/embedding", forChat, true, (*Server).llamaEmbed},
	{LlamaCPP, "POST", "/embeddings", forChat, true, (*Server).llamaEmbed},
	{LlamaCPP, "POST", "/infill", forChat, true, (*Server).llamaInfill},
	{LlamaCPP, "GET", "/props", forReaders, false, (*Server).llamaProps},
	{LlamaCPP, "GET", "/slots", forReaders, false, (*Server).llamaSlots},
	{LlamaCPP, "GET", "/health", forAnyone, false, (*Server).healthy},
	{LlamaCPP, "GET", "/v1/health", forAnyone, false, (*Server).healthy},
}

// llamaProblem has the words that clients of this dialect look for.
func llamaProblem(p openai.Problem) (int, []byte) {
	kind := p.Type
	switch {
	case p.Code == "context_length_exceeded":
		kind = "exceed_context_size_error"
	case p.Status == http.StatusNotFound:
		kind = "not_found_error"
	case p.Status == http.StatusServiceUnavailable:
		kind = "unavailable_error"
	}
	return p.Status, llamaserver.Problem(p.Status, kind, p.Message)
}

func (s *Server) llamaCompletion(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	return s.llamaAnswer(w, r, body)
}

// llamaOrOpenAI answers a path that both dialects have, by what the body says.
func (s *Server) llamaOrOpenAI(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if llamaserver.Ours(body) {
		return s.llamaAnswer(w, r, body)
	}
	r = r.WithContext(inManner(r.Context(), OpenAI))
	if err := s.complete(w, r, body); err != nil {
		s.fail(w, r, err)
	}
	return nil
}

func (s *Server) llamaAnswer(w http.ResponseWriter, r *http.Request, body []byte) error {
	q, err := llamaserver.ParseCompletion(body)
	if err != nil {
		return err
	}
	if q.Prompts, err = s.raws(q.Prompts); err != nil {
		return err
	}
	return s.llamaComplete(w, r, q)
}

func (s *Server) llamaInfill(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := llamaserver.ParseInfill(body)
	if err != nil {
		return err
	}
	return s.llamaComplete(w, r, q)
}

func (s *Server) llamaComplete(w http.ResponseWriter, r *http.Request, q *llamaserver.Request) error {
	q.Params.CacheScope = s.cacheScope(r)
	if q.NoCache { // a scope that nobody else has
		q.Params.CacheScope += " " + uniqueID(w)
	}
	ctx, cancel := s.work(r)
	defer cancel()
	out := newEvents(w, r)
	target, err := s.find(ctx, w, q.Model, q.Stream, &q.Report, out)
	if err != nil {
		return s.breakOff(out, r, err)
	}
	defer target.release()
	if target.Model == nil {
		return s.breakOff(out, r, cannot(target, "continue prompts", "send messages to /v1/chat/completions"))
	}
	if q.Gap != nil {
		var files []llm.Prompt
		for _, text := range q.Gap.Files {
			files = append(files, llm.Text(text))
		}
		if q.Prompts[0], err = filling(target, llm.Text(q.Gap.Before), llm.Text(q.Gap.After), files...); err != nil {
			return s.breakOff(out, r, err)
		}
	}
	ask := func(ctx context.Context, i int) iter.Seq2[chat.Event, error] {
		return asEvents(target.Model.Complete(ctx, q.Prompts[i], q.Params))
	}
	parts := llamaserver.NewStream(target.ID, q)
	if q.Stream {
		return s.stream(ctx, out, r, len(q.Prompts), ask, parts, q.Report)
	}
	replies, err := collect(ctx, len(q.Prompts), ask)
	if err != nil {
		return err
	}
	setReport(w.Header(), gather(q.Report, replies))
	return writeJSON(w, r, http.StatusOK, parts.Whole(replies))
}

func (s *Server) llamaTokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	t, err := llamaserver.ParseTokenize(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	var report llm.Report
	target, err := s.find(aside(ctx), w, t.Model, false, &report, nil)
	if err != nil {
		return err
	}
	defer target.release()
	if t.Messages {
		shown, err := s.shown(ctx, target, body)
		if err != nil {
			return err
		}
		return writeJSON(w, r, http.StatusOK, llamaserver.Tokens(t, shown.Tokens, contextOf(target)))
	}
	tokenizer, ok := target.Model.(llm.Tokenizer)
	if !ok {
		return cannot(target, "show its tokens", "ask the engine that runs it")
	}
	prompt := llm.Text(t.Text)
	prompt.Segments[0].Control = t.Special
	tokens, err := tokenizer.Tokenize(ctx, prompt)
	if err != nil {
		return err
	}
	if !t.BOS {
		tokens = slices.DeleteFunc(tokens, func(t llm.Token) bool { return t.Segment < 0 })
	}
	return writeJSON(w, r, http.StatusOK, llamaserver.Tokens(t, tokens, contextOf(target)))
}

// contextOf is how many tokens a model takes; 0: it does not say.
func contextOf(t Target) int {
	if d, ok := t.Model.(llm.Describer); ok {
		return d.Describe().Context
	}
	return 0
}

func (s *Server) llamaDetokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	name, ids, err := llamaserver.ParseDetokenize(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	var report llm.Report
	target, err := s.find(aside(ctx), w, name, false, &report, nil)
	if err != nil {
		return err
	}
	defer target.release()
	tokenizer, ok := target.Model.(llm.Tokenizer)
	if !ok {
		return cannot(target, "turn tokens into text", "ask the engine that runs it")
	}
	text, err := tokenizer.Detokenize(ctx, ids)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, llamaserver.Text(strings.ToValidUTF8(text, "\ufffd")))
}

// shown is how a body with messages is laid out.
func (s *Server) shown(ctx context.Context, t Target, body []byte) (chat.Rendered, error) {
	q, err := openai.ParseChat(body)
	if err != nil {
		return chat.Rendered{}, err
	}
	renderer, ok := t.Responder.(chat.Renderer)
	if !ok {
		return chat.Rendered{}, cannot(t, "show its prompts", "it is laid out elsewhere")
	}
	return renderer.Render(ctx, q.Conversation)
}

func (s *Server) llamaTemplate(w http.ResponseWriter, r *http.Request) error {
	q, err := s.read(w, r, openai.ParseChat)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	target, err := s.resolve(aside(ctx), w, q, nil)
	if err != nil {
		return err
	}
	defer target.release()
	renderer, ok := target.Responder.(chat.Renderer)
	if !ok {
		return cannot(target, "show its prompts", "it is laid out elsewhere")
	}
	rendered, err := renderer.Render(ctx, q.Conversation)
	if err != nil {
		return err
	}
	q.Report.Merge(rendered.Report)
	setReport(w.Header(), q.Report)
	return writeJSON(w, r, http.StatusOK, llamaserver.Prompt(rendered.Prompt.String()))
}

func (s *Server) llamaEmbed(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	e, err := llamaserver.ParseEmbed(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	var report llm.Report
	target, err := s.find(ctx, w, e.Model, false, &report, nil)
	if err != nil {
		return err
	}
	defer target.release()
	vectors, _, err := embed(ctx, target, e.Prompts, 0)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, llamaserver.Embeddings(vectors))
}

// described is the model that a query names, or the only one, or the first.
func (s *Server) described(r *http.Request) (Listed, error) {
	listed, err := s.models.List(r.Context())
	if err != nil {
		return Listed{}, err
	}
	return modelIn(listed, r.URL.Query().Get("model"))
}

// modelIn finds a model by a name of its; by none, the first.
func modelIn(listed []Listed, name string) (Listed, error) {
	for _, m := range listed {
		if name == "" || m.ID == name || slices.Contains(m.Aliases, name) {
			return m, nil
		}
	}
	return Listed{}, llm.Errorf(llm.NotFound, "model", "there is no model %q", printable(name))
}

// slots is how many requests a server of this dialect says it works on at a
// time. Here there is no fixed number.
const slots = 1

func (s *Server) llamaProps(w http.ResponseWriter, r *http.Request) error {
	m, err := s.described(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, llamaserver.Props(m.ID, m.Info, slots, "parley"))
}

func (s *Server) llamaSlots(w http.ResponseWriter, r *http.Request) error {
	m, err := s.described(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, llamaserver.Slots(m.Info.Context, slots, m.Status.Running))
}

// healthy is readyz in the words of this dialect.
func (s *Server) healthy(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return errStopping
	}
	if err := s.models.Ready(); err != nil {
		return err
	}
	return writeValue(w, r, state{Status: "ok"})
}
