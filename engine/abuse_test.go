package engine

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/llm"
)

// absurd gives values of a type that nobody asks for in earnest.
func absurd(t reflect.Type) (list []reflect.Value) {
	of := func(values ...any) {
		for _, v := range values {
			list = append(list, reflect.ValueOf(v).Convert(t))
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		for _, v := range absurd(t.Elem()) {
			p := reflect.New(t.Elem())
			p.Elem().Set(v)
			list = append(list, p)
		}
	case reflect.Float64:
		of(math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -1.0)
	case reflect.Int, reflect.Int64:
		of(math.MinInt64, -2, math.MaxInt32+1, math.MaxInt64)
	case reflect.Int32:
		of(int32(math.MinInt32), int32(math.MaxInt32))
	case reflect.String:
		of("", "\x00", "\xff\xfe", strings.Repeat("a", 1<<13))
	case reflect.Bool:
		of(true)
	case reflect.Slice:
		for _, v := range absurd(t.Elem()) {
			many := reflect.MakeSlice(t, 0, 0)
			for range 300 {
				many = reflect.Append(many, v)
			}
			list = append(list, many.Slice(0, 1), many)
		}
	case reflect.Map:
		for _, k := range absurd(t.Key()) {
			for _, v := range absurd(t.Elem()) {
				m := reflect.MakeMap(t)
				m.SetMapIndex(k, v)
				list = append(list, m)
			}
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				for _, v := range absurd(t.Field(i).Type) {
					s := reflect.New(t).Elem()
					s.Field(i).Set(v)
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// endsSomehow asks for something and wants an end of it, whichever.
func endsSomehow(t *testing.T, e *Engine, what any, p llm.Prompt, params llm.Params) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := false
	for piece, err := range e.Complete(ctx, p, params) {
		switch {
		case ended:
			t.Errorf("%.200v: something came after the end", what)
		case err != nil && (llm.AsError(err).Code == llm.Broken || ctx.Err() != nil):
			t.Errorf("%.200v: %v", what, err)
		}
		ended = err != nil || piece.Finish != nil
	}
	if !ended {
		t.Errorf("%.200v: it has no end", what)
	}
}

// Each parameter at values far from all sense, one at a time: the answer is a reply of
// its length or an error that names what is wrong, never a fault, and the next request
// is answered as ever.
func TestAbsurdParametersAreFollowedOrRefused(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 1})
	usual := llm.Params{MaxTokens: new(5), Seed: new(int64(1))}
	want := answer(t, e, llm.Text("the cat"), usual, 0)
	params := reflect.TypeFor[llm.Params]()
	tried := 0
	for i := range params.NumField() {
		f := params.Field(i)
		values := absurd(f.Type)
		if len(values) == 0 {
			t.Errorf("nothing is tried of %s, a %v", f.Name, f.Type)
		}
		for _, v := range values {
			p := usual
			reflect.ValueOf(&p).Elem().Field(i).Set(v)
			endsSomehow(t, e, f.Name, llm.Text("the cat"), p)
			tried++
		}
	}
	if got := answer(t, e, llm.Text("the cat"), usual, 0); got != want {
		t.Errorf("after %d absurd requests a usual one gives %s, before %s", tried, got, want)
	}
}

func TestAbsurdPromptsAreAnsweredOrRefused(t *testing.T) {
	e := tiny{}.open(t, Options{Threads: 1})
	params := llm.Params{MaxTokens: new(3), Seed: new(int64(1))}
	prompts := []llm.Prompt{
		{}, llm.Text(""), llm.Text("\x00"), llm.Text("\xff\xfe\xfd"), llm.Text(strings.Repeat("\n", 300)), llm.Text(strings.Repeat("#", 1<<20)),
		llm.Tokens(nil), llm.Tokens([]int{math.MaxInt64}), llm.Tokens([]int{math.MinInt64}), llm.Tokens(make([]int, tinyContext-1)), llm.Tokens(make([]int, tinyContext)),
		{Segments: make([]llm.Segment, 100_000)},
		{Segments: []llm.Segment{{Text: "a", Control: true}, {}, {Tokens: []int{1}}, {Media: &llm.Media{}}}},
	}
	for i, p := range prompts {
		endsSomehow(t, e, i, p, params)
	}
	for _, v := range absurd(reflect.TypeFor[llm.Segment]()) {
		p := llm.Prompt{Segments: []llm.Segment{{Text: "the "}, v.Interface().(llm.Segment)}}
		endsSomehow(t, e, p, p, params)
	}
	for _, size := range []int{tinyContext - 1, 1, 2} { // room for one token, and for all but one or two
		endsSomehow(t, e, size, llm.Tokens(make([]int, size)), llm.Params{MaxTokens: new(1 << 40), IgnoreEOS: true, LoopGuard: new(0)})
	}
}

// A thousand requests come at once. As many as may wait do, in their order, and hold
// no memory of the model; the others are told so at once.
func TestAThousandRequestsTakeTurns(t *testing.T) {
	const all, waiting, slots = 1000, 600, 2
	gate := make(chan struct{})
	l, m := newFake(t, func(l *loop, m *fakeModel) {
		l.slots, l.maxQueue = slots, waiting
		m.before = func([]step) { <-gate }
	})
	first := make(chan bool)
	var mu sync.Mutex
	var refused, answered int
	var clients sync.WaitGroup
	ask := func(i int) {
		r := l.collect(t.Context(), l.ask(prompt(5, int32(i)), 2, llm.Params{IgnoreEOS: true}), nil)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.err == nil && len(r.ids) == 2:
			answered++
		case llm.AsError(r.err).Code == llm.Overloaded && llm.AsError(r.err).Hint != "":
			refused++
		default:
			t.Error(r)
		}
	}
	clients.Go(func() { close(first); ask(0) })
	<-first
	for l.counts().Running == 0 {
		runtime.Gosched()
	}
	for i := range all - 1 {
		clients.Go(func() { ask(i + 1) })
	}
	for done := false; !done; runtime.Gosched() {
		mu.Lock()
		done = refused == all-1-waiting
		mu.Unlock()
	}
	if n := l.counts().Queued; n != waiting || m.blocks > slots {
		t.Errorf("%d wait, want %d; %d blocks are in use", n, waiting, m.blocks)
	}
	close(gate)
	clients.Wait()
	if answered != waiting+1 || l.counts().Queued != 0 {
		t.Errorf("%d were answered, want %d", answered, waiting+1)
	}
}

// What a request that waits takes does not grow with the vocabulary or the context.
func TestARequestThatWaitsIsSmall(t *testing.T) {
	const n, size = 2000, 1 << 18
	l := &loop{model: &fakeModel{size: size}, budget: 1 << 62, maxQueue: n}
	l.wake = make(chan struct{}, 1)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // what earlier tests left in pools is gone
	runtime.ReadMemStats(&before)
	for i := range n {
		r := l.ask(prompt(100, int32(i)), 1<<20, warm)
		r.words = fakeWords{size: size}
		if err := l.submit(newSequence(r)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 16<<10 {
		t.Errorf("a request that waits takes %d bytes", each)
	}
	runtime.KeepAlive(l)
}

// A model that is closed while it is asked in all ways ends what runs and refuses what
// comes, and touches its file no more, which is gone by then.
func TestAModelClosedInBetween(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, tiny{}.file(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		e, err := Open(path, Options{Threads: 2, Sequences: 2})
		if err != nil {
			t.Fatal(err)
		}
		long := llm.Params{IgnoreEOS: true, LoopGuard: new(0)}
		uses := []func() error{
			func() (err error) {
				for _, err = range e.Complete(t.Context(), llm.Text("the cat in the hat"), long) {
				}
				return err
			},
			func() error { _, _, err := e.Embed(t.Context(), texts(strings.Repeat("the hat ", 30))); return err },
			func() error { _, err := e.Tokenize(t.Context(), llm.Text("the cat<|im_end|>")); return err },
			func() error { _, err := e.Detokenize(t.Context(), []int{1, 50, 99}); return err },
			func() error {
				e.Describe()
				e.Stats()
				e.Memory()
				e.Kernels()
				e.BytesPerToken()
				return nil
			},
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for _, use := range uses {
			for range 2 {
				wg.Go(func() {
					for {
						if err := use(); err != nil && llm.AsError(err).Code != llm.Unavailable {
							t.Error(err)
						}
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
		}
		for e.Stats().GeneratedTokens < uint64(100*round) {
			runtime.Gosched()
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		close(stop)
		wg.Wait()
		for i, use := range uses {
			if err := use(); err == nil && i < 2 || err != nil && llm.AsError(err).Code != llm.Unavailable {
				t.Errorf("use %d of a closed model: %v", i, err)
			}
		}
	}
}
