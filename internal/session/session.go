package session

import (
	"encoding/json"
	"slices"
	"time"

	"parley/chat"
	"parley/internal/lorebook"
	"parley/internal/scene"
	"parley/llm"
)

// A Session is a talk without its messages.
type Session struct {
	ID         string     `json:"id"`
	ExternalID string     `json:"external_id,omitempty"` // what its owner's program calls it: a channel, a ticket
	Revision   int64      `json:"revision"`              // counts the changes; the first is 1
	Title      string     `json:"title,omitempty"`
	Pinned     bool       `json:"pinned,omitempty"`
	Tags       []string   `json:"tags,omitempty"`
	Created    time.Time  `json:"created"`
	Updated    time.Time  `json:"updated"`
	Deleted    *time.Time `json:"deleted,omitempty"`
	Head       int        `json:"head"`     // the message behind which the talk goes on; 0: there is none
	Messages   int        `json:"messages"` // how many there ever were; their ids are 1 to this
	Forked     *Place     `json:"forked_from,omitempty"`

	// Settings are all that there were, in rising order of Since; the last ones
	// hold.
	Settings []Settings `json:"settings"`
}

// Settings are what replies depend on besides the messages.
type Settings struct {
	Since int64 `json:"since,omitempty"` // the revision from which on they hold

	Model     string           `json:"model,omitempty"`      // "": the server's choice
	Character string           `json:"character,omitempty"`  // its id; "": nobody in particular, or a company
	User      string           `json:"user,omitempty"`       // what the person is called who talks
	Persona   string           `json:"persona,omitempty"`    // who that is
	PersonaID string           `json:"persona_id,omitempty"` // a persona that says what User and Persona leave open, by its id
	System    string           `json:"system,omitempty"`     // instructions at the beginning
	Note      string           `json:"note,omitempty"`       // instructions near the end
	NoteDepth int              `json:"note_depth,omitempty"` // how many messages stand behind the note
	Media     chat.MediaPolicy `json:"media,omitempty"`      // what happens to pictures that the model cannot take; "": as the server says
	Fit       chat.FitPolicy   `json:"fit,omitempty"`        // what happens when the talk gets longer than the context; "": the oldest messages are left out
	Scenario  string           `json:"scenario,omitempty"`   // takes the place of the character's
	Summary   string           `json:"summary,omitempty"`    // what happened before the messages
	Style     scene.Style      `json:"style,omitempty"`
	Names     scene.Names      `json:"names,omitempty"`
	Params    json.RawMessage  `json:"params,omitempty"` // sampling, as the fields of a chat completion
	Preset    string           `json:"preset,omitempty"` // what Params, System and Order leave open, by its id
	Tools                      // what replies may call

	Memory *SummarySettings `json:"memory,omitempty"` // how the summary is made

	Lorebooks []string      `json:"lorebooks,omitempty"` // their ids, besides those of the characters
	Lore      *LoreSettings `json:"lore,omitempty"`
	Order     []scene.Slot  `json:"order,omitempty"` // of the prompt's slots; nil: scene.DefaultOrder

	// Of a company.
	Characters  []Member   `json:"characters,omitempty"`   // in their order
	Turn        scene.Turn `json:"turn,omitempty"`         // who answers; "": natural
	Cards       Cards      `json:"cards,omitempty"`        // whose texts the prompt has
	SelfAnswers bool       `json:"self_answers,omitempty"` // one who spoke last may be chosen to go on
}

// At gives the settings as they were at a revision.
func (s *Session) At(revision int64) Settings {
	var now Settings
	for _, v := range s.Settings {
		if v.Since <= revision {
			now = v
		}
	}
	return now
}

// Now gives the settings that hold.
func (s *Session) Now() Settings { return s.At(s.Revision) }

// A Place is a message, and if Session is set, which session it is in.
type Place struct {
	Session string `json:"session,omitempty"`
	Message int    `json:"message"`
	Version int    `json:"version"` // counted from 0
}

// A Node is a message of the tree with all its versions. What stands here of
// it never changes; versions are added.
type Node struct {
	ID      int       `json:"id"`     // counted from 1
	Parent  int       `json:"parent"` // the message before; 0: it is the first
	Role    chat.Role `json:"role"`
	Author  Author    `json:"author,omitzero"`
	Created time.Time `json:"created"`
	Origin  *Place    `json:"origin,omitempty"` // of which message it is a copy

	ToolCallID string `json:"tool_call_id,omitempty"` // of a tool's message: which call it answers

	Versions []Version `json:"versions"`
}

// An Author is who of several people wrote a message.
type Author struct {
	ID   string `json:"id,omitempty"` // as the program that sends it tells people apart
	Name string `json:"name,omitempty"`
}

// A Version is what a message says, or that it was deleted.
type Version struct {
	Since       int64        `json:"since"` // the revision from which on it holds
	Created     time.Time    `json:"created"`
	Text        string       `json:"text"`
	Attachments []Attachment `json:"attachments,omitempty"` // in the order in which they stand in the text
	Reasoning   string       `json:"reasoning,omitempty"`
	ToolCalls   []ToolCall   `json:"tool_calls,omitempty"` // of an assistant's message, behind its text
	Deleted     bool         `json:"deleted,omitempty"`
	State       State        `json:"state"`
	Reply       *Reply       `json:"reply,omitempty"` // how it was generated; nil: it was written
}

