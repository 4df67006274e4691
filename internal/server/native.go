package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/openai"
	"parley/internal/wire"
	"parley/llm"
)

var nativeRoutes = []route{
	{Native, "GET", "/parley/v1/models", forReaders, false, (*Server).describeModels},
	{Native, "POST", "/parley/v1/models/", forAdmins, true, (*Server).changeModel},
	{Native, "POST", "/parley/v1/render", forChat, true, (*Server).render},
	{Native, "POST", "/parley/v1/tokenize", forChat, true, (*Server).tokenize},
}

type wireSegment struct {
	Text    string        `json:"text"`
	Tokens  []int         `json:"tokens,omitempty"` // of a segment that was given as ids
	Media   string        `json:"media,omitempty"`  // its MIME type
	Control bool          `json:"control"`
	Trust   string        `json:"trust"`
	Source  openai.Source `json:"source"`
}

type wireToken struct {
	ID      int    `json:"id"`
	Text    string `json:"text"` // U+FFFD where it is part of a character
	Control bool   `json:"control,omitempty"`
	Segment *int   `json:"segment,omitempty"` // absent for a token that is in none
}

type wireRendered struct {
	Model    string        `json:"model"`
	Format   string        `json:"format"`
	Text     string        `json:"text"`
	Segments []wireSegment `json:"segments"`
	Tokens   []wireToken   `json:"tokens"` // null where the model cannot tell
	Stops    []string      `json:"stops"`
	Report   llm.Report    `json:"report"`

	// What the format expresses as it is sent; false is repaired where it occurs.
	Abilities map[string]bool `json:"abilities,omitempty"`
}

// render answers with the exact prompt of a chat completion.
func (s *Server) render(w http.ResponseWriter, r *http.Request) error {
	model, rendered, err := s.laidOut(w, r)
	if err != nil {
		return err
	}
	return writeValue(w, r, wireOf(model, rendered))
}

// laidOut is the prompt of a chat completion that a request describes, with all
// that there is to report of it, which is in the header, too.
func (s *Server) laidOut(w http.ResponseWriter, r *http.Request) (model string, rendered chat.Rendered, err error) {
	q, err := s.read(w, r, openai.ParseChat)
	if err != nil {
		return "", rendered, err
	}
	if q.Session != "" {
		return "", rendered, &llm.Error{Code: llm.Invalid, Field: "parley.session", Message: "the prompts of a session are shown there", Hint: "GET /parley/v1/sessions/ID/messages/N/prompt"}
	}
	ctx, cancel := s.work(r)
	defer cancel()
	target, err := s.resolve(aside(ctx), w, q, nil)
	if err != nil {
		return "", rendered, err
	}
	defer target.release()
	staged, err := s.staged(ctx, target, q)
	if err != nil {
		return "", rendered, err
	}
	if rendered, err = staged.rendered(ctx); err != nil {
		return "", rendered, err
	}
	q.Report.Merge(rendered.Report)
	rendered.Report = q.Report
	setReport(w.Header(), q.Report)
	return target.ID, rendered, nil
}

func wireOf(model string, r chat.Rendered) wireRendered {
	return wireRendered{
		Model: model, Format: r.Format,
		Text: r.Prompt.String(), Segments: wireSegments(r.Prompt),
		Tokens: wireTokens(r.Tokens), Stops: orEmpty(r.Stop), Report: orEmpty(r.Report),
		Abilities: r.Abilities,
	}
}

// EncodeRendered is a prompt as POST /parley/v1/render answers it, for those
// who have it without asking a server.
func EncodeRendered(model string, r chat.Rendered) ([]byte, error) {
	return encode(wireOf(model, r))
}

func wireSegments(p llm.Prompt) []wireSegment {
	all := []wireSegment{}
	for _, seg := range p.Segments {
		one := wireSegment{
			Text: seg.Text, Tokens: seg.Tokens, Control: seg.Control, Trust: seg.Trust.String(),
			Source: openai.SourceOf(seg.Source),
		}
		if seg.Media != nil {
			one.Media = seg.Media.MIME
		}
		all = append(all, one)
	}
	return all
}

func wireTokens(tokens []llm.Token) []wireToken {
	if tokens == nil {
		return nil
	}
	all := []wireToken{}
	for _, t := range tokens {
		one := wireToken{ID: t.ID, Text: t.Text, Control: t.Control}
		if t.Segment >= 0 {
			one.Segment = &t.Segment
		}
		all = append(all, one)
	}
	return all
}

// tokenize turns text into tokens, or token ids into text. Control tokens are
// text like any other unless "special" is true; the token that the model puts
// before a text is left out unless "bos" is true.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	q, err := openai.ParseTokenize(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	target, err := s.models.Resolve(aside(ctx), q.Model)
	if err != nil {
		return err
	}
	defer target.release()
	noteModel(w, target.ID)
	setReport(w.Header(), target.Report)
	tokenizer, ok := target.Model.(llm.Tokenizer)
	if !ok {
		return cannot(target, "show its tokens", "ask the engine that runs it")
	}
	if q.Tokens != nil {
		text, err := tokenizer.Detokenize(ctx, q.Tokens)
		if err != nil {
			return err
		}
		return writeValue(w, r, struct {
			Model string `json:"model"`
			Text  string `json:"text"`
		}{target.ID, text})
	}
	prompt := llm.Text(q.Text)
	prompt.Segments[0].Control = q.Special
	tokens, err := tokenizer.Tokenize(ctx, prompt)
	if err != nil {
		return err
	}
	if !q.BOS {
		for len(tokens) > 0 && tokens[0].Segment < 0 {
			tokens = tokens[1:]
		}
	}
	return writeValue(w, r, struct {
		Model  string      `json:"model"`
		Count  int         `json:"count"`
		Tokens []wireToken `json:"tokens"`
	}{target.ID, len(tokens), orEmpty(wireTokens(tokens))})
}

func (s *Server) healthz(w http.ResponseWriter, r *http.Request) error {
	return writeValue(w, r, state{Status: "ok"})
}

type state struct {
	Status string `json:"status"`
}

// readyz says whether requests can be answered right now.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return errStopping
	}
	if err := s.models.Ready(); err != nil {
		return err
	}
	return writeValue(w, r, state{Status: "ready"})
}

func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	switch {
	case r.Method == http.MethodHead:
	case slices.Contains(faceOf(r).Dialects, Ollama) && !strings.Contains(r.Header.Get("Accept"), "text/html"):
		w.Write([]byte("Ollama is running")) // its clients look for these words
	default:
		w.Write([]byte("Parley, a chat server for local language models. OpenAI's API is at /v1, the exact prompt of a chat at /parley/v1/render.\n"))
	}
	return nil
}

func writeValue(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, body)
}

// encode leaves "<" as it is: people read prompts here, and it is frequent in
// them.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func orEmpty[S ~[]E, E any](s S) S {
	if s == nil {
		return S{}
	}
	return s
}

// nativeProblem is an error as RFC 9457 has it, with OpenAI's envelope beside
// it, which clients of both kinds read.
func nativeProblem(p openai.Problem) (status int, body []byte) {
	return p.Status, wire.Encode(struct {
		Type   string          `json:"type"`
		Title  string          `json:"title"`
		Status int             `json:"status"`
		Detail string          `json:"detail"`
		Error  json.RawMessage `json:"error"`
	}{"about:blank", http.StatusText(p.Status), p.Status, p.Message, p.Envelope()})
}
