package upstream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/chat"
	"parley/chatformat"
	"parley/internal/vocab"
	"parley/llm"
)

// Options say which engine and how it is used.
type Options struct {
	URL     string      // "http://127.0.0.1:8080", with or without /v1
	Kind    string      // name of a kind; "" is found by probing
	Key     string      // sent as the kind wants it; never logged
	Headers http.Header // sent along
	Way     Way         // "" is the kind's default, or the other where that needs what the engine does not tell

	// Tokenizer is a file or directory from which the model's vocabulary is
	// read (GGUF, tokenizer.json); "" asks the engine for what it can tell.
	Tokenizer string

	// Layout is how conversations are laid out that do not say themselves, where
	// the engine answers them.
	Layout chatformat.Options
	// Abilities replace, by their names, what the engine was found to express of
	// conversations.
	Abilities map[string]bool

	Context  int        // tokens that a request may have, where the engine does not tell; 0: not known
	Sampling llm.Params // recommended

	Connect time.Duration // to connect; 0: as in the table of limits
	First   time.Duration // until an answer begins; 0: as in the table of limits
	Silence time.Duration // between two signs of life; 0: as in the table of limits

	Client *http.Client // nil: one of its own
	Logger *slog.Logger // nil: no log
}

// An Engine is a server that was reached and recognised. It may be used by
// many goroutines at once.
type Engine struct {
	options   Options
	transport *transport
	kind      *Kind
	version   string
	log       *slog.Logger
	gone      chan struct{}
	lose      func() // closes gone
}

// Dial reaches an engine and finds out what it is and can do. An error is an
// *llm.Error that says what was tried and what to change.
func Dial(ctx context.Context, o Options) (*Engine, error) {
	t, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	e := &Engine{options: o, transport: t, log: o.Logger, gone: make(chan struct{})}
	e.lose = sync.OnceFunc(func() { close(e.gone) })
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if err := e.recognise(ctx); err != nil {
		e.Close()
		return nil, err
	}
	e.log.Debug("engine found", "url", t.String(), "kind", e.kind.Name, "version", e.version)
	return e, nil
}

// Close gives idle connections up.
func (e *Engine) Close() error {
	e.transport.client.CloseIdleConnections()
	return nil
}

// Gone is closed when the engine was found to run another model than the one
// that was opened.
func (e *Engine) Gone() <-chan struct{} { return e.gone }

// Kind is what the engine was recognised as.
func (e *Engine) Kind() *Kind { return e.kind }

// Version is what the engine says of itself, or "".
func (e *Engine) Version() string { return e.version }

// URL is the engine's address without anything secret.
func (e *Engine) URL() string { return e.transport.String() }

// Models lists what the engine serves, under its own names.
func (e *Engine) Models(ctx context.Context) ([]string, error) {
	if e.kind.asks.models == nil {
		return nil, nil
	}
	return e.kind.asks.models(ctx, e.transport)
}

// Opened is a model on an engine.
type Opened struct {
	Name string
	Info llm.Info
	Way  Way

	Model     llm.Model      // nil where the engine cannot continue prompts
	Responder chat.Responder // set where it answers itself
	TextOnly  bool           // prompts reach it as text: see chatformat.Options.TextOnly

	Promises map[llm.Promise]llm.Keeping
}

// Open makes one of the engine's models usable; "" is the one that it serves.
func (e *Engine) Open(ctx context.Context, model string) (*Opened, error) {
	name, err := e.choose(ctx, model)
	if err != nil {
		return nil, err
	}
	d, err := e.described(ctx, name)
	if err != nil {
		return nil, err
	}
	if d.info.Context == 0 || e.options.Context != 0 && e.kind.facts.resizes {
		d.info.Context = e.options.Context
	}
	d.info.Sampling = e.options.Sampling
	words, err := e.vocabulary(&d)
	if err == nil && words == nil && e.kind.asks.words != nil {
		words, err = e.kind.asks.words(ctx, e.transport, name)
	}
	if err != nil {
		return nil, err
	}
	o := &Opened{Name: name, TextOnly: words == nil || !e.kind.facts.tokens}
	if o.Way, err = e.way(d); err != nil {
		return nil, err
	}
	d.info.Name = cmp.Or(d.info.Name, name)
	o.Info = d.info
	if e.kind.complete != nil {
		who, err := e.newIdentity(ctx, name)
		if err != nil {
			return nil, err
		}
		o.Model = e.newModel(name, d, words, who)
	}
	if o.Way == AsChat {
		if o.Responder, err = e.newResponder(ctx, name, d); err != nil {
			return nil, err
		}
	}
	o.Promises = e.promises(o)
	return o, nil
}

