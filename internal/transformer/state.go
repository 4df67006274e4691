package transformer

// Large state that runs along (mamba.go, mamba1.go, delta.go, rwkv.go).
//
// A KV has the state of the layers at its end, in a page of its own kind, and no other: it
// can go on there, or begin anew. With keys and values of blocks alone nobody can go on.
// A State refers to the page; whoever holds the keys and values of the same tokens can go on
// with it, any number of times, since a page with several users is copied before it is
// written.

// HasStates reports whether sequences can go on only with a State, or from the beginning.
func (m *Model) HasStates() bool { return m.memory.sizes[whole] > 0 }

// StateBytes is the memory of one.
func (m *Model) StateBytes() int64 { return int64(m.memory.sizes[whole]) }

// A State is that of all layers behind so many tokens.
type State struct {
	memory *memory
	page   *page
	at     int
}

// State refers to what a sequence has at its end, which has some tokens.
func (kv *KV) State() *State {
	if kv.state == nil || kv.at != kv.length {
		panic("transformer: there is no state here")
	}
	share(kv.state)
	return &State{kv.memory, kv.state, kv.at}
}

// Release ends the reference.
func (s *State) Release() {
	s.memory.release(whole, s.page)
	s.page = nil
}

// GoOn makes kv, which has the keys and values of at least as many tokens, end where the
// state is of, so that it can go on there.
func (kv *KV) GoOn(s *State) {
	if kv.memory != s.memory || s.at > kv.length {
		panic("transformer: a state of another sequence")
	}
	share(s.page)
	kv.dropState()
	kv.state, kv.at = s.page, s.at
	kv.Truncate(s.at)
}

// fillState gives kv the state of src, wherever it ends.
func (kv *KV) fillState(src *KV) {
	if src.state == nil {
		return
	}
	share(src.state)
	kv.dropState()
	kv.state, kv.at = src.state, kv.length
}

// copyWhole makes an empty kv hold what src does.
func (kv *KV) copyWhole(src *KV) {
	for i := range blocksFor(src.length) {
		b := src.Block(i)
		kv.Adopt(i, b)
		b.Release()
	}
	s := src.State()
	kv.GoOn(s)
	s.Release()
}

func (kv *KV) dropState() {
	kv.memory.release(whole, kv.state)
	kv.state, kv.at = nil, 0
}

// ownState makes the state one that may be written.
func (kv *KV) ownState() {
	switch {
	case kv.memory.sizes[whole] == 0:
	case kv.state == nil:
		kv.state = kv.memory.page(whole)
	default:
		kv.state = kv.memory.own(whole, kv.state)
	}
}

// stateOf is that of one layer.
func (kv *KV) stateOf(layer int) []float32 {
	l := kv.layout
	return kv.state.floats[l.states[layer]:][:l.layers[layer].stateFloats()]
}

// stateFloats is the size of a layer's state.
func (s *layerSpec) stateFloats() int {
	return s.mamba.floats() + s.mamba1.floats() + s.delta.floats() + s.rwkv.floats()
}
