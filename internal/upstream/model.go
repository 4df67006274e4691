package upstream

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/llm"
)

// A model is an engine that continues prompts.
type model struct {
	engine *Engine
	name   string // at the engine
	info   llm.Info
	words  words // nil: prompts go as text
	who    *identity
	bos    bool // the engine puts a beginning-of-text token before text
}

// readingModel is a model that can show how it reads text.
type readingModel struct{ *model }

// vectorModel and readingVectorModel are those whose engine makes vectors.
type vectorModel struct {
	*model
	embedder
}

type readingVectorModel struct {
	readingModel
	embedder
}

var (
	_ llm.Model     = (*model)(nil)
	_ llm.Describer = (*model)(nil)
	_ llm.Tokenizer = readingModel{}
)

func (e *Engine) newModel(name string, d description, w words, who *identity) llm.Model {
	m := &model{engine: e, who: who, name: name, info: d.info, words: w, bos: e.kind.facts.addsBOS}
	switch {
	case d.bos != nil:
		m.bos = *d.bos
	case w != nil:
		m.bos = m.bos && d.info.AddsBOS
	}
	v := embedder{m}
	switch embeds := e.kind.facts.embeds; {
	case w == nil && !embeds:
		return m
	case w == nil:
		return vectorModel{m, v}
	case !embeds:
		return readingModel{m}
	}
	return readingVectorModel{readingModel{m}, v}
}

// Describe says what is known of the model.
func (m *model) Describe() llm.Info { return m.info }

// Tokenize gives the tokens of a prompt as they are sent to the engine.
func (m readingModel) Tokenize(ctx context.Context, p llm.Prompt) ([]llm.Token, error) {
	return m.words.Tokenize(ctx, p)
}

// Detokenize gives the text of token ids.
func (m readingModel) Detokenize(ctx context.Context, ids []int) (string, error) {
	return m.words.Detokenize(ctx, ids)
}

// Complete continues a prompt.
func (m *model) Complete(ctx context.Context, p llm.Prompt, params llm.Params) iter.Seq2[llm.Piece, error] {
	return func(yield func(llm.Piece, error) bool) {
		c, count, err := m.call(ctx, p, params)
		if err != nil {
			yield(llm.Piece{}, err)
			return
		}
		a := &answer{model: m, call: c, count: count, within: !p.EndsLine(), began: time.Now()}
		a.params = params.WithDefaults(m.info.Sampling)
		if a.params.LogProbs != nil {
			a.alternatives = *a.params.LogProbs
		}
		if a.params.Seed != nil {
			a.seed = *a.params.Seed
		} else if c.params.Seed != nil {
			a.seed = *c.params.Seed
		}
		if c.params.MaxTokens != nil && *c.params.MaxTokens == 0 {
			if yield(a.accepted(), nil) {
				yield(llm.Piece{Finish: a.finish(ctx, llm.ReasonLength, "")}, nil)
			}
			return
		}
		a.stream(ctx, yield)
	}
}

// call checks what is asked for and makes it ready for the engine. The number
// of tokens is 0 where it is not known.
func (m *model) call(ctx context.Context, p llm.Prompt, params llm.Params) (*call, int, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, 0, err
	}
	if err := params.Check(); err != nil {
		return nil, 0, err
	}
	if p.Empty() {
		return nil, 0, llm.Errorf(llm.Invalid, "prompt", "the prompt is empty")
	}
	if err := m.who.check(ctx, m.engine.transport); err != nil {
		return nil, 0, err
	}
	params = params.WithDefaults(m.info.Sampling)
	facts := &m.engine.kind.facts
	c := &call{model: m.name, stream: true, marks: p.Marks, room: m.info.Context, id: callID()}
	c.params = params
	c.params.Choice = 0
	if params.Seed != nil || facts.sampling.has("Seed") {
		c.params.Seed = new(wireSeed(params))
	}
	if facts.resizes {
		c.resize = m.engine.options.Context
	}
	if b, ok := m.words.(interface {
		Bias(llm.Params) map[int]float64
	}); ok {
		c.params.LogitBias, c.params.WordBias = b.Bias(params), nil
	}
	count, err := m.read(ctx, c, p)
	if err != nil {
		return nil, 0, err
	}
	if err := m.fit(c, count); err != nil {
		return nil, 0, err
	}
	if m.engine.kind.complete.framing == framedWhole {
		c.stream = false
		c.stops = m.sentStops(params)
	}
	return c, count, nil
}

// usualTokens is how many tokens are asked for where a number must be, nobody
// named one, and the context's room is not known.
const usualTokens = 1024

