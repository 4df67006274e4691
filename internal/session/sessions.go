package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/llm"
)

// Sessions does all that can be done with sessions, on a store. It is used by
// many goroutines at once.
type Sessions struct {
	store  Store
	models Models
	files  map[Shelf]Files
	log    *slog.Logger

	everywhere []string // lorebooks, by their ids
	counts     counts

	locks     [64]sync.Mutex // for one session at a time, by its id
	seed      maphash.Seed
	trees     trees
	documents sync.Mutex // for one document at a time; it may be taken while a session is locked

	ctx     context.Context // of all runs
	cancel  context.CancelCauseFunc
	running sync.WaitGroup

	mu        sync.Mutex
	active    map[string]*Run // by the id of the session
	runs      map[string]*Run // by their own ids; those that ended last included
	summaries map[string]*Run // that are being made, by the id of the session
	ended     []string
	closed    bool

	now   func() time.Time
	newID func() string
}

// Models is what a session needs of the models.
type Models interface {
	// Answerer gives what answers to a name, "" being the server's choice. It
	// may take as long as a model takes to load.
	Answerer(ctx context.Context, name string) (Answerer, error)
}

// An Answerer is a model that answers conversations.
type Answerer struct {
	Model     string // its name
	Info      llm.Info
	Responder chat.Responder
	Tokenizer llm.Tokenizer // counts its tokens; nil if it cannot
	Report    llm.Report    // why it is this one
	Release   func()        // called once when it is not needed any more; may be nil
}

// Files are documents that somebody else keeps, in files.
type Files interface {
	// Read gives a file by its name, and what stands in it. One
	// that is not there is an *llm.Error with Code NotFound.
	Read(ctx context.Context, name string) (file string, data []byte, err error)
	// Names lists them.
	Names() ([]string, error)
}

// Options are what sessions need besides a store. All may be nil.
type Options struct {
	Models Models          // who replies
	Files  map[Shelf]Files // documents beside those of the store
	Logger *slog.Logger

	Everywhere []string // lorebooks that hold in all sessions, by their ids
}

// Open makes Sessions of a store.
func Open(store Store, o Options) *Sessions {
	s := &Sessions{
		store: store, models: o.Models, files: o.Files, log: o.Logger, everywhere: o.Everywhere, seed: maphash.MakeSeed(),
		active: map[string]*Run{}, runs: map[string]*Run{}, summaries: map[string]*Run{},
		now:   func() time.Time { return time.Now().UTC().Truncate(time.Millisecond) },
		newID: func() string { return strings.ToLower(rand.Text()[:16]) },
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Recover marks replies as interrupted that were being generated when the
// store was used last. It is for the one who serves a store, before anything
// else: there must be no other.
func (s *Sessions) Recover(ctx context.Context) error {
	places, err := s.store.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("look for unfinished replies: %w", err)
	}
	for _, p := range places {
		nodes, err := s.store.Tail(ctx, p.Session, p.Message, 1)
		if err != nil {
			return fmt.Errorf("look at an unfinished reply: %w", err)
		}
		n := nodes[slices.IndexFunc(nodes, func(n Node) bool { return n.ID == p.Message })]
		v := n.Versions[p.Version]
		v.State = Interrupted
		if err := s.store.Grow(ctx, p, v); err != nil {
			return fmt.Errorf("mark an unfinished reply: %w", err)
		}
	}
	return nil
}

// errClosing is why a run ends that is still there when the server ends.
var errClosing = &llm.Error{Code: llm.Unavailable, Message: "the server is shutting down", Hint: "continue the reply later"}

// Close starts no more runs, waits for those there are until ctx is done, and
// then interrupts them: what they have so far is kept. The store stays open.
func (s *Sessions) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	defer context.AfterFunc(ctx, func() { s.cancel(errClosing) })()
	s.running.Wait()
	s.cancel(errClosing)
}

func (s *Sessions) lock(id string) (unlock func()) {
	m := &s.locks[maphash.String(s.seed, id)%uint64(len(s.locks))]
	m.Lock()
	return m.Unlock
}

