package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"parley/internal/catalog"
	"parley/internal/server"
)

type serveCmd struct {
	Model        []string `short:"m" sep:"none" placeholder:"[NAME=]PATH" env:"PARLEY_MODEL" help:"GGUF file, or http://HOST:PORT[#MODEL] of an engine, or the name of a file that is found, to serve, once for each. Default: the configuration's models, else what is found, else the built-in one."`
	Discover     *bool    `negatable:"" env:"PARLEY_DISCOVER" help:"Look for model files and engines where no model is chosen. Default: as the configuration says, else yes."`
	Listen       []string `placeholder:"HOST:PORT" env:"PARLEY_LISTEN" help:"Where to listen, also unix:/FILE; several are possible. Default: ${listen}."`
	As           []string `placeholder:"NAME" env:"PARLEY_AS" help:"Also listen where clients of another server look, with its face: ${faces}."`
	Format       string   `placeholder:"NAME" env:"PARLEY_FORMAT" help:"Chat format, or a TOML or Jinja file with one, where the models' own are not the right ones."`
	ReqFormats   bool     `name:"request-formats" env:"PARLEY_REQUEST_FORMATS" help:"Let requests bring a chat format of their own along (chat_template, parley.format_toml)."`
	Ctx          int      `placeholder:"N" env:"PARLEY_CTX" help:"Tokens of context, prompt and reply together."`
	Draft        string   `placeholder:"PATH" env:"PARLEY_DRAFT" help:"GGUF file of a small model with the vocabulary of the one that is served, which proposes what may come next: the same answers, faster where it is often right."`
	Threads      int      `placeholder:"N" env:"PARLEY_THREADS" help:"Threads that compute. Default: one for each core."`
	KVCache      string   `name:"kv-cache" placeholder:"KIND" env:"PARLEY_KV_CACHE" help:"How keys and values are stored: f16, or q8_0 in half the memory."`
	Default      string   `placeholder:"NAME" env:"PARLEY_DEFAULT" help:"The model that answers clients which name none, or one that is not served."`
	Strict       *bool    `negatable:"" env:"PARLEY_STRICT" help:"Refuse model names that are not served, also where there is one model, and requests with fields that mean nothing here."`
	APIKey       []string `name:"api-key" sep:"none" placeholder:"KEY" env:"PARLEY_API_KEY" help:"Requests need this key. Other users of this machine can see command lines: prefer the variable or the file."`
	APIKeyFile   string   `name:"api-key-file" placeholder:"FILE" env:"PARLEY_API_KEY_FILE" help:"Requests need one of the keys in this file: parley key new makes them."`
	TLSCert      string   `name:"tls-cert" placeholder:"FILE" env:"PARLEY_TLS_CERT" help:"Speak HTTPS with this certificate, PEM, and those that it rests on."`
	TLSKey       string   `name:"tls-key" placeholder:"FILE" env:"PARLEY_TLS_KEY" help:"The certificate's key, PEM."`
	TrustProxy   []string `name:"trusted-proxy" placeholder:"ADDRESS" env:"PARLEY_TRUSTED_PROXY" help:"Reverse proxy, or network of them, whose X-Forwarded-For says who asks."`
	AllowHost    []string `placeholder:"NAME" env:"PARLEY_ALLOW_HOST" help:"Host name under which this server is reached."`
	AllowOrigin  []string `placeholder:"URL" env:"PARLEY_ALLOW_ORIGIN" help:"Origin of web pages that may call this server."`
	PlainPrompts bool     `env:"PARLEY_PLAIN_PROMPTS" help:"Take prompts that clients lay out themselves for mere text: nothing in them becomes a control token."`
	Data         string   `placeholder:"DIR" env:"PARLEY_DATA" help:"Keep sessions and characters in this folder; :memory: forgets them at the end, off keeps none. Default: a folder of yours."`
	LogFormat    string   `aliases:"log" placeholder:"KIND" env:"PARLEY_LOG_FORMAT" help:"The log on standard error: text or json."`
	Pprof        bool     `env:"PARLEY_PPROF" help:"Serve profiles of the program at /debug/pprof, to this machine alone."`
	LogContents  bool     `env:"PARLEY_LOG_CONTENTS" help:"Also log what is said, requests and answers: whoever reads the log reads every conversation."`
}