// choose finds a model's name at the engine.
func (e *Engine) choose(ctx context.Context, model string) (string, error) {
	served, err := e.Models(ctx)
	if err != nil {
		return "", err
	}
	hint := ""
	if len(served) > 0 {
		hint = "it serves: " + clip(strings.Join(served, ", "))
	}
	switch {
	case model == "" && len(served) == 1:
		return served[0], nil
	case model == "" && len(served) > 1:
		err := llm.Errorf(llm.Invalid, "model", "%s at %s serves several models, and none is named", e.kind.Title, e.transport)
		err.Hint = `name one: model = "…"; ` + hint
		return "", err
	case model == "", slices.Contains(served, model), len(served) == 0, e.kind.facts.unlisted:
		return model, nil
	}
	// Ollama leaves out ":latest", Hugging Face's names have an owner before them.
	for _, s := range served {
		if strings.TrimSuffix(s, ":latest") == model || strings.HasSuffix(s, "/"+model) {
			return s, nil
		}
	}
	notFound := llm.Errorf(llm.NotFound, "model", "%s at %s has no model %q", e.kind.Title, e.transport, clip(model))
	notFound.Hint = hint
	return "", notFound
}

// described is what the engine tells of a model.
func (e *Engine) described(ctx context.Context, model string) (description, error) {
	if e.kind.asks.describe == nil {
		return description{}, nil
	}
	return e.kind.asks.describe(ctx, e.transport, model)
}

// way decides how the engine is used. To lay messages out here, the model's
// chat template has to be known, or whoever configured this named a format and
// with it the way.
func (e *Engine) way(d description) (Way, error) {
	k := e.kind
	way := e.options.Way
	if way == "" {
		way = k.Default
		if way == AsModel && d.info.ChatTemplate == "" && k.chat != nil {
			way = AsChat
		}
		if way == AsChat && k.chat == nil {
			way = AsModel
		}
	}
	switch {
	case way == AsModel && k.complete == nil:
		err := llm.Errorf(llm.Unsupported, "way", "%s does not continue prompts", k.Title)
		err.Hint = `use it with way = "chat"`
		return "", err
	case way == AsChat && k.chat == nil:
		err := llm.Errorf(llm.Unsupported, "way", "%s does not answer conversations", k.Title)
		err.Hint = `use it with way = "model" and a format`
		return "", err
	case way != AsModel && way != AsChat:
		return "", llm.Errorf(llm.Invalid, "way", `there is no way %q; there are "model" and "chat"`, clip(string(way)))
	}
	return way, nil
}

// vocabulary finds the model's vocabulary: in the file that was named, or in
// the one that an engine on this machine has open. It adds to the description
// what the file tells.
func (e *Engine) vocabulary(d *description) (words, error) {
	path, named := e.options.Tokenizer, e.options.Tokenizer != ""
	if !named {
		if path = d.file; path == "" || !e.local() {
			return nil, nil
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return nil, nil
		}
	}
	v, err := vocab.Open(path)
	if err == nil && d.info.Vocabulary != 0 && d.info.Vocabulary != v.Size() {
		err = fmt.Errorf("it has %d tokens, and the engine's model has %d", v.Size(), d.info.Vocabulary)
	}
	if err != nil && named {
		return nil, &llm.Error{
			Code: llm.Invalid, Field: "tokenizer", Message: "the vocabulary in " + path + " cannot be used: " + err.Error(),
			Hint: "name the GGUF file or the tokenizer.json of the very model that the engine runs", Err: err,
		}
	}
	if err != nil {
		e.log.Warn("the vocabulary of the engine's model is not read: prompts go as text", "file", path, "err", err)
		return nil, nil
	}
	i := &d.info
	i.ChatTemplate = cmp.Or(i.ChatTemplate, v.ChatTemplate)
	i.Vocabulary, i.AddsBOS = v.Size(), v.AddBOS()
	i.BOS, i.EOS = cmp.Or(i.BOS, textOf(v, v.BOS())), cmp.Or(i.EOS, textOf(v, v.EOS()))
	for _, id := range v.Ends() {
		i.EndTokens = append(i.EndTokens, v.Piece(id))
	}
	return v, nil
}

func textOf(v *vocab.Model, id int) string {
	if id < 0 {
		return ""
	}
	return v.Piece(id)
}

// local reports whether the engine runs on this machine.
func (e *Engine) local() bool {
	host := e.transport.base.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// promises says how far each promise holds for a model.
func (e *Engine) promises(o *Opened) map[llm.Promise]llm.Keeping {
	f := &e.kind.facts
	p := map[llm.Promise]llm.Keeping{
		llm.NothingLost:  llm.Kept,
		llm.NoForgery:    llm.Kept,
		llm.StopsStop:    llm.Kept,
		llm.Reproducible: llm.ByEngine,
		llm.CheapTurns:   llm.ByEngine,
		llm.CancelStops:  llm.Kept,
		llm.AlwaysShown:  llm.Kept,
	}
	if o.TextOnly {
		p[llm.NoForgery] = llm.ByPolicy
	}
	if f.truncates && (e.kind.asks.count == nil || o.Info.Context == 0) && o.TextOnly {
		p[llm.NothingLost] = llm.ByEngine
	}
	switch {
	case f.runsOn:
		p[llm.CancelStops] = llm.NotKept
	case f.slowly:
		p[llm.CancelStops] = llm.ByEngine
	}
	if !f.sampling.has("Seed") {
		p[llm.Reproducible] = llm.NotKept
	}
	if r, ok := o.Responder.(interface {
		promise(map[llm.Promise]llm.Keeping)
	}); ok {
		r.promise(p)
	}
	return p
}
