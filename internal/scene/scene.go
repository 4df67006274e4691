// Package scene lays a talk with characters out as a conversation: who they
// are, who the user is, what lorebooks know of it, what was said, in one order
// of named slots. [Compose] is a pure function of a [Scene]: the same scene
// gives the same conversation, so that a prompt can be made again. What a card
// or a person wrote reaches the model as the text of messages, never as part
// of a chat format.
package scene

import (
	"slices"
	"time"

	"parley/chat"
	"parley/internal/character"
	"parley/internal/lorebook"
	"parley/internal/macro"
	"parley/llm"
)

// Slot is a named place of the prompt.
type Slot string

// The slots. Notes, a card's depth prompt and entries of lorebooks with a depth
// stand inside of History.
const (
	Main        Slot = "main"         // what the model is to do
	Persona     Slot = "persona"      // who the user is
	Description Slot = "description"  // who the characters are
	Personality Slot = "personality"  //
	Situation   Slot = "scenario"     //
	Examples    Slot = "examples"     // conversations that show how they speak, as turns
	LoreBefore  Slot = "lore_before"  // entries of lorebooks that are to stand before the character
	LoreAfter   Slot = "lore_after"   // and behind it
	Summary     Slot = "summary"      // what happened before the history
	History     Slot = "history"      // what was said
	PostHistory Slot = "post_history" // instructions behind it
	Prefill     Slot = "prefill"      // how the reply begins
)

// DefaultOrder is the order of the slots unless a scene has its own. What
// never changes in a chat stands first, so that an engine need not read it
// again; what comes and goes stands behind it.
func DefaultOrder() []Slot {
	return []Slot{Main, Persona, Description, Personality, Situation, Examples, LoreBefore, LoreAfter, Summary, History, PostHistory, Prefill}
}

// Style is the form in which the talk reaches the model.
type Style string

const (
	Turns        Style = ""              // as messages of user and assistant
	Chat         Style = "chat"          // as a script, each line with its speaker, outside of any chat format
	ChatInstruct Style = "chat-instruct" // the same script, as a task for an assistant
)

// Kind is what is asked for.
type Kind string

const (
	Reply       Kind = ""            // the next message of the character
	Continue    Kind = "continue"    // the rest of the history's last message, which must be a character's
	Impersonate Kind = "impersonate" // the user's next message
)

// Names says whether speakers' names are told in style Turns.
type Names string

const (
	NamesIfMany Names = ""       // if more than one character or user speaks
	NamesAlways Names = "always" //
	NamesNever  Names = "never"  //
)

// A Scene is all that a conversation is composed of.
type Scene struct {
	Cards   []character.Card // who is there; several are a company
	Speaker int              // which of them speaks next
	Shown   []bool           // by card: whose texts the prompt has; nil is everyone's
	User    string           // the user's name; "User" if it is empty
	Persona string           // who the user is, with macros
	PersonaPlace

	Main        string // what the model is to do, with macros; a card's system prompt replaces it. "" is a usual one
	PostHistory string // instructions behind the history; a card's replace them
	Scenario    string // replaces the cards', if not empty
	Summary     string // of what happened before the history; text, without macros
	Summarised  int    // messages at the beginning for which the summary stands: they are left out, but for those that are pinned
	Notes       []Note // among the last messages
	Prefill     string // how the reply begins; text, without macros
	Command     string // of style chat-instruct, with macros; "" is a usual one

	Messages []Message       // what was said, oldest first
	Books    []lorebook.Book // besides the cards' own
	Lore     LoreSettings

	Kind  Kind
	Style Style
	Names Names
	Order []Slot // nil is DefaultOrder

	// Started and Chat are the same for all prompts of a chat, Now and Seed are
	// those of one reply: texts at the beginning of the prompt have their clock
	// and their draws from the former, those behind the history from the latter.
	Started, Now time.Time
	Chat, Seed   uint64
	Idle         time.Duration // since the user last spoke

	// Count counts a text's tokens; nil counts a token for four bytes.
	Count func(string) int
	// PerMessage is how many tokens the chat format puts around a message.
	PerMessage int
	// Budget is how many tokens there may be; 0 is without end.
	Budget int
}

// A Message is one of a chat. Its role is User, Assistant (a character), System
// or Tool (behind the message that calls it), its name that of its speaker.
type Message struct {
	ID string // by which a report names it
	chat.Message
	Attached int // tokens that its pictures and sounds count as, beside what is counted of its text
}

// Greeting makes the first message of a chat of a character's greeting.
func Greeting(text string) Message {
	return Message{ID: "greeting", Message: chat.Say(chat.Assistant, text)}
}

// A PersonaPosition is where it is told who the user is.
type PersonaPosition string

