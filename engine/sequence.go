package engine

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/grammar"
	"parley/internal/textmatch"
	"parley/llm"
)

// A request is what a caller asks of the loop, and the way back to him.
type request struct {
	prompt     []int32           // at least one token, fewer than the context
	rest       string            // text behind it that the model is to spell
	asked      []int32           // with rest: the prompt with the tokens that spell it usually
	see        func(x []float32) // nothing is generated: it is shown what each token of the prompt makes
	scores     bool              // it is shown logits rather than states
	maxTokens  int               // at least 1; fits the context behind the prompt
	settings   settings
	stop       []string
	stopLines  []string // of which only those that begin a line of the output count
	withinLine bool     // the prompt ends within a line
	stopAfter  string
	stopOpen   string
	banned     []string
	masker     *grammar.Masker // with constraint; nil: there is none
	constraint *llm.Constraint
	ends       []int32 // tokens that end a reply
	closers    []int32 // control tokens that are stop strings
	words      vocabulary
	scope      string
	expected   []int32      // tokens that the output may begin with, or nil
	need       int64        // memory for all its tokens
	segments   []int        // of each token of the prompt; nil: not known
	sources    []llm.Source // of the segments

	submitted time.Time
	gone      atomic.Bool  // the caller has left
	read      atomic.Int64 // tokens of the prompt that have been read

	mu     sync.Mutex
	pieces []llm.Piece // not yet fetched
	err    error
	ended  bool
	ready  chan struct{} // capacity 1: something is new
}

// stops are the strings that end the output.
func (r *request) stops() textmatch.Stops {
	s := textmatch.Stops{Anywhere: r.stop, Lines: r.stopLines, Within: r.withinLine, After: r.stopAfter}
	if r.stopOpen != "" {
		s.Opens = llm.Params{StopOpen: r.stopOpen}.Opens
	}
	return s
}

// source is where a token of the prompt comes from.
func (r *request) source(token int) (from llm.Source) {
	if token < len(r.segments) && r.segments[token] >= 0 {
		from = r.sources[r.segments[token]]
	}
	return from
}

// promptTokens is how many tokens the prompt counts as.
func (r *request) promptTokens() int {
	if r.asked != nil {
		return len(r.asked)
	}
	return len(r.prompt)
}

// put adds a piece. It never waits for the caller: what a slow one leaves here
// is bounded by maxTokens.
func (r *request) put(p llm.Piece) {
	r.mu.Lock()
	r.pieces = append(r.pieces, p)
	r.ended = r.ended || p.Finish != nil
	r.mu.Unlock()
	r.signal()
}

// fail ends the stream with an error, unless it has ended.
func (r *request) fail(err error) {
	r.mu.Lock()
	if !r.ended {
		r.err, r.ended = err, true
	}
	r.mu.Unlock()
	r.signal()
}

func (r *request) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// fetch gives what is new.
func (r *request) fetch() (pieces []llm.Piece, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pieces, r.pieces = r.pieces, nil
	return pieces, r.err
}

// A sequence is a request being served. Once it is in the queue only the loop
// touches what is not the request's.
type sequence struct {
	*request
	prompt  []int32 // of the request, and the tokens that spell its rest
	rest    string  // of the request, as far as it is not in prompt
	tokens  []int32 // the prompt and what was generated
	cache   *table  // nil: not begun; it has read the beginning of tokens
	sampler *sampler
	output  *output
	held    *holder // nil: there is no constraint
	never   []int32 // tokens that contain a banned phrase
	guesses guesses
	guard   textmatch.LoopGuard
	tried   map[int][]int32 // at a place in tokens: what led to a banned phrase there
	rewound int             // how often tokens were taken back

	cached int        // tokens that were in memory
	marks  []int      // where the reading of the prompt stops, for the state there
	broke  *llm.Break // where others in memory go on differently
	begunAt,
	promptRead time.Time
}

// newSequence makes ready what takes time, before the loop is troubled.
func newSequence(r *request) *sequence {
	r.ready = make(chan struct{}, 1)
	banned := newBans(r.banned)
	s := &sequence{
		request: r,
		prompt:  r.prompt,
		rest:    r.rest,
		tokens:  slices.Clone(r.prompt),
		output:  newOutput(r.stops(), banned),
		guard:   textmatch.LoopGuard{Bound: r.settings.loopGuard},
	}
	if r.masker != nil {
		s.held = newHolder(r.masker, r.constraint, r.words)
	}
	if banned != nil {
		s.never = banned.within(r.words)
		s.tried = map[int][]int32{}
	}
	s.sampler = s.newSampler()
	return s
}

// newSampler makes a sampler that knows the prompt.
func (s *sequence) newSampler() *sampler {
	sm := newSampler(s.settings, s.prompt, s.ends, s.words)
	sm.closers, sm.never, sm.held = s.closers, s.never, s.held
	if s.rest != "" {
		sm.respell = func(logits []float32) bool {
			rest := s.healing()
			if rest != "" {
				s.respell(logits, rest)
			}
			return rest != ""
		}
	}
	return sm
}

func (s *sequence) length() int {
	if s.cache == nil {
		return 0
	}
	return s.cache.Len()
}

// left is how many tokens are to be read before the next one can be chosen.
func (s *sequence) left() int { return len(s.tokens) - s.length() }

// reading reports whether part of the prompt has not been read.
func (s *sequence) reading() bool { return s.length() < len(s.prompt) }

func (s *sequence) generated() int { return len(s.tokens) - len(s.prompt) }

