package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"parley/chat"
	"parley/internal/apikey"
	"parley/internal/limits"
	"parley/internal/session"
	"parley/llm"
)

// Options say how to serve. The zero value is safe: no host name that could
// be rebound, no web page from elsewhere, no key.
type Options struct {
	Hosts   []string       // host names that clients may use, beside those that are always safe
	Origins []string       // origins of web pages that may ask ("https://chat.example"), beside those of this machine
	Keys    []apikey.Key   // nil: none is asked for; otherwise requests need one
	Proxies []netip.Prefix // reverse proxies, whose word is taken for who asks

	Quota Quota // of each asker

	ListCharacters bool // lists of models show characters, too

	Characters Characters            // those that requests choose by name; nil: none
	Presets    map[string]llm.Params // sampling that requests choose by name

	// PlainPrompts takes prompts that clients lay out themselves for text in
	// which no control token matches. By default whoever sends one writes the
	// format.
	PlainPrompts bool

	// Strict refuses requests with fields that mean nothing here, which are
	// reported otherwise.
	Strict bool

	IsolateCache bool             // keep the prompt caches of different keys apart
	Media        chat.MediaPolicy // what to do with pictures for a model that takes none

	Sessions *session.Sessions // nil: none are kept; ended by Shutdown

	Drain  time.Duration // running requests have so long to end at shutdown; 0: as in the table of limits
	Logger *slog.Logger  // nil: no log

	// LogContents has the log hold what is said: requests and answers.
	LogContents bool

	Tracer   trace.Tracer // of the spans of requests; nil: none
	Profiles bool         // serve profiles of the program to this machine
}

// A Server answers requests on any number of listeners.
type Server struct {
	models  Models
	options Options
	keys    atomic.Pointer[[]apikey.Key] // nil: none is asked for
	log     *slog.Logger

	running  sync.WaitGroup
	stopping context.Context // done when running requests must end
	stop     context.CancelCauseFunc
	draining atomic.Bool
	closing  context.Context // done when the server takes no new requests
	close    context.CancelFunc

	mu        sync.Mutex
	listening []*http.Server
	askers    askers

	metrics   *metrics
	tracer    trace.Tracer
	kobold    runs // answers of KoboldAI's clients
	textgen   runs // and those that text-generation-webui's can end
	began     time.Time
	responses keptResponses

	now   func() time.Time
	newID func() string
}

// New makes a Server. It listens nowhere until Serve is called.
func New(models Models, o Options) *Server {
	s := &Server{
		models: models, options: o, log: o.Logger,
		askers:  askers{},
		metrics: newMetrics(models),
		tracer:  o.Tracer,
		began:   time.Now(),
		now:     time.Now,
		newID:   rand.Text,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.options.Drain = cmp.Or(o.Drain, seconds(limits.DrainSeconds))
	if o.Keys != nil {
		s.SetKeys(o.Keys)
	}
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

func seconds(l *limits.Limit) time.Duration { return time.Duration(l.Max * float64(time.Second)) }

// errStopping is why a request ends that is still running when the time to
// drain is over.
var errStopping = &llm.Error{Code: llm.Unavailable, Message: "the server is shutting down", Hint: "try again in a moment"}

// Handler answers requests with the dialects of a face, guards and all.
func (s *Server) Handler(f Face) http.Handler {
	return s.observe(f.mannered(s.guard(s.route(f))))
}

// Serve answers requests on a listener until Shutdown is called, and then
// returns nil. It closes the listener.
func (s *Server) Serve(l net.Listener, f Face) error {
	h := &http.Server{
		Handler:           s.Handler(f),
		ReadHeaderTimeout: seconds(limits.HeaderSeconds),
		IdleTimeout:       seconds(limits.IdleSeconds),
		MaxHeaderBytes:    limits.HeaderBytes.Int(),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return l.Close()
	}
	s.listening = append(s.listening, h)
	s.mu.Unlock()
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown takes no new requests and lets the running ones end. Those that
// have not ended after Options.Drain, or when ctx is done, are cancelled and
// told so. It returns when every request is over.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	s.close()
	listening := s.listening
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, s.options.Drain)
	defer cancel()
	defer context.AfterFunc(ctx, func() { s.stop(errStopping) })()

	// A client that reads nothing cannot be told that it is over.
	grace, cancelGrace := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelGrace()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(seconds(limits.WriteSeconds), cancelGrace) })()

	var wg sync.WaitGroup
	if s.options.Sessions != nil {
		wg.Go(func() { s.options.Sessions.Close(ctx) })
	}
	for _, h := range listening {
		wg.Go(func() {
			if h.Shutdown(grace) != nil {
				h.Close()
			}
		})
	}
	wg.Wait()
	s.running.Wait()
	return nil
}

// client is the address that a request came from; the zero address is a
// socket of this machine's files. Only of proxies that the operator named is
// believed whom they speak for: the last in the row that is none of them.
func (s *Server) client(r *http.Request) netip.Addr {
	addr := peer(r.RemoteAddr)
	if len(s.options.Proxies) == 0 || !s.isProxy(addr) {
		return addr
	}
	row := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(row) {
		next := peer(strings.TrimSpace(hop))
		if !next.IsValid() {
			break // what stands before it has come from anywhere
		}
		addr = next
		if !s.isProxy(addr) {
			break
		}
	}
	return addr
}

func (s *Server) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.options.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// peer reads an address, with or without a port.
func peer(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	addr, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone("")
}
