package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"parley/chat"
	"parley/chatformat"
	"parley/engine"
	"parley/internal/catalog"
	"parley/internal/gguf"
	"parley/internal/limits"
	"parley/llm"
)

// engineFlags choose one model and how it runs.
type engineFlags struct {
	Model   string `short:"m" placeholder:"PATH" env:"PARLEY_MODEL" help:"GGUF file, or the name of a model in the configuration. Default: the configuration's first, else the built-in one."`
	Ctx     int    `placeholder:"N" env:"PARLEY_CTX" help:"Tokens of context, prompt and reply together."`
	Draft   string `placeholder:"PATH" env:"PARLEY_DRAFT" help:"GGUF file of a small model with the same vocabulary, which proposes what may come next: the same answers, faster where it is often right."`
	Threads int    `placeholder:"N" env:"PARLEY_THREADS" help:"Threads that compute. Default: one for each core."`
	KVCache string `name:"kv-cache" placeholder:"KIND" env:"PARLEY_KV_CACHE" help:"How keys and values are stored: f16, or q8_0 in half the memory."`
}

// modelFlags choose a model for conversations.
type modelFlags struct {
	engineFlags
	Format string `placeholder:"NAME" env:"PARLEY_FORMAT" help:"Chat format, or a TOML or Jinja file with one, where the model's own format is not the right one."`
}

// talkFlags are those of commands that answer: a model here, or a server.
type talkFlags struct {
	modelFlags
	Server      string   `placeholder:"URL" env:"PARLEY_SERVER" help:"Talk to this server instead of a model in this process."`
	APIKey      string   `name:"api-key" placeholder:"KEY" env:"PARLEY_API_KEY" help:"The server's key."`
	Temperature *float64 `placeholder:"T" help:"Sampling temperature; 0 takes the likeliest token."`
	Seed        *int64   `placeholder:"N" help:"Seed of the random numbers: the same seed gives the same answer."`
	MaxTokens   *int     `placeholder:"N" help:"Length of a reply at most."`
}

func (f *talkFlags) params() llm.Params {
	return llm.Params{Temperature: f.Temperature, Seed: f.Seed, MaxTokens: f.MaxTokens}
}

// A partner is whom a conversation is held with.
type partner struct {
	responder chat.Responder
	name      string
	about     string // one line
	close     func() error
}

// partner finds out who answers, and gets it ready.
func (f *talkFlags) partner(ctx context.Context, a *app) (*partner, error) {
	if err := f.params().Check(); err != nil {
		e := llm.AsError(err)
		return nil, usageError("", "--%s: %s", strings.ReplaceAll(e.Field, "_", "-"), e.Message)
	}
	if f.Server != "" {
		r, err := newRemote(f.Server, f.APIKey, f.Model)
		if err != nil {
			return nil, err
		}
		if err := r.choose(ctx); err != nil {
			return nil, err
		}
		return &partner{r, printable(r.model), "at " + r.base, func() error { return nil }}, nil
	}
	loaded, name, err := f.load(a)
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("%s parameters, %s, %s tokens, format %s", short(loaded.Info.Parameters), loaded.Info.Quantisation, count(int64(loaded.Info.Context)), loaded.Format)
	return &partner{loaded.Responder, printable(name), printable(about), loaded.Close}, nil
}

// load loads the chosen model.
func (f *modelFlags) load(a *app) (*catalog.Loaded, string, error) {
	m, cfg, err := f.choose(a)
	if err != nil {
		return nil, "", err
	}
	if f.Format != "" {
		m.Format = f.Format
	}
	loaded, err := m.open(context.Background(), cfg, nil)
	return loaded, m.name(), err
}

// choose is the model that the flags mean, with the flags' settings in it.
func (f *engineFlags) choose(a *app) (modelConfig, config, error) {
	cfg, err := a.config()
	if err != nil {
		return modelConfig{}, cfg, err
	}
	var m modelConfig
	switch {
	case f.Model != "":
		if m, err = cfg.model(f.Model); err != nil {
			return m, cfg, err
		}
	case len(cfg.Models) > 0:
		m = cfg.Models[0]
	}
	return m, cfg, f.over(&m, &cfg)
}

