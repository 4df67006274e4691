package server

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/character"
	"parley/internal/limits"
	"parley/internal/openai"
	"parley/internal/roleplay"
	"parley/internal/session"
	"parley/internal/wire"
	"parley/llm"
)

// Characters is where the characters come from that requests choose by name.
// One that is not there is an *llm.Error with Code NotFound.
type Characters interface {
	Character(ctx context.Context, name string) (character.Character, error)
}

// scene puts the character that a request chooses into its setting.
func (s *Server) scene(ctx context.Context, setting roleplay.Setting) (roleplay.Scene, error) {
	if setting.Character == "" {
		return setting.Scene(roleplay.Assistant), nil
	}
	if c, err := s.ofSessions(ctx, setting.Character); err == nil || llm.AsError(err).Code != llm.NotFound {
		return setting.Scene(c), err
	}
	if s.options.Characters == nil {
		if setting.Character == roleplay.Assistant.Name {
			return setting.Scene(roleplay.Assistant), nil
		}
		return roleplay.Scene{}, &llm.Error{Code: llm.NotFound, Field: "character", Message: "this server keeps no characters",
			Hint: "give it a folder of them ([characters] of the configuration), or send context and greeting"}
	}
	c, err := s.options.Characters.Character(ctx, setting.Character)
	if setting.Character == roleplay.Assistant.Name && err != nil && llm.AsError(err).Code == llm.NotFound {
		c, err = roleplay.Assistant, nil
	}
	return setting.Scene(c), err
}

// ofSessions finds a character among those that sessions have.
func (s *Server) ofSessions(ctx context.Context, name string) (character.Character, error) {
	if s.options.Sessions == nil {
		return character.Character{}, session.NoDocument(session.Characters, name)
	}
	d, err := s.options.Sessions.Named(ctx, name)
	if err != nil {
		return character.Character{}, err
	}
	return character.Parse(d.File, d.Data)
}

// play takes a model's name apart that means a character, "alice", or one on a
// model, "alice@qwen3". Names of models go before those of characters. A name
// that means none stays as it is.
func (s *Server) play(ctx context.Context, name string) (who, model string, err error) {
	if name == "" || s.options.Sessions == nil && s.options.Characters == nil {
		return "", name, nil
	}
	listed, err := s.models.List(ctx)
	if err != nil {
		return "", "", err
	}
	if slices.ContainsFunc(listed, func(m Listed) bool { return m.ID == name || slices.Contains(m.Aliases, name) }) {
		return "", name, nil
	}
	who, model = name, ""
	for range 2 {
		_, err := s.ofSessions(ctx, who)
		if err != nil && llm.AsError(err).Code == llm.NotFound && s.options.Characters != nil {
			_, err = s.options.Characters.Character(ctx, who)
		}
		if err == nil || llm.AsError(err).Code != llm.NotFound {
			return who, model, err
		}
		at := strings.LastIndexByte(name, '@')
		if at < 1 {
			break
		}
		who, model = name[:at], name[at+1:]
	}
	return "", name, nil
}

// cast has a request whose model's name means a character played by it, as a
// script that the model gets as a task, unless the request says otherwise.
func (s *Server) cast(ctx context.Context, q *openai.Request) error {
	who, model, err := s.play(ctx, q.Model)
	if err != nil || who == "" {
		return err
	}
	q.Model = model
	if q.Setting.Mode == roleplay.Instruct {
		q.Setting.Mode = roleplay.ChatInstruct
	}
	if q.Setting.Character == "" {
		q.Setting.Character = who
	}
	return nil
}

// A talking is a conversation that is laid out in one of the modes of roleplay.
type talking struct {
	setting roleplay.Setting
	scene   roleplay.Scene
	turns   []roleplay.Turn
	stops   []string
	open    bool        // the last turn is the bot's, and it is to go on with it
	layout  chat.Layout // of the modes in which there is a chat format
	room    int         // tokens that prompt and answer may have together; 0: as many as the model takes
}

