package server

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/chat"
	"parley/internal/ollama"
	"parley/internal/openai"
	"parley/llm"
)

var ollamaRoutes = []route{
	{Ollama, "POST", "/api/chat", forChat, true, (*Server).ollamaChat},
	{Ollama, "POST", "/api/generate", forChat, true, (*Server).ollamaGenerate},
	{Ollama, "POST", "/api/embed", forChat, true, (*Server).ollamaEmbed},
	{Ollama, "POST", "/api/embeddings", forChat, true, (*Server).ollamaEmbed},
	{Ollama, "GET", "/api/tags", forReaders, false, (*Server).ollamaTags},
	{Ollama, "GET", "/api/ps", forReaders, false, (*Server).ollamaRunning},
	{Ollama, "POST", "/api/show", forReaders, false, (*Server).ollamaShow},
	{Ollama, "GET", "/api/version", forReaders, false, (*Server).ollamaVersion},

	// Models are not managed over this dialect.
	{Ollama, "POST", "/api/pull", forReaders, false, (*Server).ollamaPull},
	{Ollama, "POST", "/api/push", forAdmins, false, (*Server).ollamaManaged},
	{Ollama, "POST", "/api/create", forAdmins, false, (*Server).ollamaManaged},
	{Ollama, "POST", "/api/copy", forAdmins, false, (*Server).ollamaManaged},
	{Ollama, "DELETE", "/api/delete", forAdmins, false, (*Server).ollamaManaged},
	{Ollama, "GET", "/api/blobs/", forAdmins, false, (*Server).ollamaManaged},
	{Ollama, "POST", "/api/blobs/", forAdmins, false, (*Server).ollamaManaged},
}

func ollamaProblem(p openai.Problem) (int, []byte) { return p.Status, ollama.Problem(p.Message) }

// lineEnd ends one JSON value a line.
func lineEnd(data []byte) []byte { return append(slices.Clip(data), '\n') }

func (s *Server) ollamaChat(w http.ResponseWriter, r *http.Request) error {
	return s.ollamaAnswer(w, r, ollama.ParseChat)
}

func (s *Server) ollamaGenerate(w http.ResponseWriter, r *http.Request) error {
	return s.ollamaAnswer(w, r, ollama.ParseGenerate)
}

func (s *Server) ollamaAnswer(w http.ResponseWriter, r *http.Request, parse func([]byte) (*ollama.Request, error)) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := parse(body)
	if err != nil {
		return err
	}
	q.Conversation.Layout.Media = s.options.Media
	q.Params.CacheScope = s.cacheScope(r)
	ctx, cancel := s.work(r)
	defer cancel()
	head := ollama.Head{Model: ollama.Tagged(q.Model), Now: s.now, Began: s.now()}
	if q.Unload {
		if err := mayAlso(w, forAdmins); err != nil {
			return err
		}
		if err := s.models.UnloadModel(ctx, q.Model); err != nil {
			return err
		}
		return writeJSON(w, r, http.StatusOK, ollama.Moved(head, q))
	}
	out := newEvents(w, r)
	// This dialect has no sign of life: nothing is said before there is something.
	target, err := s.find(ctx, w, q.Model, false, &q.Report, out)
	if err != nil {
		return err
	}
	defer target.release()
	if q.Model == "" {
		head.Model = ollama.Tagged(target.ID)
	}
	if q.Idle() {
		return writeJSON(w, r, http.StatusOK, ollama.Moved(head, q))
	}
	ask, tokens, err := s.ollamaAsking(ctx, target, q)
	if err != nil {
		return err
	}
	lines := ollama.NewStream(head, q)
	lines.Context = tokens
	if q.Stream {
		return s.stream(ctx, out, r, 1, ask, lines, q.Report)
	}
	replies, err := collect(ctx, 1, ask)
	if err != nil {
		return err
	}
	setReport(w.Header(), gather(q.Report, replies))
	return writeJSON(w, r, http.StatusOK, lines.Whole(replies[0]))
}