func (*serveCmd) Help() string {
	return `Clients speak the protocols of OpenAI, Anthropic, Ollama, llama.cpp, KoboldAI,
KoboldCpp and text-generation-webui, all on one port; --as also listens where
they look for such a server. Ctrl-C lets running requests end; a second one does
not. Where no model is chosen, model files are looked for in this folder,
./models and where Ollama, LM Studio, llama.cpp, Hugging Face's libraries, GPT4All
and Jan keep theirs, and engines on their usual ports of this machine; the log says
what was found. Settings may also stand in parley.toml: parley.example.toml explains
them.

Example:

    parley serve
    parley serve --no-discover
    parley serve --model llama.gguf --model small=qwen2.5-0.5b.gguf --as mlc
    parley serve --listen 0.0.0.0:7275 --api-key-file keys.txt`
}

func (c *serveCmd) Run(a *app) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals...)
	defer signal.Stop(signals)

	cfg, err := c.settings(a)
	if err != nil {
		return err
	}
	keyWatch := watchFiles(cfg.Server.APIKeysFile)
	keys, err := c.keys(cfg)
	if err != nil {
		return err
	}
	proxies, err := cfg.Server.proxies()
	if err != nil {
		return err
	}
	var shown *certificate
	certWatch := watchFiles(cfg.Server.TLSCert, cfg.Server.TLSKey)
	if cfg.Server.TLSCert != "" {
		shown = &certificate{cert: cfg.Server.TLSCert, key: cfg.Server.TLSKey}
		if err := shown.load(); err != nil {
			return err
		}
	}
	log := newLog(a, cfg.Server.LogFormat)
	tracer, endTracing, err := tracing(log)
	if err != nil {
		return err
	}
	defer endTracing()
	where, err := places(cfg.Server.Listen, cfg.Server.As)
	if err != nil {
		return err
	}
	open, err := listen(context.Background(), where, len(keys) > 0)
	if err != nil {
		return err
	}
	if shown != nil {
		shown.wrap(open)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	offers, err := c.discover(ctx, a, &cfg, log, open)
	stop()
	if err != nil {
		return err
	}
	models, err := loadAll(cfg, log, signals)
	if err != nil {
		return err
	}
	sessions, closeStore, err := openSessions(cfg.Server.Data, cfg.sessions(models, log))
	if err != nil {
		go models.Close() // not waited for, as below
		return err
	}
	defer closeStore()
	s := server.New(models, server.Options{
		Hosts: cfg.Server.AllowHosts, Origins: cfg.Server.AllowOrigins, Keys: keys, Sessions: sessions, Proxies: proxies,
		Quota:      server.Quota{Requests: cfg.Server.RequestsPerMinute, Tokens: cfg.Server.TokensPerMinute, Concurrent: cfg.Server.Concurrent},
		Characters: cfg.characters(), ListCharacters: cfg.Characters.AsModels, Presets: cfg.presets(),
		PlainPrompts: cfg.Server.PlainPrompts, Strict: cfg.Server.Strict,
		IsolateCache: cfg.Server.IsolateCache, Media: cfg.Chat.options().Media,
		Logger: log, LogContents: cfg.Server.LogContents, Tracer: tracer, Profiles: cfg.Server.Pprof,
	})
	if cfg.path != "" {
		log.Info("configured", "file", cfg.path)
	}
	if cfg.Server.LogContents {
		log.Warn("THE LOG HOLDS WHAT IS SAID: every request and every answer stands in it; without --log-contents none does")
	}
	announce(a, log, open, models, offers, len(keys) > 0)
	watching, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	if path := cfg.Server.APIKeysFile; path != "" {
		go keyWatch.run(watching, func() { c.reloadKeys(s, path, log) })
	}
	if shown != nil {
		go certWatch.run(watching, func() { shown.reload(log) })
	}
	if err := serve(s, open, log, signals); err != nil {
		go models.Close() // not waited for: what is still there ends with the program
		return err
	}
	return closeAll(models, signals)
}

// closeAll closes the models, which takes as long as engines take to end,
// unless another signal comes: then they end with the program.
func closeAll(models *catalog.Catalog, signals <-chan os.Signal) error {
	closed := make(chan error, 1)
	go func() { closed <- models.Close() }()
	select {
	case err := <-closed:
		return err
	case <-signals:
		return &userError{Message: "stopped before every engine had ended"}
	}
}