// A staging is a talk as the model gets it.
type staging struct {
	target       Target
	prompt       llm.Prompt // or, if it is empty:
	conversation chat.Conversation
	stops        []string
	flush        bool // the answer begins without spaces
}

// stage lays a talk out. What is too long for the model loses its oldest turns,
// which is reported; who the character is stays.
func (t talking) stage(ctx context.Context, target Target, params llm.Params, report *llm.Report) (staging, error) {
	if t.setting.Mode != roleplay.Instruct {
		t.turns = t.scene.Begin(t.turns)
		if !t.layout.NoAutoStops {
			t.stops = t.scene.Stops(t.turns)
		}
		if err := limits.AllStops.CheckInt(len(t.stops) + len(params.Stop)); err != nil {
			return staging{}, llm.Errorf(llm.Invalid, "messages", "every name in the talk is a stop string, and there are too many: %v", err)
		}
		t.scene.LookAlikes(t.turns, report)
	}
	whole, err := t.staged(ctx, target, 0)
	if err != nil {
		return staging{}, err
	}
	room := contextOf(target)
	if t.room > 0 && (room == 0 || t.room < room) {
		room = t.room
	}
	if room == 0 || t.layout.Fit == chat.FitRefuse {
		return whole, nil
	}
	const usual = 256 // tokens of an answer whose length nobody says
	asked := usual
	if params.MaxTokens != nil {
		asked = max(*params.MaxTokens, 1)
	}
	room -= min(asked, room/2)
	fits := func(st staging) bool {
		var n int
		var known bool
		if err == nil {
			n, known, err = st.size(ctx)
		}
		return err != nil || !known || n <= room
	}
	if fits(whole) {
		return whole, err
	}
	droppable := -1 // the last turn stays
	for _, turn := range t.turns {
		if turn.Who != roleplay.Narration {
			droppable++
		}
	}
	shortest := max(droppable, 0)
	drop := sort.Search(shortest, func(n int) bool {
		st, e := t.staged(ctx, target, n)
		err = cmp.Or(err, e)
		return fits(st)
	})
	if err != nil {
		return staging{}, err
	}
	if drop > 0 {
		report.Add("shortened", strconv.Itoa(drop), fmt.Sprintf("the %d oldest turns were left out: %d tokens fit", drop, room))
	}
	return t.staged(ctx, target, drop)
}

// rendered is the exact prompt.
func (st staging) rendered(ctx context.Context) (chat.Rendered, error) {
	if st.prompt.Empty() {
		renderer, ok := st.target.Responder.(chat.Renderer)
		if !ok {
			return chat.Rendered{}, cannot(st.target, "show its prompts", "it is laid out elsewhere")
		}
		return renderer.Render(ctx, st.conversation)
	}
	shown := chat.Rendered{Format: string(roleplay.Chat), Prompt: st.prompt, Stop: st.stops}
	tokenizer, ok := st.target.Model.(llm.Tokenizer)
	if !ok {
		return shown, nil
	}
	var err error
	shown.Tokens, err = tokenizer.Tokenize(ctx, st.prompt)
	return shown, err
}

// size is how many tokens it has, if that is known.
func (st staging) size(ctx context.Context) (n int, known bool, err error) {
	if _, ok := st.target.Responder.(chat.Renderer); st.prompt.Empty() && !ok {
		return 0, false, nil
	}
	shown, err := st.rendered(ctx)
	return len(shown.Tokens), shown.Tokens != nil, err
}

