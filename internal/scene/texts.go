package scene

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/lorebook"
	"parley/internal/macro"
	"parley/llm"
)

const (
	usualMain    = "You are {{char}}. Answer {{user}} as {{char}} would, and stay in character."
	usualCompany = "You play {{group}}, who talk with {{user}} and with each other. Each message is by one of them, who stays in character."
	usualCommand = "Below are a setting and a conversation. Write what {{char}} says next in it, and nothing else."
	examplesEnd  = "The examples end here. The conversation begins."
)

// values are those of macros in the words of one of the cards.
func (c *composer) values(card int) macro.Values {
	if card < len(c.filled) {
		return c.filled[card]
	}
	v := macro.Values{User: c.people.user, Now: c.Started, Seed: c.Chat, Chat: c.Chat, Char: c.people.user}
	if len(c.Cards) == 0 {
		v.Char = "Assistant"
		return v
	}
	v.Char = c.people.chars[card]
	if len(c.Cards) > 1 {
		v.Group = strings.Join(c.people.chars, ", ")
	}
	return v
}

// shared are the values of what stands before the history for all characters:
// it must not change with who speaks, so in company {{char}} stands for all,
// unless the prompt has one card only.
func (c *composer) shared(v macro.Values) macro.Values {
	if v.Group != "" && !c.alone() {
		v.Char = v.Group
	}
	return v
}

// late are the values of what stands behind the history.
func (c *composer) late(v macro.Values) macro.Values {
	v.Now, v.Seed, v.Idle = c.Now, c.Seed, c.Idle
	return v
}

// expand expands an author's text and notes what came of it.
func (c *composer) expand(place, text string, v macro.Values) (string, error) {
	v.Place = place
	r, err := macro.Expand(strings.ReplaceAll(text, "\r\n", "\n"), v)
	if err != nil {
		return "", err
	}
	if strings.Contains(text, "{{") {
		c.expanded += len(r.Text)
	}
	if err := limits.SceneBytes.CheckInt(c.expanded); err != nil {
		return "", llm.Errorf(llm.Invalid, place, "all texts with their macros expanded: %v", err)
	}
	for _, d := range r.Draws {
		c.report.Draws = append(c.report.Draws, Draw{place, d})
	}
	for _, u := range r.Unknown {
		if !slices.Contains(c.report.Unknown, u) {
			c.report.Unknown = append(c.report.Unknown, u)
		}
	}
	c.also = append(c.also, r.Hidden...)
	return strings.TrimSpace(r.Text), nil
}

// texts makes the texts of the slots that depend on the cards alone.
func (c *composer) texts() (err error) {
	c.text = map[Slot][]piece{}
	var expandErr error
	expand := func(place, text string, v macro.Values) string {
		s, err := c.expand(place, text, v)
		if err != nil && expandErr == nil {
			expandErr = err
		}
		return s
	}
	add := func(slot Slot, id, before, text string) {
		if text != "" {
			c.text[slot] = append(c.text[slot], piece{slot: slot, id: id, text: before + text})
		}
	}
	speaker := c.values(c.Speaker)
	persona := expand("persona", c.Persona, c.shared(speaker))
	c.persona(persona, add)
	add(Summary, "", "What happened so far: ", strings.TrimSpace(c.Summary))
	company := len(c.Cards) > 1 && !c.alone()
	var filled []macro.Values
	for i, card := range c.Cards {
		v, name, place := c.values(i), c.people.chars[i], "card "+strconv.Itoa(i)+" "
		v.Persona = persona
		filled = append(filled, v)
		if !c.shows(i) {
			continue
		}
		v.Description = expand(place+"description", card.Description, v)
		v.Personality = expand(place+"personality", card.Personality, v)
		v.Scenario = expand(place+"scenario", card.Scenario, v)
		head := ""
		if company {
			head = name + ": "
		}
		add(Description, card.Name, head, v.Description)
		add(Personality, card.Name, name+"'s personality: ", v.Personality)
		if c.Scenario == "" {
			add(Situation, card.Name, "Scenario: ", v.Scenario)
		}
		examples, err := c.expand(place+"examples", card.Examples, v)
		if err != nil {
			return err
		}
		c.blocks = append(c.blocks, c.people.examples(examples, i)...)
		v.Examples = examples
		filled[i] = v
	}
	if len(filled) > 0 {
		speaker = filled[c.Speaker]
	}
	situation := expand("scenario", c.Scenario, c.shared(speaker))
	add(Situation, "", "Scenario: ", situation)
	if c.Scenario != "" {
		speaker.Scenario = situation
		for i := range filled {
			filled[i].Scenario = situation
		}
	}
	c.filled = filled
	c.main(expand, add, c.shared(speaker))
	c.post(expand, add, speaker)
	c.prefill = c.Prefill
	if c.Style == ChatInstruct {
		if strings.TrimSpace(c.Command) == "" {
			c.Command = usualCommand
		}
		speaker.Char = c.speaker()
		c.Command = expand("command", c.Command, speaker)
	}
	return expandErr
}

