package engine

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"

	"parley/internal/grammar"
	"parley/llm"
)

// constraints makes constraints ready and remembers them: clients send the
// same schema with every request.
type constraints struct {
	words func() []string // the texts of the tokens that an output may have

	mu    sync.Mutex
	vocab *grammar.Vocabulary
	known map[string]*language
}

// language is what holds outputs to a constraint, and in what it does not.
type language struct {
	masker *grammar.Masker
	report llm.Report
}

// mostConstraints bounds those that are remembered.
const mostConstraints = 32

// ready gives what holds an output to a constraint. The error names the field
// in which a client wrote it.
func (c *constraints) ready(x *llm.Constraint) (*language, error) {
	key := string(x.Kind) + "\x00" + x.Source + "\x00" + strings.Join(x.Choices, "\x00")
	for _, call := range x.Calls {
		key += "\x00" + call.Name + "\x00" + call.Before + "\x00" + call.Schema
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.known[key]; h != nil {
		return h, nil
	}
	h := &language{}
	g, err := compile(x, &h.report)
	if err != nil {
		e := llm.Errorf(llm.Invalid, x.Field, "%v", err)
		e.Hint = "leave out what is not supported, and check the answer"
		return nil, e
	}
	if c.vocab == nil {
		c.vocab = grammar.NewVocabulary(c.words())
	}
	if len(c.known) >= mostConstraints || c.known == nil {
		c.known = map[string]*language{}
	}
	h.masker = grammar.NewMasker(g, c.vocab)
	c.known[key] = h
	return h, nil
}

func compile(x *llm.Constraint, report *llm.Report) (*grammar.Grammar, error) {
	switch x.Kind {
	case llm.ConstrainJSON:
		return grammar.JSON()
	case llm.ConstrainSchema:
		g, err := grammar.Schema([]byte(x.Source))
		if err == nil {
			for _, word := range g.Ignored {
				report.Add(llm.CodeSchemaWord, word, "no keyword of JSON schema: nothing depends on it")
			}
		}
		return g, err
	case llm.ConstrainGBNF:
		return grammar.GBNF(x.Source)
	case llm.ConstrainRegexp:
		return grammar.Regexp(x.Source)
	case llm.ConstrainCall:
		return compileCalls(x.Calls, report)
	}
	return grammar.Choice(x.Choices)
}

func compileCalls(calls []llm.Call, report *llm.Report) (*grammar.Grammar, error) {
	list := make([]grammar.Call, len(calls))
	for i, c := range calls {
		list[i] = grammar.Call{Before: c.Before, Schema: []byte(c.Schema)}
		if c.Schema == "" {
			list[i].Schema = []byte("true")
		}
	}
	g, unheld, err := grammar.Calls(list)
	for _, i := range slices.Sorted(maps.Keys(unheld)) {
		report.Add(llm.CodeArgumentsUnheld, calls[i].Name, "the arguments are any JSON object: "+unheld[i].Error())
	}
	return g, err
}

// A holder holds one output to a constraint.
type holder struct {
	masker      *grammar.Masker
	words       vocabulary
	after, open string
	behind      string

	past []progress // before the first token and after each
}

// progress is how far an output has come. It is in its thoughts, or it may still
// turn out to begin with them, or it is held.
type progress struct {
	state *grammar.State // of the text that is held; nil: it cannot be held any more
	head  string         // the text while it may begin with open
	open  bool           // it may
	tail  string         // the last of the thoughts, or of what is free
	free  bool           // it is in its thoughts
	watch bool           // it is free until behind comes
	space bool           // white space may stand before what is held
}

func newHolder(m *grammar.Masker, x *llm.Constraint, words vocabulary) *holder {
	h := &holder{masker: m, words: words, after: x.After, open: x.Open, behind: x.Behind}
	first := h.begin()
	switch {
	case x.After != "" && x.Open != "":
		first.open = true
	case x.After != "":
		first.free = true
	}
	h.past = []progress{first}
	return h
}

// begin is where what is constrained begins.
func (h *holder) begin() progress {
	if h.behind != "" {
		return progress{watch: true}
	}
	return progress{state: h.masker.Start()}
}

func (h *holder) now() progress { return h.past[len(h.past)-1] }

// restrict makes impossible what the constraint does not allow. ends are the
// tokens that end an output.
func (h *holder) restrict(logits []float32, ends ...[]int32) {
	now := h.now()
	if now.free || now.watch {
		return
	}
	var mask grammar.Mask
	if now.state != nil {
		mask = h.masker.Mask(now.state)
	}
	if now.open || now.space {
		mask = h.widened(mask, now, len(logits))
	}
	var spared []candidate
	if now.state != nil && now.state.Accepts() {
		for _, list := range ends {
			for _, id := range list {
				spared = append(spared, candidate{logits[id], id})
			}
		}
	}
	mask.Apply(logits)
	for _, c := range spared {
		logits[c.id] = c.logit
	}
}

// widened is a mask with the tokens with which thoughts begin, or white space.
func (h *holder) widened(mask grammar.Mask, now progress, size int) grammar.Mask {
	wide := mask.Clone(size)
	rest := strings.TrimPrefix(h.open, strings.TrimLeftFunc(now.head, unicode.IsSpace))
	for id := range h.words.Size() {
		text, control := h.words.Text(id)
		switch {
		case text == "" || h.words.Ends(id):
		case now.open && (strings.HasPrefix(text, rest) || strings.HasPrefix(rest, text)):
			wide.Add(id)
		case now.space && !control && strings.TrimSpace(text) == "":
			wide.Add(id)
		}
	}
	return wide
}

// push takes note of the next token's text. It reports false, and takes no
// note, if what is held would be broken: a token may end the thoughts and go
// on with something else.
func (h *holder) push(text string) bool {
	next, ok := h.now(), true
	if next.open {
		next.head += text
		opens, known := llm.Params{StopOpen: h.open}.Opens(next.head)
		if known {
			next.open = false
		}
		if known && !opens && next.watch {
			text = next.head
		}
		if known && opens {
			next.free = true
			text = next.head[strings.Index(next.head, h.open)+len(h.open):]
			next.head = ""
		}
	}
	switch {
	case next.free:
		next, ok = h.think(next, text)
	case next.watch && !next.open:
		next, ok = h.look(next, text)
	case !next.watch:
		next, ok = h.follow(next, text)
	}
	if ok {
		h.past = append(h.past, next)
	}
	return ok
}

// takes reports whether push would take a text.
func (h *holder) takes(text string) bool {
	n := len(h.past)
	ok := h.push(text)
	h.past = h.past[:n]
	return ok
}

// think looks for the end of the thoughts.
func (h *holder) think(now progress, text string) (progress, bool) {
	_, behind, found := strings.Cut(now.tail+text, h.after)
	if !found {
		now.tail += text
		now.tail = now.tail[max(0, len(now.tail)-len(h.after)):]
		return now, true
	}
	if next := h.begin(); next.watch {
		return h.look(next, behind)
	}
	behind = strings.TrimLeftFunc(behind, unicode.IsSpace)
	return h.follow(progress{state: h.masker.Start(), space: behind == ""}, behind)
}

// look looks for the text behind which the output is held.
func (h *holder) look(now progress, text string) (progress, bool) {
	_, held, found := strings.Cut(now.tail+text, h.behind)
	if !found {
		now.tail += text
		now.tail = now.tail[max(0, len(now.tail)-len(h.behind)):]
		return now, true
	}
	return h.follow(progress{state: h.masker.Start()}, held)
}

func (h *holder) follow(now progress, text string) (progress, bool) {
	if text == "" {
		return now, true
	}
	var state *grammar.State
	if now.state != nil {
		state = h.masker.Step(now.state, text)
	}
	if state == nil && now.space && strings.TrimSpace(text) == "" {
		state = now.state
	}
	now.state, now.space = state, false
	if h.behind != "" && state != nil && state.Ended() {
		return h.begin(), true
	}
	return now, state != nil || now.open
}

// ended reports whether nothing may come any more.
func (h *holder) ended() bool {
	now := h.now()
	return !now.free && !now.watch && !now.open && now.state != nil && now.state.Ended()
}

// rewind goes back to where only n tokens had been taken note of.
func (h *holder) rewind(n int) { h.past = h.past[:n+1] }
