package jinja

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// A Template is a compiled chat template. It means the same for ever.
type Template struct {
	name   string
	source string // with \n for newlines
	lim    Limits
	body   []stmt
	scope  *scope
	proc   *proc
	names  []string // of the variables that it takes from a render
	blocks map[string]*blockStmt
	size   atomic.Int64 // of the last output, to begin the next with
}

// Parse compiles a template. The name stands in error messages.
func Parse(name, source string, lim Limits) (t *Template, err error) {
	if len(source) > lim.SourceBytes {
		return nil, &Error{Kind: KindLimit, Template: name, Msg: fmt.Sprintf("the template has %d bytes, more than the %d allowed (limit template_bytes)", len(source), lim.SourceBytes)}
	}
	if !utf8.ValidString(source) {
		return nil, &Error{Kind: KindSyntax, Template: name, Msg: "the template is not valid UTF-8"}
	}
	source = normalise(source)
	pos := 0
	defer func() {
		if r := recover(); r != nil {
			err = fault(r)
		}
		if err != nil {
			t, err = nil, place(err, name, source, pos)
		}
	}()
	toks, at, err := lex(source)
	if err != nil {
		pos = at
		return nil, err
	}
	p := &parser{toks: toks, max: lim.Depth, lines: lineCounter{src: source}}
	t = &Template{name: name, source: source, lim: lim, proc: &proc{}}
	if t.body, err = p.body(); err != nil {
		pos = p.cur().pos
		return nil, err
	}
	r := &resolver{globals: map[string]int{}, blocks: map[string]*blockStmt{}, max: heightPerDepth * lim.Depth}
	sym := newSymbols(nil, t.proc)
	r.root = sym
	sym.analyse(t.body)
	t.scope = r.finish(sym)
	if err = r.body(t.body, where{sym: sym}); err != nil {
		pos = r.pos
		return nil, err
	}
	t.names, t.blocks = r.names, r.blocks
	return t, nil
}

// fault turns a panic, which is a fault of this package, into an error.
func fault(r any) error {
	return failf(KindInternal, "fault in the template engine: %v\n%s", r, debug.Stack())
}

// Output is what a render gives.
type Output struct {
	Text string
	// Spans cover Text from beginning to end, each of another origin than the
	// one before it.
	Spans []Span
	// Generation are the spans of {% generation %} blocks, Origin unset.
	Generation []Span
}

// Variables are the names that the template reads and does not define itself;
// some may be jinja2's own functions.
func (t *Template) Variables() []string { return append([]string(nil), t.names...) }

// Render lays variables out. now is what strftime_now tells. The error is an
// *Error. The variables may be shared by renders that run at the same time.
func (t *Template) Render(ctx context.Context, vars *Dict, now time.Time) (out Output, err error) {
	st := &state{t: t, lim: &t.lim, ctx: ctx, now: now, nextCheck: checkEvery, out: &builder{}}
	const most = 1 << 20 // bytes to begin with
	st.out.buf = make([]byte, 0, min(t.size.Load()+t.size.Load()/8, most))
	st.deadline = time.Now().Add(t.lim.Time)
	st.nextCheck = min(st.nextCheck, t.lim.Steps)
	defer func() {
		if r := recover(); r != nil {
			err = fault(r)
		}
		if err != nil {
			out, err = Output{}, place(err, t.name, t.source, 0)
		}
	}()
	if err := ctx.Err(); err != nil {
		return Output{}, canceled(err)
	}
	st.globals = make([]Value, len(t.names))
	for i, name := range t.names {
		st.globals[i] = st.variable(name, vars)
	}
	fr := newFrame(t.proc, nil)
	st.root = fr
	t.scope.enter(st, fr)
	if _, err := st.run(t.body, fr, st.out); err != nil {
		return Output{}, err
	}
	if err := st.writable(st.out, 0); err != nil {
		return Output{}, err
	}
	t.size.Store(int64(st.out.len()))
	out.Text = string(st.out.buf)
	out.Spans = st.out.spans()
	for _, g := range st.generation {
		start := min(g.start, len(out.Text))
		out.Generation = append(out.Generation, Span{Start: start, End: start + runeOffset(out.Text[start:], g.runes)})
	}
	return out, nil
}

// variable is what a name stands for that the template does not define itself.
func (st *state) variable(name string, vars *Dict) Value {
	if name == "self" {
		return self{}
	}
	if v := vars.Get(name); v != nil {
		return v
	}
	return builtin(name)
}

func canceled(err error) error {
	return &Error{Kind: KindCanceled, Msg: "the render was cancelled", Cause: err}
}

// state is one render.
type state struct {
	t          *Template
	lim        *Limits
	ctx        context.Context
	now        time.Time
	deadline   time.Time
	globals    []Value
	root       *frame   // of the template
	out        *builder // the output, and the blocks that are captured
	free       []*builder
	scratch    builder // where sums are put together
	captured   *Str    // what the filter of a block is applied to
	generation []generated
	steps      int
	nextCheck  int
	live       int
	depth      int // of calls
}

// generated is a generation block as transformers notes it: where the output
// stood, and how many characters the block had.
type generated struct{ start, runes int }

// step counts one step of evaluation.
func (st *state) step() error {
	st.steps++
	if st.steps >= st.nextCheck {
		return st.check()
	}
	return nil
}

// work counts the steps of going through n bytes.
func (st *state) work(n int) error {
	st.steps += n / bytesPerStep
	if st.steps >= st.nextCheck {
		return st.check()
	}
	return nil
}

func (st *state) check() error {
	if st.steps > st.lim.Steps {
		return failf(KindLimit, "the render takes more than %d steps (limit template_steps)", st.lim.Steps)
	}
	if err := st.ctx.Err(); err != nil {
		return canceled(err)
	}
	if time.Now().After(st.deadline) {
		return failf(KindLimit, "the render takes longer than %v (limit template_seconds)", st.lim.Time)
	}
	st.nextCheck = min(st.steps+checkEvery, st.lim.Steps+1)
	return nil
}

// alloc counts n bytes about to be made, and the work of making them.
func (st *state) alloc(n int) error {
	if n < 0 || n > st.lim.LiveBytes-st.live {
		return failf(KindLimit, "the render makes more than %d bytes of values (limit template_live_bytes)", st.lim.LiveBytes)
	}
	st.live += n
	return st.work(n)
}

// allocItems counts a list of n values.
func (st *state) allocItems(n int) error {
	const valueBytes = 16
	if n > st.lim.LiveBytes/valueBytes {
		return st.alloc(-1)
	}
	return st.alloc(n * valueBytes)
}

// writable checks that n bytes may be written to out.
func (st *state) writable(out *builder, n int) error {
	if n > st.lim.OutputBytes-len(out.buf) {
		return failf(KindLimit, "the output has more than %d bytes (limit template_output_bytes)", st.lim.OutputBytes)
	}
	return st.alloc(n)
}

func (st *state) takeBuilder() *builder {
	if n := len(st.free); n > 0 {
		b := st.free[n-1]
		st.free = st.free[:n-1]
		return b
	}
	return &builder{}
}

func (st *state) giveBuilder(b *builder) {
	const keep = 1 << 20
	if cap(b.buf) <= keep {
		b.reset()
		st.free = append(st.free, b)
	}
}

// at gives an error the position of a node.
func (st *state) at(pos int, err error) error {
	if err == nil {
		return nil
	}
	return place(err, st.t.name, st.t.source, pos)
}
