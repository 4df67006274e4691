package engine

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"

	"parley/internal/gguf"
	"parley/internal/kernel"
	"parley/internal/limits"
	"parley/internal/transformer"
	"parley/internal/vocab"
	"parley/llm"
)

// Options say how to run a model. The zero value is what most people want.
type Options struct {
	Name      string // instead of the one in the file
	Context   int    // tokens that one request may have; 0: as trained, at most 8192; never more than trained
	Threads   int    // that compute; 0: as many as there are processors
	Sequences int    // requests worked on at a time; 0: 8

	// CacheBytes bounds the memory for keys and values, of running requests
	// and of ended ones kept for their prefixes. The context is cut to what
	// fits. 0: all sequences at full length, at most 2 GiB, or else one.
	CacheBytes int64

	// Draft is a GGUF file of a small model with the same vocabulary, which
	// proposes what may come next where that pays; "" is none. Answers are the
	// same. Why it cannot be used is a *DraftError.
	Draft string

	// Literal has each token chosen before the next is read. Answers are the
	// same; it is for measurements.
	Literal bool

	KVCache string // how keys and values are stored: f16 (or ""), q8_0

	Sampling llm.Params   // recommended sampling, before what the file recommends
	Logger   *slog.Logger // nil: silent
}

// KVCaches are what Options.KVCache may be.
func KVCaches() []string { return transformer.CacheTypes }

const (
	usualContext    = 8192
	usualSequences  = 8
	usualCacheBytes = 2 << 30
)

// An Engine runs one model. It is an llm.Model, llm.Tokenizer, llm.Embedder,
// llm.Scorer and llm.Describer, for any number of goroutines at once.
type Engine struct {
	file  *gguf.File
	draft *drafter // nil: there is no small model
	model *transformer.Model
	words *vocab.Model
	held  constraints
	info  llm.Info
	loop  *loop
	once  sync.Once

	loading time.Duration // how long the weights took

	pooling    pooling // of embeddings; the file may be gone when they are asked for
	poolingErr error
}

var (
	_ llm.Model     = (*Engine)(nil)
	_ llm.Tokenizer = (*Engine)(nil)
	_ llm.Describer = (*Engine)(nil)
)

// Open reads a GGUF file and makes ready to run it. The file is mapped into
// memory and must not change until Close. The error names what is wrong with
// it and what is supported.
func Open(path string, o Options) (*Engine, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err // it names the file
	}
	e, err := run(f, o)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

// Check says whether Open could run a file, and if not, why. It reads what
// describes the model and not its weights.
func Check(path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err // it names the file
	}
	defer f.Close()
	if err = transformer.Check(f); err == nil {
		err = vocab.CheckGGUF(f)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// OpenBytes is Open for a file in memory, which is used in place and must not
// change until Close.
func OpenBytes(data []byte, o Options) (*Engine, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, err
	}
	return run(f, o)
}

