package engine

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"parley/internal/gguf"
	"parley/internal/transformer"
	"parley/internal/vocab"
)

// A drafter has a small model propose what sequences may say next: the token
// that it holds for the likeliest, and so on. It belongs to the loop.
//
// It reads the end of a text only, at positions of its own, so that it costs
// little to begin and its memory is bounded. That may make its proposals worse; it
// cannot make an answer wrong.
type drafter struct {
	model  model
	window int           // tokens of a text that it has in memory at most
	round  time.Duration // what it takes to propose a token for all sequences; 0: not known
	rested int           // steps since it was asked

	file *gguf.File
	own  *transformer.Model

	steps []step // scratch
}

const (
	draftWindow = 2048 // tokens that the small model has in memory of a sequence
	draftBegin  = 512  // tokens of the end of a text with which it begins
	draftChunk  = 128  // tokens of each text that it reads in a step, if it is behind
	draftMost   = 8    // tokens that it proposes
	draftRests  = 64   // steps after which it is asked again where it was of no use
	draftHolds  = 128  // steps without it after which it is assumed to take half as long
)

// A draft is what the small model has read of one sequence.
type draft struct {
	cache  cache
	start  int     // where in the sequence
	tokens []int32 // from there on
}

// A DraftError says why a small model does not propose for a large one.
type DraftError struct {
	Path string // of the small one
	Err  error
}

func (e *DraftError) Error() string { return e.Err.Error() }
func (e *DraftError) Unwrap() error { return e.Err }

// newDrafter opens the small model. Its tokens must be those of the one for
// which it proposes. The error is a *DraftError.
func newDrafter(path string, words *vocab.Model, threads int) (*drafter, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, &DraftError{path, err} // it names the file
	}
	d, err := draftFrom(f, words, threads)
	if err != nil {
		f.Close()
		return nil, &DraftError{path, fmt.Errorf("%s: %w", path, err)}
	}
	return d, nil
}

func draftFrom(f *gguf.File, words *vocab.Model, threads int) (*drafter, error) {
	own, err := vocab.FromGGUF(f)
	if err != nil {
		return nil, err
	}
	if err := sameTokens(own, words); err != nil {
		return nil, err
	}
	m, err := transformer.Load(f, transformer.Options{Threads: threads, Context: draftWindow})
	if err != nil {
		return nil, err
	}
	config := m.Config()
	if m.HasStates() {
		m.Close()
		return nil, fmt.Errorf("tokens of a model of architecture %s cannot be taken back, as a draft's have to be: choose one of attention alone", config.Architecture)
	}
	if size := own.Size(); size > config.Vocab {
		m.Close()
		return nil, fmt.Errorf("the vocabulary has %d tokens, the model rows for %d", size, config.Vocab)
	}
	window := min(draftWindow, config.Context)
	return &drafter{model: &transformerModel{Model: m, size: own.Size()}, window: window, file: f, own: m}, nil
}

// sameTokens compares the vocabulary of a small model with that of a large one.
func sameTokens(small, large *vocab.Model) error {
	if small.Size() != large.Size() {
		return fmt.Errorf("its vocabulary has %d tokens, the one for which it would draft %d: it must be of the same family", small.Size(), large.Size())
	}
	for id := range small.Size() {
		if a, b := small.Piece(id), large.Piece(id); a != b || small.IsControl(id) != large.IsControl(id) {
			return fmt.Errorf("its token %d is %q, that of the model for which it would draft %q: it must be of the same family", id, a, b)
		}
	}
	return nil
}

func (d *drafter) close() {
	if d != nil && d.own != nil {
		d.own.Close()
		d.file.Close()
	}
}

// follow makes the draft of a sequence the beginning of what is to be read, and
// gives what is left of it.
func (d *drafter) follow(s *sequence) []int32 {
	t := &s.guesses.draft
	if t.cache == nil {
		t.cache = d.model.NewCache()
		t.begin(len(s.tokens), d.window)
	}
	if len(s.tokens) < t.start || len(s.tokens)-t.start+draftMost > d.window {
		t.begin(len(s.tokens), d.window)
	}
	text := s.tokens[t.start:]
	n := min(shared(t.tokens, text), len(text)-1)
	t.cache.Truncate(n)
	n = t.cache.Len()
	t.tokens = t.tokens[:n]
	return text[n:]
}

// begin begins anew near the end of a text.
func (t *draft) begin(length, window int) {
	t.cache.Truncate(0)
	t.tokens = t.tokens[:0]
	t.start = max(0, length-min(draftBegin, window/2))
}

func (t *draft) release() {
	if t.cache != nil {
		t.cache.Release()
		t.cache = nil
	}
}

// propose makes proposals of so many tokens, one number for each sequence. One
// whose text it has yet to read gets none.
func (d *drafter) propose(list []*sequence, widths []int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	d.rested = 0
	var at []*sequence
	next := make([][]int32, len(list))
	for i, s := range list {
		s.guesses.proposal = nil
		next[i] = d.follow(s)
	}
	for round := range slices.Max(widths) {
		d.steps, at = d.steps[:0], at[:0]
		longest := 0
		for i, s := range list {
			if round >= widths[i] || len(next[i]) == 0 {
				continue
			}
			behind := len(next[i]) > draftChunk
			if behind {
				next[i] = next[i][:draftChunk]
			}
			t := &s.guesses.draft
			d.steps = append(d.steps, step{cache: t.cache, tokens: next[i], want: !behind})
			t.tokens = append(t.tokens, next[i]...)
			at = append(at, s)
			longest = max(longest, len(next[i]))
			next[i] = nil
		}
		if len(at) == 0 {
			return nil
		}
		begun := time.Now()
		if err := d.model.Forward(d.steps); err != nil {
			return err
		}
		if longest <= 2 {
			d.observe(time.Since(begun))
		}
		for j, s := range at {
			if !d.steps[j].want {
				continue
			}
			id := argmax(d.steps[j].logits)
			s.guesses.proposal = append(s.guesses.proposal, id)
			next[slices.Index(list, s)] = []int32{id}
		}
	}
	return nil
}

// rest is a step without it. How long it took once on a busy machine must not
// count for ever.
func (d *drafter) rest() {
	if d.rested++; d.rested >= draftHolds {
		d.rested, d.round = 0, d.round/2
	}
}

func (d *drafter) observe(took time.Duration) {
	if d.round > 0 {
		took = (3*d.round + took) / 4
	}
	d.round = max(1, took)
}
