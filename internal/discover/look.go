package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"parley/engine"
	"parley/internal/gguf"
)

// encoders are the architectures of models that read texts and write none.
var encoders = []string{
	"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert", "eurobert", "t5encoder", "gemma-embedding", "llama-embed",
}

// painters are those of models that make pictures, films or sounds.
var painters = []string{
	"flux", "sd1", "sd3", "sdxl", "aura", "hidream", "cosmos", "ltxv", "hyvid", "wan", "lumina2", "qwen_image", "wavtokenizer-dec", "whisper",
}

// describe reads what a model's file says of it, and finds out whether it is a
// model to talk with: if not, it says why.
func (c *candidate) describe(memory int64) (leftOut string) {
	f, err := gguf.Open(c.Path)
	if err != nil {
		return problem(c.Path, err)
	}
	defer f.Close()
	text := func(key string) string { s, _, _ := f.String(key); return s }
	c.Architecture = text("general.architecture")
	switch kind := text("general.type"); {
	case kind == "mmproj" || c.Architecture == "clip":
		return "it belongs to a model, which it lets see or hear (mmproj)"
	case kind == "adapter" || text("adapter.type") != "":
		return "it is an adapter for another model"
	case kind == "imatrix":
		return "it is data for quantising a model"
	case slices.Contains(painters, c.Architecture):
		return fmt.Sprintf("its architecture, %s, writes no text", c.Architecture)
	case slices.Contains(encoders, c.Architecture), pooled(f, c.Architecture):
		return "it makes embeddings and no text"
	case len(f.Tensors) == 0:
		return "it holds a vocabulary and no model"
	case c.Architecture == "":
		return "it does not say what model it is"
	}
	n, _, _ := f.Uint(c.Architecture + ".context_length")
	c.Context = int(min(n, 1<<31-1))
	bytes := map[gguf.Type]int{}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		bytes[t.Type] += len(t.Data)
		c.Parameters += int64(t.Elements())
	}
	most := 0
	for kind, n := range bytes {
		if n > most || n == most && kind.String() < c.Quantisation {
			most, c.Quantisation = n, kind.String()
		}
	}
	c.Refusal = c.refusal(memory)
	return ""
}

// pooled reports whether a model is made to give one vector for a text.
func pooled(f *gguf.File, architecture string) bool {
	n, ok, err := f.Uint(architecture + ".pooling_type")
	return ok && err == nil && n != 0
}

// refusal says why the engine in this program cannot run a model.
func (c *candidate) refusal(memory int64) string {
	if c.large = memory > 0 && c.Size > memory; c.large {
		return fmt.Sprintf("it takes %.1f GiB, and this machine has %.1f GiB of memory", gib(c.Size), gib(memory))
	}
	if err := engine.Check(c.Path); err != nil {
		return problem(c.Path, err)
	}
	return ""
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }

// problem is what is wrong with a file, without its path, which stands beside
// it, and without the names of packages.
func problem(path string, err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return "it cannot be read: " + e.Err.Error()
	}
	s := strings.TrimPrefix(err.Error(), path+": ")
	for _, layer := range []string{"gguf: ", "transformer: ", "tokenizer: "} {
		s = strings.TrimPrefix(s, layer)
	}
	return s
}
