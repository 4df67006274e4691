package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/limits"
	"parley/internal/scene"
	"parley/internal/session"
	"parley/internal/wire"
	"parley/llm"
)

var sessionRoutes = asDescribed(slices.Concat(documentRoutes(session.Characters), documentRoutes(session.Lorebooks),
	documentRoutes(session.Personas), documentRoutes(session.Presets), []route{
		{Native, "GET", "/parley/v1/sessions", forChat, false, (*Server).listSessions},
		{Native, "POST", "/parley/v1/sessions", forChat, false, (*Server).createSession},
		{Native, "POST", "/parley/v1/sessions/import", forChat, false, (*Server).importSession},
		{Native, "GET", "/parley/v1/sessions/*", forChat, false, (*Server).readSession},
		{Native, "PATCH", "/parley/v1/sessions/*", forChat, false, (*Server).updateSession},
		{Native, "DELETE", "/parley/v1/sessions/*", forChat, false, (*Server).deleteSession},
		{Native, "POST", "/parley/v1/sessions/*/restore", forChat, false, (*Server).restoreSession},
		{Native, "POST", "/parley/v1/sessions/*/fork", forChat, false, (*Server).forkSession},
		{Native, "GET", "/parley/v1/sessions/*/export", forChat, false, (*Server).exportSession},
		{Native, "GET", "/parley/v1/sessions/*/media/*", forChat, false, (*Server).readMedia},
		{Native, "GET", "/parley/v1/search", forChat, false, (*Server).searchSessions},

		{Native, "POST", "/parley/v1/sessions/*/send", forChat, true, (*Server).sendMessage},
		{Native, "POST", "/parley/v1/sessions/*/messages", forChat, true, (*Server).sendMessage}, // as send
		{Native, "POST", "/parley/v1/sessions/*/answer", forChat, true, (*Server).answer},
		{Native, "POST", "/parley/v1/sessions/*/regenerate", forChat, true, (*Server).regenerate},
		{Native, "POST", "/parley/v1/sessions/*/continue", forChat, true, (*Server).continueReply},
		{Native, "POST", "/parley/v1/sessions/*/impersonate", forChat, true, (*Server).impersonate},
		{Native, "POST", "/parley/v1/sessions/*/undo", forChat, false, (*Server).undo},
		{Native, "POST", "/parley/v1/sessions/*/stop", forChat, false, (*Server).stopSession},
		{Native, "GET", "/parley/v1/sessions/*/summary", forChat, false, (*Server).readSummary},
		{Native, "PUT", "/parley/v1/sessions/*/summary", forChat, false, (*Server).putSummary},
		{Native, "POST", "/parley/v1/sessions/*/summary", forChat, true, (*Server).makeSummary},
		{Native, "GET", "/parley/v1/sessions/*/messages", forChat, false, (*Server).wholeTree},
		{Native, "PATCH", "/parley/v1/sessions/*/messages/*", forChat, false, (*Server).editMessage},
		{Native, "DELETE", "/parley/v1/sessions/*/messages/*", forChat, false, (*Server).deleteMessage},
		{Native, "POST", "/parley/v1/sessions/*/messages/*/restore", forChat, false, (*Server).restoreMessage},
		{Native, "POST", "/parley/v1/sessions/*/messages/*/swipe", forChat, true, (*Server).swipe},
		{Native, "GET", "/parley/v1/sessions/*/messages/*/prompt", forChat, true, (*Server).inspect},
		{Native, "GET", "/parley/v1/sessions/*/messages/*/inspect", forChat, true, (*Server).inspect}, // as prompt

		{Native, "GET", "/parley/v1/runs/*", forChat, false, (*Server).readRun},
		{Native, "GET", "/parley/v1/runs/*/events", forChat, true, (*Server).watchRun},
		{Native, "POST", "/parley/v1/runs/*/stop", forChat, false, (*Server).stopRun},
		{Native, "DELETE", "/parley/v1/runs/*", forChat, false, (*Server).stopRun}, // as stop

		{Native, "POST", "/parley/v1/characters/import", forChat, false, (*Server).importCharacter},
		{Native, "GET", "/parley/v1/characters/*/export", forChat, false, (*Server).exportCharacter},

		{Native, "GET", "/parley/v1/export", forAdmins, false, (*Server).exportAll},
		{Native, "POST", "/parley/v1/import", forAdmins, false, (*Server).importAll},

		{Native, "GET", "/parley/v1/openapi.json", forReaders, false, (*Server).openAPI},
	}))

// Answers gives sessions what they need of the models.
func Answers(m Models) session.Models { return answers{m} }

