// Package vocab is a model's vocabulary from its files, and the tokens of a
// prompt in it.
//
// Its contract: a prompt gives the same ids here as in the engine that runs the
// model, with control tokens only where a segment allows them. What a file asks
// for and cannot be done exactly is an error that names it.
package vocab

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"parley/internal/tokenizer"
	"parley/llm"
)

// A Model is the vocabulary of a model, for any number of goroutines at once.
// It has the methods of an llm.Tokenizer, and those of its tokenizer, which
// knows no marks: see Marked.
type Model struct {
	*tokenizer.Tokenizer

	ChatTemplate string // as the model's file has it, in Jinja; "" if there is none

	gap [4]int // tokens to fill gaps with, as the file names them; 0 is none: see Infill

	mu     sync.Mutex
	marked map[string]*tokenizer.Tokenizer // by the marks of a format
}

// New makes a vocabulary ready. The error says what is wrong with it.
func New(v tokenizer.Vocab, chatTemplate string) (*Model, error) {
	t, err := tokenizer.New(v)
	if err != nil {
		return nil, err
	}
	return &Model{Tokenizer: t, ChatTemplate: chatTemplate, marked: map[string]*tokenizer.Tokenizer{}}, nil
}

// Marked is the vocabulary as prompts and replies of a format see it.
func (m *Model) Marked(marks llm.Marks) *tokenizer.Tokenizer {
	if len(marks.Turn) == 0 && len(marks.Reply) == 0 {
		return m.Tokenizer
	}
	key := fmt.Sprintf("%q", marks)
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.marked[key]
	if t == nil {
		if len(m.marked) >= mostMarked {
			clear(m.marked)
		}
		t = m.WithMarks(marks.Turn, marks.Reply)
		m.marked[key] = t
	}
	return t
}

// mostMarked bounds the formats that are remembered. A server has few.
const mostMarked = 32

// Closers lists the control tokens that are stop strings.
func (m *Model) Closers(stops []string) (ids []int) {
	for _, s := range stops {
		if id, ok := m.ID(s); ok && m.IsControl(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Bias is the bias of tokens with that of words added to the tokens of which
// they consist, each as often as it stands there. It changes nothing in p.
func (m *Model) Bias(p llm.Params) map[int]float64 {
	if len(p.WordBias) == 0 {
		return p.LogitBias
	}
	bias := maps.Clone(p.LogitBias)
	if bias == nil {
		bias = map[int]float64{}
	}
	for _, word := range slices.Sorted(maps.Keys(p.WordBias)) {
		for _, id := range m.EncodeText(word, false) {
			bias[id] += p.WordBias[word]
		}
	}
	return bias
}

// Texts are the bytes that tokens stand for, by id; empty for control tokens
// and those that end a reply.
func (m *Model) Texts() []string {
	out := make([]string, m.Size())
	for id := range out {
		if !m.IsControl(id) && !m.IsEOG(id) {
			out[id] = m.Piece(id)
		}
	}
	return out
}