// over lays what the flags say over what the configuration says.
func (f *engineFlags) over(m *modelConfig, cfg *config) error {
	if f.Ctx != 0 {
		if err := limits.Context.CheckInt(f.Ctx); err != nil {
			return usageError("", "--ctx: %v", err)
		}
		m.Context = f.Ctx
	}
	if f.Draft != "" {
		if m.URL != "" || len(m.Command) > 0 {
			return usageError("the engine that runs it may have a setting of its own", "--draft: %s is run by another engine", m.name())
		}
		m.Draft = f.Draft
	}
	if f.Threads < 0 {
		return usageError("", "--threads: %d is less than none", f.Threads)
	}
	if f.Threads != 0 {
		cfg.Engine.Threads = f.Threads
	}
	if f.KVCache != "" {
		if !slices.Contains(engine.KVCaches(), f.KVCache) {
			return usageError("", "--kv-cache: %q is not one of %s", f.KVCache, strings.Join(engine.KVCaches(), ", "))
		}
		cfg.Engine.KVCache = f.KVCache
	}
	return nil
}

// model finds what --model means: NAME=PATH, a file, or a model of the
// configuration.
func (c *config) model(arg string) (modelConfig, error) {
	for _, m := range c.Models {
		if m.name() == arg {
			return m, nil
		}
		for _, alias := range m.Aliases {
			if alias == arg {
				return m, nil
			}
		}
	}
	if arg == catalog.BuiltInName && !isFile(arg) {
		return modelConfig{Name: catalog.BuiltInName}, nil
	}
	name, path, named := strings.Cut(arg, "=")
	if !named || isFile(arg) {
		name, path = "", arg
	}
	if isEngine(path) {
		return engineModel(name, path), nil
	}
	if isFile(path) {
		return modelConfig{Name: name, Path: path}, nil
	}
	var there []string
	if !named {
		m, ok, names := c.modelFound(arg)
		if ok {
			return m, nil
		}
		there = names
	}
	e := &userError{Message: fmt.Sprintf("there is no model file at %s", path)}
	if len(there) > 0 {
		e.Message += ", and none of that name was found"
		e.Hint = "found: " + catalog.Few(there)
	}
	var known []string
	for _, m := range c.Models {
		known = append(known, m.name())
	}
	if len(known) > 0 && !named {
		e.Message = fmt.Sprintf("%s is neither a file nor a model of %s", arg, c.path)
		e.Hint = "models there: " + strings.Join(known, ", ")
		if len(there) > 0 {
			e.Hint += "; found elsewhere: " + catalog.Few(there)
		}
	}
	return modelConfig{}, e
}

func (m *modelConfig) name() string {
	switch {
	case m.Name != "":
		return m.Name
	case m.Path != "":
		return gguf.NameOf(m.Path)
	case m.Model != "":
		return m.Model
	case len(m.Command) > 0:
		return filepath.Base(m.Command[0])
	case m.URL != "":
		return m.host()
	default:
		return catalog.BuiltInName
	}
}

// open loads the model, with its chat format.
func (m *modelConfig) open(ctx context.Context, cfg config, log *slog.Logger) (*catalog.Loaded, error) {
	return m.loader(cfg, log)(ctx)
}

// embed loads the model into this process.
func (m *modelConfig) embed(cfg config, log *slog.Logger) (*catalog.Loaded, error) {
	format, err := findFormat(m.Format)
	if err != nil {
		return nil, err
	}
	from := m.Format
	if format == nil {
		from, format = "the model", modelsOwn(m.Path)
	}
	loaded, err := catalog.File{Path: m.Path, Engine: m.engine(cfg, log), Chat: m.chat(cfg.Chat), Format: format}.Open()
	if err != nil && (m.Path != "" || m.Draft != "") {
		return nil, modelFileError(m.Path, err)
	}
	if err == nil && log != nil {
		if loaded.Format == chatformat.None().Name() {
			log.Warn("no chat format is known: prompts are continued, conversations refused; --format chooses one", "model", m.name())
		} else {
			log.Info("chat format", "model", m.name(), "format", loaded.Format, "from", from)
		}
	}
	return loaded, err
}

// engine is how the model runs.
func (m *modelConfig) engine(cfg config, log *slog.Logger) engine.Options {
	context := m.Context
	if context == 0 {
		context = cfg.Engine.Context
	}
	return engine.Options{
		Name:       m.name(),
		Context:    context,
		Threads:    cfg.Engine.Threads,
		Sequences:  cfg.Engine.Sequences,
		CacheBytes: int64(cfg.Engine.Cache),
		Draft:      m.Draft,
		KVCache:    cfg.Engine.KVCache,
		Sampling:   m.Sampling.params(),
		Logger:     log,
	}
}
