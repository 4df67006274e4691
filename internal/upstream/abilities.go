package upstream

import (
	"context"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// An expression is what a model on an engine can express of conversations.
type expression struct {
	can     func(chat.Conversation) chatformat.Abilities
	shown   bool                 // it was seen in the engine's template or its prompts
	noTools bool                 // there is no place for a list of tools
	prefill prefill              // how the assistant's last message is continued
	format  *chatformat.Template // the engine's; nil: it is not shown
}

// find finds out what a model can express: from the engine's template, from
// the prompts that it shows, or else by what is known of its kind.
func (r *responder) find(ctx context.Context, d description) (expression, error) {
	x := expression{prefill: r.route.prefill}
	base := r.route.can
	x.can = func(chat.Conversation) chatformat.Abilities { return base }
	switch {
	case r.route == chatLlama && d.info.ChatTemplate != "":
		if t, err := chatformat.NewTemplate("of the engine", d.info.ChatTemplate, chatformat.SpecialTokens{BOS: d.info.BOS, EOS: d.info.EOS}); err == nil {
			x.byTemplate(t, d)
		} else {
			r.engine.log.Warn("the engine's chat template is not read: what it expresses is not known", "engine", r.engine.URL(), "err", err)
		}
	case r.route == chatOllama && d.goTemplate != "":
		if can, err := chatformat.Probe(func(list []chat.Message) (string, error) { return layOutInGo(d.goTemplate, list) }); err == nil {
			base, x.shown = roles(can, base), true
			if continuesInGo(d.goTemplate) {
				x.prefill = prefillAlways
			}
		}
	case r.route.show != nil && r.route != chatParley:
		if can, err := r.probe(ctx); err == nil {
			base, x.shown = roles(can, base), true
		}
	}
	if d.noTools { // a template that never looks at calls and results would lose them
		base.Tools, base.Calls, x.noTools = false, false, true
	}
	switch r.route {
	case chatLlama, chatLMStudio:
		seen := x.can
		x.can = func(c chat.Conversation) chatformat.Abilities {
			can := seen(c)
			can.Media, can.UserMedia, can.Audio = d.vision || d.audio, false, d.audio
			return can
		}
	}
	return x, x.override(r.engine.options.Abilities)
}

// byTemplate has a template say what it expresses.
func (x *expression) byTemplate(t *chatformat.Template, d description) {
	x.can, x.shown, x.format = t.Abilities, true, t
	_, err := t.Render(chat.Conversation{
		Messages: []chat.Message{chat.Say(chat.User, "Hello.")},
		Tools:    []chat.ToolSpec{{Name: "lookup", Description: "Look a word up."}},
	})
	x.noTools = err != nil && llm.AsError(err).Field == "tools"
}

// probe has the engine show the prompts of short conversations.
func (r *responder) probe(ctx context.Context) (chatformat.Abilities, error) {
	return chatformat.Probe(func(list []chat.Message) (string, error) {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		shown, err := r.shown(ctx, &call{model: r.name, conversation: chat.Conversation{Messages: list}})
		return shown.Prompt.String(), err
	})
}

// roles takes what depends on roles and their order from what was seen, and
// the rest from what is known of the kind.
func roles(seen, known chatformat.Abilities) chatformat.Abilities {
	seen.Developer, seen.Names = known.Developer, known.Names
	seen.Tools, seen.Calls = known.Tools, known.Calls
	seen.Media, seen.UserMedia, seen.Audio = known.Media, known.UserMedia, known.Audio
	return seen
}

// override replaces abilities by what the configuration says of them.
func (x *expression) override(said map[string]bool) error {
	if len(said) == 0 {
		return nil
	}
	if _, err := chatformat.AllAbilities().With(said); err != nil {
		return err
	}
	seen := x.can
	x.can = func(c chat.Conversation) chatformat.Abilities {
		can := seen(c)
		can, _ = can.With(said) // the names have been checked
		return can
	}
	return nil
}

// guard treats what looks like the engine's control tokens in the words of
// clients, by policy: an engine that lays messages out makes tokens of them.
func (r *responder) guard(c chat.Conversation) (chat.Conversation, llm.Report, error) {
	if r.found.format == nil {
		return c, nil, nil
	}
	return r.found.format.Guard(c, r.engine.options.Layout.LookAlikes)
}

// promise says how far the promises hold where the engine lays messages out.
func (r *responder) promise(p map[llm.Promise]llm.Keeping) {
	p[llm.NothingLost], p[llm.NoForgery], p[llm.AlwaysShown] = llm.ByEngine, llm.ByEngine, llm.NotKept
	if (r.found.shown || r.route.known) && !r.route.cuts {
		p[llm.NothingLost] = llm.Kept
	}
	if r.found.format != nil {
		p[llm.NoForgery] = llm.ByPolicy
	}
	if r.route.show != nil {
		p[llm.AlwaysShown] = llm.Kept
	}
	if !r.route.words.has("Seed") {
		p[llm.Reproducible] = llm.NotKept
	}
}
