package upstream

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"parley/llm"
)

// routeWords make tokens by asking the engine, where its model's file is not
// at hand. Engines match some tokens in every text, whatever they are told of
// special ones; so their answer is looked through for control tokens that
// stand where none may, and the text of such a one is divided.
type routeWords struct {
	transport *transport
	model     string
	bos       []int // that the engine puts before a text

	mu      sync.Mutex
	control map[int]bool // what is known of ids
}

// A piece is a token with the stretch of the text that it stands for.
type piece struct {
	id         int
	text       string
	start, end int
}

// mostDivisions bounds the requests that one prompt can cause.
const mostDivisions = 64

// Tokenize makes tokens of a prompt, as vocab.Model does from a file.
func (w *routeWords) Tokenize(ctx context.Context, p llm.Prompt) ([]llm.Token, error) {
	var tokens []llm.Token
	for from := 0; from < len(p.Segments); {
		if s := p.Segments[from]; len(s.Tokens) > 0 {
			for _, id := range s.Tokens {
				tokens = append(tokens, llm.Token{ID: id, Segment: from})
			}
			from++
			continue
		}
		to := from
		for to < len(p.Segments) && len(p.Segments[to].Tokens) == 0 {
			to++
		}
		r := &run{words: w, marks: p.Marks, segments: p.Segments[from:to], first: from}
		if err := r.read(ctx); err != nil {
			return nil, err
		}
		tokens = append(tokens, r.tokens...)
		from = to
	}
	if len(p.Segments) > 0 && len(p.Segments[0].Tokens) > 0 || len(w.bos) == 0 || len(tokens) > 0 && tokens[0].ID == w.bos[0] {
		return tokens, nil
	}
	return append([]llm.Token{{ID: w.bos[0], Control: true, Segment: -1}}, tokens...), nil
}

// Detokenize gives the text of token ids.
func (w *routeWords) Detokenize(ctx context.Context, ids []int) (string, error) {
	var text struct {
		Content string `json:"content"`
	}
	err := w.transport.post(ctx, "/detokenize", map[string]any{"tokens": ids}, &text)
	return text.Content, err
}

// pieces asks the engine.
func (w *routeWords) pieces(ctx context.Context, text string, special bool) ([]piece, error) {
	var list struct {
		Tokens []struct {
			ID    int             `json:"id"`
			Piece json.RawMessage `json:"piece"`
		} `json:"tokens"`
	}
	body := map[string]any{"content": text, "add_special": false, "parse_special": special, "with_pieces": true}
	if w.model != "" {
		body["model"] = w.model
	}
	if err := w.transport.post(ctx, "/tokenize", body, &list); err != nil {
		return nil, err
	}
	all := make([]piece, len(list.Tokens))
	for i, t := range list.Tokens {
		all[i] = piece{id: t.ID, text: pieceText(t.Piece)}
	}
	if !align(all, text) {
		return nil, &llm.Error{
			Code: llm.Unsupported, Field: "tokenizer",
			Message: "the engine's tokens do not spell the prompt, so that it is not known which of them a client has written",
			Hint:    "name the model's vocabulary: tokenizer = FILE",
		}
	}
	return all, nil
}

// pieceText is a piece as a text, or as its bytes.
func pieceText(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text
	}
	var numbers []int
	_ = json.Unmarshal(data, &numbers) // neither: it spells nothing, which is noticed
	b := make([]byte, len(numbers))
	for i, n := range numbers {
		b[i] = byte(n)
	}
	return string(b)
}

// align finds where in the text each piece stands. Vocabularies of the
// SentencePiece kind put a space before a text and behind control tokens, and
// some control tokens swallow the white space behind them.
func align(pieces []piece, text string) bool {
	at := 0
	for i := range pieces {
		p := &pieces[i]
		rest := text[at:]
		trimmed := strings.TrimLeft(rest, " \t\n\v\f\r")
		switch {
		case strings.HasPrefix(rest, p.text):
		case strings.HasPrefix(p.text, " ") && strings.HasPrefix(rest, p.text[1:]):
			p.start, p.end = at, at+len(p.text)-1
			at = p.end
			continue
		case i > 0 && strings.HasPrefix(trimmed, p.text):
			at = len(text) - len(trimmed)
		default:
			return false
		}
		p.start, p.end = at, at+len(p.text)
		at = p.end
	}
	return strings.TrimLeft(text[at:], " \t\n\v\f\r") == ""
}

