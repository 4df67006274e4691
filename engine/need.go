package engine

import (
	"cmp"
	"fmt"

	"parley/internal/gguf"
	"parley/internal/transformer"
)

// Need is what Memory would be of a model that is not loaded. It reads what
// describes the model and not its weights. The error is that of Open, as far as it
// is due to the model.
func Need(path string, o Options) (bytes int64, err error) {
	o.Sequences = cmp.Or(o.Sequences, usualSequences)
	cache, err := transformer.ParseCacheType(o.KVCache)
	if err != nil {
		return 0, err
	}
	bytes, err = outline(path, cache, func(trained int, kvBytes func(int) int64) int64 {
		context := cmp.Or(o.Context, usualContext)
		return o.cacheBudget(kvBytes(min(trained, context)))
	})
	if err != nil || o.Draft == "" {
		return bytes, err
	}
	small, err := outline(o.Draft, transformer.CacheF16, func(trained int, kvBytes func(int) int64) int64 {
		return int64(o.Sequences) * kvBytes(min(trained, draftWindow))
	})
	return bytes + small, err
}

// outline is what the weights of a file and keys and values take.
func outline(path string, cache transformer.CacheType, kept func(trained int, kvBytes func(tokens int) int64) int64) (int64, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return 0, err // it names the file
	}
	defer f.Close()
	config, kvBytes, err := transformer.Outline(f, transformer.Options{Cache: cache})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return weights(f) + kept(config.Context, kvBytes), nil
}

// cacheBudget is how much memory there is for keys and values, where those of one
// sequence of full length take so much.
func (o Options) cacheBudget(one int64) int64 {
	if o.CacheBytes > 0 {
		return o.CacheBytes
	}
	return max(one, min(int64(o.Sequences)*one, usualCacheBytes))
}

func weights(f *gguf.File) (bytes int64) {
	for i := range f.Tensors {
		bytes += int64(len(f.Tensors[i].Data))
	}
	return bytes
}

// Memory is how many bytes the model may take: its weights, and keys and values
// as far as CacheBytes lets them grow; with those of the small model, if there is
// one.
func (e *Engine) Memory() int64 {
	n := e.info.Bytes + e.loop.budget
	if d := e.draft; d != nil {
		n += weights(d.file) + int64(e.loop.slots)*d.own.KVBytes(d.window)
	}
	return n
}