// ollamaAsking is how a request is answered, and where it can be told, what
// gives the tokens of prompt and answer, with which the next request may begin.
func (s *Server) ollamaAsking(ctx context.Context, t Target, q *ollama.Request) (ask asking, tokens func(reply []int) []int, err error) {
	raw := func(p llm.Prompt, params llm.Params) (asking, error) {
		if t.Model == nil {
			return nil, cannot(t, "continue prompts", "send messages to /api/chat")
		}
		return func(ctx context.Context, _ int) iter.Seq2[chat.Event, error] {
			return asEvents(t.Model.Complete(ctx, p, params))
		}, nil
	}
	if q.Raw != nil {
		prompt, err := s.raw(*q.Raw)
		if err != nil {
			return nil, nil, err
		}
		if q.Suffix != "" {
			if prompt, err = filling(t, prompt, llm.Text(q.Suffix)); err != nil {
				return nil, nil, err
			}
		}
		ask, err = raw(prompt, q.Params)
		return ask, nil, err
	}
	if _, err := s.raw(llm.Tokens(q.Context)); err != nil {
		return nil, nil, err
	}
	if t.Responder == nil {
		return nil, nil, cannot(t, "answer conversations", "send raw: true")
	}
	ask = func(ctx context.Context, _ int) iter.Seq2[chat.Event, error] {
		return t.Responder.Respond(ctx, q.Conversation, q.Params)
	}
	renderer, shows := t.Responder.(chat.Renderer)
	tokenizer, reads := t.Model.(llm.Tokenizer)
	if !q.Generate || !shows || !reads {
		if q.Context != nil {
			err = cannot(t, "go on from the tokens of an earlier answer", "send the whole conversation to /api/chat")
		}
		return ask, nil, err
	}
	shown, err := renderer.Render(ctx, q.Conversation)
	if err != nil {
		return nil, nil, err
	}
	prompt := shown.Prompt
	if q.Context != nil {
		prompt.Segments = append([]llm.Segment{{Tokens: q.Context, Control: true}}, prompt.Segments...)
		params := q.Params
		params.Stop = append(slices.Clip(params.Stop), shown.Stop...)
		if ask, err = raw(prompt, params); err != nil {
			return nil, nil, err
		}
	}
	read, err := tokenizer.Tokenize(ctx, prompt)
	if err != nil {
		return nil, nil, err
	}
	return ask, func(reply []int) []int {
		ids := make([]int, 0, len(read)+len(reply))
		for _, t := range read {
			ids = append(ids, t.ID)
		}
		return append(ids, reply...)
	}, nil
}

func (s *Server) ollamaEmbed(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	e, err := ollama.ParseEmbed(body, strings.HasSuffix(clean(r.URL.Path), "embeddings"))
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	began := s.now()
	target, err := s.find(ctx, w, e.Model, false, &e.Report, nil)
	if err != nil {
		return err
	}
	defer target.release()
	vectors, usage, err := embed(ctx, target, plainTexts(e.Inputs), e.Dimensions)
	if err != nil {
		return err
	}
	setReport(w.Header(), e.Report)
	return writeJSON(w, r, http.StatusOK, ollama.Vectors(e, vectors, usage.PromptTokens, s.now().Sub(began)))
}

func (s *Server) ollamaTags(w http.ResponseWriter, r *http.Request) error {
	models, err := s.ollamaModels(r.Context(), nil)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, ollama.Tags(models))
}

func (s *Server) ollamaRunning(w http.ResponseWriter, r *http.Request) error {
	models, err := s.ollamaModels(r.Context(), func(m Listed) bool { return m.Status.State == Ready })
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, ollama.Running(models))
}

func (s *Server) ollamaModels(ctx context.Context, which func(Listed) bool) (all []ollama.Model, err error) {
	listed, err := s.listed(ctx)
	if err != nil {
		return nil, err
	}
	const stays = time.Hour // clients only show it: when a model goes is decided as it comes
	for _, m := range listed {
		if which == nil || which(m) {
			all = append(all, ollama.Model{ID: m.ID, Modified: m.Created, Info: m.Info, Expires: s.now().Add(stays)})
		}
	}
	return all, nil
}

func (s *Server) ollamaShow(w http.ResponseWriter, r *http.Request) error {
	m, err := s.ollamaNamed(w, r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, ollama.Show(m))
}

// ollamaNamed is the model that a request names.
func (s *Server) ollamaNamed(w http.ResponseWriter, r *http.Request) (ollama.Model, error) {
	body, err := readBody(w, r)
	if err != nil {
		return ollama.Model{}, err
	}
	q, err := ollama.ParseNamed(body)
	if err != nil {
		return ollama.Model{}, err
	}
	models, err := s.ollamaModels(r.Context(), func(m Listed) bool {
		return ollama.Name(m.ID) == q.Model || slices.Contains(m.Aliases, q.Model)
	})
	if err != nil {
		return ollama.Model{}, err
	}
	if len(models) == 0 {
		return ollama.Model{}, llm.Errorf(llm.NotFound, "model", "model %q not found", printable(q.Model))
	}
	return models[0], nil
}

func (s *Server) ollamaVersion(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, r, http.StatusOK, ollama.Told())
}

// ollamaPull has nothing to do for a model that is served, which clients ask
// for before they use it.
func (s *Server) ollamaPull(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.ollamaNamed(w, r); err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, ollama.Status("success"))
}

func (s *Server) ollamaManaged(http.ResponseWriter, *http.Request) error {
	return &llm.Error{Code: llm.Unsupported, Message: "models are not changed over this API",
		Hint: "name them where the server is started: parley serve --model FILE"}
}