// The positions.
const (
	PersonaSlot       PersonaPosition = ""            // in its slot
	PersonaBeforeNote PersonaPosition = "before_note" // before the first note
	PersonaAfterNote  PersonaPosition = "after_note"  // behind it
	PersonaAtDepth    PersonaPosition = "at_depth"    // among the last messages
	PersonaNowhere    PersonaPosition = "nowhere"     // only where {{persona}} stands
)

// A PersonaPlace is where it is told who the user is, and of PersonaAtDepth how
// many messages stand behind it and who says it, "" being the system.
type PersonaPlace struct {
	Position PersonaPosition
	Depth    int
	Role     chat.Role
}

// Check refuses places that there are not.
func (p PersonaPlace) Check() error {
	if !slices.Contains([]PersonaPosition{PersonaSlot, PersonaBeforeNote, PersonaAfterNote, PersonaAtDepth, PersonaNowhere}, p.Position) {
		return llm.Errorf(llm.Invalid, "position", "there is no %q; there are before_note, after_note, at_depth and nowhere", p.Position)
	}
	if !slices.Contains([]chat.Role{"", chat.System, chat.User, chat.Assistant}, p.Role) {
		return llm.Errorf(llm.Invalid, "role", "there is no %q; there are system, user and assistant", p.Role)
	}
	if p.Position != PersonaAtDepth && (p.Depth != 0 || p.Role != "") {
		return llm.Errorf(llm.Invalid, "depth", "a depth and a role are for the position at_depth alone")
	}
	return nil
}

// A Note stands among the last messages.
type Note struct {
	Text  string // with macros
	Depth int    // messages behind it
	Role  chat.Role
}

// LoreSettings are what holds for lorebooks that do not say otherwise.
type LoreSettings struct {
	Depth     int            // messages looked through; 0 is 4
	Budget    int            // tokens of all entries together; 0 is a quarter of the scene's
	Recursive bool           // whether entries call each other
	Parts     bool           // whether a key is found within a longer word
	Greeting  int            // which greeting the chat began with, from 0; -1 if none
	State     lorebook.State // of the turn before
	Rank      int            // of the cards' own books, as lorebook.Book has it
	Trigger   string         // of a reply: "swipe" where it is another one in the place of one; "" is "normal"
}

// Composed is a scene as a conversation.
type Composed struct {
	Conversation chat.Conversation
	// Stop are the beginnings of others' turns, at which the reply must end.
	Stop []string
	// Lead are beginnings of the reply that are to be cut off: its speaker's
	// name, as models write it before what they say.
	Lead   []string
	Report Report
}

// A Report says what stands where, and what does not and why.
type Report struct {
	Speaker string             `json:"speaker,omitempty"` // who speaks, by the name that the model sees
	Company []Player           `json:"company,omitempty"` // everyone, if there is more than one character
	Slots   []Placed           `json:"slots"`             // in the order of the prompt
	Dropped []Dropped          `json:"dropped,omitempty"`
	Lore    []lorebook.Verdict `json:"lore,omitempty"`
	Draws   []Draw             `json:"draws,omitempty"`
	Unknown []string           `json:"unknown_macros,omitempty"`
	Notes   llm.Report         `json:"notes,omitempty"`
	Tokens  int                `json:"tokens"`
	Budget  int                `json:"budget,omitempty"`
	// State is what lorebooks remember for the next turn.
	State lorebook.State `json:"-"`
}

// A Player is a character of a company.
type Player struct {
	Name  string `json:"name"`
	Shown bool   `json:"shown"` // whether the prompt has its texts
}

// Placed is where a text stands.
type Placed struct {
	Slot    Slot   `json:"slot"`
	ID      string `json:"id,omitempty"` // of a message, an entry, a note
	Message int    `json:"message"`      // of the conversation, from 0
	Part    int    `json:"part"`         // of the message, from 0
	Tokens  int    `json:"tokens"`
}

// Dropped is what did not fit: a text, or of the history messages that stand
// behind each other, which are not counted.
type Dropped struct {
	Slot     Slot   `json:"slot"`
	ID       string `json:"id"`
	Last     string `json:"last,omitempty"`     // the last of the messages, of which ID is the first
	Messages int    `json:"messages,omitempty"` // how many there are
	Tokens   int    `json:"tokens,omitempty"`   // of a text
}

// A Draw is a choice by chance.
type Draw struct {
	Place string `json:"place"`
	macro.Draw
}

