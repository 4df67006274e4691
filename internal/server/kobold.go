package server

import (
	"context"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"parley/chat"
	"parley/internal/kobold"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/llm"
)

var koboldRoutes = koboldUnder("/api/v1", "/api/latest")

// koboldUnder are the routes, those of KoboldAI United under each of the
// prefixes at which it has them.
func koboldUnder(united ...string) []route {
	routes := []route{
		{Kobold, "POST", "/api/extra/generate/stream", forChat, true, (*Server).koboldStream},
		{Kobold, "GET", "/api/extra/generate/check", forChat, false, (*Server).koboldCheck},
		{Kobold, "POST", "/api/extra/generate/check", forChat, false, (*Server).koboldCheck},
		{Kobold, "POST", "/api/extra/abort", forChat, false, (*Server).koboldAbort},
		{Kobold, "POST", "/api/extra/tokencount", forChat, true, (*Server).koboldCount},
		{Kobold, "POST", "/api/extra/tokenize", forChat, true, (*Server).koboldCount},
		{Kobold, "POST", "/api/extra/detokenize", forChat, true, (*Server).koboldText},
		{Kobold, "POST", "/api/extra/embeddings", forChat, true, (*Server).embeddings},
		{Kobold, "GET", "/api/extra/true_max_context_length", forReaders, false, (*Server).koboldContext},
		{Kobold, "GET", "/api/extra/version", forReaders, false, koboldSays(kobold.Version())},
		{Kobold, "GET", "/api/extra/perf", forReaders, false, (*Server).koboldPerf},
		{Kobold, "GET", "/props", forReaders, false, (*Server).llamaProps}, // its clients look for the chat template there
		{Kobold, "GET", "/api/extra/preloadstory", forReaders, false, koboldSays([]byte("{}"))},
	}
	for _, at := range united {
		routes = append(routes,
			route{Kobold, "POST", at + "/generate", forChat, true, (*Server).koboldOrTextgen},
			route{Kobold, "GET", at + "/model", forReaders, false, (*Server).koboldModel},
			route{Kobold, "GET", at + "/info/version", forReaders, false, koboldSays(kobold.Result(kobold.United))},
			route{Kobold, "GET", at + "/config/max_context_length", forReaders, false, (*Server).koboldContext},
			route{Kobold, "GET", at + "/config/max_length", forReaders, false, koboldSays(kobold.Value(512))},
			route{Kobold, "GET", at + "/config/soft_prompt", forReaders, false, koboldSays(kobold.Value(""))},
			route{Kobold, "GET", at + "/config/soft_prompts_list", forReaders, false, koboldSays(kobold.Values())},
		)
	}
	return routes
}

// koboldSays answers with the same body always.
func koboldSays(body []byte) func(*Server, http.ResponseWriter, *http.Request) error {
	return func(_ *Server, w http.ResponseWriter, r *http.Request) error {
		return writeJSON(w, r, http.StatusOK, body)
	}
}

func koboldProblem(p openai.Problem) (int, []byte) {
	return p.Status, kobold.Problem(p.Status, p.Message)
}

func (s *Server) koboldStream(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	return s.koboldAnswer(w, r, body, true)
}

func (s *Server) koboldAnswer(w http.ResponseWriter, r *http.Request, body []byte, stream bool) error {
	q, err := kobold.Parse(body)
	if err != nil {
		return err
	}
	q.Params.CacheScope = s.cacheScope(r)
	ctx, cancel := s.work(r)
	defer cancel()
	out := newEvents(w, r)
	target, err := s.kobold.finding(ctx, s.ownerOf(r, q.Key), func(ctx context.Context) (Target, error) {
		return s.find(ctx, w, "", false, &q.Report, out)
	})
	if err == errAborted {
		return s.koboldTell(ctx, w, r, q, stream, out, askNothing)
	}
	if err != nil {
		return err
	}
	defer target.release()
	if target.Model == nil {
		return cannot(target, "continue prompts", "send messages to /v1/chat/completions")
	}
	if q.Placeholders() {
		delimiters, err := koboldDelimiters(ctx, target)
		if err != nil {
			return err
		}
		q.Fill(delimiters)
	}
	prompt, err := s.fitPrompt(ctx, target, overlong{keep: q.Memory, prompt: q.Prompt, context: q.Context}, q.Params, &q.Report)
	if err != nil {
		return err
	}
	ask := func(ctx context.Context, i int) iter.Seq2[chat.Event, error] {
		params := q.Params
		params.Choice = i
		run := &run{owner: s.ownerOf(r, q.Key), shown: true}
		return s.kobold.watched(run, func(ctx context.Context) iter.Seq2[chat.Event, error] {
			return asEvents(target.Model.Complete(ctx, prompt, params))
		})(ctx)
	}
	return s.koboldTell(ctx, w, r, q, stream, out, ask)
}