// staged lays the talk out without its oldest turns; instructions stay.
func (t talking) staged(ctx context.Context, target Target, drop int) (staging, error) {
	st := staging{target: target}
	turns := t.turns
	if drop > 0 {
		turns = nil
		for _, turn := range t.turns {
			if turn.Who != roleplay.Narration && drop > 0 {
				drop--
				continue
			}
			turns = append(turns, turn)
		}
	}
	if t.setting.Mode != roleplay.Instruct {
		st.stops = t.stops
		st.flush = !t.open
	}
	if t.setting.Mode == roleplay.Chat {
		if target.Model == nil {
			return st, cannot(target, "continue a text", `use the mode "chat-instruct" or "instruct"`)
		}
		st.prompt = t.scene.Transcript(turns, t.open)
		if t.setting.Template == "" {
			return st, nil
		}
		var err error
		st.prompt, err = t.templated(ctx, target, turns)
		return st, err
	}
	if target.Responder == nil {
		return st, cannot(target, "answer conversations", `use the mode "chat"`)
	}
	st.conversation = t.conversation(turns)
	return st, nil
}

// conversation is the talk as turns of a chat format.
func (t talking) conversation(turns []roleplay.Turn) chat.Conversation {
	c := chat.Conversation{Continue: t.open, Layout: t.layout}
	say := func(role chat.Role, text string) { c.Messages = append(c.Messages, chat.Say(role, text)) }
	switch t.setting.Mode {
	case roleplay.ChatInstruct:
		for len(turns) > 0 && turns[0].Who == roleplay.Narration {
			say(chat.System, turns[0].Text)
			turns = turns[1:]
		}
		command, begin := t.scene.Order(turns, t.open)
		say(chat.User, command)
		say(chat.Assistant, begin)
		c.Continue = true
		return c
	case roleplay.Chat: // in a template of the client's own, which gets to know what it needs within itself
		c.Layout.Template = "{%- set name1 = " + quoted(t.scene.User) + " -%}{%- set name2 = " + quoted(t.scene.Bot) +
			" -%}{%- set user_bio = " + quoted(t.scene.Bio) + " -%}" + t.setting.Template
		if t.scene.Context != "" {
			say(chat.System, t.scene.Context)
		}
	}
	for _, turn := range turns {
		say(map[roleplay.Speaker]chat.Role{roleplay.User: chat.User, roleplay.Bot: chat.Assistant, roleplay.Narration: chat.System}[turn.Who], turn.Text)
	}
	return c
}

// templated is the talk in a template of the client's own. Such a template does
// not begin the turn that is to be written: it is laid out with words in that
// turn, and ends where they begin.
func (t talking) templated(ctx context.Context, target Target, turns []roleplay.Turn) (llm.Prompt, error) {
	renderer, ok := target.Responder.(chat.Renderer)
	if !ok {
		return llm.Prompt{}, cannot(target, "lay out in a template", "leave out chat_template_str")
	}
	const words = "Zq1answer"
	begins := !t.open
	if begins {
		turns = append(slices.Clone(turns), roleplay.Turn{Who: roleplay.Bot, Text: words})
		t.open = true
	} else {
		turns = slices.Clone(turns)
		turns[len(turns)-1].Text += words
	}
	shown, err := renderer.Render(ctx, t.conversation(turns))
	if err != nil {
		return llm.Prompt{}, err
	}
	p := shown.Prompt
	for i, seg := range slices.Backward(p.Segments) {
		before, _, found := strings.Cut(seg.Text, words)
		if !found {
			continue
		}
		seg.Text = before
		p.Segments = append(slices.Clone(p.Segments[:i]), seg)
		if begins { // a token with a space in it begins the answer better than one behind a space
			for last := len(p.Segments) - 1; last >= 0; last-- {
				seg := &p.Segments[last]
				if seg.Text = strings.TrimRight(seg.Text, " "); seg.Text != "" {
					break
				}
			}
		}
		return p, nil
	}
	return p, &llm.Error{Code: llm.Invalid, Field: "chat_template_str", Message: "the template leaves out the last message"}
}

// quoted is a string of the template language, whose escapes include JSON's.
func quoted(s string) string { return string(wire.Encode(s)) }

