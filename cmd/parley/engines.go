package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"parley/chatformat"
	"parley/internal/catalog"
	"parley/internal/upstream"
)

// A remoteConfig is what a model's table says of an engine over HTTP that
// runs it.
type remoteConfig struct {
	URL       string            `toml:"url"`
	Kind      string            `toml:"kind"`
	Model     string            `toml:"model"`
	Key       string            `toml:"key"`
	KeyEnv    string            `toml:"key_env"`
	KeyFile   string            `toml:"key_file"`
	Headers   map[string]string `toml:"headers"`
	Way       string            `toml:"way"`
	Tokenizer string            `toml:"tokenizer"`
	Abilities map[string]bool   `toml:"abilities"`
}

// isEngine reports whether a model of the command line is an engine's address.
func isEngine(arg string) bool {
	return strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://")
}

// engineModel is the model that [NAME=]http://HOST:PORT[#MODEL] means.
func engineModel(name, address string) modelConfig {
	address, model, _ := strings.Cut(address, "#")
	m := modelConfig{Name: name}
	m.URL, m.Model = address, model
	return m
}

// here refuses what needs the model's file.
func (m *modelConfig) here() error {
	if m.URL == "" && (len(m.Command) == 0 || m.Path != "") {
		return nil
	}
	if m.URL == "" {
		return &userError{
			Message: fmt.Sprintf("the model %s runs on an engine of its own, and this needs its file", m.name()),
			Hint:    "name the GGUF file",
		}
	}
	return &userError{
		Message: fmt.Sprintf("the model %s runs on an engine at %s, and this needs its file", m.name(), m.host()),
		Hint:    "name the GGUF file",
	}
}

// host is where the engine is, without anything secret.
func (r *remoteConfig) host() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "engine"
	}
	return u.Host
}

// check refuses values that cannot be meant.
func (r *remoteConfig) check(started bool, c *config) (key string, err error) {
	if r.URL == "" && !started {
		for key, value := range map[string]string{
			"kind": r.Kind, "model": r.Model, "key": r.Key, "key_env": r.KeyEnv, "key_file": r.KeyFile, "way": r.Way, "tokenizer": r.Tokenizer,
		} {
			if value != "" {
				return key, fmt.Errorf("means something only with url or command")
			}
		}
		if len(r.Abilities) > 0 {
			return "abilities", fmt.Errorf("means something only with url or command")
		}
		return "", nil
	}
	if r.URL != "" && !isEngine(r.URL) {
		return "url", fmt.Errorf("%q is not the address of an engine, as http://127.0.0.1:8080", r.URL)
	}
	if r.Kind != "" && upstream.KindNamed(r.Kind) == nil {
		return "kind", fmt.Errorf("%q is not one of %s", r.Kind, strings.Join(upstream.KindNames(), ", "))
	}
	if ways := []string{"", string(upstream.AsModel), string(upstream.AsChat)}; !slices.Contains(ways, r.Way) {
		return "way", fmt.Errorf("%q is not one of model, chat", r.Way)
	}
	if _, err := chatformat.AllAbilities().With(r.Abilities); err != nil {
		return "abilities", err
	}
	given := 0
	for _, s := range []string{r.Key, r.KeyEnv, r.KeyFile} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		return "key", fmt.Errorf("is given more than once: choose one of key, key_env, key_file")
	}
	if r.KeyFile != "" {
		r.KeyFile = c.beside(r.KeyFile)
	}
	if r.Tokenizer != "" {
		r.Tokenizer = c.beside(r.Tokenizer)
	}
	return "", nil
}

// key reads the key of the engine.
func (r *remoteConfig) key() (string, error) {
	switch {
	case r.KeyEnv != "":
		key := os.Getenv(r.KeyEnv)
		if key == "" {
			return "", &userError{Message: fmt.Sprintf("the environment has no %s, in which key_env looks for the key of the engine at %s", r.KeyEnv, r.host())}
		}
		return key, nil
	case r.KeyFile != "":
		data, err := os.ReadFile(r.KeyFile)
		if err != nil {
			return "", fileError("file with an engine's key", r.KeyFile, err)
		}
		return strings.TrimSpace(string(data)), nil
	}
	return r.Key, nil
}

// remote is a model on an engine over HTTP.
func (m *modelConfig) remote(cfg config, log *slog.Logger) (catalog.Remote, error) {
	key, err := m.key()
	if err != nil {
		return catalog.Remote{}, err
	}
	format, err := findFormat(m.Format)
	if err != nil {
		return catalog.Remote{}, err
	}
	headers := http.Header{}
	for name, value := range m.Headers {
		headers.Set(name, value)
	}
	return catalog.Remote{
		Engine: upstream.Options{
			URL: m.URL, Kind: m.Kind, Key: key, Headers: headers, Way: upstream.Way(m.Way), Tokenizer: m.vocabularyOf(), Abilities: m.Abilities, Logger: log,
		},
		Model: m.Model, Chat: m.chat(cfg.Chat), Format: format,
		Context: cmp.Or(m.Context, cfg.Engine.Context), Sampling: m.Sampling.params(),
	}, nil
}

// connect opens a model on an engine over HTTP.
func (m *modelConfig) connect(ctx context.Context, cfg config, log *slog.Logger) (*catalog.Loaded, error) {
	r, err := m.remote(cfg, log)
	if err != nil {
		return nil, err
	}
	return m.told(log, func() (*catalog.Loaded, error) { return r.Open(ctx) })
}

// told opens a model on an engine and writes into the log what it is.
func (m *modelConfig) told(log *slog.Logger, open func() (*catalog.Loaded, error)) (*catalog.Loaded, error) {
	loaded, err := open()
	if err == nil && log != nil {
		e := loaded.Engine
		log.Info("engine", "model", m.name(), "kind", e.Kind, "version", e.Version, "url", e.URL, "way", e.Way, "format", loaded.Format)
	}
	return loaded, err
}