type answers struct{ models Models }

func (a answers) Answerer(ctx context.Context, name string) (session.Answerer, error) {
	t, err := a.models.Resolve(ctx, name)
	if err != nil {
		return session.Answerer{}, err
	}
	if t.Responder == nil {
		t.release()
		return session.Answerer{}, cannot(t, "answer conversations", "choose another one for the session")
	}
	x := session.Answerer{Model: t.ID, Responder: t.Responder, Report: t.Report, Release: t.Release}
	for _, m := range []any{t.Model, t.Responder} {
		if d, ok := m.(llm.Describer); ok {
			x.Info = d.Describe()
			break
		}
	}
	if counter, ok := t.Model.(llm.Tokenizer); ok {
		x.Tokenizer = counter
	}
	return x, nil
}

// sessions are those that the server keeps.
func (s *Server) sessions() (*session.Sessions, error) {
	if s.options.Sessions == nil {
		return nil, &llm.Error{Code: llm.Unsupported, Message: "this server keeps no sessions", Hint: "serve with --data DIR; the log says why there are none"}
	}
	return s.options.Sessions, nil
}

// part is the n-th part of a request's path, counted from 0 behind
// /parley/v1/.
func part(r *http.Request, n int) string {
	parts := strings.Split(strings.TrimPrefix(clean(r.URL.Path), "/parley/v1/"), "/")
	return parts[n]
}

// A call is a request about a session, taken apart.
type call struct {
	*session.Sessions
	id    string // of the session
	write session.Write
	body  *wire.Object // never nil
	query url.Values
}

// call reads a request about a session; where it has no body, every field is
// absent. done must be called when all fields were taken.
func (s *Server) call(w http.ResponseWriter, r *http.Request) (c *call, done func() error, err error) {
	c = &call{query: r.URL.Query()}
	if c.Sessions, err = s.sessions(); err != nil {
		return nil, nil, err
	}
	if parts := strings.Split(strings.TrimPrefix(clean(r.URL.Path), "/parley/v1/"), "/"); len(parts) > 1 {
		c.id = parts[1]
		if external, ok := strings.CutPrefix(c.id, "@"); ok && parts[0] == "sessions" {
			x, err := c.External(r.Context(), external)
			if err != nil {
				return nil, nil, err
			}
			c.id = x.ID
		}
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, nil, err
	}
	if c.write.Base, err = ifMatch(r); err != nil {
		return nil, nil, err
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if err := limits.ExternalIDBytes.CheckInt(len(key)); err != nil {
			return nil, nil, llm.Errorf(llm.Invalid, "Idempotency-Key", "%v", err)
		}
		sum := sha256.Sum256(slices.Concat([]byte(r.Method+" "+clean(r.URL.Path)+"\n"), body))
		c.write.Key, c.write.Digest = key, hex.EncodeToString(sum[:])
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		body = []byte("{}")
	}
	v, err := wire.Parse(body)
	if err != nil {
		return nil, nil, err
	}
	reader := &wire.Reader{}
	c.body = reader.Object("", v)
	return c, func() error {
		c.body.Rest(func(name string, _ wire.Value) {
			reader.Invalid(wire.Short(name), "there is no such field here")
		})
		return reader.Err
	}, nil
}

// ifMatch is the revision that a client saw; 0 if it does not say.
func ifMatch(r *http.Request) (int64, error) {
	tag := strings.TrimSpace(r.Header.Get("If-Match"))
	if tag == "" || tag == "*" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), 10, 64)
	if err != nil || n < 1 {
		return 0, &llm.Error{Code: llm.Invalid, Field: "If-Match", Message: "this is no revision", Hint: `send the ETag that came with what you read, as "7"`}
	}
	return n, nil
}

func setETag(w http.ResponseWriter, revision int64) {
	w.Header().Set("ETag", `"`+strconv.FormatInt(revision, 10)+`"`)
}

// number takes a whole number of the query; absent, it is usual.
func (c *call) number(name string, usual int, l *limits.Limit) (int, error) {
	v := c.query.Get(name)
	if v == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, llm.Errorf(llm.Invalid, name, "must be a whole number")
	}
	if err := l.CheckInt(n); err != nil {
		return 0, llm.Errorf(llm.Invalid, name, "%v", err)
	}
	return n, nil
}

func (c *call) isSet(name string) bool {
	v := strings.ToLower(c.query.Get(name))
	return v != "" && v != "0" && v != "false"
}