// persona tells who the user is, where it is to be told.
func (c *composer) persona(text string, add adder) {
	before := "About " + c.people.user + ": "
	at := insertion{piece{slot: History, id: "persona", text: before + text}, c.noteDepth(), 1, chat.System}
	switch c.Position {
	case PersonaSlot:
		add(Persona, "", before, text)
		return
	case PersonaNowhere:
		return
	case PersonaBeforeNote:
		at.rank = -1
	case PersonaAtDepth:
		at.depth, at.rank, at.role = max(c.Depth, 0), 0, cmp.Or(c.Role, chat.System)
	}
	if text != "" {
		c.inserted = append(c.inserted, at)
	}
}

// noteDepth is how many messages stand behind the first note, or would.
func (c *composer) noteDepth() int {
	if len(c.Notes) > 0 {
		return max(c.Notes[0].Depth, 0)
	}
	return 4
}

type (
	expander = func(place, text string, v macro.Values) string
	adder    = func(slot Slot, id, before, text string)
)

// main is what the model is to do: the card's own words if it has any, as its
// specification demands, else the scene's. Where the prompt has several cards,
// none speaks for all.
func (c *composer) main(expand expander, add adder, v macro.Values) {
	text := c.Main
	switch {
	case text != "" || c.Style != Turns: // a script tells itself
	case c.alone():
		text = usualMain
	case len(c.Cards) > 0:
		text = usualCompany
	}
	main := expand("main", text, v)
	if c.alone() && strings.TrimSpace(c.Cards[c.Speaker].SystemPrompt) != "" {
		v.Original = main
		main = expand("card "+strconv.Itoa(c.Speaker)+" system_prompt", c.Cards[c.Speaker].SystemPrompt, v)
	}
	for i, card := range c.Cards {
		if c.shows(i) && !c.alone() && strings.TrimSpace(card.SystemPrompt) != "" {
			c.report.Notes.Add("ignored", "system_prompt", "in company no character's own system prompt holds")
		}
	}
	add(Main, "", "", main)
}

// post is what stands behind the history: the speaker's instructions or the
// scene's, and who is to speak.
func (c *composer) post(expand expander, add adder, v macro.Values) {
	v = c.late(v)
	text := expand("post_history", c.PostHistory, v)
	if len(c.Cards) > 0 {
		if card := c.Cards[c.Speaker]; strings.TrimSpace(card.PostHistory) != "" {
			v.Original = text
			text = expand("card "+strconv.Itoa(c.Speaker)+" post_history_instructions", card.PostHistory, v)
		}
	}
	add(PostHistory, "", "", text)
	switch {
	case c.Style != Turns: // a script ends with who is to speak
	case c.Kind == Impersonate:
		add(PostHistory, "", "", "Write the next message of "+c.people.user+", and nothing else.")
	case len(c.Cards) > 1 && c.Kind == Reply:
		add(PostHistory, "", "", "Write the next message of "+c.people.chars[c.Speaker]+", and nobody else's.")
	}
}

