package upstream

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"parley/internal/limits"
)

// A frame is one part of an answer.
type frame struct {
	event string // the event's name, for server-sent events that have one
	data  []byte // valid until the next frame is read
}

var (
	errLine  = fmt.Errorf("a line is longer than the %d bytes allowed (limit %s)", limits.UpstreamLineBytes.Int(), limits.UpstreamLineBytes.Name)
	errWhole = fmt.Errorf("the answer is longer than the %d bytes allowed (limit %s)", limits.UpstreamAnswerBytes.Int(), limits.UpstreamAnswerBytes.Name)
)

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	endOfStream   = []byte("[DONE]")
)

// frames divides an answer as it was agreed. Nothing is read ahead but what
// one read gives. An answer that ends within a frame yields io.ErrUnexpectedEOF.
func frames(r io.Reader, by framing) iter.Seq2[frame, error] {
	switch by {
	case framedSSE:
		return events(r)
	case framedLines:
		return valuesByLine(r)
	}
	return wholeValue(r)
}

// events reads server-sent events (WHATWG HTML, section 9.2), and besides what
// engines send instead: JSON on a line of its own, an "error" field, events
// without the blank line between them, and a last one without it.
func events(r io.Reader) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		lines := newLineReader(r)
		var e event
		for {
			line, err := lines.next()
			if err != nil {
				yieldLast(&e, err, yield)
				return
			}
			name, value := field(line)
			switch {
			case len(line) == 0:
				if !e.yield(yield) {
					return
				}
			case string(name) == "event":
				e.name = string(value)
			case string(name) == "data":
				if e.apart(value) && !e.yield(yield) {
					return
				}
				if !e.add(value) {
					yield(frame{}, errLine)
					return
				}
				// Not every engine ends the event, or closes the connection.
				if bytes.Equal(e.data, endOfStream) && !e.yield(yield) {
					return
				}
			case string(name) == "error": // llama.cpp's way of 2024
				if !e.yield(yield) || !yield(frame{event: "error", data: value}, nil) {
					return
				}
			case line[0] == '{' || line[0] == '[' || line[0] == '<':
				if !e.yield(yield) || !yield(frame{data: line}, nil) {
					return
				}
			}
		}
	}
}

// yieldLast yields what was not ended, if it is whole.
func yieldLast(e *event, err error, yield func(frame, error) bool) {
	whole := json.Valid(e.data) || bytes.Equal(e.data, endOfStream)
	switch {
	case e.began && whole && errors.Is(err, io.EOF):
		e.yield(yield)
	case e.began && errors.Is(err, io.EOF):
		yield(frame{}, io.ErrUnexpectedEOF)
	case !errors.Is(err, io.EOF):
		yield(frame{}, err)
	}
}

// An event is a server-sent event that is being read.
type event struct {
	name  string
	data  []byte
	began bool // there is data, though it may be empty
}

// apart reports whether a line of data belongs to another event, with no blank
// line between them: no JSON has "}" and "{" side by side.
func (e *event) apart(line []byte) bool {
	return bytes.Equal(line, endOfStream) || bytes.HasSuffix(e.data, []byte("}")) && bytes.HasPrefix(line, []byte("{"))
}

func (e *event) add(line []byte) bool {
	if len(e.data)+len(line) >= limits.UpstreamLineBytes.Int() {
		return false
	}
	if e.began {
		e.data = append(e.data, '\n')
	}
	e.data = append(e.data, line...)
	e.began = true
	return true
}

func (e *event) yield(yield func(frame, error) bool) bool {
	ok := !e.began || yield(frame{e.name, e.data}, nil)
	e.name, e.data, e.began = "", e.data[:0], false
	return ok
}

// field divides a line of an event at its colon. A comment has no name.
func field(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte(":"))
	return name, bytes.TrimPrefix(value, []byte(" "))
}

// valuesByLine reads one value a line.
func valuesByLine(r io.Reader) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		lines := newLineReader(r)
		for {
			line, err := lines.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(frame{}, err)
				return
			}
			line = bytes.TrimSpace(line)
			if value, ok := bytes.CutPrefix(line, []byte("data:")); ok { // an event after all
				line = bytes.TrimSpace(value)
			}
			if len(line) > 0 && !yield(frame{data: line}, nil) {
				return
			}
		}
	}
}

// wholeValue reads all there is.
func wholeValue(r io.Reader) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		data, err := io.ReadAll(io.LimitReader(r, limits.UpstreamAnswerBytes.Int64()+1))
		if err == nil && limits.UpstreamAnswerBytes.CheckInt(len(data)) != nil {
			err = errWhole
		}
		if err != nil {
			yield(frame{}, err)
			return
		}
		if data = bytes.TrimSpace(bytes.TrimPrefix(data, byteOrderMark)); len(data) > 0 {
			yield(frame{data: data}, nil)
		}
	}
}

// A lineReader divides text at CR, LF and CRLF. A line is given as soon as its
// end has come.
type lineReader struct {
	r     *bufio.Reader
	line  []byte
	first bool // nothing has been read
	cr    bool // the last line ended in CR: a LF now belongs to it
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 16<<10), first: true}
}

// next gives the next line without its end, valid until the following call. The
// last one may have no end.
func (l *lineReader) next() ([]byte, error) {
	l.line = l.line[:0]
	for {
		if _, err := l.r.Peek(1); err != nil {
			if errors.Is(err, io.EOF) && len(l.line) > 0 {
				return l.unmarked(), nil
			}
			return nil, err
		}
		have, _ := l.r.Peek(l.r.Buffered())
		if l.cr && have[0] == '\n' {
			l.cr = false
			l.r.Discard(1)
			continue
		}
		l.cr = false
		end := bytes.IndexAny(have, "\r\n")
		n := end
		if end < 0 {
			n = len(have)
		}
		if len(l.line)+n > limits.UpstreamLineBytes.Int() {
			return nil, errLine
		}
		l.line = append(l.line, have[:n]...)
		if end < 0 {
			l.r.Discard(n)
			continue
		}
		l.cr = have[end] == '\r'
		l.r.Discard(n + 1)
		return l.unmarked(), nil
	}
}

// unmarked is the line, the first one without a byte order mark.
func (l *lineReader) unmarked() []byte {
	line := l.line
	if l.first {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	l.first = false
	return line
}
