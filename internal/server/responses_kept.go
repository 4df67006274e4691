package server

import (
	"slices"
	"sync"

	"parley/chat"
	"parley/internal/limits"
)

// keptResponses are the responses that may be asked for, and gone on from:
// those of each key apart, in memory, the oldest giving way.
type keptResponses struct {
	mu     sync.Mutex
	scopes map[string]*shelf
}

// A shelf is what is kept for one key.
type shelf struct {
	order []string // ids, the oldest first
	kept  map[string]keptOne
	size  int
}

// A keptOne is a response, and the conversation up to its end.
type keptOne struct {
	body []byte
	said []chat.Message
	size int
}

// keep keeps a response, unless it alone is more than may be kept.
func (k *keptResponses) keep(scope, id string, body []byte, said []chat.Message) {
	one := keptOne{body: body, said: said, size: len(body)}
	for _, m := range said {
		one.size += sizeOf(m)
	}
	if limits.StoredBytes.CheckInt(one.size) != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.scopes[scope]
	if s == nil {
		s = &shelf{kept: map[string]keptOne{}}
		if k.scopes == nil {
			k.scopes = map[string]*shelf{}
		}
		k.scopes[scope] = s
	}
	s.order = append(s.order, id)
	s.kept[id] = one
	s.size += one.size
	for len(s.order) > limits.StoredResponses.Int() || s.size > limits.StoredBytes.Int() {
		s.forget(s.order[0])
	}
}

func (k *keptResponses) find(scope, id string) (keptOne, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.scopes[scope]; s != nil {
		one, ok := s.kept[id]
		return one, ok
	}
	return keptOne{}, false
}

// forget reports whether there was such a response.
func (k *keptResponses) forget(scope, id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.scopes[scope]
	return s != nil && s.forget(id)
}

func (s *shelf) forget(id string) bool {
	one, ok := s.kept[id]
	if ok {
		delete(s.kept, id)
		s.size -= one.size
		s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == id })
	}
	return ok
}

// sizeOf is what a message takes in memory, in bytes, more or less.
func sizeOf(m chat.Message) int {
	const fixed, idSize = 256, 8
	n := fixed + len(m.Reasoning) + idSize*len(m.Tokens)
	for _, p := range m.Parts {
		n += fixed + len(p.Text)
		if p.Media != nil {
			n += len(p.Media.Data)
		}
	}
	for _, c := range m.ToolCalls {
		n += fixed + len(c.Name) + len(c.Arguments)
	}
	return n
}
