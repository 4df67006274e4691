package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// A sign is something by which an engine's kind is recognised.
type sign struct {
	path string // of a document that it shows
	is   func(*document) bool
	host string // or the host that it runs on
}

// A document is what an engine shows at a path.
type document struct {
	err    error // it was not reached
	status int   // of the answer
	header http.Header
	object map[string]any // nil where it is none
}

// text is a text in the document.
func (d *document) text(key string) string {
	s, _ := d.object[key].(string)
	return s
}

func (d *document) has(key string) bool {
	_, ok := d.object[key]
	return ok
}

// owner reports whether one of the models listed has this owner.
func (d *document) owner(name string) bool {
	data, _ := d.object["data"].([]any)
	return slices.ContainsFunc(data, func(m any) bool {
		model, _ := m.(map[string]any)
		return model["owned_by"] == name
	})
}

// documents are what an engine shows, by path.
type documents map[string]*document

func (d documents) at(path string) *document {
	if doc := d[path]; doc != nil {
		return doc
	}
	return &document{}
}

// Found is an engine that was recognised.
type Found struct {
	Kind    *Kind
	Version string   // or ""
	Models  []string // under its own names; nil where it does not tell
}

// Probe looks what listens at an address, cheaply: it takes half a second at
// most. An error is an *llm.Error.
func Probe(ctx context.Context, url string) (Found, error) {
	const within = 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	t, err := newTransport(Options{URL: url, Connect: within, First: within, Silence: within})
	if err != nil {
		return Found{}, err
	}
	e := &Engine{transport: t}
	defer e.Close()
	if err := e.recognise(ctx); err != nil {
		return Found{}, err
	}
	f := Found{Kind: e.kind, Version: e.version}
	f.Models, _ = e.Models(ctx)
	return f, nil
}

// recognise finds the kind of an engine from what it shows. A kind that was
// named is believed, if anything is there at all.
func (e *Engine) recognise(ctx context.Context) error {
	candidates := kinds
	if name := e.options.Kind; name != "" {
		k := KindNamed(name)
		if k == nil {
			err := llm.Errorf(llm.Invalid, "kind", "there is no kind of engine called %q", clip(name))
			err.Hint = "there are: " + strings.Join(KindNames(), ", ")
			return err
		}
		candidates = []*Kind{k}
		e.transport.use(k)
	}
	shown, err := e.transport.look(ctx, candidates)
	if err != nil {
		return err
	}
	for _, k := range candidates {
		if e.options.Kind != "" || k.recognises(e.transport.base.Hostname(), shown) {
			e.kind = k
			if k.asks.version != nil {
				e.version = clip(k.asks.version(shown))
			}
			e.transport.use(k)
			return nil
		}
	}
	for _, doc := range shown {
		if doc.status == http.StatusUnauthorized || doc.status == http.StatusForbidden {
			return e.transport.refused(&statusError{status: doc.status})
		}
	}
	unknown := llm.Errorf(llm.Unsupported, "url", "what answers at %s is no engine that is known", e.transport)
	unknown.Hint = "correct the url, or say what it is: kind = one of " + strings.Join(KindNames(), ", ")
	return unknown
}

func (k *Kind) recognises(host string, shown documents) bool {
	return slices.ContainsFunc(k.asks.signs, func(s sign) bool {
		if s.host != "" {
			return host == s.host
		}
		doc := shown.at(s.path)
		return doc.status == http.StatusOK && s.is(doc)
	})
}

// look fetches, all at once, the documents in which the kinds have signs. It
// fails if nothing is there.
func (t *transport) look(ctx context.Context, candidates []*Kind) (documents, error) {
	parent := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, seconds(limits.UpstreamProbeSeconds),
		&silenceError{seconds(limits.UpstreamProbeSeconds)})
	defer cancel()
	shown := documents{}
	for _, k := range candidates {
		for _, s := range k.asks.signs {
			if s.path != "" && shown[s.path] == nil {
				shown[s.path] = &document{}
			}
		}
	}
	var wg sync.WaitGroup
	for path, doc := range shown {
		wg.Go(func() { t.show(ctx, path, doc) })
	}
	wg.Wait()
	var failed error
	for _, doc := range shown {
		if doc.err == nil {
			return shown, nil
		}
		failed = doc.err
	}
	if failed == nil { // nothing to look at
		return shown, nil
	}
	return nil, t.explain(parent, failed)
}

// show fetches one document, with whatever status.
func (t *transport) show(ctx context.Context, path string, doc *document) {
	x, err := t.attempt(ctx, http.MethodGet, path, nil, min(t.first, seconds(limits.UpstreamProbeSeconds)))
	if s, ok := errors.AsType[*statusError](err); ok {
		doc.status = s.status
		return
	}
	if doc.err = err; err != nil {
		return
	}
	defer x.Close()
	doc.status, doc.header = x.StatusCode, x.Header
	for f, err := range wholeValue(x.body) {
		if err == nil {
			_ = json.Unmarshal(f.data, &doc.object) // what is no object has no sign in it
		} else if !errors.Is(err, io.EOF) {
			doc.err = err
		}
	}
}

// use sends the key, and what else there is to say in headers, as a kind of
// engine wants it.
func (t *transport) use(k *Kind) {
	if name := k.facts.keyHeader; name != "" {
		if key, ok := strings.CutPrefix(t.headers.Get("Authorization"), "Bearer "); ok {
			t.headers.Del("Authorization")
			t.headers.Set(name, key)
		}
	}
	for name, value := range k.facts.headers {
		if t.headers.Get(name) == "" {
			t.headers.Set(name, value)
		}
	}
}