func run(f *gguf.File, o Options) (*Engine, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Sequences = cmp.Or(o.Sequences, usualSequences)
	if err := limits.Sequences.CheckInt(o.Sequences); err != nil {
		return nil, fmt.Errorf("sequences: %w", err)
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if err := o.Sampling.Check(); err != nil {
		return nil, fmt.Errorf("recommended sampling: %w", err)
	}
	vocabulary, err := vocab.FromGGUF(f)
	if err != nil {
		return nil, err
	}
	cache, err := transformer.ParseCacheType(o.KVCache)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	model, err := transformer.Load(f, transformer.Options{Threads: o.Threads, Context: o.Context, Cache: cache})
	if err != nil {
		return nil, err
	}
	e := &Engine{file: f, model: model, words: vocabulary, loading: time.Since(begun)}
	e.held.words = vocabulary.Texts
	if o.Draft != "" {
		e.draft, err = newDrafter(o.Draft, vocabulary, o.Threads)
	}
	if err == nil {
		err = e.setUp(o)
	}
	if err != nil {
		e.draft.close()
		model.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) setUp(o Options) error {
	config := e.model.Config()
	size := e.words.Size()
	if size > config.Vocab {
		return fmt.Errorf("the vocabulary has %d tokens, the model rows for %d", size, config.Vocab)
	}
	contextSize, err := chooseContext(o, config.Context)
	if err != nil {
		return err
	}
	e.loop = &loop{
		model: &transformerModel{Model: e.model, size: size},
		slots: o.Sequences,
		log:   o.Logger,
	}
	e.model.Unwanted = e.loop.unwanted
	e.loop.guesser.off, e.loop.guesser.drafter = o.Literal, e.draft
	one := e.model.KVBytes(contextSize)
	e.loop.budget = o.cacheBudget(one)
	if one > e.loop.budget {
		fits := e.fits(e.loop.budget, contextSize)
		if fits == 0 {
			return fmt.Errorf("the cache may have %d bytes, and keys and values of %d tokens take %d", o.CacheBytes, blockTokens, e.model.KVBytes(blockTokens))
		}
		o.Logger.Warn("the context is cut to what fits the cache", "asked", contextSize, "fits", fits, "bytes", o.CacheBytes)
		contextSize = fits
	}
	e.describe(o, contextSize)
	e.pooling, e.poolingErr = poolingOf(e.file, config.Architecture)
	o.Logger.Info("the engine inside runs it", "model", e.info.Name, "threads", e.Threads(), "kernels", e.Kernels())
	if e.Kernels() == "go" {
		o.Logger.Warn("weights are multiplied by plain Go, which is many times slower", "model", e.info.Name,
			"cause", "this build or processor has none of AVX-512 with VNNI, AVX-VNNI, AVX2, NEON with dot products")
	}
	e.loop.start()
	return nil
}

// fits is how many tokens, fewer than most, have room for their keys and values:
// whole blocks.
func (e *Engine) fits(bytes int64, most int) int {
	return blockTokens * sort.Search((most-1)/blockTokens, func(blocks int) bool { return e.model.KVBytes((blocks+1)*blockTokens) > bytes })
}

func chooseContext(o Options, trained int) (int, error) {
	if o.Context == 0 {
		return min(trained, usualContext), nil
	}
	if err := limits.Context.CheckInt(o.Context); err != nil {
		return 0, fmt.Errorf("context: %w", err)
	}
	if o.Context > trained {
		o.Logger.Warn("the context is cut to what the model was trained for", "asked", o.Context, "trained", trained)
	}
	return min(o.Context, trained), nil
}

// Sequences is how many requests the engine works on at a time.
func (e *Engine) Sequences() int { return e.loop.slots }

// Close ends all requests with an error and frees the model.
func (e *Engine) Close() error {
	var err error
	e.once.Do(func() {
		e.loop.close()
		e.draft.close()
		e.model.Close()
		err = e.file.Close()
	})
	return err
}

// Complete continues a prompt.
func (e *Engine) Complete(ctx context.Context, p llm.Prompt, params llm.Params) iter.Seq2[llm.Piece, error] {
	return func(yield func(llm.Piece, error) bool) {
		r, report, err := e.request(ctx, p, params)
		if err != nil {
			yield(llm.Piece{}, err)
			return
		}
		accepted := &llm.Accepted{PromptTokens: r.promptTokens(), Seed: r.settings.seed, Report: report}
		if r.maxTokens == 0 {
			usage := llm.Usage{PromptTokens: r.promptTokens()}
			if yield(llm.Piece{Accepted: accepted}, nil) {
				yield(llm.Piece{Finish: &llm.Finish{Reason: llm.ReasonLength, Seed: r.settings.seed, Usage: usage}}, nil)
			}
			return
		}
		e.loop.stream(ctx, r, accepted, yield)
	}
}

// request checks what is asked for and makes it ready for the loop.
func (e *Engine) request(ctx context.Context, p llm.Prompt, params llm.Params) (*request, llm.Report, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	if err := params.Check(); err != nil {
		return nil, nil, err
	}
	for id := range params.LogitBias {
		if id < 0 || id >= e.words.Size() {
			return nil, nil, llm.Errorf(llm.Invalid, fmt.Sprintf("logit_bias.%d", id), "the vocabulary has tokens 0 to %d", e.words.Size()-1)
		}
	}
	params.LogitBias = e.words.Bias(params)
	if p.Empty() {
		return nil, nil, llm.Errorf(llm.Invalid, "prompt", "the prompt is empty")
	}
	tokens, err := e.words.Tokenize(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if len(tokens) >= e.info.Context {
		return nil, nil, llm.TooLongError(len(tokens), e.info.Context)
	}
	params = params.WithDefaults(e.info.Sampling)
	r := &request{
		prompt:     ids(tokens),
		settings:   settle(params),
		stop:       params.Stop,
		stopLines:  params.StopLines,
		stopAfter:  params.StopAfter,
		stopOpen:   params.StopOpen,
		banned:     params.BannedStrings,
		ends:       narrow(e.words.Ends()),
		closers:    narrow(e.words.Closers(params.Stop)),
		words:      newView(e.words, p.Marks),
		scope:      params.CacheScope,
		expected:   e.expected(params.Prediction),
		withinLine: !p.EndsLine(),
	}
	for _, t := range tokens {
		r.segments = append(r.segments, t.Segment)
	}
	for _, s := range p.Segments {
		r.sources = append(r.sources, s.Source)
	}
	var report llm.Report
	if r.constraint = params.Constraint; r.constraint != nil {
		held, err := e.held.ready(r.constraint)
		if err != nil {
			return nil, nil, err
		}
		r.masker = held.masker
		report.Merge(held.report)
	}
	if err := e.heal(ctx, r, p, tokens, params.TokenHealing); err != nil {
		return nil, nil, err
	}
	room := e.info.Context - len(r.prompt) - len(r.rest)
	r.maxTokens = value(params.MaxTokens, -1)
	if r.maxTokens > room {
		report.Add("max_tokens_capped", strconv.Itoa(room), fmt.Sprintf(
			"asked for %d; the prompt has %d tokens and the context holds %d", r.maxTokens, len(tokens), e.info.Context))
	}
	if r.maxTokens < 0 || r.maxTokens > room {
		r.maxTokens = room
	}
	r.need = e.model.KVBytes(len(r.prompt) + len(r.rest) + r.maxTokens)
	return r, report, nil
}

// expected are the tokens of a prediction, as far as they could come.
func (e *Engine) expected(prediction string) []int32 {
	if prediction == "" || e.loop.guesser.off {
		return nil
	}
	tokens := narrow(e.words.EncodeText(prediction, false))
	return tokens[:min(len(tokens), e.info.Context)]
}

func ids(tokens []llm.Token) []int32 {
	out := make([]int32, len(tokens))
	for i, t := range tokens {
		out[i] = int32(t.ID)
	}
	return out
}

// Tokenize gives the tokens of a prompt as Complete reads them.
func (e *Engine) Tokenize(ctx context.Context, p llm.Prompt) ([]llm.Token, error) {
	return e.words.Tokenize(ctx, p)
}

// Detokenize gives the text of token ids.
func (e *Engine) Detokenize(ctx context.Context, ids []int) (string, error) {
	return e.words.Detokenize(ctx, ids)
}

// Describe says what the model is.
func (e *Engine) Describe() llm.Info { return e.info }

// Stats gives counts for those who watch.
func (e *Engine) Stats() Stats { return e.loop.counts() }

// Threads is how many threads compute, and Kernels the instruction set that
// they use.
func (e *Engine) Threads() int { return e.model.Threads() }

// Kernels names the instruction set that computes: "avx512", "avxvnni", "avx2", "neon", "go"
func (e *Engine) Kernels() string { return kernel.Name() }

// BytesPerToken is how much of the weights is read to generate one token.
func (e *Engine) BytesPerToken() int64 { return e.model.BytesPerToken() }