// A wireSession is a session as clients see it, with the settings that hold.
type wireSession struct {
	ID         string         `json:"id"`
	ExternalID string         `json:"external_id,omitempty"`
	Revision   int64          `json:"revision"`
	Title      string         `json:"title"`
	Pinned     bool           `json:"pinned"`
	Tags       []string       `json:"tags"`
	Created    time.Time      `json:"created"`
	Updated    time.Time      `json:"updated"`
	Deleted    *time.Time     `json:"deleted,omitempty"`
	Head       int            `json:"head"`
	Count      int            `json:"message_count"`
	Forked     *session.Place `json:"forked_from,omitempty"`
	Run        string         `json:"run,omitempty"` // the reply that is being generated

	session.Settings

	Messages []session.Message `json:"messages,omitempty"`
	More     *bool             `json:"more,omitempty"` // of a part of the talk: there are messages before it
}

func (c *call) view(x session.Session) wireSession {
	v := wireSession{ID: x.ID, ExternalID: x.ExternalID, Revision: x.Revision, Title: x.Title, Pinned: x.Pinned, Tags: orEmpty(x.Tags),
		Created: x.Created, Updated: x.Updated, Deleted: x.Deleted, Head: x.Head, Count: x.Messages, Forked: x.Forked, Settings: x.Now()}
	v.Since = 0 // of the settings, which no client needs
	if r := c.Active(x.ID); r != nil {
		v.Run = r.ID
	}
	return v
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	q := session.Query{Tag: c.query.Get("tag"), Character: c.query.Get("character"), Deleted: c.isSet("deleted")}
	if q.Limit, err = c.number("limit", 100, limits.ListItems); err != nil {
		return err
	}
	if after := c.query.Get("after"); after != "" {
		x, err := c.Session(r.Context(), after)
		if err != nil {
			return err
		}
		q.After = &x
	}
	q.Limit++ // one more tells whether there are more
	list, err := c.List(r.Context(), q)
	if err != nil {
		return err
	}
	more := len(list) == q.Limit
	if more {
		list = list[:q.Limit-1]
	}
	all := []wireSession{}
	for _, x := range list {
		all = append(all, c.view(x))
	}
	return writeList(w, r, struct {
		Sessions []wireSession `json:"sessions"`
		More     bool          `json:"more"`
	}{all, more})
}

// settings reads the settings of a session over those that hold, and reports
// whether there were any.
func (c *call) settings(v session.Settings) (session.Settings, bool) {
	any, one := false, c.body.Has("character")
	for _, f := range []struct {
		name string
		to   *string
	}{{"model", &v.Model}, {"character", &v.Character}, {"user", &v.User}, {"persona", &v.Persona}, {"persona_id", &v.PersonaID}, {"preset", &v.Preset}, {"system", &v.System}, {"note", &v.Note},
		{"scenario", &v.Scenario}, {"summary", &v.Summary}, {"fit", (*string)(&v.Fit)}, {"media", (*string)(&v.Media)}, {"style", (*string)(&v.Style)}, {"names", (*string)(&v.Names)},
		{"turn", (*string)(&v.Turn)}, {"cards", (*string)(&v.Cards)}} {
		if c.body.Has(f.name) {
			any = true
			*f.to = c.body.Text(f.name)
		}
	}
	if c.body.Has("characters") {
		v.Characters, any = c.members(), true
		if !one && len(v.Characters) > 0 {
			v.Character = ""
		}
	} else if one && v.Character != "" {
		v.Characters = nil
	}
	if f := c.body.Flag("self_answers"); f != nil {
		v.SelfAnswers, any = *f, true
	}
	if depth, _ := c.body.Integer(limits.NoteDepth, "note_depth"); depth != nil {
		v.NoteDepth, any = *depth, true
	}
	if c.lore(&v) {
		any = true
	}
	if m, ok := c.memory(); ok {
		v.Memory, any = m, true
	}
	if c.body.Has("params") {
		any = true
		v.Params = nil
		if p, ok := c.body.Take("params"); ok {
			v.Params = []byte(p)
		}
	}
	if any = any || c.hasTools(); c.hasTools() {
		list, choice := c.body.Has("tools"), c.body.Has("tool_choice")
		t := c.tools()
		if list {
			v.Tools.List = t.List
		}
		if choice || list && t.List == nil {
			v.Tools.Choice = t.Choice
		}
		if t.Parallel != nil {
			v.Tools.Parallel = t.Parallel
		}
	}
	return v, any
}

