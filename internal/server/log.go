package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// logRequest writes a request's line. It has nothing in it that a client
// chose but its address, the request's id, and the path where there is nothing
// at it: no contents, no other header, no name.
func (s *Server) logRequest(rec *recorder, r *http.Request, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("id", rec.id),
		slog.String("client", from(rec.client)),
	}
	if rec.key != nil && rec.key.Name != "" {
		attrs = append(attrs, slog.String("key", rec.key.Name))
	}
	if rec.route.path != "" {
		attrs = append(attrs, slog.String("method", rec.route.method), slog.String("route", rec.route.path),
			slog.String("dialect", string(rec.route.dialect)))
	} else if rec.status == http.StatusNotFound {
		attrs = append(attrs, slog.String("path", printable(r.URL.Path)))
	}
	attrs = append(attrs, slog.Int("status", rec.status), slog.Int64("bytes", rec.written), slog.Duration("took", took))
	if rec.model != "" {
		attrs = append(attrs, slog.String("model", rec.model))
	}
	attrs = append(attrs, rec.answered()...)
	level := slog.LevelInfo
	if rec.err != nil && !rec.left {
		e := llm.AsError(rec.err)
		attrs = append(attrs, slog.String("code", string(e.Code)))
		if at := plainField.FindStringSubmatch(e.Field); at != nil {
			attrs = append(attrs, slog.String("field", at[1]))
		}
		if e.Err != nil && e.Code == llm.Broken {
			level = slog.LevelError
			attrs = append(attrs, slog.String("cause", loggable(e.Err)))
		}
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
	if s.options.LogContents && (rec.body != nil || len(rec.accounts) > 0) {
		s.logContents(r.Context(), rec)
	}
}

// from is a client's address for the log.
func from(addr netip.Addr) string {
	if !addr.IsValid() {
		return "unix"
	}
	return addr.String()
}

// plainField is the part of a field's path that is logged, where it is one that
// requests are made of. A path may otherwise consist of a client's own words,
// the names in its objects.
var plainField = regexp.MustCompile(`^((?:messages|prompt|system|input|model|tools|tool_choice|stop|max_tokens|temperature|response_format|grammar|logit_bias)(?:\[\d{1,6}\])?)(?:$|\W)`)

// loggable is an error as the log may have it: one that repeats foreign words
// says by its own method what is left without them.
func loggable(err error) string {
	if e, ok := errors.AsType[interface {
		error
		WithoutContents() string
	}](err); ok {
		return e.WithoutContents()
	}
	return err.Error()
}

// answered tells what became of the answers, all together: times are those of
// the slowest.
func (w *recorder) answered() []slog.Attr {
	if len(w.accounts) == 0 {
		if w.left {
			return []slog.Attr{slog.String("ended", string(endLeft))}
		}
		return nil
	}
	var sum llm.Usage
	var first, speed float64
	var ends []string
	for _, a := range w.accounts {
		u := a.usage()
		sum.PromptTokens += u.PromptTokens
		sum.CachedTokens += u.CachedTokens
		sum.CacheUntold = sum.CacheUntold || u.CacheUntold
		sum.CompletionTokens += u.CompletionTokens
		sum.Queued = max(sum.Queued, u.Queued)
		if a.parts > 0 {
			first = max(first, a.first.Sub(w.began).Seconds())
		}
		speed += a.speed()
		if end := string(w.ended(a)); !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	attrs := []slog.Attr{slog.Int("prompt_tokens", sum.PromptTokens)}
	if !sum.CacheUntold {
		attrs = append(attrs, slog.Int("cached_tokens", sum.CachedTokens))
	}
	attrs = append(attrs, slog.Int("completion_tokens", sum.CompletionTokens))
	if !w.found.IsZero() {
		attrs = append(attrs, slog.Duration("queued", w.found.Sub(w.began)+sum.Queued))
	}
	if first > 0 {
		attrs = append(attrs, slog.Duration("first_token", time.Duration(first*float64(time.Second))))
	}
	if speed > 0 {
		attrs = append(attrs, slog.Float64("tokens_per_second", float64(int(speed*10+0.5))/10))
	}
	return append(attrs, slog.String("ended", strings.Join(ends, ",")))
}

// logContents writes what was said, where the operator wants it so.
func (s *Server) logContents(ctx context.Context, rec *recorder) {
	var answers []string
	for _, a := range rec.accounts {
		answers = append(answers, clip(a.said.String()))
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "contents", slog.String("id", rec.id),
		slog.String("request", clip(string(rec.body))), slog.Any("answers", answers))
}

// clip is text for the log, not too long.
func clip(s string) string {
	if most := limits.LogContentBytes.Int(); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