func (s *Server) koboldTell(ctx context.Context, w http.ResponseWriter, r *http.Request, q *kobold.Request, stream bool, out *events, ask asking) error {
	if stream {
		return s.stream(ctx, out, r, 1, ask, kobold.NewStream(q), q.Report)
	}
	replies, err := collect(ctx, q.Choices, ask)
	if err != nil {
		return err
	}
	setReport(w.Header(), gather(q.Report, replies))
	return writeJSON(w, r, http.StatusOK, kobold.Results(q, replies))
}

// koboldDelimiters finds what the model's chat format writes around turns, by
// laying out turns that are known.
func koboldDelimiters(ctx context.Context, t Target) (d kobold.Delimiters, err error) {
	renderer, ok := t.Responder.(chat.Renderer)
	if !ok {
		return d, cannot(t, "fill in the delimiters of its chat format", "write them into the prompt")
	}
	const system, user, answer, again = "Zq1system", "Zq2user", "Zq3answer", "Zq4again"
	layOut := func(m ...chat.Message) (string, error) {
		shown, err := renderer.Render(ctx, chat.Conversation{Messages: m})
		return shown.Prompt.String(), err
	}
	talk := []chat.Message{chat.Say(chat.User, user), chat.Say(chat.Assistant, answer), chat.Say(chat.User, again)}
	text, err := layOut(talk...)
	if err != nil {
		return d, err
	}
	_, rest, _ := strings.Cut(text, user)
	d.Output, rest, _ = strings.Cut(rest, answer)
	d.Input, d.Last, _ = strings.Cut(rest, again)
	if text, err = layOut(append([]chat.Message{chat.Say(chat.System, system)}, talk...)...); err != nil {
		return d, err
	}
	d.System, _, _ = strings.Cut(text, system)
	return d, nil
}

func (s *Server) koboldCheck(w http.ResponseWriter, r *http.Request) error {
	key, err := genkey(w, r)
	if err != nil {
		return err
	}
	text := ""
	for _, run := range s.kobold.of(s.ownerOf(r, key)) {
		s.kobold.mu.Lock()
		text = run.text.String()
		s.kobold.mu.Unlock()
	}
	return writeJSON(w, r, http.StatusOK, kobold.SoFar(text))
}

func (s *Server) koboldAbort(w http.ResponseWriter, r *http.Request) error {
	key, err := genkey(w, r)
	if err != nil {
		return err
	}
	ended := s.kobold.end(s.ownerOf(r, key))
	return writeJSON(w, r, http.StatusOK, kobold.Success(ended > 0))
}

// genkey reads a body that may be empty or missing.
func genkey(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limits.ConfigBytes.Int64()))
	if err != nil {
		return "", tooLarge()
	}
	return kobold.ParseKey(body), nil
}

func (s *Server) koboldCount(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	c, err := kobold.ParseCount(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	tokenizer, release, err := s.tokenizer(ctx, w)
	if err != nil {
		return err
	}
	defer release()
	tokens, err := tokenizer.Tokenize(ctx, llm.Text(c.Text))
	if err != nil {
		return err
	}
	var ids []int
	for _, t := range tokens {
		if c.Special || t.Segment >= 0 {
			ids = append(ids, t.ID)
		}
	}
	return writeJSON(w, r, http.StatusOK, kobold.Tokens(ids))
}

func (s *Server) koboldText(w http.ResponseWriter, r *http.Request) error {
	text, err := s.textOf(w, r, kobold.ParseIDs)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, kobold.Text(text))
}

func (s *Server) koboldModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.described(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, kobold.Result("koboldcpp/"+m.ID))
}

func (s *Server) koboldContext(w http.ResponseWriter, r *http.Request) error {
	m, err := s.described(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, kobold.Value(m.Info.Context))
}

func (s *Server) koboldPerf(w http.ResponseWriter, r *http.Request) error {
	k := &s.kobold
	k.mu.Lock()
	p := kobold.Perf{Last: k.last, Any: k.total > 0, Total: k.total, Running: len(k.running), Uptime: time.Since(s.began).Seconds()}
	k.mu.Unlock()
	return writeJSON(w, r, http.StatusOK, p.JSON())
}