// ask asks the model.
func (st staging) ask(ctx context.Context, params llm.Params) iter.Seq2[chat.Event, error] {
	params.Stop = append(params.Stop[:len(params.Stop):len(params.Stop)], st.stops...)
	var events iter.Seq2[chat.Event, error]
	if st.prompt.Empty() {
		events = st.target.Responder.Respond(ctx, st.conversation, params)
	} else {
		events = asEvents(st.target.Model.Complete(ctx, st.prompt, params))
	}
	if st.flush {
		events = flush(events)
	}
	return withStops(events, st.stops)
}

// withStops is an answer that says which stop strings were added.
func withStops(events iter.Seq2[chat.Event, error], stops []string) iter.Seq2[chat.Event, error] {
	if len(stops) == 0 {
		return events
	}
	return func(yield func(chat.Event, error) bool) {
		for e, err := range events {
			if a, ok := e.(chat.Accepted); ok {
				a.Stops = append(a.Stops[:len(a.Stops):len(a.Stops)], stops...)
				e = a
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// layoutIn is a layout with the chat format that a setting asks for.
func layoutIn(l chat.Layout, setting roleplay.Setting) chat.Layout {
	if l.Format == "" && l.Template == "" && l.Markup == "" {
		l.Format, l.Template = setting.Format, setting.FormatTemplate
	}
	return l
}

// flush is an answer that begins without spaces: those between a name and its
// words belong to neither.
func flush(events iter.Seq2[chat.Event, error]) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		begun := false
		for e, err := range events {
			if d, ok := e.(chat.TextDelta); ok && !begun {
				d.Text = strings.TrimLeft(d.Text, " ")
				begun = d.Text != ""
				e = d
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// staged is a chat completion as the model gets it.
func (s *Server) staged(ctx context.Context, target Target, q *openai.Request) (staging, error) {
	q.Conversation.Layout = layoutIn(q.Conversation.Layout, q.Setting)
	if q.Setting.Mode == roleplay.Instruct {
		if target.Responder == nil {
			return staging{}, cannot(target, "answer conversations", "send a prompt to /v1/completions")
		}
		return staging{target: target, conversation: q.Conversation}, nil
	}
	if len(q.Conversation.Tools) > 0 {
		return staging{}, &llm.Error{Code: llm.Unsupported, Field: "tools", Message: "characters call no tools", Hint: `use the mode "instruct"`}
	}
	scene, err := s.scene(ctx, q.Setting)
	if err != nil {
		return staging{}, err
	}
	turns, err := turnsOf(q.Conversation.Messages)
	if err != nil {
		return staging{}, err
	}
	return talking{setting: q.Setting, scene: scene, turns: turns, open: q.Conversation.Continue, layout: q.Conversation.Layout}.stage(ctx, target, q.Params, &q.Report)
}

// turnsOf are the messages of a conversation as turns of a talk.
func turnsOf(messages []chat.Message) ([]roleplay.Turn, error) {
	var turns []roleplay.Turn
	for i, m := range messages {
		refuse := func(what string) error {
			return &llm.Error{Code: llm.Unsupported, Field: fmt.Sprintf("messages[%d]", i), Message: what + " cannot be told in a talk with a character", Hint: `use the mode "instruct"`}
		}
		turn := roleplay.Turn{Name: m.Name, Text: m.Text(), Source: llm.Source{Kind: llm.FromMessage, Index: i, Field: "content"}}
		switch m.Role {
		case chat.User:
		case chat.Assistant:
			turn.Who = roleplay.Bot
		case chat.System, chat.Developer:
			turn.Who, turn.Name = roleplay.Narration, ""
		default:
			return nil, refuse("the result of a tool call")
		}
		if len(m.ToolCalls) > 0 {
			return nil, refuse("a tool call")
		}
		for _, p := range m.Parts {
			if p.Media != nil {
				return nil, refuse("a picture or sound")
			}
		}
		turns = append(turns, turn)
	}
	return turns, nil
}
