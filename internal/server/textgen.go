package server

import (
	"context"
	"iter"
	"net/http"
	"slices"

	"parley/chat"
	"parley/internal/roleplay"
	"parley/internal/textgen"
	"parley/llm"
)

var textgenRoutes = slices.Concat([]route{
	{Textgen, "POST", "/api/v1/generate", forChat, true, (*Server).textgenGenerate},
	{Textgen, "POST", "/api/v1/chat", forChat, true, (*Server).textgenChat},
	{Textgen, "POST", "/api/v1/stop-stream", forChat, false, (*Server).textgenStop},
	{Textgen, "GET", "/api/v1/model", forReaders, false, (*Server).textgenModel},
	{Textgen, "POST", "/api/v1/model", forReaders, true, (*Server).textgenModels},
	{Textgen, "POST", "/api/v1/token-count", forChat, true, (*Server).textgenCount},
	{Textgen, "GET", "/api/v1/stream", forChat, false, (*Server).textgenStream},
	{Textgen, "GET", "/api/v1/chat-stream", forChat, false, (*Server).textgenChatStream},
}, textgenInternalRoutes)

func (s *Server) textgenGenerate(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	return s.textgenText(w, r, body)
}

// textgenText answers the body of a request to continue a prompt.
func (s *Server) textgenText(w http.ResponseWriter, r *http.Request, body []byte) error {
	ctx, cancel := s.work(r)
	defer cancel()
	answer, err := s.textgenPrompt(ctx, w, r, body)
	if err != nil {
		return err
	}
	defer answer.release()
	reply, err := answer.whole(ctx)
	if err != nil {
		return err
	}
	setReport(w.Header(), gather(answer.report, []chat.Reply{reply}))
	return writeJSON(w, r, http.StatusOK, textgen.Text(reply.Message.Text()))
}

// A textgenAnswer is what is to be answered to a request of this dialect.
type textgenAnswer struct {
	ask     asking // nil: there is nothing to answer
	parts   *textgen.Stream
	report  llm.Report
	release func()

	chat *textgen.Chat // of a talk
	user string
}

func (a textgenAnswer) whole(ctx context.Context) (chat.Reply, error) {
	replies, err := collect(ctx, 1, a.ask)
	return replies[0], err
}

// textgenPrompt prepares the answer to a prompt.
func (s *Server) textgenPrompt(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) (a textgenAnswer, err error) {
	a.parts = textgen.NewStream()
	q, err := textgen.ParseGenerate(body)
	if err != nil {
		return a, err
	}
	s.preset(q.Preset, &q.Params, &q.Report)
	q.Params.CacheScope = s.cacheScope(r)
	target, err := s.textgenFind(ctx, w, r, &q.Report)
	if err == errAborted {
		a.ask, a.report, a.release = askNothing, q.Report, func() {}
		return a, nil
	}
	if err != nil {
		return a, err
	}
	a.release = target.release
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if target.Model == nil {
		return a, cannot(target, "continue prompts", "talk to it at /api/v1/chat in the mode \"instruct\"")
	}
	prompt, err := s.fitPrompt(ctx, target, overlong{prompt: q.Prompt, context: q.Context, noBOS: q.NoBOS}, q.Params, &q.Report)
	if err != nil {
		return a, err
	}
	a.ask = s.stoppable(r, func(ctx context.Context, _ int) iter.Seq2[chat.Event, error] {
		return asEvents(target.Model.Complete(ctx, prompt, q.Params))
	})
	a.report = q.Report
	return a, nil
}

// textgenFind finds the model, which a client may end as well.
func (s *Server) textgenFind(ctx context.Context, w http.ResponseWriter, r *http.Request, report *llm.Report) (Target, error) {
	return s.textgen.finding(ctx, s.ownerOf(r, ""), func(ctx context.Context) (Target, error) {
		return s.find(ctx, w, "", false, report, nil)
	})
}

// stoppable is an asking whose answers clients of this dialect can end.
func (s *Server) stoppable(r *http.Request, ask asking) asking {
	return func(ctx context.Context, choice int) iter.Seq2[chat.Event, error] {
		one := &run{owner: s.ownerOf(r, "")}
		return s.textgen.watched(one, func(ctx context.Context) iter.Seq2[chat.Event, error] { return ask(ctx, choice) })(ctx)
	}
}

// preset lays sampling parameters of the server over those of a request. A name
// that is not one of the server's is reported.
func (s *Server) preset(name string, p *llm.Params, report *llm.Report) {
	if name == "" {
		return
	}
	preset, ok := s.options.Presets[name]
	if !ok {
		report.Add("ignored", "preset", "this server has no preset of this name")
		return
	}
	*p = preset.WithDefaults(*p)
}

