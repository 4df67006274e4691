package engine

import (
	"context"

	"parley/internal/gguf"
	"parley/internal/tokenizer"
	"parley/internal/vocab"
	"parley/llm"
)

// A Tokenizer is the vocabulary of a model, whose weights may be missing. It
// is an llm.Tokenizer, for any number of goroutines at once.
type Tokenizer struct{ words *vocab.Model }

var _ llm.Tokenizer = (*Tokenizer)(nil)

// OpenTokenizer reads the vocabulary of a GGUF file, which it closes again.
func OpenTokenizer(path string) (*Tokenizer, error) {
	words, err := vocab.Open(path)
	if err != nil {
		return nil, err
	}
	return &Tokenizer{words}, nil
}

// OpenTokenizerBytes is OpenTokenizer for a file in memory.
func OpenTokenizerBytes(data []byte) (*Tokenizer, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, err
	}
	words, err := vocab.FromGGUF(f)
	if err != nil {
		return nil, err
	}
	return &Tokenizer{words}, nil
}

// Tokenize gives the tokens of a prompt as an Engine reads them.
func (t *Tokenizer) Tokenize(ctx context.Context, p llm.Prompt) ([]llm.Token, error) {
	return t.words.Tokenize(ctx, p)
}

// Detokenize gives the text of token ids.
func (t *Tokenizer) Detokenize(ctx context.Context, ids []int) (string, error) {
	return t.words.Detokenize(ctx, ids)
}

// A view is a tokenizer as the loop wants it.
type view struct {
	*tokenizer.Tokenizer
	shown map[int]bool // control tokens that are text in an output
}

// newView is the vocabulary as replies of a format see it.
func newView(words *vocab.Model, m llm.Marks) view {
	v := view{Tokenizer: words.Marked(m), shown: map[int]bool{}}
	for _, s := range m.Output {
		if id, ok := words.ID(s); ok {
			v.shown[id] = true
		}
	}
	return v
}

// Text is what a token of an output stands for. Reply and output marks are
// text, since whoever reads the reply looks for them there.
func (v view) Text(id int) (text string, control bool) {
	return v.Piece(id), v.IsControl(id) && !v.shown[id]
}

// Ends reports whether a token ends a reply.
func (v view) Ends(id int) bool { return v.IsEOG(id) }

// narrow gives token ids as the loop has them.
func narrow(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
