package enginetest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Chaos is a proxy before a server that spoils answers. Only requests that
// bring a body to a route that generates are spoiled; status and probe routes
// pass, so that an engine can be recognised first.
type Chaos struct {
	URL string

	t      testing.TB
	target string
	proxy  *httptest.Server
	over   chan struct{}
	wg     sync.WaitGroup

	mu    sync.Mutex
	spoil func(*spoiled)
	times int // requests that are still to be spoiled; -1: all
	hits  int
	sent  atomic.Int64
	gone  atomic.Int32
	live  atomic.Int32
}

// StartChaos puts a proxy before the server at url until the test ends. It
// passes everything until Spoil is called.
func StartChaos(t testing.TB, url string) *Chaos {
	c := &Chaos{t: t, target: strings.TrimSuffix(url, "/"), over: make(chan struct{}), times: -1}
	c.proxy = httptest.NewServer(http.HandlerFunc(c.serve))
	c.URL = c.proxy.URL
	t.Cleanup(func() {
		close(c.over)
		c.wg.Wait()
		c.proxy.Close()
	})
	return c
}

// Spoil spoils what comes from now on in one of the ways that Faults lists;
// "" spoils nothing more.
func (c *Chaos) Spoil(fault string) { c.SpoilTimes(fault, -1) }

// SpoilTimes is Spoil for so many requests; those behind them pass.
func (c *Chaos) SpoilTimes(fault string, times int) {
	f := faults[fault]
	if f == nil && fault != "" {
		c.t.Fatalf("there is no fault %q; there are %q", fault, Faults())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spoil, c.times, c.hits = f, times, 0
	c.sent.Store(0)
	c.gone.Store(0)
}

// Hits is how many requests for text have come since Spoil.
func (c *Chaos) Hits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hits
}

// Sent is how many bytes of spoiled answers were taken by the client or its
// system since Spoil.
func (c *Chaos) Sent() int64 { return c.sent.Load() }

// Left is how many clients have closed a connection that was held open.
func (c *Chaos) Left() int { return int(c.gone.Load()) }

// Held is how many spoiled connections are held open.
func (c *Chaos) Held() int { return int(c.live.Load()) }

// Faults are the names of all ways to spoil an answer, sorted.
func Faults() []string { return slices.Sorted(maps.Keys(faults)) }

// generating are the ends of paths that are spoiled.
var generating = words("/completion /completions /chat/completions /messages /generate /generate/stream /generate_stream /api/chat /api/generate")

func (c *Chaos) takes(r *http.Request) (func(*spoiled), bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method != http.MethodPost || !slices.ContainsFunc(generating, func(end string) bool { return strings.HasSuffix(r.URL.Path, end) }) {
		return nil, false
	}
	c.hits++
	if c.spoil == nil || c.times == 0 {
		return nil, false
	}
	if c.times > 0 {
		c.times--
	}
	return c.spoil, true
}

func (c *Chaos) serve(w http.ResponseWriter, r *http.Request) {
	spoil, yes := c.takes(r)
	req, err := http.NewRequestWithContext(r.Context(), r.Method, c.target+r.URL.RequestURI(), r.Body)
	if err != nil {
		panic(err)
	}
	req.Header = r.Header.Clone()
	req.Header.Del("Accept-Encoding")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	if !yes {
		pass(w, resp)
		return
	}
	body, _ := io.ReadAll(resp.Body)
	c.wg.Add(1)
	c.live.Add(1)
	defer c.live.Add(-1)
	defer c.wg.Done()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	s := &spoiled{c: c, conn: conn, in: buffered.Reader, answer: resp, body: body, host: r.Host}
	defer conn.Close()
	spoil(s)
}

func pass(w http.ResponseWriter, resp *http.Response) {
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	flush := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		w.Write(buffer[:n])
		flush.Flush()
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// A spoiled answer is written byte by byte to the client's connection. The
// engine's own answer is there to be spoiled.
type spoiled struct {
	c      *Chaos
	conn   net.Conn
	in     *bufio.Reader
	answer *http.Response
	body   []byte
	host   string

	chunked bool
}

// write sends bytes, as a chunk where the answer is chunked.
func (s *spoiled) write(b []byte) error {
	if s.chunked {
		b = fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b)
	}
	n, err := s.conn.Write(b)
	s.c.sent.Add(int64(n))
	return err
}

// head sends a status line and headers, the answer's own Content-Type where
// none is given. The body ends with the connection.
func (s *spoiled) head(status int, headers ...string) { s.start(status, "Connection: close", headers) }

// chunks is head for a body in chunks.
func (s *spoiled) chunks(headers ...string) {
	s.start(200, "Transfer-Encoding: chunked", headers)
	s.chunked = true
}

func (s *spoiled) start(status int, how string, headers []string) {
	if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Content-Type:") }) {
		headers = append(headers, "Content-Type: "+s.answer.Header.Get("Content-Type"))
	}
	s.write(fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n%s\r\n%s\r\n\r\n", status, http.StatusText(status), how, strings.Join(headers, "\r\n")))
}

// end ends a body in chunks.
func (s *spoiled) end() {
	s.chunked = false
	s.write([]byte("0\r\n\r\n"))
}

// frames are the parts of the engine's answer: events, lines, or the halves of
// a whole answer.
func (s *spoiled) frames() (list [][]byte) {
	end := []byte("\n")
	switch kind := s.answer.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "text/event-stream"):
		end = []byte("\n\n")
		if bytes.Contains(s.body, []byte("\r\n\r\n")) {
			end = []byte("\r\n\r\n")
		}
	case !strings.HasPrefix(kind, "application/x-ndjson"):
		half := len(s.body) / 2
		return [][]byte{s.body[:half], s.body[half:]}
	}
	for rest := s.body; len(rest) > 0; {
		i := bytes.Index(rest, end)
		if i < 0 {
			return append(list, rest)
		}
		list = append(list, rest[:i+len(end)])
		rest = rest[i+len(end):]
	}
	return list
}

// half sends the first half of the answer.
func (s *spoiled) half() {
	frames := s.frames()
	for _, f := range frames[:len(frames)/2] {
		s.write(f)
	}
}

// hold keeps the connection open until the client closes it or the test ends.
func (s *spoiled) hold() {
	left := make(chan struct{})
	go func() {
		defer close(left)
		io.Copy(io.Discard, s.in)
	}()
	select {
	case <-left:
		s.c.gone.Add(1)
	case <-s.c.over:
		s.conn.Close()
		<-left
	}
}

// reset closes the connection with an RST.
func (s *spoiled) reset() {
	if tcp, ok := s.conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	s.conn.Close()
}

// streamed reports whether the engine's answer comes in parts, and in lines.
func (s *spoiled) streamed() (parts, lines bool) {
	kind := s.answer.Header.Get("Content-Type")
	lines = strings.HasPrefix(kind, "application/x-ndjson")
	return lines || strings.HasPrefix(kind, "text/event-stream"), lines
}

// event is a JSON value as a part of the stream.
func (s *spoiled) event(value string) []byte {
	if parts, lines := s.streamed(); lines || !parts {
		return []byte(value + "\n")
	}
	return []byte("data: " + value + "\n\n")
}