// tools takes the tools that replies may call, if the body has any of their fields; a null takes
// them away. What they are is checked where they are kept.
func (c *call) tools() *session.Tools {
	if !c.hasTools() {
		return nil
	}
	t := &session.Tools{Parallel: c.body.Flag("parallel_tool_calls")}
	for name, to := range map[string]*json.RawMessage{"tools": &t.List, "tool_choice": &t.Choice} {
		if v, ok := c.body.Take(name); ok && v.Kind() != 'n' {
			*to = json.RawMessage(v)
		}
	}
	return t
}

func (c *call) hasTools() bool {
	return c.body.Has("tools") || c.body.Has("tool_choice") || c.body.Has("parallel_tool_calls")
}

// lore reads the settings of lorebooks and of the order of slots, and reports
// whether there were any.
func (c *call) lore(v *session.Settings) (any bool) {
	texts := func(name string, l *limits.Limit) (all []string) {
		if list, ok := c.body.Take(name); ok {
			c.body.List(name, list, l, func(path string, v wire.Value) { all = append(all, c.body.TextOf(path, v)) })
		}
		return all
	}
	if c.body.Has("lorebooks") {
		v.Lorebooks, any = texts("lorebooks", limits.Lorebooks), true
	}
	if c.body.Has("order") {
		v.Order, any = nil, true
		for _, slot := range texts("order", limits.Lorebooks) {
			v.Order = append(v.Order, scene.Slot(slot))
		}
	}
	if c.body.Has("lore") {
		v.Lore, any = nil, true
		if value, ok := c.body.Take("lore"); ok {
			o := c.body.Object("lore", value)
			l := session.LoreSettings{Recursive: o.IsSet("recursive"), Partial: o.IsSet("partial"), Strategy: session.Strategy(o.Text("strategy"))}
			if n, _ := o.Integer(limits.LoreDepth, "scan_depth"); n != nil {
				l.ScanDepth = *n
			}
			if n, _ := o.Integer(limits.LoreBudget, "budget"); n != nil {
				l.Budget = *n
			}
			o.Rest(func(name string, _ wire.Value) {
				o.Invalid(o.At(wire.Short(name)), "there is no such field; there are scan_depth, budget, recursive, partial and strategy")
			})
			v.Lore = &l
		}
	}
	return any
}

// members takes who is in a company: ids, or objects that say more.
func (c *call) members() (all []session.Member) {
	v, ok := c.body.Take("characters")
	if !ok {
		return nil
	}
	c.body.List("characters", v, limits.Company, func(path string, v wire.Value) {
		if v.Kind() == '"' {
			all = append(all, session.Member{ID: v.Text()})
			return
		}
		o := c.body.Object(path, v)
		all = append(all, session.Member{ID: o.Text("id"), Muted: o.IsSet("muted")})
		o.Rest(func(name string, _ wire.Value) {
			o.Invalid(o.At(wire.Short(name)), "there is no such field; there are id and muted")
		})
	})
	return all
}

func (c *call) tags() *[]string {
	v, ok := c.body.Take("tags")
	if !ok {
		return nil
	}
	tags := []string{}
	c.body.List("tags", v, limits.Tags, func(path string, v wire.Value) { tags = append(tags, c.body.TextOf(path, v)) })
	return &tags
}

func (s *Server) createSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	n := session.New{ExternalID: c.body.Text("external_id"), Title: c.body.Text("title")}
	if tags := c.tags(); tags != nil {
		n.Tags = *tags
	}
	if g, _ := c.body.Integer(limits.NoteDepth, "greeting"); g != nil {
		n.Greeting = *g
	}
	n.Settings, _ = c.settings(session.Settings{})
	if err := done(); err != nil {
		return err
	}
	x, created, err := c.Create(r.Context(), n)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return c.answer(w, r, status, x.ID)
}

// answer answers with a session and its talk.
func (c *call) answer(w http.ResponseWriter, r *http.Request, status int, id string) error {
	x, talk, err := c.Read(r.Context(), id)
	if err != nil {
		return err
	}
	v := c.view(x)
	v.Messages = talk
	setETag(w, x.Revision)
	if status == http.StatusCreated {
		w.Header().Set("Location", "/parley/v1/sessions/"+x.ID)
	}
	body, err := encode(v)
	if err != nil {
		return err
	}
	return writeJSON(w, r, status, body)
}

func (s *Server) readSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	if !c.query.Has("limit") && !c.query.Has("before") {
		return c.answer(w, r, http.StatusOK, c.id)
	}
	return c.page(w, r)
}

