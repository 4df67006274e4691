package check

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"

	"parley/internal/limits"
)

var errEndless = fmt.Errorf("the stream has no end or a line of it has none (limits %s, %s)", limits.CheckAnswerBytes.Name, limits.CheckLineBytes.Name)

// stream sends a request with Stream set and reads the events. each is called
// for every chunk with text; if it gives an error the connection is closed and
// the error returned. The reply has what came until then.
func (c *client) stream(ctx context.Context, path string, q request, each func(text string) error) (*reply, *exchange, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, seconds(limits.CheckRequestSeconds), errSilent)
	defer cancel()
	q.Stream = true
	x, resp, err := c.open(ctx, "POST", path, q)
	x.streams = true
	if err != nil {
		return nil, x, err
	}
	defer resp.Body.Close()
	if x.status < 200 || x.status > 299 {
		x.body, _ = io.ReadAll(io.LimitReader(resp.Body, limits.CheckAnswerBytes.Int64()))
		return nil, x, x.refused()
	}
	r := &reply{cached: -1}
	s := &events{reply: r, each: each}
	if t, _, _ := mime.ParseMediaType(x.header.Get("Content-Type")); t != "text/event-stream" {
		s.wrong("the content type is %q, not text/event-stream", short(x.header.Get("Content-Type")))
	}
	switch err = s.read(resp.Body); {
	case err == nil:
		c.silent = 0
	case ctx.Err() != nil:
		err = c.trouble(ctx, err)
	case errors.Is(err, errEndless):
		c.silent++
	}
	return r, x, err
}

// events reads server-sent events and notes what is wrong with them.
type events struct {
	reply *reply
	each  func(string) error

	data     []byte // of the event that is being read
	open     bool   // it has begun
	chunks   int
	usages   int  // chunks with a count of tokens
	role     bool // a chunk has said who speaks
	finished bool
	done     bool
}

func (s *events) wrong(format string, args ...any) {
	sentence := fmt.Sprintf(format, args...)
	if !slices.Contains(s.reply.form, sentence) && len(s.reply.form) < limits.CheckFaults.Int() {
		s.reply.form = append(s.reply.form, sentence)
	}
}

// read takes all events until the end of the stream.
func (s *events) read(body io.Reader) error {
	whole := &io.LimitedReader{R: body, N: limits.CheckAnswerBytes.Int64()}
	lines := bufio.NewScanner(whole)
	lines.Buffer(nil, limits.CheckLineBytes.Int())
	for lines.Scan() {
		line := lines.Bytes()
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) == 0:
			if err := s.event(); err != nil {
				return err
			}
		case len(field) == 0: // a comment
		case string(field) == "data":
			if s.open {
				// Servers that leave out the blank line still mean two events.
				if json.Valid(s.data) || string(s.data) == "[DONE]" {
					s.wrong("no blank line stands between two events")
					if err := s.event(); err != nil {
						return err
					}
				} else {
					s.data = append(s.data, '\n')
				}
			}
			s.open = true
			s.data = append(s.data, value...)
		case string(field) == "event" || string(field) == "id" || string(field) == "retry":
		default:
			s.wrong("a line is none of server-sent events: %q", short(string(line)))
		}
	}
	switch err := lines.Err(); {
	case whole.N == 0 || errors.Is(err, bufio.ErrTooLong):
		return errEndless
	case err != nil:
		return fmt.Errorf("the stream broke off: %s", short(err.Error()))
	}
	if s.open {
		s.wrong("the last event is not ended by a blank line")
		if err := s.event(); err != nil {
			return err
		}
	}
	switch {
	case s.chunks == 0:
		return errors.New("the stream has no chunks")
	case !s.finished:
		s.wrong("no chunk has a finish_reason")
	}
	if !s.role {
		s.wrong("no delta has a role")
	}
	if !s.done {
		s.wrong("the stream does not end with [DONE]")
	}
	return nil
}

// event takes the event that has been read.
func (s *events) event() error {
	if !s.open {
		return nil
	}
	data := string(bytes.TrimSpace(s.data))
	s.data, s.open = s.data[:0], false
	switch {
	case s.done:
		s.wrong("an event comes after [DONE]")
		return nil
	case data == "[DONE]":
		s.done = true
		return nil
	}
	var a answer
	if err := json.Unmarshal([]byte(data), &a); err != nil {
		s.wrong("an event is not JSON of OpenAI's protocol: %q", short(data))
		return nil
	}
	if len(a.Error) > 0 && string(a.Error) != "null" {
		return fmt.Errorf("the stream ends with an error: %s", complaint([]byte(data)))
	}
	s.chunks++
	if a.Model != "" {
		s.reply.model = a.Model
	}
	if a.Usage != nil {
		s.usages++
	}
	s.reply.count(&a)
	for i := range a.Choices {
		if err := s.choice(&a.Choices[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *events) choice(c *choice) error {
	if c.Delta == nil || c.Delta.Role != "" {
		s.role = true // of a completion, or told
	}
	text := c.Text + c.Delta.text()
	if s.finished && c.Index == 0 && text != "" {
		s.wrong("text comes after the finish_reason")
	}
	if c.Index == 0 && c.Finish != nil {
		switch *c.Finish {
		case "stop", "length", "tool_calls", "content_filter":
			if s.finished {
				s.wrong("two chunks have a finish_reason")
			}
			s.finished = true
		default:
			s.wrong("the finish_reason %q is none of OpenAI's", short(*c.Finish))
		}
	}
	s.reply.add(c)
	if said := text + c.Delta.reasoning(); said != "" && s.each != nil && c.Index == 0 {
		return s.each(said)
	}
	return nil
}
