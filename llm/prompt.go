package llm

import (
	"slices"
	"strings"
)

// A Prompt is what a model continues. Its segments stand in reading order and
// are laid side by side without separators: what is tokenised between two
// control tokens is the text of all segments there as one string, so that
// dividing a text into segments never changes its tokens.
type Prompt struct {
	Segments []Segment

	// Marks are strings that the chat format uses as delimiters and that must
	// therefore never arise as a token from text of a client, whatever type
	// the model's file gives to the token.
	Marks Marks
}

// Marks are the delimiters of a chat format, beyond what the vocabulary itself
// declares to be control tokens.
type Marks struct {
	// Turn marks match as tokens only in segments with Control set.
	Turn []string
	// Reply marks (<think>, <tool_call>) match in segments with Control set and
	// in those of TrustModel: an assistant's own history may contain them.
	Reply []string
	// Output marks are control tokens whose text belongs to the output, since
	// whoever reads the reply looks for them there. Reply marks always are.
	// Where they may match in the prompt is none of this list's business.
	Output []string
}

// A Segment is a stretch of a prompt. Exactly one of Text, Tokens and Media is
// set (a segment with none is empty text and is skipped).
type Segment struct {
	Text   string
	Tokens []int  // ids of the model's own vocabulary, passed through as they are
	Media  *Media // a picture or sound, for models that take one

	// Spelling are the ids with which a model has generated Text, where they are
	// known; they may begin before it and end behind it, with marks that it wrote. They say
	// nothing of what is read, only of its division into tokens: a model reads as many of
	// them, from the first on, as have the text that stands there, or takes no notice.
	Spelling []int

	// Control says that control tokens may match in Text. It is set for text
	// of a format, and for raw prompts whose sender writes the format himself.
	// A control token matches only where each of its characters is in a
	// segment with Control set.
	Control bool

	// Trust says whose words these are. It never widens what Control allows,
	// except for Marks.Reply.
	Trust Trust

	// Source is where the text came from.
	Source Source
}

// Trust is whose words a segment holds.
type Trust uint8

const (
	TrustClient Trust = iota // a user, a tool, a document, a character card, a name
	TrustModel               // an assistant's earlier words, or the beginning of its reply
	TrustFormat              // the chat format's own text
)

func (t Trust) String() string {
	switch t {
	case TrustModel:
		return "model"
	case TrustFormat:
		return "format"
	}
	return "client"
}

// Source maps a segment back to what a client sent. The zero Source is the
// format itself.
type Source struct {
	Kind  SourceKind
	Index int    // which message, tool or document, counted from 0 as the client sent them
	Part  int    // which content part of a message
	Field string // "content", "name", "reasoning", "tool_calls", …
}

// SourceKind is the list that Source.Index counts in.
type SourceKind uint8

const (
	FromFormat   SourceKind = iota
	FromMessage             // Index is the message's place in the conversation as sent
	FromTool                // Index is the tool's place in the list of tools
	FromDocument            // Index is the document's place
	FromOption              // a template argument that a client or the configuration set
	FromPrompt              // a raw prompt: Index is its place in a list of prompts
)

func (k SourceKind) String() string {
	return [...]string{"format", "message", "tool", "document", "option", "prompt"}[min(k, FromPrompt)]
}

// Media is a picture or a sound in a prompt.
type Media struct {
	MIME string // "image/png", …
	Data []byte // the encoded file; read-only
}

// Text is a raw prompt: its sender writes the format himself, so control
// tokens may match anywhere in it.
func Text(s string) Prompt {
	return Prompt{Segments: []Segment{{
		Text: s, Control: true, Trust: TrustClient,
		Source: Source{Kind: FromPrompt, Field: "prompt"},
	}}}
}

// Tokens is a raw prompt of token ids, which are used as they are: no
// beginning-of-text token is put before them.
func Tokens(ids []int) Prompt {
	return Prompt{Segments: []Segment{{
		Tokens: ids, Control: true, Trust: TrustClient,
		Source: Source{Kind: FromPrompt, Field: "prompt"},
	}}}
}

// String is the prompt as one string: what an engine that takes only text
// would be sent. Token ids and media have no text and are left out.
func (p Prompt) String() string {
	var b strings.Builder
	for _, s := range p.Segments {
		b.WriteString(s.Text)
	}
	return b.String()
}

// EndsLine reports whether what continues the prompt begins a line: behind a
// line feed and behind the format's own text it does, behind other text and
// token ids it does not.
func (p Prompt) EndsLine() bool {
	for _, s := range slices.Backward(p.Segments) {
		switch {
		case s.Trust == TrustFormat && (s.Text != "" || len(s.Tokens) > 0), s.Media != nil:
			return true
		case s.Text != "" || len(s.Tokens) > 0:
			return strings.HasSuffix(s.Text, "\n")
		}
	}
	return true
}

// Empty reports whether the prompt has nothing in it to continue.
func (p Prompt) Empty() bool {
	for _, s := range p.Segments {
		if s.Text != "" || len(s.Tokens) > 0 || s.Media != nil {
			return false
		}
	}
	return true
}
