package server

import (
	"context"
	"iter"
	"slices"
	"strings"
	"unicode"

	"parley/chat"
	"parley/internal/roleplay"
	"parley/internal/session"
	"parley/llm"
)

// A playing answers conversations as a character, on a model: as a script that
// the model gets as a task.
type playing struct {
	server *Server
	target Target // the model
	who    string
}

// played is a model whose conversations a character answers. Raw prompts are
// their client's own, and the model alone continues them.
func (s *Server) played(t Target, who string) Target {
	p := t
	p.Responder = playing{s, t, who}
	return p
}

// Respond implements chat.Responder.
func (p playing) Respond(ctx context.Context, c chat.Conversation, params llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		staged, report, err := p.stage(ctx, c, params)
		if err != nil {
			yield(nil, err)
			return
		}
		for e, err := range staged.ask(ctx, params) {
			if a, ok := e.(chat.Accepted); ok {
				a.Report = slices.Concat(report, a.Report)
				e = a
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Render implements chat.Renderer.
func (p playing) Render(ctx context.Context, c chat.Conversation) (chat.Rendered, error) {
	staged, report, err := p.stage(ctx, c, llm.Params{})
	if err != nil {
		return chat.Rendered{}, err
	}
	shown, err := staged.rendered(ctx)
	shown.Report = slices.Concat(report, shown.Report)
	return shown, err
}

func (p playing) stage(ctx context.Context, c chat.Conversation, params llm.Params) (st staging, report llm.Report, err error) {
	setting := roleplay.Setting{Mode: roleplay.ChatInstruct, Character: p.who}
	if len(c.Tools) > 0 {
		return st, nil, &llm.Error{Code: llm.Unsupported, Field: "tools", Message: "characters call no tools", Hint: "use a model's own name"}
	}
	scene, err := p.server.scene(ctx, setting)
	if err != nil {
		return st, nil, err
	}
	turns, err := turnsOf(c.Messages)
	if err != nil {
		return st, nil, err
	}
	st, err = talking{setting: setting, scene: scene, turns: turns, open: c.Continue, layout: c.Layout}.stage(ctx, p.target, params, &report)
	return st, report, err
}

// listed are the models that lists show: with those that there are, where the
// configuration says so, the characters that a model's name may mean.
func (s *Server) listed(ctx context.Context) ([]Listed, error) {
	models, err := s.models.List(ctx)
	if err != nil || !s.options.ListCharacters {
		return models, err
	}
	all := slices.Clone(models)
	names := map[string]bool{}
	for _, m := range models {
		names[strings.ToLower(m.ID)] = true
	}
	taken := func(name string) bool {
		return names[strings.ToLower(name)] || slices.ContainsFunc(models, func(m Listed) bool { return slices.Contains(m.Aliases, name) })
	}
	for d, err := range s.characters(ctx) {
		if err != nil {
			return nil, err
		}
		m := Listed{ID: strings.ToLower(strings.Join(strings.Fields(d.Name), "-")), Created: d.Created}
		if m.Created.IsZero() && len(models) > 0 { // of a folder's file nothing has been read yet
			m.Created = models[0].Created
		}
		if len(models) == 1 {
			m.Info = models[0].Info
		}
		m.Info.Name = d.Name
		if !oneWord(m.ID) || taken(m.ID) {
			m.ID = d.ID
		}
		if !taken(m.ID) {
			all, names[strings.ToLower(m.ID)] = append(all, m), true
		}
	}
	return all, nil
}

// oneWord reports whether no client takes a name apart.
func oneWord(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' && r != '.'
	})
}

// characters are those that there are, without their files.
func (s *Server) characters(ctx context.Context) iter.Seq2[session.Document, error] {
	if s.options.Sessions != nil {
		return s.options.Sessions.EachTitle(ctx, session.Characters)
	}
	return func(yield func(session.Document, error) bool) {
		folder, ok := s.options.Characters.(interface{ Names() ([]string, error) })
		if !ok {
			return
		}
		names, err := folder.Names()
		if err != nil {
			yield(session.Document{}, err)
		}
		for _, name := range names {
			if !yield(session.Document{ID: name, Name: name}, nil) {
				return
			}
		}
	}
}
