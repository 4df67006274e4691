package engine

import "slices"

// A kept cache holds the keys and values of a sequence that has ended, for
// another that begins in the same way.
type kept struct {
	cache  cache
	tokens []int32 // what the cache has read
	scope  string
	used   uint64 // grows with each use
}

// prefixes are the caches that nobody works on at present.
type prefixes struct {
	kept  []*kept
	clock uint64
	most  int // how many are kept at most
}

// find gives the cache that has read the most of the beginning of tokens.
func (p *prefixes) find(scope string, tokens []int32) (best *kept, n int) {
	for _, k := range p.kept {
		if k.scope != scope {
			continue
		}
		if m := shared(k.tokens, tokens); m > n || m == n && best != nil && len(k.tokens) < len(best.tokens) {
			best, n = k, m
		}
	}
	return best, n
}

// shared is the length of the longest common prefix.
func shared(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// keep adds a cache. One that is the beginning of another is of no use.
func (p *prefixes) keep(c cache, scope string, tokens []int32) {
	if len(tokens) == 0 {
		return
	}
	k := &kept{cache: c, tokens: tokens, scope: scope}
	if longer, n := p.find(scope, tokens); n == len(tokens) {
		p.touch(longer)
		return
	}
	p.kept = slices.DeleteFunc(p.kept, func(old *kept) bool {
		return old.scope == scope && shared(old.tokens, tokens) == len(old.tokens)
	})
	p.touch(k)
	p.kept = append(p.kept, k)
	if len(p.kept) > p.most {
		p.evict(nil)
	}
}

func (p *prefixes) touch(k *kept) {
	p.clock++
	k.used = p.clock
}

// take removes a cache, for a sequence that goes on with it.
func (p *prefixes) take(k *kept) {
	p.kept = slices.DeleteFunc(p.kept, func(x *kept) bool { return x == k })
}

// evict drops the cache that has been of no use for the longest time, but not
// the one spared, and reports whether there was one.
func (p *prefixes) evict(spared *kept) bool {
	var oldest *kept
	for _, k := range p.kept {
		if k != spared && (oldest == nil || k.used < oldest.used) {
			oldest = k
		}
	}
	if oldest == nil {
		return false
	}
	p.take(oldest)
	return true
}

func (p *prefixes) bytes() (n int64) {
	for _, k := range p.kept {
		n += k.cache.Bytes()
	}
	return n
}