// fit bounds the output by the room that the prompt leaves.
func (m *model) fit(c *call, count int) error {
	asked := -1
	if c.params.MaxTokens != nil {
		asked = *c.params.MaxTokens
	}
	room := m.info.Context - count
	known := m.info.Context > 0 && count > 0
	switch {
	case known && room <= 0:
		e := llm.TooLongError(count, m.info.Context)
		e.Hint = "shorten the conversation or start the engine with a larger context"
		return e
	case known && asked > room:
		c.report.Add("max_tokens_capped", strconv.Itoa(room), fmt.Sprintf(
			"asked for %d; the prompt has %d tokens and the context holds %d", asked, count, m.info.Context))
		c.params.MaxTokens = &room
	case asked >= 0:
	case m.engine.kind.facts.endless:
		c.params.MaxTokens = nil
	case known:
		c.params.MaxTokens = &room
	default:
		c.params.MaxTokens = new(usualTokens)
		c.report.Add("max_tokens", strconv.Itoa(usualTokens), "the engine wants a number, and the room in its context is not known")
	}
	if most := m.engine.kind.facts.mostTokens; most > 0 && c.params.MaxTokens != nil && *c.params.MaxTokens > most {
		c.params.MaxTokens = &most
		c.report.Add("max_tokens_capped", strconv.Itoa(most), "the engine gives no more tokens at a time")
	}
	return nil
}

// sentStops are the stop strings for an engine that cannot be cut off. They do
// harm where they do not count from the beginning, and of one that is the
// beginning of another the engine would not find the longer one.
func (m *model) sentStops(p llm.Params) (stops []string) {
	if p.StopAfter != "" {
		return nil
	}
	most := m.engine.kind.facts.mostStops
	for _, s := range p.Stop {
		if most == 0 || len(stops) < most {
			stops = append(stops, s)
		}
	}
	return stops
}