// isControl reports whether a token never arises from a text in which control
// tokens do not match.
func (w *routeWords) isControl(ctx context.Context, p piece) (bool, error) {
	w.mu.Lock()
	is, known := w.control[p.id]
	w.mu.Unlock()
	if known {
		return is, nil
	}
	plain, err := w.pieces(ctx, p.text, false)
	if err != nil {
		return false, err
	}
	is = !slices.ContainsFunc(plain, func(q piece) bool { return q.id == p.id })
	w.mu.Lock()
	w.control[p.id] = is
	w.mu.Unlock()
	return is, nil
}

// A run is neighbouring segments of text that become tokens together.
type run struct {
	words    *routeWords
	marks    llm.Marks
	segments []llm.Segment
	first    int // index of the first segment in the prompt

	tokens []llm.Token
	text   string
	starts []int // of the segments in the text
}

func (r *run) read(ctx context.Context) error {
	for _, s := range r.segments {
		r.starts = append(r.starts, len(r.text))
		r.text += s.Text
	}
	if r.text == "" {
		return nil
	}
	cuts := []int{0, len(r.text)}
	for range mostDivisions {
		all, forged, err := r.divided(ctx, cuts)
		if err != nil {
			return err
		}
		if len(forged) == 0 {
			r.take(all)
			return nil
		}
		for _, p := range forged {
			_, size := utf8.DecodeRuneInString(r.text[p.start:])
			cuts = append(cuts, p.start+size)
		}
		slices.Sort(cuts)
		cuts = slices.Compact(cuts)
	}
	e := llm.Errorf(llm.Invalid, "prompt", "the text holds marks of the model's vocabulary that cannot be told from the format's own")
	e.Hint = "write them differently"
	return e
}

// divided makes tokens of the text between the cuts, and gives those of them
// that stand where they may not.
func (r *run) divided(ctx context.Context, cuts []int) (all, forged []piece, err error) {
	for i, from := range cuts[:len(cuts)-1] {
		text := r.text[from:cuts[i+1]]
		special, err := r.words.pieces(ctx, text, true)
		if err != nil {
			return nil, nil, err
		}
		plain, err := r.words.pieces(ctx, text, false)
		if err != nil {
			return nil, nil, err
		}
		same := map[piece]bool{}
		for _, p := range plain {
			same[p] = true
		}
		for _, p := range special {
			// What stands in both is no control token; what does not may have
			// only come out otherwise beside one.
			is := r.isMark(p.text)
			if !is && !same[p] {
				if is, err = r.words.isControl(ctx, p); err != nil {
					return nil, nil, err
				}
			}
			p.start, p.end = p.start+from, p.end+from
			if all = append(all, p); is && !r.allows(p) {
				forged = append(forged, p)
			}
		}
	}
	return all, forged, nil
}

// isMark reports whether a token is one of the format's delimiters, or written
// like a control token, whatever the engine takes it for.
func (r *run) isMark(text string) bool {
	return slices.Contains(r.marks.Turn, text) || slices.Contains(r.marks.Reply, text) ||
		strings.HasPrefix(text, "<|") && strings.HasSuffix(text, "|>")
}

// allows reports whether a control token may stand in the segments of which
// its text consists.
func (r *run) allows(p piece) bool {
	reply := slices.Contains(r.marks.Reply, p.text)
	for i, s := range r.segments {
		if s.Text == "" || r.starts[i] >= p.end || r.starts[i]+len(s.Text) <= p.start {
			continue
		}
		if !s.Control && !(reply && s.Trust == llm.TrustModel) {
			return false
		}
	}
	return true
}

func (r *run) take(all []piece) {
	at := 0
	for _, p := range all {
		for at+1 < len(r.segments) && p.start >= r.starts[at+1] {
			at++
		}
		r.words.mu.Lock()
		control := r.words.control[p.id] || r.isMark(p.text)
		r.words.mu.Unlock()
		r.tokens = append(r.tokens, llm.Token{ID: p.id, Text: p.text, Control: control, Segment: r.first + at})
	}
}
