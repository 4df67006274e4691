package server

import (
	"context"
	"net/http"
	"strings"

	"parley/llm"
)

// tokenizer is the model that answers to no name, which can show its tokens.
func (s *Server) tokenizer(ctx context.Context, w http.ResponseWriter) (llm.Tokenizer, func(), error) {
	var report llm.Report
	target, err := s.find(aside(ctx), w, "", false, &report, nil)
	if err != nil {
		return nil, nil, err
	}
	tokenizer, ok := target.Model.(llm.Tokenizer)
	if !ok {
		target.release()
		return nil, nil, cannot(target, "show its tokens", "ask the engine that runs it")
	}
	return tokenizer, target.release, nil
}

// textOf is the text of the tokens in a request, which parse reads out of its
// body. Bytes that are no text are replaced.
func (s *Server) textOf(w http.ResponseWriter, r *http.Request, parse func(body []byte) (ids []int, err error)) (string, error) {
	body, err := readBody(w, r)
	if err != nil {
		return "", err
	}
	ids, err := parse(body)
	if err != nil {
		return "", err
	}
	ctx, cancel := s.work(r)
	defer cancel()
	tokenizer, release, err := s.tokenizer(ctx, w)
	if err != nil {
		return "", err
	}
	defer release()
	text, err := tokenizer.Detokenize(ctx, ids)
	if err != nil {
		return "", err
	}
	return strings.ToValidUTF8(text, "\ufffd"), nil
}