// page answers with a session and a part of its talk: the end, or what stands
// before a message.
func (c *call) page(w http.ResponseWriter, r *http.Request) error {
	limit, err := c.number("limit", 100, limits.ListItems)
	if err != nil {
		return err
	}
	before, err := c.number("before", 0, limits.SessionMessages)
	if err != nil {
		return err
	}
	x, talk, more, err := c.Tail(r.Context(), c.id, before, limit)
	if err != nil {
		return err
	}
	v := c.view(x)
	v.Messages, v.More = talk, &more
	setETag(w, x.Revision)
	return writeValue(w, r, v)
}

func (s *Server) updateSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	x, err := c.Session(r.Context(), c.id)
	if err != nil {
		return err
	}
	if c.write.Base == 0 {
		c.write.Base = x.Revision // what is left out of the settings is as it was read here
	}
	var p session.Patch
	if c.body.Has("title") {
		p.Title = new(c.body.Text("title"))
	}
	p.Pinned = c.body.Flag("pinned")
	p.Tags = c.tags()
	p.Head, _ = c.body.Integer(limits.SessionMessages, "head")
	if v, any := c.settings(x.Now()); any {
		p.Settings = &v
	}
	if err := done(); err != nil {
		return err
	}
	if _, err := c.Update(r.Context(), c.id, c.write, p); err != nil {
		return err
	}
	return c.answer(w, r, http.StatusOK, c.id)
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	if c.isSet("purge") {
		if err := c.Purge(r.Context(), c.id); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.receipt(w, r)(c.Delete(r.Context(), c.id, c.write))
}

// receipt answers with what a change came to.
func (c *call) receipt(w http.ResponseWriter, r *http.Request) func(session.Receipt, error) error {
	return func(x session.Receipt, err error) error {
		if err != nil {
			return err
		}
		setETag(w, x.Revision)
		x.Key, x.Digest = "", ""
		return writeValue(w, r, x)
	}
}

func (s *Server) restoreSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	return c.receipt(w, r)(c.Restore(r.Context(), c.id, c.write))
}

func (s *Server) forkSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	message := c.message()
	if err := done(); err != nil {
		return err
	}
	x, err := c.Fork(r.Context(), c.id, message)
	if err != nil {
		return err
	}
	return c.answer(w, r, http.StatusCreated, x.ID)
}

// message takes which message is meant; 0 is the head.
func (c *call) message() int {
	if n, _ := c.body.Integer(limits.SessionMessages, "message"); n != nil {
		return *n
	}
	return 0
}

// readMedia answers with a picture or a sound that somebody has sent, as what
// it is by its first bytes.
func (s *Server) readMedia(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	data, err := c.Media(r.Context(), c.id, part(r, 3))
	if err != nil {
		return err
	}
	kind := http.DetectContentType(data)
	if !strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "audio/") {
		kind = "application/octet-stream"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		if _, err := w.Write(data); err != nil {
			return errLeft
		}
	}
	return nil
}

func (s *Server) searchSessions(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	limit, err := c.number("limit", 50, limits.ListItems)
	if err != nil {
		return err
	}
	hits, err := c.Search(r.Context(), c.query.Get("q"), limit)
	if err != nil {
		return err
	}
	return writeValue(w, r, struct {
		Hits []session.Hit `json:"hits"`
	}{orEmpty(hits)})
}

// wholeTree answers with all that there is of a session: every message with
// all its versions.
func (s *Server) wholeTree(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	t, err := c.Tree(r.Context(), c.id)
	if err != nil {
		return err
	}
	setETag(w, t.Session.Revision)
	return writeValue(w, r, t.Archive())
}

func (s *Server) exportSession(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	format := session.Format(c.query.Get("as"))
	if format == "" {
		format = session.FormatParley
	}
	data, err := c.Export(r.Context(), c.id, format)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", format.ContentType())
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		if _, err := w.Write(data); err != nil {
			return errLeft
		}
	}
	return nil
}

// importSession makes a session of a file of a talk, which is the body.
func (s *Server) importSession(w http.ResponseWriter, r *http.Request) error {
	c := &call{query: r.URL.Query()}
	var err error
	if c.Sessions, err = s.sessions(); err != nil {
		return err
	}
	data, err := readBody(w, r)
	if err != nil {
		return err
	}
	x, report, err := c.Import(r.Context(), data)
	if err != nil {
		return err
	}
	setReport(w.Header(), report)
	return c.answer(w, r, http.StatusCreated, x.ID)
}

var errSilence = errors.New("nothing has come for a while")

// sessionEvent is a server-sent event; one without an id is not counted.
func sessionEvent(id int, name string, data []byte) []byte {
	var b strings.Builder
	if id > 0 {
		b.WriteString("id: " + strconv.Itoa(id) + "\n")
	}
	b.WriteString("event: " + name + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return []byte(b.String())
}
