package session

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"

	"parley/internal/limits"
)

// trees keeps the sessions that were used last as trees, so that a change of a
// long one need not read all of it. What it gives is shared: nodes in it are
// never changed. It is filled and changed under the session's lock alone.
type trees struct {
	mu    sync.Mutex
	byID  map[string]*list.Element // of *held
	order list.List                // the one used last first
	bytes int
}

// held is a session in memory.
type held struct {
	session Session
	nodes   []*Node
	bytes   int // about
}

// get gives the tree of a session, if it is held at a revision or a later one.
func (c *trees) get(id string, revision int64) *Tree {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[id]
	if e == nil || e.Value.(*held).session.Revision < revision {
		return nil
	}
	c.order.MoveToFront(e)
	h := e.Value.(*held)
	return &Tree{Session: h.session.clone(), Nodes: h.nodes, base: h.session.Revision, known: len(h.nodes)}
}

// put holds a session as it is now; more is by about how many bytes it has
// grown.
func (c *trees) put(x Session, nodes []*Node, more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &held{x.clone(), nodes, more}
	if e := c.byID[x.ID]; e != nil {
		h.bytes += e.Value.(*held).bytes
		c.remove(e)
	}
	if c.byID == nil {
		c.byID = map[string]*list.Element{}
	}
	c.byID[x.ID] = c.order.PushFront(h)
	c.bytes += h.bytes
	for c.bytes > limits.HeldSessionBytes.Int() {
		c.remove(c.order.Back())
	}
}

func (c *trees) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byID[id]; e != nil {
		c.remove(e)
	}
}

func (c *trees) remove(e *list.Element) {
	h := c.order.Remove(e).(*held)
	delete(c.byID, h.session.ID)
	c.bytes -= h.bytes
}

// grown puts a version in the place of one that was running.
func (c *trees) grown(at Place, v Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[at.Session]
	if e == nil {
		return
	}
	h := e.Value.(*held)
	n := h.nodes[at.Message-1].clone()
	n.Versions[at.Version] = v
	h.nodes = slices.Clone(h.nodes) // others read the old ones
	h.nodes[at.Message-1] = &n
}

// size is about how many bytes versions have in memory.
func size(versions ...Version) (n int) {
	for i := range versions {
		v := &versions[i]
		if n += 512 + len(v.Words()) + len(v.Reasoning); v.Reply != nil {
			n += 1024 + 8*len(v.Reply.Tokens) + len(v.Reply.Params)
		}
	}
	return n
}

func sizeOf(nodes []*Node) (n int) {
	for _, x := range nodes {
		n += size(x.Versions...)
	}
	return n
}

// Tree reads a session with all its messages.
func (s *Sessions) Tree(ctx context.Context, id string) (*Tree, error) {
	x, err := s.store.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	if t := s.trees.get(id, x.Revision); t != nil {
		return t, nil
	}
	defer s.lock(id)()
	return s.tree(ctx, id)
}

// tree is Tree for the one who has locked the session.
func (s *Sessions) tree(ctx context.Context, id string) (*Tree, error) {
	x, err := s.store.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	if t := s.trees.get(id, x.Revision); t != nil {
		return t, nil
	}
	nodes, err := s.store.Nodes(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(nodes) > x.Messages { // added between the two
		nodes = nodes[:x.Messages]
	}
	t := NewTree(x, nodes)
	s.trees.drop(id)
	s.trees.put(x, t.Nodes, sizeOf(t.Nodes))
	t.own = false
	return t, nil
}

// near is tree without the messages, unless they are in memory: for a change
// of the session alone, or one that only adds to it.
func (s *Sessions) near(ctx context.Context, id string) (*Tree, error) {
	x, err := s.store.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	if t := s.trees.get(id, x.Revision); t != nil {
		return t, nil
	}
	return partTree(x), nil
}

// readWhole is how many messages a session may have for each that a page may
// have, so that the page is reason enough to read all of it: the next time it
// is in memory.
const readWhole = 4

// page reads a session with so much of what stands before a message, 0 being
// the end, that Tail has so many messages.
func (s *Sessions) page(ctx context.Context, id string, before, most int) (*Tree, error) {
	x, err := s.store.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	if t := s.trees.get(id, x.Revision); t != nil {
		return t, nil
	}
	defer s.lock(id)()
	t, err := s.near(ctx, id)
	if err != nil || !t.part {
		return t, err
	}
	if len(t.Nodes) <= readWhole*most {
		return s.tree(ctx, id)
	}
	at := t.Session.Head
	if most++; before > 0 && before <= len(t.Nodes) { // with one more one knows whether there are others
		at, most = before, most+1
	}
	for at != 0 && most > 0 {
		nodes, err := s.store.Tail(ctx, id, at, most)
		if err != nil {
			return nil, err
		}
		for i := range nodes {
			if n := &nodes[i]; n.ID <= len(t.Nodes) {
				t.Nodes[n.ID-1] = n
			}
		}
		if t.Nodes[at-1] == nil {
			return nil, fmt.Errorf("message %d of session %s is not in the store", at, id)
		}
		for ; at != 0 && t.Nodes[at-1] != nil; at = t.Nodes[at-1].Parent {
			if _, ok := t.message(at, t.Session.Revision); ok {
				most--
			}
		}
	}
	return t, nil
}

// grow stores what there is of a running version. The session must be locked.
func (s *Sessions) grow(at Place, v Version) error {
	err := s.store.Grow(context.Background(), at, v)
	if err == nil {
		s.trees.grown(at, v)
	}
	return err
}