// settings lays the flags, which have the environment in them, over the
// configuration file.
func (c *serveCmd) settings(a *app) (config, error) {
	cfg, err := a.config()
	if err != nil {
		return cfg, err
	}
	cfg.Discover.switchAll(c.Discover)
	if len(c.Model) > 0 {
		var chosen []modelConfig
		for _, arg := range c.Model {
			m, err := cfg.model(arg)
			if err != nil {
				return cfg, err
			}
			chosen = append(chosen, m)
		}
		cfg.Models = chosen
	}
	cfg.chosen = len(cfg.Models) > 0
	if !slices.ContainsFunc(cfg.Models, func(m modelConfig) bool { return m.name() == catalog.BuiltInName }) {
		cfg.Models = append(cfg.Models, modelConfig{builtIn: true})
	}
	if err := c.overModels(&cfg); err != nil {
		return cfg, err
	}
	s := &cfg.Server
	for _, list := range []struct {
		to   *[]string
		from []string
	}{{&s.Listen, c.Listen}, {&s.As, c.As}, {&s.AllowHosts, c.AllowHost}, {&s.AllowOrigins, c.AllowOrigin}, {&s.TrustedProxies, c.TrustProxy}} {
		if len(list.from) > 0 {
			*list.to = list.from
		}
	}
	if len(s.Listen) == 0 {
		s.Listen = []string{defaultListen}
	}
	if c.Strict != nil {
		s.Strict = *c.Strict
	}
	if c.Default != "" {
		s.Default = c.Default
	}
	if c.APIKeyFile != "" {
		s.APIKeysFile = c.APIKeyFile
	}
	s.TLSCert, s.TLSKey = cmp.Or(c.TLSCert, s.TLSCert), cmp.Or(c.TLSKey, s.TLSKey)
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return cfg, usageError("give both: --tls-cert FILE --tls-key FILE", "TLS needs a certificate and its key")
	}
	if c.ReqFormats {
		cfg.Chat.RequestFormats = true
	}
	if c.LogFormat != "" {
		s.LogFormat = c.LogFormat
	}
	if c.Data != "" {
		s.Data = c.Data
	}
	if !slices.Contains([]string{"", "text", "json"}, s.LogFormat) {
		return cfg, usageError("", "--log-format %s: the kinds are text and json", s.LogFormat)
	}
	s.LogContents = s.LogContents || c.LogContents
	s.PlainPrompts = s.PlainPrompts || c.PlainPrompts
	s.Pprof = s.Pprof || c.Pprof
	return cfg, nil
}

// overModels lays what the flags say of all models over each.
func (c *serveCmd) overModels(cfg *config) error {
	flags := engineFlags{Ctx: c.Ctx, Threads: c.Threads, Draft: c.Draft, KVCache: c.KVCache}
	models := cfg.Models
	if n := len(models) - 1; n > 0 && models[n].builtIn {
		models = models[:n]
	}
	if c.Draft != "" && len(models) > 1 {
		return usageError("say with draft in the configuration which of them it is for", "--draft is for one model, and there are %d", len(models))
	}
	for i := range models {
		m := &models[i]
		if err := flags.over(m, cfg); err != nil {
			return err
		}
		if c.Format != "" {
			m.Format = c.Format
		}
	}
	return nil
}

// newLog is a log for programs, or a shorter one for a person at a terminal.
func newLog(a *app, kind string) *slog.Logger {
	if kind == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, nil))
	}
	var o slog.HandlerOptions
	if isTerminal(a.stderr) && kind == "" {
		o.ReplaceAttr = forPerson
	}
	return slog.New(slog.NewTextHandler(a.stderr, &o))
}

// forPerson leaves out of the log what is the same in most lines, and what
// finds a line again among thousands, so that one fits the terminal's width.
func forPerson(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	switch attr.Key {
	case slog.TimeKey:
		return slog.String(slog.TimeKey, attr.Value.Time().Format(time.TimeOnly))
	case slog.LevelKey:
		if attr.Value.Any() == slog.LevelInfo {
			return slog.Attr{}
		}
	case "id", "bytes", "dialect", "method":
		return slog.Attr{}
	case "client":
		if isLoopback(attr.Value.String()) {
			return slog.Attr{}
		}
	}
	if attr.Value.Kind() == slog.KindDuration {
		return slog.String(attr.Key, attr.Value.Duration().Round(time.Millisecond/10).String())
	}
	return attr
}

