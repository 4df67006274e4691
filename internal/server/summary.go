package server

import (
	"encoding/json"
	"net/http"
	"strconv"

	"parley/internal/limits"
	"parley/internal/session"
	"parley/llm"
)

// memory reads how a session's summary is made.
func (c *call) memory() (*session.SummarySettings, bool) {
	v, ok := c.body.Take("memory")
	if !ok {
		return nil, false
	}
	m := &session.SummarySettings{}
	o := c.body.Object("memory", v)
	m.Auto, m.Prompt, m.Model = session.Auto(o.Text("auto")), o.Text("prompt"), o.Text("model")
	for name, to := range map[string]*int{"every": &m.Every, "keep": &m.Keep, "words": &m.Words} {
		if n, _ := o.Integer(limits.SessionMessages, name); n != nil {
			*to = *n
		}
	}
	if p, ok := o.Take("params"); ok {
		m.Params = json.RawMessage(p)
	}
	o.Rest(o.Leftover)
	return m, true
}

// readSummary answers with the summaries of the talk, the newest first.
func (s *Server) readSummary(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err == nil {
		err = done()
	}
	if err != nil {
		return err
	}
	to := 0
	if v := c.query.Get("message"); v != "" {
		if to, err = strconv.Atoi(v); err != nil {
			return llm.Errorf(llm.Invalid, "message", "must be a whole number")
		}
	}
	return c.summaries(w, r, to)
}

func (c *call) summaries(w http.ResponseWriter, r *http.Request, to int) error {
	all, run, revision, err := c.Summaries(r.Context(), c.id, to)
	if err != nil {
		return err
	}
	v := struct {
		Text     string            `json:"text"`
		Until    int               `json:"until"`
		Covers   int               `json:"covers"`
		Run      string            `json:"run,omitempty"` // in which one is being made
		Versions []session.Summary `json:"versions"`
	}{Versions: orEmpty(all)}
	for _, x := range all {
		if x.Current {
			v.Text, v.Until, v.Covers = x.Text, x.Until, x.Covers
		}
	}
	if run != nil {
		v.Run = run.ID
	}
	setETag(w, revision)
	return writeValue(w, r, v)
}

// putSummary writes the summary by hand.
func (s *Server) putSummary(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	text := c.body.Text("text")
	until, _ := c.body.Integer(limits.SessionMessages, "until")
	if err := done(); err != nil {
		return err
	}
	if _, err := c.SetSummary(r.Context(), c.id, c.write, text, until); err != nil {
		return err
	}
	return c.summaries(w, r, 0)
}

// makeSummary has a model make the summary.
func (s *Server) makeSummary(w http.ResponseWriter, r *http.Request) error {
	c, done, err := s.call(w, r)
	if err != nil {
		return err
	}
	until, _ := c.body.Integer(limits.SessionMessages, "until")
	a, how := s.ask(c, r)
	if err := done(); err != nil {
		return err
	}
	receipt, err := c.MakeSummary(r.Context(), c.id, c.write, until, a)
	return s.tell(w, r, c, how, receipt, err)
}
