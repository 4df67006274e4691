package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"parley/internal/textgen"
	"parley/llm"
)

// koboldOrTextgen answers a path that both dialects have, by what the body
// says.
func (s *Server) koboldOrTextgen(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if !slices.Contains(faceOf(r).Dialects, Textgen) || !textgen.Ours(body) {
		return s.koboldAnswer(w, r, body, false)
	}
	r = r.WithContext(inManner(r.Context(), Textgen))
	if err := s.textgenText(w, r, body); err != nil {
		s.fail(w, r, err)
	}
	return nil
}

// An overlong is a raw prompt of a dialect whose clients expect that what is
// too long is cut.
type overlong struct {
	keep    string // stands before the prompt and stays
	prompt  string // its beginning goes
	context int    // tokens that prompt and answer may have together; 0: as many as the model takes
	noBOS   bool   // without the token that the model puts before a text
}

// fitPrompt cuts a prompt at its beginning so that the answer has room, which is
// reported.
func (s *Server) fitPrompt(ctx context.Context, t Target, long overlong, params llm.Params, report *llm.Report) (llm.Prompt, error) {
	whole, err := s.raw(llm.Text(long.keep + long.prompt))
	if err != nil {
		return whole, err
	}
	tokenizer, ok := t.Model.(llm.Tokenizer)
	room := contextOf(t)
	if long.context > 0 && (room == 0 || long.context < room) {
		room = long.context
	}
	if !ok || room == 0 && !long.noBOS {
		return whole, nil
	}
	tokens, err := tokenizer.Tokenize(ctx, whole)
	if err != nil {
		return whole, err
	}
	first := 0 // tokens that the model puts before a text
	for first < len(tokens) && tokens[first].Segment < 0 {
		first++
	}
	asked := room / 2
	if params.MaxTokens != nil {
		asked = min(max(*params.MaxTokens, 1), asked)
	}
	cut := len(tokens) - (room - asked)
	kept := first
	if room == 0 || cut <= 0 {
		if !long.noBOS || first == 0 {
			return whole, nil
		}
		cut = 0
	} else if long.keep != "" {
		alone, err := s.raw(llm.Text(long.keep))
		if err != nil {
			return whole, err
		}
		keep, err := tokenizer.Tokenize(ctx, alone)
		if err != nil {
			return whole, err
		}
		kept = min(len(keep), len(tokens))
	}
	if cut > 0 {
		if kept >= room-asked {
			return whole, nil // it is what must stay that is too long: an error with the numbers
		}
		report.Add("prompt_cut", strconv.Itoa(cut), fmt.Sprintf("the prompt has %d tokens and %d fit: so many of its beginning were left out", len(tokens), room-asked))
	}
	if long.noBOS {
		tokens, kept = tokens[first:], kept-first
	}
	ids := make([]int, 0, len(tokens))
	for i, tok := range tokens {
		if i < kept || i >= kept+cut {
			ids = append(ids, tok.ID)
		}
	}
	return llm.Tokens(ids), nil
}