// loadAll makes a catalog of the models and loads them, so that what is wrong
// with a file is said now and not to the first client.
func loadAll(cfg config, log *slog.Logger, signals <-chan os.Signal) (*catalog.Catalog, error) {
	var entries []catalog.Entry
	for _, m := range cfg.Models {
		entries = append(entries, m.entry(cfg, log))
	}
	bounds := cfg.bounds()
	bounds.Logger = log
	models, err := catalog.New(entries, bounds)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	loaded := make(chan error, 1)
	go func() { loaded <- models.Load(ctx) }()
	select {
	case err = <-loaded:
	case s := <-signals:
		err = &userError{Message: "stopped by " + s.String() + " while models were loaded"}
	}
	if err != nil {
		// Not waited for: a load that is under way ends with the program.
		go models.Close()
		return nil, err
	}
	return models, nil
}

// announce says where the server is: to a person with a command to try, to a
// program in the log.
func announce(a *app, log *slog.Logger, open []listener, models *catalog.Catalog, offers []offer, keyed bool) {
	listed, _ := models.List(context.Background())
	var names []string
	for _, m := range listed {
		names = append(names, m.ID)
	}
	if !isTerminal(a.stderr) {
		for _, l := range open {
			log.Info("listening", "url", l.url(), "as", l.face.Name, "models", strings.Join(names, ", "))
		}
		return
	}
	s := a.err
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %s %s\n\n", s.bold("Parley"), s.dim(release))
	if len(offers) > 0 {
		showOffers(&b, s, offers)
		listed = listed[:0]
	}
	for _, m := range listed {
		fmt.Fprintf(&b, "  %-8s  %s  %s\n", "model", s.cyan(printable(m.ID)),
			s.dim(printable(about(m))))
	}
	for _, l := range open {
		label := "OpenAI"
		if l.face.Name != server.Own.Name {
			label = "as " + l.face.Name
		}
		at := l.url()
		if !l.isUnix() {
			at += "/v1"
		}
		fmt.Fprintf(&b, "  %-8s  %s\n", label, s.cyan(at))
	}
	key := ""
	if keyed {
		key = ` -H "Authorization: Bearer $KEY"`
	}
	model := ""
	if len(offers) > 1 {
		name, _ := encodeJSON(printable(offers[0].Name))
		model = `"model":` + string(name) + `,`
	}
	at := open[0].url()
	if open[0].isUnix() {
		at = "--unix-socket " + open[0].Addr().String() + " http://localhost"
	}
	fmt.Fprintf(&b, "\n  %-8s  curl %s/v1/chat/completions%s -d '{%s\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}'\n", "try", at, key, model)
	if !open[0].isUnix() {
		fmt.Fprintf(&b, "  %-8s  parley chat --server %s\n", "or", open[0].url())
	}
	b.WriteString("\n")
	io.WriteString(a.stderr, b.String())
}

// about says in a line what a model is, or what becomes of it.
func about(m server.Listed) string {
	switch i := m.Info; {
	case m.Status.State != server.Ready && m.Status.Err != nil:
		return "not loaded: " + sentence(m.Status.Err)
	case m.Status.State == server.Unloaded:
		return "loaded when it is asked for"
	case m.Status.State != server.Ready:
		return string(m.Status.State)
	case i.Parameters == 0:
		return strings.TrimSpace(m.Engine.Kind + " " + m.Engine.Version + " at " + m.Engine.URL)
	default:
		return fmt.Sprintf("%s parameters, %s, context %s", short(i.Parameters), i.Quantisation, count(int64(i.Context)))
	}
}

// errHurried is why requests end that did not end in time after the second
// signal.
var errHurried = &userError{Message: "stopped before every request had ended"}

// serve answers until a signal comes, lets what is running end, and gives up
// on it at a second signal.
func serve(s *server.Server, open []listener, log *slog.Logger, signals <-chan os.Signal) error {
	failed := make(chan error, len(open))
	for _, l := range open {
		go func() { failed <- s.Serve(l.Listener, l.face) }()
	}
	ctx, hurry := context.WithCancel(context.Background())
	defer hurry()
	var failure error
	select {
	case err := <-failed:
		failure = errors.Join(err, errors.New("a listener ended"))
	case sig := <-signals:
		log.Info("stopping: running requests may end, another signal stops them", "signal", sig.String())
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Shutdown(ctx) }()
	select {
	case err := <-drained:
		return errors.Join(failure, err)
	case <-signals:
	}
	hurry()
	const patience = time.Second // for clients to be told
	select {
	case err := <-drained:
		return errors.Join(failure, err)
	case <-time.After(patience):
		return errHurried
	}
}
