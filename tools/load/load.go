// Package load sends requests to servers and measures what comes back, for the
// benchmarks beside it.
package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Request is a whole request for an answer to a chat of 30 messages.
func Request(model string, stream bool) []byte {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	messages := []message{{"system", "You are a helpful assistant who answers in plain words."}}
	for i := range 29 {
		role := "user"
		if i%2 == 1 {
			role = "assistant"
		}
		messages = append(messages, message{role, fmt.Sprintf("This is what was said as number %d of this conversation, and it goes on for about a line or two, as people do.", i+1)})
	}
	body, err := json.Marshal(map[string]any{"model": model, "stream": stream, "max_tokens": 200, "messages": messages})
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Answers are what came of many requests.
type Answers struct {
	Took, Late Durations // of each answer from its request; of each event from when it was written
	Span       time.Duration
}

// PerSecond is how many answers there were in a second.
func (l *Answers) PerSecond() float64 { return float64(len(l.Took)) / l.Span.Seconds() }

// Each is what one answer took of a time that all of them took, in words.
func (l *Answers) Each(computed time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(computed)/1e6/float64(max(1, len(l.Took))))
}

// Drive sends the request again and again over so many connections at a time.
func Drive(addr string, request []byte, connections int, span time.Duration) (*Answers, error) {
	var over atomic.Bool
	timer := time.AfterFunc(span, func() { over.Store(true) })
	defer timer.Stop()
	parts := make([]Answers, connections)
	errs := make([]error, connections)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() { errs[i] = parts[i].repeat(addr, request, &over) })
	}
	wg.Wait()
	all := &Answers{Span: time.Since(began)}
	for i, part := range parts {
		if errs[i] != nil {
			return nil, errs[i]
		}
		all.Took = append(all.Took, part.Took...)
		all.Late = append(all.Late, part.Late...)
	}
	slices.Sort(all.Took)
	slices.Sort(all.Late)
	return all, nil
}

// repeat is one connection's work. A server may close it after an answer.
func (l *Answers) repeat(addr string, request []byte, over *atomic.Bool) error {
	var c *connection
	defer func() { c.close() }()
	for !over.Load() {
		if c == nil {
			var err error
			if c, err = dial(addr); err != nil {
				return err
			}
		}
		began := time.Now()
		again, err := c.ask(request, func(written time.Time) { l.Late = append(l.Late, time.Since(written)) })
		if err != nil {
			return err
		}
		l.Took = append(l.Took, time.Since(began))
		if !again {
			c.close()
			c = nil
		}
	}
	return nil
}

// A connection speaks just enough HTTP/1.1 to load a server without being the
// load itself.
type connection struct {
	net.Conn
	in, body *bufio.Reader
}

func dial(addr string) (*connection, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, in: bufio.NewReader(c), body: bufio.NewReader(nil)}, nil
}

func (c *connection) close() {
	if c != nil {
		c.Conn.Close()
	}
}

// ask sends a request and reads the answer to its end, and says when each
// event of a stream was written by the engine, and whether the connection can
// be used again.
func (c *connection) ask(request []byte, event func(written time.Time)) (again bool, err error) {
	if _, err := c.Write(request); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	c.body.Reset(resp.Body)
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(c.body, 1000))
		return false, fmt.Errorf("answered %s: %s", resp.Status, said)
	}
	read := 0
	for {
		line, err := c.body.ReadSlice('\n')
		read += len(line)
		if written, ok := stamp(line); ok {
			event(written)
		}
		switch {
		case err == io.EOF && read == 0:
			return false, fmt.Errorf("answered nothing")
		case err == io.EOF:
			return !resp.Close, nil
		case err != nil && err != bufio.ErrBufferFull:
			return false, err
		}
	}
}

// stamp finds the time in an event's text.
func stamp(line []byte) (time.Time, bool) {
	_, rest, found := bytes.Cut(line, []byte(`"@`))
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	if !found {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, n), err == nil
}

// Held are what came of many streams open at the same time.
type Held struct {
	Streams   int
	Late, Gap Durations // of events from when they were written, and from the one before
	Span      time.Duration
}

// together is how many streams begin at a time.
const together = 100

// Hold opens so many streams and listens to all of them for a while. When all
// are open it calls begin, and at the end of the while, while they are still
// open, end.
func Hold(addr string, request []byte, streams int, span time.Duration, begin, end func()) (*Held, error) {
	var listening, over atomic.Bool
	var mu sync.Mutex
	sum := &Held{Streams: streams}
	var failed error
	started := make(chan struct{}, streams)
	connections := make([]*connection, streams)
	var wg sync.WaitGroup
	for i := range connections {
		// So many begin together; to hold many is the question, not to begin them.
		if i >= together {
			<-started
		}
		c, err := dial(addr)
		if err != nil {
			return nil, err
		}
		connections[i] = c
		wg.Go(func() {
			var late, gap Durations
			var before time.Time
			_, err := c.ask(request, func(written time.Time) {
				now := time.Now()
				if before.IsZero() {
					started <- struct{}{}
				} else if listening.Load() {
					late, gap = append(late, now.Sub(written)), append(gap, now.Sub(before))
				}
				before = now
			})
			mu.Lock()
			defer mu.Unlock()
			sum.Late, sum.Gap = append(sum.Late, late...), append(sum.Gap, gap...)
			if err != nil && !over.Load() && failed == nil {
				failed = err
			}
			if before.IsZero() {
				started <- struct{}{}
			}
		})
	}
	for range min(streams, together) {
		<-started
	}
	begin()
	listening.Store(true)
	began := time.Now()
	time.Sleep(span)
	listening.Store(false)
	sum.Span = time.Since(began)
	end()
	over.Store(true)
	for _, c := range connections {
		c.close()
	}
	wg.Wait()
	slices.Sort(sum.Late)
	slices.Sort(sum.Gap)
	return sum, failed
}

// Ignore opens so many streams and reads nothing of any of them until it is
// told to stop, when it says how many the server has closed by then.
func Ignore(addr string, request []byte, streams int) (stop func() (closed int), err error) {
	var all []*connection
	for range streams {
		c, err := dial(addr)
		if err == nil {
			_, err = c.Write(request)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return func() (closed int) {
		for _, c := range all {
			// What was sent before the end is still there to be read.
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
				closed++
			}
			c.close()
		}
		return closed
	}, nil
}

// Durations are sorted.
type Durations []time.Duration

// At is a quantile in words, "–" of nothing.
func (d Durations) At(q float64) string {
	if len(d) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f ms", float64(d[int(q*float64(len(d)-1))])/1e6)
}