// A Write says under which conditions a session is changed.
type Write struct {
	Base   int64  // only if the session still has this revision; 0: whichever it has
	Key    string // the same change sent again with the same key is made once; "": always
	Digest string // of the whole request that the key belongs to
}

// again gives the receipt of a write that was made before.
func (s *Sessions) again(ctx context.Context, id string, w Write) (r Receipt, done bool, err error) {
	if w.Key == "" {
		return Receipt{}, false, nil
	}
	r, err = s.store.Receipt(ctx, id, w.Key)
	switch e, ok := errors.AsType[*llm.Error](err); {
	case ok && e.Code == llm.NotFound:
		return Receipt{}, false, nil
	case err != nil:
		return Receipt{}, false, err
	case r.Digest != w.Digest:
		return Receipt{}, false, &llm.Error{Code: llm.Conflict, Field: "Idempotency-Key", Message: "the key was used for another request", Hint: "use a new key for each request, and the same one only to send it again"}
	}
	return r, true, nil
}

// change reads a session, lets f change it, and commits.
func (s *Sessions) change(ctx context.Context, id string, w Write, f func(*Tree) (Receipt, error)) (Receipt, error) {
	return s.changed(ctx, id, w, s.tree, f)
}

// changed is change with what reads as much of the session as f needs.
func (s *Sessions) changed(ctx context.Context, id string, w Write, read func(context.Context, string) (*Tree, error), f func(*Tree) (Receipt, error)) (Receipt, error) {
	defer s.lock(id)()
	if r, done, err := s.again(ctx, id, w); done || err != nil {
		return r, err
	}
	t, err := read(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	if w.Base != 0 && w.Base != t.Session.Revision {
		return Receipt{}, ErrStale
	}
	t.Begin(s.now())
	r, err := f(t)
	if err != nil {
		return Receipt{}, err
	}
	if err := limits.SessionMessages.CheckInt(t.Session.Messages); err != nil {
		return Receipt{}, &llm.Error{Code: llm.Invalid, Field: "session", Message: err.Error(), Hint: "fork the session, which leaves the alternatives behind"}
	}
	c := t.Change()
	r.Key, r.Digest, r.Session, r.Revision = w.Key, w.Digest, id, t.Session.Revision
	if w.Key != "" {
		c.Receipt = &r
	}
	if err := s.store.Commit(context.WithoutCancel(ctx), c); err != nil {
		return Receipt{}, err
	}
	if t.part { // which is not kept in memory
		return r, nil
	}
	more := 0
	for _, n := range c.Nodes {
		more += size(n.Versions...)
	}
	for _, v := range c.Versions {
		more += size(v.Value)
	}
	s.trees.put(t.Session, t.Nodes, more)
	return r, nil
}

// New says how a session begins.
type New struct {
	ExternalID string
	Title      string
	Tags       []string
	Settings   Settings
	Greeting   int // which of the character's greetings is the first message, from 0
}

// Create begins a session. If there is one with the external id already, it
// is that one, and created is false.
func (s *Sessions) Create(ctx context.Context, n New) (x Session, created bool, err error) {
	if err := n.check(); err != nil {
		return Session{}, false, err
	}
	if n.ExternalID != "" {
		defer s.lock("external " + n.ExternalID)()
		x, err := s.store.External(ctx, n.ExternalID)
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Code != llm.NotFound {
			return x, false, err
		}
	}
	now := s.now()
	n.Settings.Since = 1
	t := NewTree(Session{ID: s.newID(), ExternalID: n.ExternalID, Title: n.Title, Tags: n.Tags, Created: now, Settings: []Settings{n.Settings}}, nil)
	t.Begin(now)
	if err := s.identify(ctx, &n.Settings); err != nil {
		return Session{}, false, err
	}
	t.Session.Settings[0] = n.Settings
	cast, err := s.cast(ctx, n.Settings)
	if err != nil {
		return Session{}, false, err
	}
	if err := s.checkLorebooks(ctx, n.Settings); err != nil {
		return Session{}, false, err
	}
	if err := s.checkNamed(ctx, n.Settings, Settings{}); err != nil {
		return Session{}, false, err
	}
	persona, err := s.wear(ctx, Cast{ID: n.Settings.PersonaID})
	if err != nil {
		return Session{}, false, err
	}
	if err := s.greet(t, n, persona, cast); err != nil {
		return Session{}, false, err
	}
	if err := s.store.Commit(context.WithoutCancel(ctx), t.Change()); err != nil {
		return Session{}, false, err
	}
	return t.Session, true, nil
}

// greet begins the talk: with the greetings of the first character as each
// other's alternatives, and of a company with those of the others behind it.
func (s *Sessions) greet(t *Tree, n New, p worn, cast []*part) error {
	sc := set(t.Session, p.under(n.Settings), cast)
	var names []string
	for i, p := range cast {
		names = append(names, p.name())
		author := Author{Name: p.name()}
		if len(n.Settings.Characters) > 0 {
			author.ID = p.cast.ID
		}
		greetings, err := sc.Greetings(i)
		if err != nil {
			return err
		}
		chosen := 0
		if i == 0 {
			if chosen = n.Greeting; chosen < 0 || chosen > 0 && chosen >= len(greetings) {
				return llm.Errorf(llm.Invalid, "greeting", "the character has %d greetings, counted from 0", len(greetings))
			}
		}
		after, first := t.Session.Head, len(t.Nodes)+1
		for _, g := range greetings {
			t.Add(after, chat.Assistant, author, Version{Created: t.Session.Created, Text: g, State: Complete})
		}
		if len(greetings) > 0 {
			t.Session.Head = first + chosen
		}
	}
	if t.Session.Title == "" {
		t.Session.Title = titleOf(strings.Join(names, ", "))
	}
	return nil
}

func (n New) check() error {
	for _, c := range []struct {
		field, value string
		limit        *limits.Limit
	}{{"external_id", n.ExternalID, limits.ExternalIDBytes}, {"title", n.Title, limits.TitleBytes}} {
		if err := c.limit.CheckInt(len(c.value)); err != nil {
			return llm.Errorf(llm.Invalid, c.field, "%v", err)
		}
	}
	if err := checkTags(n.Tags); err != nil {
		return err
	}
	return n.Settings.check()
}

func checkTags(tags []string) error {
	if err := limits.Tags.CheckInt(len(tags)); err != nil {
		return llm.Errorf(llm.Invalid, "tags", "%v", err)
	}
	for i, tag := range tags {
		if err := limits.TagBytes.CheckInt(len(tag)); err != nil {
			return llm.Errorf(llm.Invalid, fmt.Sprintf("tags[%d]", i), "%v", err)
		}
	}
	return nil
}

func (v Settings) check() error {
	for _, c := range []struct{ field, value string }{{"model", v.Model}, {"user", v.User}, {"character", v.Character}, {"persona_id", v.PersonaID}, {"preset", v.Preset}} {
		if err := limits.NameBytes.CheckInt(len(c.value)); err != nil {
			return llm.Errorf(llm.Invalid, c.field, "%v", err)
		}
	}
	for _, c := range []struct{ field, value string }{{"persona", v.Persona}, {"system", v.System}, {"note", v.Note}, {"scenario", v.Scenario}, {"summary", v.Summary}} {
		if err := limits.MessageBytes.CheckInt(len(c.value)); err != nil {
			return llm.Errorf(llm.Invalid, c.field, "%v", err)
		}
	}
	if err := limits.NoteDepth.CheckInt(v.NoteDepth); err != nil {
		return llm.Errorf(llm.Invalid, "note_depth", "%v", err)
	}
	if !slices.Contains([]chat.FitPolicy{chat.FitDefault, chat.FitRefuse, chat.FitDropOldest}, v.Fit) {
		return llm.Errorf(llm.Invalid, "fit", "there is no %q; there are refuse and drop_oldest", v.Fit)
	}
	if v.Media != chat.MediaRefuse && v.Media != chat.MediaPlaceholder {
		return llm.Errorf(llm.Invalid, "media", "there is no %q; there is placeholder", v.Media)
	}
	if !slices.Contains([]scene.Style{scene.Turns, scene.Chat, scene.ChatInstruct}, v.Style) {
		return llm.Errorf(llm.Invalid, "style", "there is no %q; there are chat and chat-instruct", v.Style)
	}
	if !slices.Contains([]scene.Names{scene.NamesIfMany, scene.NamesAlways, scene.NamesNever}, v.Names) {
		return llm.Errorf(llm.Invalid, "names", "there is no %q; there are always and never", v.Names)
	}
	if err := v.Memory.check(); err != nil {
		return err
	}
	if err := v.checkCompany(); err != nil {
		return err
	}
	if err := v.checkLore(); err != nil {
		return err
	}
	if err := scene.CheckOrder(v.Order); err != nil {
		return err
	}
	if _, _, err := v.Tools.read(); err != nil {
		return err
	}
	_, _, err := ParseParams(v.Params)
	return err
}

// A Patch says what to change of a session; nil leaves a thing as it is.
type Patch struct {
	Title    *string
	Pinned   *bool
	Tags     *[]string
	Settings *Settings
	Head     *int // a message: the talk goes on at the end of what stands behind it
}

// Update changes a session.
func (s *Sessions) Update(ctx context.Context, id string, w Write, p Patch) (Receipt, error) {
	read := s.near
	if p.Head != nil {
		read = s.tree
	}
	return s.changed(ctx, id, w, read, func(t *Tree) (Receipt, error) {
		x := &t.Session
		if p.Title != nil {
			x.Title = *p.Title
		}
		if p.Pinned != nil {
			x.Pinned = *p.Pinned
		}
		if p.Tags != nil {
			x.Tags = *p.Tags
		}
		if p.Settings != nil {
			v := *p.Settings
			if err := v.check(); err != nil {
				return Receipt{}, err
			}
			if err := s.identify(ctx, &v); err != nil {
				return Receipt{}, err
			}
			if _, err := s.cast(ctx, v); err != nil {
				return Receipt{}, err
			}
			if err := s.checkLorebooks(ctx, v, x.Now().Lorebooks...); err != nil {
				return Receipt{}, err
			}
			if err := s.checkNamed(ctx, v, x.Now()); err != nil {
				return Receipt{}, err
			}
			v.Since = x.Revision
			x.Settings = append(x.Settings, v)
		}
		if p.Head != nil {
			if err := s.idle(id); err != nil {
				return Receipt{}, err
			}
			n, err := t.Node(*p.Head)
			if err != nil {
				return Receipt{}, err
			}
			if n.last().Deleted {
				return Receipt{}, deleted(n.ID)
			}
			x.Head = t.Below(n.ID)
		}
		return Receipt{Message: x.Head}, New{Title: x.Title, Tags: x.Tags, Settings: x.Now()}.check()
	})
}

// Read gives a session and the talk in it up to its head.
func (s *Sessions) Read(ctx context.Context, id string) (Session, []Message, error) {
	t, err := s.Tree(ctx, id)
	if err != nil {
		return Session{}, nil, err
	}
	return t.Session, t.Messages(t.Session.Head, t.Session.Revision), nil
}

// Tail gives a session and what stands in its talk before a message, 0 being
// the end: so many messages at most, and whether there are others before them.
func (s *Sessions) Tail(ctx context.Context, id string, before, most int) (x Session, talk []Message, more bool, err error) {
	t, err := s.page(ctx, id, before, most)
	if err != nil {
		return Session{}, nil, false, err
	}
	to := t.Session.Head
	if before != 0 {
		n, err := t.Node(before)
		if err != nil {
			return Session{}, nil, false, err
		}
		to = n.Parent
	}
	talk, more = t.Tail(to, most)
	return t.Session, talk, more, nil
}

// External finds a session by what its owner's program calls it.
func (s *Sessions) External(ctx context.Context, externalID string) (Session, error) {
	return s.store.External(ctx, externalID)
}

// List gives sessions, those changed last first.
func (s *Sessions) List(ctx context.Context, q Query) ([]Session, error) { return s.store.List(ctx, q) }

// Session gives a session without its messages.
func (s *Sessions) Session(ctx context.Context, id string) (Session, error) {
	return s.store.Session(ctx, id)
}

// Search gives messages that have each of the words of a text in them.
func (s *Sessions) Search(ctx context.Context, text string, limit int) ([]Hit, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, llm.Errorf(llm.Invalid, "q", "there is nothing to search for")
	}
	if err := limits.SearchWords.CheckInt(len(words)); err != nil {
		return nil, llm.Errorf(llm.Invalid, "q", "%v", err)
	}
	return s.store.Search(ctx, words, limit)
}

