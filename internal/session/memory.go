package session

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"parley/llm"
)

// Memory is a Store that forgets everything when the process ends.
type Memory struct {
	mu        sync.Mutex
	sessions  map[string]*kept
	documents map[Shelf]map[string][]Document
	titles    map[Shelf][]Document // the newest revisions, as Titles gives them
}

type kept struct {
	session  Session
	nodes    []Node
	receipts map[string]Receipt
	media    map[string][]byte
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{sessions: map[string]*kept{}, documents: map[Shelf]map[string][]Document{Characters: {}, Lorebooks: {}, Personas: {}, Presets: {}}, titles: map[Shelf][]Document{}}
}

// NoSession is the error for an id that no session has.
func NoSession(id string) error {
	return llm.Errorf(llm.NotFound, "session", "there is no session %q", id)
}

// NoDocument is the error for an id that no document of a shelf has.
func NoDocument(shelf Shelf, id string) error {
	e := llm.Errorf(llm.NotFound, string(shelf), "there is no %s %q", shelf, id)
	e.Hint = fmt.Sprintf("GET /parley/v1/%ss lists those that there are", shelf)
	return e
}

// NoMedia is the error for a digest that nothing has that a session shows.
func NoMedia(digest string) error {
	return llm.Errorf(llm.NotFound, "digest", "there is no picture %q in this session", digest)
}

// NoReceipt is the error for a key that was not used.
func NoReceipt(key string) error {
	return llm.Errorf(llm.NotFound, "Idempotency-Key", "the key %q was not used", key)
}

func (m *Memory) find(id string) (*kept, error) {
	if k := m.sessions[id]; k != nil {
		return k, nil
	}
	return nil, NoSession(id)
}

// Session implements Store.
func (m *Memory) Session(_ context.Context, id string) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.find(id)
	if err != nil {
		return Session{}, err
	}
	return k.session.clone(), nil
}

// External implements Store.
func (m *Memory) External(_ context.Context, externalID string) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.sessions {
		if k.session.ExternalID == externalID && externalID != "" {
			return k.session.clone(), nil
		}
	}
	return Session{}, NoSession(externalID)
}

// Nodes implements Store.
func (m *Memory) Nodes(_ context.Context, session string) ([]Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.find(session)
	if err != nil {
		return nil, err
	}
	all := make([]Node, len(k.nodes))
	for i, n := range k.nodes {
		all[i] = n.clone()
	}
	return all, nil
}

// Tail implements Store.
func (m *Memory) Tail(_ context.Context, session string, to, most int) ([]Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.find(session)
	if err != nil {
		return nil, err
	}
	parents := map[int]bool{}
	first := len(k.nodes) // before it there are none that are wanted
	for ; to > 0 && to <= len(k.nodes) && len(parents) < most; to = first {
		first = k.nodes[to-1].Parent
		parents[first] = true
	}
	var all []Node
	for _, n := range k.nodes[first:] {
		if parents[n.Parent] {
			all = append(all, n.clone())
		}
	}
	return all, nil
}

// Media implements Store.
func (m *Memory) Media(_ context.Context, session, digest string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.sessions[session]; k != nil {
		if data, ok := k.media[digest]; ok {
			return slices.Clone(data), nil
		}
	}
	return nil, NoMedia(digest)
}

// later orders sessions as they are listed.
func later(a, b *Session) int {
	return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.ID, b.ID))
}

// List implements Store.
func (m *Memory) List(_ context.Context, q Query) ([]Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Session
	for _, k := range m.sessions {
		s := &k.session
		if (s.Deleted != nil) == q.Deleted && (q.Tag == "" || slices.Contains(s.Tags, q.Tag)) &&
			(q.Character == "" || slices.ContainsFunc(s.Now().Members(), func(m Member) bool { return m.ID == q.Character })) && (q.After == nil || later(q.After, s) < 0) {
			all = append(all, s.clone())
		}
	}
	slices.SortFunc(all, func(a, b Session) int { return later(&a, &b) })
	return all[:min(len(all), q.Limit)], nil
}

// Search implements Store.
func (m *Memory) Search(_ context.Context, words []string, limit int) ([]Hit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	type found struct {
		Hit
		at *Version
	}
	var all []found
	for id, k := range m.sessions {
		if k.session.Deleted != nil {
			continue
		}
		for i := range k.nodes {
			v := k.nodes[i].last()
			if !v.Deleted && v.State != Running && containsAll(v.Words(), words) {
				all = append(all, found{Hit{id, k.nodes[i].ID, v.Words()}, v})
			}
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(b.at.Created.Compare(a.at.Created), cmp.Compare(a.Session, b.Session), cmp.Compare(b.Message, a.Message))
	})
	hits := []Hit{}
	for _, f := range all[:min(len(all), limit)] {
		hits = append(hits, f.Hit)
	}
	return hits, nil
}

func containsAll(text string, words []string) bool {
	text = strings.ToLower(text)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, strings.ToLower(w)) })
}

