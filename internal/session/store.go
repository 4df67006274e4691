package session

import (
	"context"

	"parley/llm"
)

// A Store keeps sessions, and documents: characters, lorebooks, personas and presets. It is used by many goroutines at
// once. What a method that changes something has returned nil for is kept,
// whatever happens to the process or the machine afterwards. What is not there
// is an *llm.Error with Code NotFound. Values that go in and come out share
// nothing with the store.
type Store interface {
	// Session gives a session by its id, and External by what its owner's
	// program calls it; deleted ones, too.
	Session(ctx context.Context, id string) (Session, error)
	External(ctx context.Context, externalID string) (Session, error)
	// Nodes gives the messages of a session in the order of their ids.
	Nodes(ctx context.Context, session string) ([]Node, error)
	// Tail gives the end of the way that leads from the first message to one: so
	// many messages at most, deleted ones and summaries included, and with each
	// all that stand in its place; in the order of their ids. There are none if
	// there is no such message.
	Tail(ctx context.Context, session string, to, most int) ([]Node, error)
	// List gives sessions, those changed last first.
	List(ctx context.Context, q Query) ([]Session, error)
	// Search gives messages whose newest version has each of the words in it, in
	// any case of letters; those written last first. Deleted messages and
	// sessions are left out.
	Search(ctx context.Context, words []string, limit int) ([]Hit, error)

	// Media gives a file that a message of a session shows, by its digest.
	Media(ctx context.Context, session, digest string) ([]byte, error)

	// Commit makes a change as a whole or not at all. If the session has
	// another revision than Change.Base, or there is another of its id or
	// external id, it is refused with ErrStale.
	Commit(ctx context.Context, c Change) error
	// Grow puts a version in the place of one whose state is Running; any
	// other place is refused with ErrStale. It changes no revision.
	Grow(ctx context.Context, at Place, v Version) error
	// Unfinished gives the places of all versions that are Running.
	Unfinished(ctx context.Context) ([]Place, error)
	// Purge forgets a session and all that was ever in it.
	Purge(ctx context.Context, session string) error
	// Receipt gives what was remembered with a key of a session.
	Receipt(ctx context.Context, session, key string) (Receipt, error)

	// Document gives a revision of a document, deleted ones included; 0 is the
	// newest.
	Document(ctx context.Context, shelf Shelf, id string, revision int64) (Document, error)
	// Titles gives the newest revisions of documents without their data, deleted
	// ones left out, in the order of their names, and where these are the same
	// of their ids: so many at most, behind one, or nil from the first.
	Titles(ctx context.Context, shelf Shelf, after *Document, limit int) ([]Document, error)
	// Alike gives all of those whose id or name is a name, in any case of letters
	// and with a hyphen for spaces, and perhaps some that are nearly so.
	Alike(ctx context.Context, shelf Shelf, name string) ([]Document, error)
	// Untitled gives those of ids, in their order, that Titles has not.
	Untitled(ctx context.Context, shelf Shelf, ids []string) ([]string, error)
	// DocumentIDs gives the ids of all of a shelf, deleted ones included, in
	// their order.
	DocumentIDs(ctx context.Context, shelf Shelf) ([]string, error)
	// AddDocument adds a revision, which must be the one behind the newest; any
	// other is refused with ErrStale.
	AddDocument(ctx context.Context, shelf Shelf, d Document) error

	Close() error
}

// A Change takes a session from one revision to the next.
type Change struct {
	Session Session // as it is to be; its revision is Base+1, or of a new one 1 and more
	Base    int64   // the revision that it was made from; 0: the session is new

	Nodes    []Node    // new ones
	Versions []Written // new, or in the place of what is there
	Media    []Media   // that they show; those that are there already may be there again

	Receipt *Receipt // remembered with the change
}

// Media is a picture or another file that messages show. The same one is kept
// once, whoever shows it.
type Media struct {
	Digest string `json:"digest"` // SHA-256 of the data, in hex
	Data   []byte `json:"data"`

	Of string `json:"-"` // a session that shows it: then Data is not needed
}

// Written is a version and where it goes.
type Written struct {
	Message int
	Version int
	Value   Version
}

// A Receipt is what a request came to, for when it is sent again.
type Receipt struct {
	Key    string `json:"key,omitempty"`
	Digest string `json:"digest,omitempty"` // of the request: the same key with another is refused

	Session  string `json:"session"`
	Revision int64  `json:"revision"`
	Message  int    `json:"message,omitempty"` // what was added, or changed
	Reply    int    `json:"reply,omitempty"`   // the message that is being generated
	Run      string `json:"run,omitempty"`

	Waiting []string `json:"waiting_calls,omitempty"` // of tools, whose results are missing: there is no reply before they are there
}

// A Query says which sessions to list.
type Query struct {
	Tag       string // those with the tag; "": all
	Character string // those in which the character is; "": all
	Deleted   bool   // the deleted ones instead of the others
	Limit     int
	After     *Session // those behind this one
}

// A Hit is a message that was found.
type Hit struct {
	Session string `json:"session"`
	Message int    `json:"message"`
	Text    string `json:"text"`
}

// ErrStale is why a change is refused that was made from something that is no
// longer so.
var ErrStale = &llm.Error{Code: llm.Conflict, Field: "revision", Message: "it was changed in the meantime",
	Hint: "read it again and repeat the change"}