// Delete makes a session deleted: it can be restored until it is purged. Its
// external id is free for another one.
func (s *Sessions) Delete(ctx context.Context, id string, w Write) (Receipt, error) {
	s.Stop(id)
	s.stopSummary(id)
	return s.changed(ctx, id, w, s.near, func(t *Tree) (Receipt, error) {
		t.Session.Deleted = new(s.now())
		t.Session.ExternalID = ""
		return Receipt{}, nil
	})
}

// Restore brings a deleted session back.
func (s *Sessions) Restore(ctx context.Context, id string, w Write) (Receipt, error) {
	return s.changed(ctx, id, w, s.near, func(t *Tree) (Receipt, error) {
		t.Session.Deleted = nil
		return Receipt{}, nil
	})
}

// Purge forgets a session for good.
func (s *Sessions) Purge(ctx context.Context, id string) error {
	if run := s.Stop(id); run != nil {
		if _, err := run.Wait(ctx); err != nil && ctx.Err() != nil {
			return err
		}
	}
	s.stopSummary(id)
	defer s.lock(id)()
	s.trees.drop(id)
	if err := s.store.Purge(context.WithoutCancel(ctx), id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.runs, func(_ string, r *Run) bool { return r.Session == id }) // they have its texts
	s.ended = slices.DeleteFunc(s.ended, func(run string) bool { return s.runs[run] == nil })
	return nil
}

