package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/jinja"
)

// A result is one line of the output, in the form of the goldens.
type result struct {
	Template     string    `json:"t"`
	Conversation string    `json:"c"`
	OK           bool      `json:"ok"`
	Out          *string   `json:"out,omitempty"`
	Gen          [][2]int  `json:"gen,omitempty"`
	User         *[][2]int `json:"user,omitempty"`
	Kind         string    `json:"kind,omitempty"`
	Err          string    `json:"err,omitempty"`
}

// now is the clock of the reference.
var now = time.Date(2026, 1, 5, 9, 8, 7, 0, time.UTC)

func renderAll(t template, conversations []conversation) []result {
	compiled, err := jinja.Parse(t.Name, t.Template, jinja.DefaultLimits())
	out := make([]result, len(conversations))
	for i := range conversations {
		out[i] = renderOne(t, compiled, err, &conversations[i])
	}
	return out
}

// errPrefill is transformers' refusal to continue a message that it cannot find.
var errPrefill = errors.New("continue_final_message is set but the final message does not appear in the chat")

func renderOne(t template, compiled *jinja.Template, err error, c *conversation) (r result) {
	r = result{Template: t.Name, Conversation: c.ID}
	defer func() {
		if p := recover(); p != nil {
			r = result{Template: t.Name, Conversation: c.ID, Kind: "other", Err: fmt.Sprint("panic: ", p)}
		}
	}()
	if err != nil {
		return r.refused(err)
	}
	vars, err := c.variables(t)
	if err != nil {
		return r.refused(err)
	}
	out, err := compiled.Render(context.Background(), vars, now)
	if err != nil {
		return r.refused(err)
	}
	end := len(out.Text)
	if c.ContinueFinal {
		if end, err = c.cut(out.Text); err != nil {
			return r.refused(err)
		}
	}
	chars := counter{text: out.Text}
	text := out.Text[:end]
	user := [][2]int{}
	for _, s := range out.Spans {
		if s.User() && s.Start < end {
			span := [2]int{chars.at(s.Start), chars.at(min(s.End, end))}
			if n := len(user); n > 0 && user[n-1][1] == span[0] {
				user[n-1][1] = span[1]
				continue
			}
			user = append(user, span)
		}
	}
	// Where the prompt was cut, the reference has no such spans.
	for _, g := range out.Generation {
		if c.ContinueFinal {
			break
		}
		r.Gen = append(r.Gen, [2]int{chars.at(g.Start), chars.at(g.End)})
	}
	r.OK, r.Out, r.User = true, &text, &user
	return r
}

// counter turns byte offsets, mostly growing, into character offsets.
type counter struct {
	text        string
	byte, chars int
}

func (c *counter) at(offset int) int {
	if offset < c.byte {
		c.byte, c.chars = 0, 0
	}
	c.chars += utf8.RuneCountInString(c.text[c.byte:offset])
	c.byte = offset
	return c.chars
}

func (r result) refused(err error) result {
	r.Kind, r.Err = "other", err.Error()
	var e *jinja.Error
	switch {
	case errors.As(err, &e):
		r.Err = e.Msg
		switch e.Kind {
		case jinja.KindRaise, jinja.KindUndefined, jinja.KindType, jinja.KindValue, jinja.KindKey, jinja.KindSecurity:
			r.Kind = e.Kind.String()
		}
	case errors.Is(err, errPrefill):
		r.Kind = "prefill"
	}
	return r
}

// cut is where transformers ends the prompt so that the model goes on with
// the last message.
func (c *conversation) cut(out string) (int, error) {
	var messages []struct {
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(c.Messages, &messages); err != nil || len(messages) == 0 {
		return 0, errPrefill
	}
	final, ok := finalText(messages[len(messages)-1].Content)
	if !ok {
		return 0, errPrefill
	}
	stripped := strings.TrimFunc(final, jinja.IsSpace)
	at := strings.LastIndex(out, stripped)
	if at < 0 {
		return 0, errPrefill
	}
	// Where the template keeps the white space after the text, so does the cut.
	if left := strings.TrimLeftFunc(final, jinja.IsSpace); left == final && strings.HasPrefix(out[at:], left) {
		return at + len(left), nil
	}
	return at + len(stripped), nil
}

// finalText is the text of a message that is to be continued.
func finalText(content json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(content, &s) == nil && string(content) != "null" {
		return s, true
	}
	var parts []struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return "", false
	}
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i].Text != nil {
			return *parts[i].Text, true
		}
	}
	return "", false
}