// wireSeed is the seed as every engine takes it: 31 bits. What is not asked
// for is drawn.
func wireSeed(p llm.Params) int64 {
	if p.Seed == nil {
		return rand.Int64N(1 << 31)
	}
	seed := *p.Seed
	if p.Choice == 0 && seed >= 0 && seed < 1<<31 {
		return seed
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d", seed, p.Choice)
	return int64(h.Sum64() >> 33)
}

func callID() string { return fmt.Sprintf("PARLEY%012X", rand.Uint64()>>16) }

// An answer is what an engine says to one call, on its way to the caller.
type answer struct {
	model  *model
	call   *call
	params llm.Params
	count  int  // tokens of the prompt; 0: not known
	within bool // the prompt ends within a line
	seed   int64

	end          string // text of the token that ended the output
	alternatives int    // that are reported for each token
	began        time.Time
	first        time.Time // when output began

	output *output
	told   chunk  // the counts that the engine tells
	tokens int    // that came with their ids
	chunks int    // that had text
	text   []byte // all of it, where tokens are to be counted
}

func (a *answer) accepted() llm.Piece {
	return llm.Piece{Accepted: &llm.Accepted{PromptTokens: a.count, Seed: a.seed, Report: a.call.report}}
}

// stream yields the pieces of the answer. At a stop string it breaks the
// engine's work off.
func (a *answer) stream(ctx context.Context, yield func(llm.Piece, error) bool) {
	a.output = newOutput(a.params, a.within)
	var ended *chunk
	for c, err := range a.model.engine.generate(ctx, a.model.engine.kind.complete, a.call) {
		switch {
		case err != nil:
			yield(llm.Piece{}, err)
			return
		case c.accepted:
			if !yield(a.accepted(), nil) {
				return
			}
			continue
		case c.progress != nil:
			a.count = max(a.count, c.progress.Total)
			if c.text == "" && c.finish == "" && a.chunks == 0 && !yield(llm.Piece{Waiting: c.progress}, nil) {
				return
			}
		}
		a.see(c)
		if ended != nil {
			continue // it only counts tokens now
		}
		if a.end != "" && c.finish == "" && c.text != "" { // the engine does not know this end
			ended = &chunk{finish: llm.ReasonEnd}
			break
		}
		tokens, closer := a.named(&c)
		text, given, stop, loop := a.output.push(c.text, tokens)
		reason := llm.ReasonStop
		switch {
		case stop != "":
		case loop:
			reason = llm.ReasonLoop
		case closer != "":
			var rest []llm.Token
			var more string
			if more, rest, stop = a.output.finish(); stop == "" {
				stop = closer
			}
			text, given = text+more, append(given, rest...)
		default:
			reason = ""
		}
		piece := llm.Piece{Text: text, Tokens: given}
		if reason != "" {
			piece.Finish = a.finish(ctx, reason, stop)
			yield(piece, nil)
			return
		}
		if c.finish != "" {
			ended = new(c) // the only chunk that outlives its turn
		}
		if (piece.Text != "" || len(piece.Tokens) > 0) && !yield(piece, nil) {
			return
		}
	}
	if ended == nil {
		return // the caller has gone
	}
	a.model.who.heard()
	text, tokens, stop := a.output.finish()
	reason := llm.ReasonStop
	if stop == "" {
		reason, stop = a.ending(ended)
	}
	yield(llm.Piece{Text: text, Tokens: tokens, Finish: a.finish(ctx, reason, stop)}, nil)
}

// ending is why the engine ended the output, and by which text.
func (a *answer) ending(c *chunk) (llm.Reason, string) {
	switch {
	case c.finish == llm.ReasonStop && slices.Contains(a.params.Stop, c.stop):
		return llm.ReasonStop, c.stop
	case c.finish == llm.ReasonStop, c.finish == llm.ReasonEnd:
		return llm.ReasonEnd, cmp.Or(c.stop, a.end)
	}
	return c.finish, ""
}

// see takes note of what is counted.
func (a *answer) see(c chunk) {
	a.told.prompt = max(a.told.prompt, c.prompt)
	a.told.cached, a.told.cacheTold = max(a.told.cached, c.cached), a.told.cacheTold || c.cacheTold
	a.told.completion = max(a.told.completion, c.completion)
	for _, t := range c.tokens {
		if t.ID >= 0 || t.Text != "" {
			a.tokens++
		}
	}
	if c.text != "" {
		if a.chunks == 0 {
			a.first = time.Now()
			a.model.who.heard()
		}
		a.chunks++
		if a.model.words != nil && a.tokens == 0 {
			a.text = append(a.text, c.text...)
		}
	}
}

// named gives the chunk's tokens their texts, and the first of them that is a
// control token and a stop string: engines do not show those in the text.
func (a *answer) named(c *chunk) (tokens []llm.Token, closer string) {
	tokens = c.tokens
	known, ok := a.model.words.(interface {
		Piece(id int) string
		IsControl(id int) bool
		IsEOG(id int) bool
		Size() int
	})
	if !ok { // nothing is known of tokens that are not in the text
		tokens = slices.DeleteFunc(tokens, func(t llm.Token) bool { return t.Control && t.Text == "" })
	}
	spelt := ""
	for i := range tokens {
		t := &tokens[i]
		t.Top = t.Top[:min(len(t.Top), a.alternatives)]
		if a.params.LogProbs == nil {
			t.LogProb = 0
		}
		if ok && t.ID >= 0 && t.ID < known.Size() {
			t.Text, t.Control = known.Piece(t.ID), known.IsControl(t.ID)
		} else if t.Text == "" && len(tokens) == 1 {
			t.Text = c.text
		}
		if ok && t.Control && !a.params.IgnoreEOS && known.IsEOG(t.ID) {
			a.end = t.Text
			c.text = strings.TrimSuffix(c.text, t.Text)
			return tokens[:i], ""
		}
		if t.Control && a.output.stops.Armed() && slices.Contains(a.params.Stop, t.Text) {
			return tokens[:i], t.Text
		}
		if !t.Control || strings.Contains(c.text, t.Text) {
			spelt += t.Text
		}
	}
	if ok && len(tokens) > 0 && c.text != "" && strings.TrimLeft(spelt, " ") != strings.TrimLeft(c.text, " ") {
		// llama.cpp's streams leave out the first tokens of a character that
		// consists of several: whoever used these ids would have another text.
		tokens = []llm.Token{{ID: -1, Text: c.text}}
	}
	return tokens, ""
}

// finish is the end of the answer. What the engine does not count is counted
// here as well as can be, and reported.
func (a *answer) finish(ctx context.Context, reason llm.Reason, stop string) *llm.Finish {
	f := &llm.Finish{Reason: reason, Stop: stop, Seed: a.seed}
	u := &f.Usage
	u.PromptTokens, u.CachedTokens, u.CompletionTokens = a.told.prompt, a.told.cached, a.told.completion
	u.CacheUntold = !a.told.cacheTold
	if u.CompletionTokens == 0 {
		u.CompletionTokens = a.tokens
	}
	if u.PromptTokens == 0 {
		u.PromptTokens = a.count
	}
	if u.PromptTokens == 0 {
		f.Report.Add("usage", "prompt_tokens", "the engine does not count the prompt's tokens")
	}
	if reason == llm.ReasonEnd && a.model.engine.kind.facts.mute {
		f.Report.Add("finish_reason", "end", "the engine does not tell why its output ended")
	}
	if u.CompletionTokens == 0 && a.chunks > 0 {
		u.CompletionTokens = a.chunks
		how := "the engine does not count them: these are the parts in which the text came"
		if a.model.words != nil {
			p := llm.Prompt{Segments: []llm.Segment{{Text: string(a.text), Trust: llm.TrustModel}}}
			if tokens, err := a.model.words.Tokenize(ctx, p); err == nil {
				u.CompletionTokens, how = len(tokens), "the engine does not count them: these are the tokens of its text"
			}
		}
		f.Report.Add("usage", "completion_tokens", how)
	}
	if reason == llm.ReasonLoop {
		f.Report.Add("loop", strconv.Itoa(a.output.guard.Bound), "the reply only repeated itself for so many words and was ended")
	}
	if !a.first.IsZero() {
		u.Prefill = a.first.Sub(a.began)
		u.Decode = time.Since(a.first)
	}
	return f
}
