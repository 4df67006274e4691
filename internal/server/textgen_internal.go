package server

import (
	"net/http"

	"parley/internal/textgen"
	"parley/llm"
)

// textgenInternalRoutes are what text-generation-webui has beside OpenAI's
// routes.
var textgenInternalRoutes = []route{
	{Textgen, "GET", "/v1/internal/health", forAnyone, false, (*Server).healthy},
	{Textgen, "POST", "/v1/internal/encode", forChat, true, (*Server).textgenEncode},
	{Textgen, "POST", "/v1/internal/decode", forChat, true, (*Server).textgenDecode},
	{Textgen, "POST", "/v1/internal/token-count", forChat, true, (*Server).textgenLength},
	{Textgen, "POST", "/v1/internal/logits", forChat, true, (*Server).textgenLogits},
	{Textgen, "POST", "/v1/internal/chat-prompt", forChat, true, (*Server).textgenChatPrompt},
	{Textgen, "POST", "/v1/internal/stop-generation", forChat, false, (*Server).textgenStopGeneration},
	{Textgen, "GET", "/v1/internal/model/info", forReaders, false, (*Server).textgenModelInfo},
	{Textgen, "GET", "/v1/internal/model/list", forReaders, false, (*Server).textgenModelList},
	{Textgen, "POST", "/v1/internal/model/load", forAdmins, true, textgenChanges("load")},
	{Textgen, "POST", "/v1/internal/model/unload", forAdmins, true, textgenChanges("unload")},
	{Textgen, "GET", "/v1/internal/lora/list", forReaders, false, (*Server).textgenAdapters},
	{Textgen, "POST", "/v1/internal/lora/load", forAdmins, false, (*Server).textgenNoAdapters},
	{Textgen, "POST", "/v1/internal/lora/unload", forAdmins, false, (*Server).textgenNoAdapters},
}

func (s *Server) textgenEncode(w http.ResponseWriter, r *http.Request) error {
	tokens, err := s.textgenTokens(w, r, "text")
	if err != nil {
		return err
	}
	ids := make([]int, len(tokens))
	for i, t := range tokens {
		ids[i] = t.ID
	}
	return writeJSON(w, r, http.StatusOK, textgen.Encoded(ids))
}

func (s *Server) textgenLength(w http.ResponseWriter, r *http.Request) error {
	tokens, err := s.textgenTokens(w, r, "text")
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, textgen.Length(len(tokens)))
}

func (s *Server) textgenDecode(w http.ResponseWriter, r *http.Request) error {
	text, err := s.textOf(w, r, textgen.ParseTokens)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, textgen.Decoded(text))
}

// textgenLogits tells how probable which next token is, before any sampler.
func (s *Server) textgenLogits(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := textgen.ParseTop(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	target, err := s.find(ctx, w, "", false, &q.Report, nil)
	if err != nil {
		return err
	}
	defer target.release()
	if target.Model == nil {
		return cannot(target, "continue prompts", "ask the engine that runs it")
	}
	prompt, err := s.raw(llm.Text(q.Prompt))
	if err != nil {
		return err
	}
	setReport(w.Header(), q.Report)
	params := llm.Params{MaxTokens: new(1), LogProbs: &q.N, IgnoreEOS: true, CacheScope: s.cacheScope(r)}
	for p, err := range target.Model.Complete(ctx, prompt, params) {
		if err != nil {
			return err
		}
		if len(p.Tokens) > 0 {
			return writeJSON(w, r, http.StatusOK, textgen.Logits(p.Tokens[0].Top))
		}
	}
	return writeJSON(w, r, http.StatusOK, textgen.Logits(nil))
}

// textgenChatPrompt shows how the messages of a chat completion are laid out.
func (s *Server) textgenChatPrompt(w http.ResponseWriter, r *http.Request) error {
	_, rendered, err := s.laidOut(w, r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, textgen.Prompt(rendered.Prompt.String()))
}

// textgenStopGeneration ends the answers that are being made for a client, on
// OpenAI's routes, too.
func (s *Server) textgenStopGeneration(w http.ResponseWriter, r *http.Request) error {
	if _, err := readBody(w, r); err != nil {
		return err
	}
	s.textgen.end(s.ownerOf(r, ""))
	return writeJSON(w, r, http.StatusOK, textgen.OK())
}

func (s *Server) textgenModelInfo(w http.ResponseWriter, r *http.Request) error {
	m, err := s.described(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, textgen.ModelInfo(m.ID))
}

func (s *Server) textgenModelList(w http.ResponseWriter, r *http.Request) error {
	listed, err := s.models.List(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, textgen.Names("model_names", ids(listed)))
}

func textgenChanges(what string) func(*Server, http.ResponseWriter, *http.Request) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request) error {
		body, err := readBody(w, r)
		if err != nil {
			return err
		}
		var a textgen.Action
		if len(body) > 0 { // to unload, none is needed
			if a, err = textgen.ParseAction(body); err != nil {
				return err
			}
		}
		a.Do = what
		ctx, cancel := s.work(r)
		defer cancel()
		if err := s.textgenChange(ctx, a); err != nil {
			return err
		}
		setReport(w.Header(), a.Report)
		return writeJSON(w, r, http.StatusOK, textgen.OK())
	}
}

func (s *Server) textgenAdapters(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, r, http.StatusOK, textgen.Names("lora_names", nil))
}

func (s *Server) textgenNoAdapters(http.ResponseWriter, *http.Request) error {
	return &llm.Error{Code: llm.Unsupported, Message: "adapters are not loaded into models that run", Hint: "serve the model with its adapter merged in"}
}