// Commit implements Store.
func (m *Memory) Commit(_ context.Context, c Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.sessions[c.Session.ID]
	var revision int64
	if k != nil {
		revision = k.session.Revision
	}
	if revision != c.Base || c.Session.Revision != c.Base+1 && !(c.Base == 0 && c.Session.Revision > 0) {
		return ErrStale
	}
	if x := c.Session.ExternalID; k == nil && x != "" {
		for _, other := range m.sessions {
			if other.session.ExternalID == x {
				return ErrStale
			}
		}
	}
	if k == nil {
		k = &kept{receipts: map[string]Receipt{}, media: map[string][]byte{}}
		m.sessions[c.Session.ID] = k
	}
	k.session = c.Session.clone()
	for _, n := range c.Nodes {
		k.nodes = append(k.nodes, n.clone())
	}
	for _, w := range c.Versions {
		n := &k.nodes[w.Message-1]
		if w.Version == len(n.Versions) {
			n.Versions = append(n.Versions, w.Value)
		} else {
			n.Versions[w.Version] = w.Value
		}
	}
	for _, f := range c.Media {
		if f.Of == "" {
			k.media[f.Digest] = slices.Clone(f.Data)
		} else if of := m.sessions[f.Of]; of != nil && of.media[f.Digest] != nil {
			k.media[f.Digest] = of.media[f.Digest]
		}
	}
	if c.Receipt != nil {
		k.receipts[c.Receipt.Key] = *c.Receipt
	}
	return nil
}

// Grow implements Store.
func (m *Memory) Grow(_ context.Context, at Place, v Version) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.find(at.Session)
	if err != nil {
		return err
	}
	if at.Message < 1 || at.Message > len(k.nodes) {
		return ErrStale
	}
	n := &k.nodes[at.Message-1]
	if at.Version < 0 || at.Version >= len(n.Versions) || n.Versions[at.Version].State != Running {
		return ErrStale
	}
	n.Versions[at.Version] = v
	return nil
}

// Unfinished implements Store.
func (m *Memory) Unfinished(context.Context) ([]Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Place
	for id, k := range m.sessions {
		for _, n := range k.nodes {
			for i, v := range n.Versions {
				if v.State == Running {
					all = append(all, Place{id, n.ID, i})
				}
			}
		}
	}
	return all, nil
}

// Purge implements Store.
func (m *Memory) Purge(_ context.Context, session string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(session); err != nil {
		return err
	}
	delete(m.sessions, session)
	return nil
}

// Receipt implements Store.
func (m *Memory) Receipt(_ context.Context, session, key string) (Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.sessions[session]; k != nil {
		if r, ok := k.receipts[key]; ok {
			return r, nil
		}
	}
	return Receipt{}, NoReceipt(key)
}

// Document implements Store.
func (m *Memory) Document(_ context.Context, shelf Shelf, id string, revision int64) (Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.documents[shelf][id]
	if revision == 0 {
		revision = int64(len(all))
	}
	if revision < 1 || revision > int64(len(all)) {
		return Document{}, NoDocument(shelf, id)
	}
	d := all[revision-1]
	d.Data = slices.Clone(d.Data)
	return d, nil
}

// Titles implements Store.
func (m *Memory) Titles(_ context.Context, shelf Shelf, after *Document, limit int) ([]Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.titles[shelf]
	if after != nil {
		i, found := slices.BinarySearchFunc(all, *after, byName)
		if found {
			i++
		}
		all = all[i:]
	}
	return append([]Document{}, all[:min(limit, len(all))]...), nil
}

// byName is the order of titles.
func byName(a, b Document) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

// Alike implements Store.
func (m *Memory) Alike(_ context.Context, shelf Shelf, name string) ([]Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []Document{}
	for _, d := range m.titles[shelf] {
		if strings.EqualFold(slug(d.Name), slug(name)) || strings.EqualFold(d.ID, name) {
			all = append(all, d)
		}
	}
	return all, nil
}

// Untitled implements Store.
func (m *Memory) Untitled(_ context.Context, shelf Shelf, ids []string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []string{}
	for _, id := range ids {
		if d := m.documents[shelf][id]; len(d) == 0 || d[len(d)-1].Deleted {
			all = append(all, id)
		}
	}
	return all, nil
}

// DocumentIDs implements Store.
func (m *Memory) DocumentIDs(_ context.Context, shelf Shelf) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.documents[shelf])), nil
}

// AddDocument implements Store.
func (m *Memory) AddDocument(_ context.Context, shelf Shelf, d Document) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.documents[shelf]
	if d.Revision != int64(len(all[d.ID]))+1 {
		return ErrStale
	}
	d.Data, d.Bytes = slices.Clone(d.Data), len(d.Data)
	titles := m.titles[shelf]
	if revisions := all[d.ID]; len(revisions) > 0 {
		if i, found := slices.BinarySearchFunc(titles, revisions[len(revisions)-1], byName); found {
			titles = slices.Delete(titles, i, i+1)
		}
	}
	if !d.Deleted {
		title := d
		title.Data = nil
		i, _ := slices.BinarySearchFunc(titles, title, byName)
		titles = slices.Insert(titles, i, title)
	}
	m.titles[shelf] = titles
	all[d.ID] = append(all[d.ID], d)
	return nil
}

// Close implements Store.
func (m *Memory) Close() error { return nil }