// lore asks the lorebooks and puts what they tell in its slots.
func (c *composer) lore() error {
	scan := lorebook.Scan{
		Also: c.also, Greeting: c.Lore.Greeting, State: c.Lore.State, Seed: c.Seed, Depth: c.Lore.Depth, Budget: c.Lore.Budget,
		Recursive: c.Lore.Recursive, WholeWords: !c.Lore.Parts, Count: c.Count,
	}
	scan.Trigger = c.Lore.Trigger
	switch c.Kind {
	case Continue:
		scan.Trigger = "continue"
	case Impersonate:
		scan.Trigger = "impersonate"
	}
	if len(c.Cards) > 0 {
		card := c.Cards[c.Speaker]
		scan.Speaker = []string{card.Name, card.Called()}
		scan.Sources = map[string]string{
			"match_persona_description": c.Persona, "match_character_description": card.Description, "match_character_personality": card.Personality,
			"match_character_depth_prompt": card.DepthPrompt().Text, "match_scenario": cmp.Or(c.Scenario, card.Scenario), "match_creator_notes": card.CreatorNotes,
		}
	}
	if scan.Depth == 0 {
		scan.Depth = 4
	}
	if scan.Budget == 0 {
		scan.Budget = c.Budget / 4
	}
	owner := map[string]int{}
	add := func(b lorebook.Book) string {
		name := b.Name
		for n := 2; slices.ContainsFunc(scan.Books, func(o lorebook.Book) bool { return o.Name == b.Name }); n++ {
			b.Name = name + " (" + strconv.Itoa(n) + ")"
		}
		scan.Books = append(scan.Books, b)
		return b.Name
	}
	for _, b := range c.Books {
		add(b)
	}
	for i, card := range c.Cards {
		if card.Book != nil && c.shows(i) {
			name := cmp.Or(strings.TrimSpace(card.Book.Name), card.Name)
			owner[add(lorebook.Book{Name: name, Rank: c.Lore.Rank, Book: card.Book})] = i
		}
	}
	if len(scan.Books) == 0 {
		return nil
	}
	for _, m := range c.Messages {
		scan.Messages = append(scan.Messages, lorebook.Message{Name: c.people.of(m.Message), Text: m.Text(), Character: m.Role == chat.Assistant})
	}
	scan.Expand = func(place, text string) (string, error) {
		v := c.values(c.Speaker)
		for name, i := range owner {
			if strings.Contains(place, "lore:"+name+"#") {
				v = c.values(i)
			}
		}
		return c.expand(place, text, c.late(v))
	}
	r, err := lorebook.Activate(scan)
	if err != nil {
		return err
	}
	c.report.Lore, c.report.State = r.All, r.State
	for _, v := range r.Told {
		if strings.TrimSpace(v.Text) == "" { // its macros left nothing
			continue
		}
		p := piece{slot: LoreAfter, id: v.Place(), text: v.Text, lore: true, order: v.Order, yields: v.Trimmed}
		switch v.Position {
		case lorebook.AtDepth:
			p.slot = History
			c.inserted = append(c.inserted, insertion{p, v.Depth, 0, chat.Role(v.Role)})
			continue
		case lorebook.BeforeNote, lorebook.AfterNote:
			p.slot = History
			in := insertion{p, c.noteDepth(), 1, chat.System}
			if v.Position == lorebook.BeforeNote {
				in.rank = -1
			}
			c.inserted = append(c.inserted, in)
			continue
		case lorebook.BeforeCharacter, lorebook.BeforeExamples:
			p.slot = LoreBefore
		case lorebook.Personality:
			p.slot = Personality
		case lorebook.Scenario:
			p.slot = Situation
		}
		c.text[p.slot] = append(c.text[p.slot], p)
	}
	return nil
}

// notes puts the scene's notes and the speaker's among the history.
func (c *composer) notes() error {
	v := c.late(c.values(c.Speaker))
	all := slices.Clone(c.Notes)
	if len(c.Cards) > 0 {
		if p := c.Cards[c.Speaker].DepthPrompt(); strings.TrimSpace(p.Text) != "" {
			all = append(all, Note{p.Text, p.Depth, chat.Role(p.Role)})
		}
	}
	for i, n := range all {
		text, err := c.expand("note "+strconv.Itoa(i), n.Text, v)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		if n.Role == "" {
			n.Role = chat.System
		}
		c.inserted = append(c.inserted, insertion{piece{slot: History, id: "note " + strconv.Itoa(i), text: text}, max(n.Depth, 0), 0, n.Role})
	}
	if c.Kind == Continue { // nothing may stand behind what goes on
		for i := range c.inserted {
			c.inserted[i].depth = max(c.inserted[i].depth, 1)
		}
	}
	return nil
}

// Greetings lists the first messages of a card to choose from, with their
// macros expanded.
func (s *Scene) Greetings(card int) (all []string, err error) {
	c := &composer{Scene: *s, people: newPeople(s)}
	c.Speaker = card
	if err := c.texts(); err != nil {
		return nil, err
	}
	for i, text := range c.Cards[card].Greetings(len(c.Cards) > 1) {
		expanded, err := c.expand("greeting "+strconv.Itoa(i), text, c.values(card))
		if err != nil {
			return nil, err
		}
		all = append(all, expanded)
	}
	return all, nil
}