func (s *Server) textgenChat(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	answer, err := s.textgenTalk(ctx, w, r, body)
	if err != nil {
		return err
	}
	defer answer.release()
	if answer.ask == nil {
		setReport(w.Header(), answer.report)
		return writeJSON(w, r, http.StatusOK, answer.chat.History.JSON())
	}
	reply, err := answer.whole(ctx)
	if err != nil {
		return err
	}
	setReport(w.Header(), gather(answer.report, []chat.Reply{reply}))
	return writeJSON(w, r, http.StatusOK, answer.chat.With(reply.Message.Text(), answer.user).JSON())
}

// textgenTalk prepares the answer in a talk.
func (s *Server) textgenTalk(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) (a textgenAnswer, err error) {
	a.parts = textgen.NewStream()
	c, err := textgen.ParseChat(body)
	if err != nil {
		return a, err
	}
	a.chat, a.release = c, func() {}
	scene := c.Setting.Scene(roleplay.Assistant)
	if c.Setting.Mode != roleplay.Instruct {
		if scene, err = s.scene(ctx, c.Setting); err != nil {
			return a, err
		}
	}
	a.user = scene.User
	a.parts = textgen.NewChatStream(c, a.user)
	if c.Nothing() {
		a.report = c.Report
		return a, nil
	}
	s.preset(c.Preset, &c.Params, &c.Report)
	c.Params.CacheScope = s.cacheScope(r)
	target, err := s.textgenFind(ctx, w, r, &c.Report)
	if err == errAborted {
		a.ask, a.report = askNothing, c.Report
		return a, nil
	}
	if err != nil {
		return a, err
	}
	a.release = target.release
	defer func() {
		if err != nil {
			target.release()
		}
	}()
	turns, open := c.Turns()
	staged, err := talking{setting: c.Setting, scene: scene, turns: turns, open: open, room: c.Context,
		layout: layoutIn(chat.Layout{Fit: chat.FitDropOldest, Media: s.options.Media}, c.Setting),
	}.stage(ctx, target, c.Params, &c.Report)
	if err != nil {
		return a, err
	}
	a.ask = s.stoppable(r, func(ctx context.Context, _ int) iter.Seq2[chat.Event, error] { return staged.ask(ctx, c.Params) })
	a.report = c.Report
	return a, nil
}

// textgenStop ends the answers that are being made for a client.
func (s *Server) textgenStop(w http.ResponseWriter, r *http.Request) error {
	if _, err := readBody(w, r); err != nil {
		return err
	}
	s.textgen.end(s.ownerOf(r, ""))
	return writeJSON(w, r, http.StatusOK, textgen.Stopped())
}

func (s *Server) textgenModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.described(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, textgen.Model(m.ID))
}

// textgenModels does what is to be done with the models.
func (s *Server) textgenModels(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	a, err := textgen.ParseAction(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	setReport(w.Header(), a.Report)
	switch a.Do {
	case "", "info", "settings", "list":
	case "list_lora":
		return writeJSON(w, r, http.StatusOK, textgen.Model([]string{}))
	case "load", "unload":
		if err := mayAlso(w, forAdmins); err != nil {
			return err
		}
		if err := s.textgenChange(ctx, a); err != nil {
			return err
		}
	default:
		return &llm.Error{Code: llm.Unsupported, Field: "action", Message: "there is no such action here", Hint: "there are info, list, load and unload"}
	}
	listed, err := s.models.List(ctx)
	if err != nil {
		return err
	}
	if a.Do == "list" {
		return writeJSON(w, r, http.StatusOK, textgen.Model(ids(listed)))
	}
	m, err := modelIn(listed, a.Model)
	if err != nil {
		return err
	}
	if a.Do == "" {
		return writeJSON(w, r, http.StatusOK, textgen.Model(m.ID))
	}
	return writeJSON(w, r, http.StatusOK, textgen.Model(textgen.Info(m.ID, m.Info)))
}

// textgenChange loads or unloads a model; without a name, the only one or the
// first.
func (s *Server) textgenChange(ctx context.Context, a textgen.Action) error {
	if a.Model == "" {
		listed, err := s.models.List(ctx)
		if err != nil {
			return err
		}
		m, err := modelIn(listed, "")
		if err != nil {
			return err
		}
		a.Model = m.ID
	}
	if a.Do == "load" {
		return s.models.LoadModel(ctx, a.Model)
	}
	return s.models.UnloadModel(ctx, a.Model)
}

func ids(listed []Listed) []string {
	all := []string{}
	for _, m := range listed {
		all = append(all, m.ID)
	}
	return all
}

func (s *Server) textgenCount(w http.ResponseWriter, r *http.Request) error {
	tokens, err := s.textgenTokens(w, r, "prompt")
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, textgen.Count(len(tokens)))
}

// textgenTokens are the tokens of the text in a field of a request.
func (s *Server) textgenTokens(w http.ResponseWriter, r *http.Request, field string) ([]llm.Token, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	text, err := textgen.ParseText(body, field)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	tokenizer, release, err := s.tokenizer(ctx, w)
	if err != nil {
		return nil, err
	}
	defer release()
	return tokenizer.Tokenize(ctx, llm.Text(text))
}