// next chooses a token and passes on what it makes. It reports whether the
// sequence has ended; an error ends it too.
func (s *sequence) next(logits []float32, b *scratch) (ended bool, err error) {
	s.sampler.barred = s.tried[len(s.tokens)]
	rest := s.healing()
	id, ok := s.pick(logits, b)
	switch {
	case !ok && rest != "" && len(s.sampler.barred) == 0 && slices.ContainsFunc(logits, isNumber):
		s.unheal()
		return false, nil
	case !ok && s.tried != nil && slices.ContainsFunc(logits, isNumber):
		s.giveUp()
		return true, nil
	case !ok && s.held != nil && slices.ContainsFunc(logits, isNumber):
		return true, &llm.Error{
			Code: llm.Unsupported, Field: s.constraint.Field, Message: "no token of this model's vocabulary can go on as the constraint demands",
			Hint: "its vocabulary lacks characters that the constraint asks for",
		}
	case !ok:
		return true, &llm.Error{
			Code: llm.Broken, Message: "the model's output is not a number",
			Hint: "its file may be damaged",
		}
	}
	if rest != "" && s.healed(id) {
		return false, nil
	}
	s.sampler.accept(id)
	s.tokens = append(s.tokens, id)
	text, control := s.words.Text(int(id))
	text = text[len(rest):]
	if s.words.Ends(int(id)) {
		s.finish(llm.ReasonEnd, text)
		return true, nil
	}
	if control && (text == s.stopAfter || text == s.stopOpen && text != "") {
		control = false
	}
	if control && s.output.armed() && slices.Contains(s.stop, text) {
		s.finish(llm.ReasonStop, text)
		return true, nil
	}
	piece, stop := s.output.push(s.token(id, text, control, logits, b))
	if n := s.output.back; n > 0 {
		return s.takeBack(n), nil
	}
	switch {
	case stop != "":
		piece.Finish = s.end(llm.ReasonStop, stop)
		s.put(piece)
		return true, nil
	case s.generated() >= s.maxTokens:
		s.finishWith(piece, llm.ReasonLength, "")
		return true, nil
	case s.loops():
		s.finishWith(piece, llm.ReasonLoop, "")
		return true, nil
	case s.held != nil && s.held.ended():
		s.finishWith(piece, llm.ReasonEnd, "")
		return true, nil
	case piece.Text != "":
		s.put(piece)
	}
	return false, nil
}

// pick chooses a token, and another one where a constraint does not take it.
func (s *sequence) pick(logits []float32, b *scratch) (id int32, ok bool) {
	for {
		id, ok = s.sampler.pick(logits, b)
		if !ok || s.held == nil || s.words.Ends(int(id)) {
			return id, ok
		}
		text, rest := s.text(id), s.healing()
		if len(text) <= len(rest) && rest != "" || s.held.push(text[len(rest):]) {
			return id, ok
		}
		s.sampler.barred = append(slices.Clip(s.sampler.barred), id)
	}
}

// text is what a token adds to the output: nothing, for control tokens.
func (s *sequence) text(id int32) string {
	text, control := s.words.Text(int(id))
	if control && text != s.constraint.After && text != s.constraint.Open && !strings.Contains(s.constraint.Behind, text) {
		return ""
	}
	return text
}

// loops shows the guard the tokens that stay and reports whether the reply
// only repeats itself.
func (s *sequence) loops() bool {
	stay := s.generated() - s.output.revocable()
	for s.guard.Seen < stay && s.guard.Bound > 0 {
		if s.guard.See(uint32(s.tokens[len(s.prompt)+s.guard.Seen])) && s.generated() >= s.settings.minTokens {
			return true
		}
	}
	return false
}

func (s *sequence) token(id int32, text string, control bool, logits []float32, b *scratch) llm.Token {
	t := llm.Token{ID: int(id), Text: text, Control: control, Segment: -1}
	if s.settings.logProbs < 0 {
		return t
	}
	of, best, logProb := probabilities(logits, id, s.settings.logProbs, b)
	t.LogProb = of
	for _, c := range best {
		text, _ := s.words.Text(int(c.id))
		t.Top = append(t.Top, llm.TokenProb{ID: int(c.id), Text: text, LogProb: logProb(c.logit)})
	}
	return t
}

// finish ends a sequence whose output ends of itself. A stop string that was
// still open to become longer counts first.
func (s *sequence) finish(why llm.Reason, by string) { s.finishWith(llm.Piece{}, why, by) }

// finishWith is finish with a piece that was not yet passed on.
func (s *sequence) finishWith(before llm.Piece, why llm.Reason, by string) {
	piece, stop := s.output.finish(why == llm.ReasonLength)
	if stop != "" {
		why, by = llm.ReasonStop, stop
	}
	piece.Text = before.Text + piece.Text
	piece.Tokens = append(before.Tokens, piece.Tokens...)
	piece.Finish = s.end(why, by)
	if why == llm.ReasonLoop {
		piece.Finish.Report.Add("loop", strconv.Itoa(s.guard.Bound), "the reply only repeated itself for so many tokens and was ended")
	}
	s.put(piece)
}

func (s *sequence) end(why llm.Reason, by string) *llm.Finish {
	return &llm.Finish{
		Reason: why, Stop: by, Seed: s.settings.seed,
		Usage: llm.Usage{
			PromptTokens:     s.promptTokens(),
			CachedTokens:     s.cached,
			Broke:            s.broke,
			CompletionTokens: s.generated(),
			DraftedTokens:    s.guesses.drafted,
			AcceptedTokens:   s.guesses.accepted,
			Queued:           s.begunAt.Sub(s.submitted),
			Prefill:          s.promptRead.Sub(s.begunAt),
			Decode:           time.Since(s.promptRead),
		},
	}
}