// Compose lays the scene out. Parts that must be there and do not fit are an
// *llm.Error with Code TooLong, with their numbers.
func Compose(s Scene) (Composed, error) {
	if err := s.check(); err != nil {
		return Composed{}, err
	}
	c := &composer{Scene: s, people: newPeople(&s)}
	if c.Order == nil {
		c.Order = DefaultOrder()
	}
	if c.Count == nil {
		c.Count = func(text string) int { return (len(text) + 3) / 4 }
	}
	c.report.Budget = s.Budget
	c.pair()
	if err := c.texts(); err != nil {
		return Composed{}, err
	}
	if err := c.lore(); err != nil {
		return Composed{}, err
	}
	if err := c.notes(); err != nil {
		return Composed{}, err
	}
	if err := c.fit(); err != nil {
		return Composed{}, err
	}
	return c.assemble(), nil
}

func (s *Scene) check() error {
	if len(s.Cards) > 0 && (s.Speaker < 0 || s.Speaker >= len(s.Cards)) {
		return llm.Errorf(llm.Invalid, "speaker", "there are %d characters, and none has the number %d", len(s.Cards), s.Speaker)
	}
	if s.Shown != nil && len(s.Shown) != len(s.Cards) {
		return llm.Errorf(llm.Invalid, "shown", "there are %d characters, and it is said of %d whether they are shown", len(s.Cards), len(s.Shown))
	}
	for i, m := range s.Messages {
		if !slices.Contains([]chat.Role{chat.User, chat.Assistant, chat.System, chat.Tool}, m.Role) {
			return llm.Errorf(llm.Invalid, "messages", "message %d is neither a user's nor a character's nor the system's nor a tool's", i)
		}
	}
	if s.Kind == Continue && (len(s.Messages) == 0 || s.Messages[len(s.Messages)-1].Role != chat.Assistant) {
		return llm.Errorf(llm.Invalid, "kind", "only a message of a character can go on, and the last one is none")
	}
	if !slices.Contains([]Kind{Reply, Continue, Impersonate}, s.Kind) {
		return llm.Errorf(llm.Invalid, "kind", "it is none of continue and impersonate")
	}
	if !slices.Contains([]Style{Turns, Chat, ChatInstruct}, s.Style) {
		return llm.Errorf(llm.Invalid, "style", "it is none of chat and chat-instruct")
	}
	return CheckOrder(s.Order)
}

// CheckOrder refuses an order of slots that has one twice, one that does not
// exist, or no history; nil is DefaultOrder. The error is an *llm.Error.
func CheckOrder(order []Slot) error {
	if order == nil {
		return nil
	}
	known := DefaultOrder()
	for i, slot := range order {
		if !slices.Contains(known, slot) {
			return &llm.Error{Code: llm.Invalid, Field: "order", Message: "there is no slot " + string(slot), Hint: "docs/characters.md lists the slots"}
		}
		if slices.Contains(order[:i], slot) {
			return llm.Errorf(llm.Invalid, "order", "the slot %s is there twice", slot)
		}
	}
	if !slices.Contains(order, History) {
		return llm.Errorf(llm.Invalid, "order", "the slot history is missing")
	}
	return nil
}

// shows reports whether the prompt has the texts of a card.
func (s *Scene) shows(card int) bool { return s.Shown == nil || s.Shown[card] }

// alone reports whether the prompt has the texts of the speaker and of nobody
// else: then the card's own words count as if there were no others.
func (s *Scene) alone() bool {
	for i := range s.Cards {
		if s.shows(i) != (i == s.Speaker) {
			return false
		}
	}
	return len(s.Cards) > 0
}

// A composer composes one scene.
type composer struct {
	Scene
	people people
	report Report

	filled   []macro.Values   // by card, when their texts are made
	expanded int              // bytes of texts that had macros
	text     map[Slot][]piece // of the slots that are system text
	blocks   []block          // of the examples
	shown    int              // how many of them fit
	history  []piece          // as messages; said makes them
	kept     []bool           // which of the history's messages fit
	inserted []insertion
	also     []string // what hidden keys hold
	prefill  string
}

// A piece is a text with what the report calls it.
type piece struct {
	slot   Slot
	id     string
	text   string
	tokens int
	lore   bool    // whether it is an entry of a lorebook
	order  float64 // of an entry: the least gives way first
	yields bool    // of an entry: gives way before any message does
}

// An insertion stands among the history's messages.
type insertion struct {
	piece
	depth int // messages behind it
	rank  int // -1 before notes of the same depth, 1 behind them
	role  chat.Role
}

// Expand expands macros as the scene has it for a text that is written once
// and stays: a greeting. Place names the text.
func (s *Scene) Expand(place, text string) (string, error) {
	c := &composer{Scene: *s, people: newPeople(s)}
	if err := c.texts(); err != nil {
		return "", err
	}
	return c.expand(place, text, c.values(s.Speaker))
}