// Fork makes a session of the talk up to a message; 0 is the head.
func (s *Sessions) Fork(ctx context.Context, id string, message int) (Session, error) {
	t, err := s.Tree(ctx, id)
	if err != nil {
		return Session{}, err
	}
	if message == 0 {
		message = t.Session.Head
	}
	if message != 0 {
		if _, err := t.Node(message); err != nil {
			return Session{}, err
		}
	}
	old, now := t.Session, s.now()
	settings := old.Now()
	settings.Since = 1
	f := NewTree(Session{ID: s.newID(), Title: old.Title, Tags: old.Tags, Created: now, Settings: []Settings{settings},
		Forked: &Place{Session: old.ID, Message: message}}, nil)
	f.Begin(now)
	for _, m := range t.Messages(message, old.Revision) {
		v := m.Version
		if v.State == Running {
			v.State = Interrupted
		}
		f.Add(f.Session.Head, m.Role, m.Author, v)
		n := f.Nodes[f.Session.Head-1]
		n.Created, n.ToolCallID = m.Version.Created, m.ToolCallID
		if n.Origin = m.Origin; n.Origin == nil {
			n.Origin = &Place{old.ID, m.ID, m.Number}
		}
	}
	for _, digest := range f.digests() {
		f.files = append(f.files, Media{Digest: digest, Of: old.ID})
	}
	f.takeSummary(t, message)
	if err := s.store.Commit(context.WithoutCancel(ctx), f.Change()); err != nil {
		return Session{}, err
	}
	return f.Session, nil
}