// State is whether a message is whole.
type State string

// The states. Only a running message changes, until it has another state.
const (
	Complete    State = "complete"
	Running     State = "running"
	Stopped     State = "stopped"     // someone ended the reply before its end
	Interrupted State = "interrupted" // the server ended before the reply
	Failed      State = "failed"      // an error ended the reply; Reply.Error says which
)

// Kind is what a reply was asked for.
type Kind string

// The kinds of replies.
const (
	Answer      Kind = "answer"      // the next message
	Continue    Kind = "continue"    // the rest of a message
	Impersonate Kind = "impersonate" // what the user might say
)

// A Reply is how a message was generated: all that it takes to tell why it
// says what it says.
type Reply struct {
	Kind      Kind       `json:"kind"`
	Base      int64      `json:"base"`                // the revision of the session that it answers
	Continued int        `json:"continued,omitempty"` // of Continue: the version whose text it begins with
	Asked     time.Time  `json:"asked"`               // when, for macros and lorebooks
	Character Cast       `json:"character,omitzero"`  // who speaks
	Company   []Cast     `json:"company,omitempty"`   // everyone who was there, if there were several
	Persona   Cast       `json:"persona,omitzero"`    // who the user was
	Preset    Used       `json:"preset,omitzero"`
	Lorebooks []Attached `json:"lorebooks,omitempty"`    // which held, besides those within the cards
	Wanted    string     `json:"wanted_model,omitempty"` // the name by which a model was asked for
	Tools     *Tools     `json:"tools,omitempty"`        // those of the request, if it had any
	Summary   *Place     `json:"summary,omitempty"`      // which held, if one was made or written; of a Summarise: the one before it

	Model          string          `json:"model,omitempty"`
	Architecture   string          `json:"architecture,omitempty"`
	Quantisation   string          `json:"quantisation,omitempty"`
	ModelDigest    string          `json:"model_digest,omitempty"`    // of the model's file, where it is known
	TemplateDigest string          `json:"template_digest,omitempty"` // SHA-256 of the model's chat template, where it is known
	Format         string          `json:"format,omitempty"`
	Budget         int             `json:"budget,omitempty"`        // tokens that the prompt might have, where the model said so
	PromptDigest   string          `json:"prompt_digest,omitempty"` // SHA-256 of the prompt, where the model can show it
	Params         json.RawMessage `json:"params,omitempty"`        // with the model's own recommendations
	Seed           int64           `json:"seed"`

	Reason  llm.Reason         `json:"reason,omitempty"` // why it ended
	Stop    string             `json:"stop,omitempty"`   // the stop string that matched
	Usage   Usage              `json:"usage,omitzero"`
	Report  llm.Report         `json:"report,omitempty"`     // what was repaired, dropped, shortened
	Dropped []scene.Dropped    `json:"dropped,omitempty"`    // what the scene had no room for
	Lore    []lorebook.Verdict `json:"lore,omitempty"`       // entries of lorebooks that were told, without their texts
	Mind    lorebook.State     `json:"lore_state,omitempty"` // what lorebooks remember for the next turn
	Tokens  []int              `json:"tokens,omitempty"`     // the ids with which the text was written, where the engine tells them
	Error   *ReplyError        `json:"error,omitempty"`
}

// Usage counts a reply's tokens and seconds.
type Usage struct {
	Prompt     int     `json:"prompt_tokens"`
	Cached     *int    `json:"cached_tokens,omitempty"` // absent where the engine does not tell
	Completion int     `json:"completion_tokens"`
	Queued     float64 `json:"queued_seconds"`
	Prefill    float64 `json:"prefill_seconds"`
	Decode     float64 `json:"decode_seconds"`
	Total      float64 `json:"total_seconds"` // from the request to the end
}

// A ReplyError is why a reply failed, without the cause, which is for the log.
type ReplyError struct {
	Code    llm.Code `json:"code"`
	Field   string   `json:"field,omitempty"`
	Message string   `json:"message"`
	Hint    string   `json:"hint,omitempty"`
}

// A Cast is a character, or a persona, as it was in one of its revisions.
type Cast struct {
	ID       string `json:"id"`
	Revision int64  `json:"revision"`
}

// A Shelf is a kind of documents.
type Shelf string

// The shelves.
const (
	Characters Shelf = "character"
	Lorebooks  Shelf = "lorebook"
	Personas   Shelf = "persona"
	Presets    Shelf = "preset"
)

// A Document is one revision of a file that sessions use.
type Document struct {
	ID       string    `json:"id"`
	Revision int64     `json:"revision"` // the first is 1
	Name     string    `json:"name"`
	File     string    `json:"file"` // its name, which says in what it is written
	Data     []byte    `json:"data"` // as it was sent, byte for byte
	Bytes    int       `json:"-"`    // of Data, where that is left out, too
	Created  time.Time `json:"created"`
	Deleted  bool      `json:"deleted,omitempty"`
	Folder   bool      `json:"folder,omitempty"` // taken from the folder of its shelf
}

// clone copies what a change of one session must not change in another.
func (s Session) clone() Session {
	s.Tags = slices.Clone(s.Tags)
	s.Settings = slices.Clone(s.Settings)
	return s
}

func (n Node) clone() Node {
	n.Versions = slices.Clone(n.Versions)
	return n
}
