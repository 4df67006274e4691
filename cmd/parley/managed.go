package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/engine"
	"parley/internal/catalog"
	"parley/internal/gguf"
	"parley/internal/limits"
	"parley/internal/process"
	"parley/internal/vocab"
)

// A managedConfig is what a model's table says of an engine that is started
// for it.
type managedConfig struct {
	Command      []string          `toml:"command"`
	Port         int               `toml:"port"`
	Health       string            `toml:"health"`
	StartSeconds int               `toml:"start_seconds"`
	StopSeconds  int               `toml:"stop_seconds"`
	StopCommand  []string          `toml:"stop_command"`
	Env          map[string]string `toml:"env"`
	Dir          string            `toml:"dir"`
}

// A placeConfig is what a model's table says of when and where it is loaded.
type placeConfig struct {
	Preload  *bool    `toml:"preload"`
	Idle     duration `toml:"idle"`
	Memory   byteSize `toml:"memory"`
	GPU      string   `toml:"gpu"`
	Group    string   `toml:"group"`
	Priority int      `toml:"priority"`
	Parallel int      `toml:"parallel"`
	Unlisted bool     `toml:"unlisted"`
}

type groupConfig struct {
	Together  int  `toml:"together"`
	Exclusive bool `toml:"exclusive"`
	Keep      bool `toml:"keep"`
}

// pathMark stands for the model's file in a command.
const pathMark = "{path}"

// check refuses values that cannot be meant.
func (m *managedConfig) check(all *modelConfig, c *config) (key string, err error) {
	if len(m.Command) == 0 {
		for key, given := range map[string]bool{
			"port": m.Port != 0, "health": m.Health != "", "start_seconds": m.StartSeconds != 0, "stop_seconds": m.StopSeconds != 0,
			"stop_command": len(m.StopCommand) > 0, "env": len(m.Env) > 0, "dir": m.Dir != "",
		} {
			if given {
				return key, errors.New("means something only with command")
			}
		}
		return "", nil
	}
	if err := limits.CommandParts.CheckInt(len(m.Command)); err != nil || m.Command[0] == "" {
		return "command", cmp.Or(err, errors.New("begins with the program's name"))
	}
	if m.Port < 0 || m.Port > 65535 {
		return "port", fmt.Errorf("%d is not a port", m.Port)
	}
	if m.Port == 0 && all.URL == "" && !m.mentions(process.HasPort) {
		return "command", errors.New("does not tell the engine where to listen: write {port} where its port goes, or say with port or url where it listens anyway")
	}
	if m.mentions(func(s string) bool { return strings.Contains(s, pathMark) }) && all.Path == "" {
		return "command", errors.New("has a {path}, and there is no path")
	}
	if m.StartSeconds < 0 || m.StartSeconds > limits.RequestTimeout.Int() {
		return "start_seconds", fmt.Errorf("%d is no time that one could wait", m.StartSeconds)
	}
	if m.StopSeconds < 0 || m.StopSeconds > limits.RequestTimeout.Int() {
		return "stop_seconds", fmt.Errorf("%d is no time that one could wait", m.StopSeconds)
	}
	if m.Dir != "" {
		m.Dir = c.beside(m.Dir)
	}
	if isPath(m.Command[0]) {
		m.Command[0] = c.beside(m.Command[0])
	}
	return "", nil
}

// isPath reports whether a program is named by its path; others are looked for
// where programs are.
func isPath(program string) bool { return filepath.Base(program) != program }

func (m *managedConfig) mentions(what func(string) bool) bool {
	return slices.ContainsFunc(m.Command, what) || slices.ContainsFunc(slices.Collect(maps.Values(m.Env)), what)
}

func (p *placeConfig) check(c *config) (key string, err error) {
	if _, known := c.Groups[p.Group]; p.Group != "" && !known {
		return "group", fmt.Errorf("there is no [groups.%s]", p.Group)
	}
	if p.Memory < 0 {
		return "memory", fmt.Errorf("%d is less than none", p.Memory)
	}
	if p.Parallel < 0 {
		return "parallel", fmt.Errorf("%d is less than none", p.Parallel)
	}
	for _, gpu := range p.gpus() {
		if gpu == "" {
			return "gpu", fmt.Errorf("%q is not a list of GPUs, as 0 or 0,1", p.GPU)
		}
	}
	return "", nil
}

func (p *placeConfig) gpus() (all []string) {
	if p.GPU == "" {
		return nil
	}
	for gpu := range strings.SplitSeq(p.GPU, ",") {
		all = append(all, strings.TrimSpace(gpu))
	}
	return all
}

// program is the engine that the model's table describes.
func (m *modelConfig) program(cfg config, log *slog.Logger) process.Options {
	o := process.Options{
		Name: m.name(), Dir: m.Dir, URL: m.URL, Port: m.Port, Health: m.Health, Logger: log,
		Start: time.Duration(m.StartSeconds) * time.Second, Grace: time.Duration(m.StopSeconds) * time.Second,
		LogFile: cfg.engineLog(m.name()),
	}
	for _, part := range m.Command {
		o.Command = append(o.Command, strings.ReplaceAll(part, pathMark, m.Path))
	}
	o.Stop = m.StopCommand
	o.Env = m.gpuEnvironment()
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		o.Env = append(o.Env, name+"="+m.Env[name])
	}
	return o
}

// gpuEnvironment shows the engine the GPUs that are its own, and no others.
func (m *modelConfig) gpuEnvironment() []string {
	if m.GPU == "" {
		return nil
	}
	list := strings.Join(m.gpus(), ",")
	return []string{"CUDA_VISIBLE_DEVICES=" + list, "HIP_VISIBLE_DEVICES=" + list}
}

// engineLog is the file for what an engine prints, or "" for none.
func (c *config) engineLog(model string) string {
	if c.Engine.Logs == "" {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, model)
	return filepath.Join(c.Engine.Logs, name+".log")
}

// manage makes a loader of a model whose engine is started for it.
func (m *modelConfig) manage(cfg config, log *slog.Logger) func(context.Context) (*catalog.Loaded, error) {
	managed := catalog.NewManaged(m.program(cfg, log))
	return func(ctx context.Context) (*catalog.Loaded, error) {
		remote, err := m.remote(cfg, log)
		if err != nil {
			return nil, err
		}
		return m.told(log, func() (*catalog.Loaded, error) { return managed.Open(ctx, remote) })
	}
}

// loader makes the function that loads the model, as often as it is called.
func (m *modelConfig) loader(cfg config, log *slog.Logger) func(context.Context) (*catalog.Loaded, error) {
	switch {
	case len(m.Command) > 0:
		return m.manage(cfg, log)
	case m.URL != "":
		return func(ctx context.Context) (*catalog.Loaded, error) { return m.connect(ctx, cfg, log) }
	}
	var instead func(context.Context) (*catalog.Loaded, error) // once it is known that it takes another engine
	return func(ctx context.Context) (*catalog.Loaded, error) {
		if instead != nil {
			return instead(ctx)
		}
		program, missing := cfg.llamaServer()
		loaded, err := m.embed(cfg, log)
		if _, draft := errors.AsType[*engine.DraftError](err); err == nil || draft || !readable(m.Path) {
			return loaded, err
		}
		if missing != nil {
			return nil, cannotRun(err, missing)
		}
		if log != nil {
			log.Info("llama-server runs it, and not the engine inside", "model", m.name(), "program", program, "cause", sentence(err))
		}
		other := m.onLlamaServer(program, cfg)
		instead = other.manage(cfg, log)
		return instead(ctx)
	}
}

// readable reports whether a file is a whole GGUF file, or a part of a model
// that is split: then another engine may be able to run what ours cannot.
func readable(path string) bool {
	if path == "" {
		return false
	}
	f, err := gguf.OpenPart(path)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// llamaServer finds the program that runs what the engine inside cannot.
func (c *config) llamaServer() (string, error) {
	name := cmp.Or(os.Getenv("PARLEY_LLAMA_SERVER"), c.Engine.LlamaServer, "llama-server")
	if name == "none" {
		return "", errors.New("engine.llama_server is none")
	}
	return exec.LookPath(name)
}

func cannotRun(err, missing error) error {
	e := &userError{Message: sentence(err), Err: err}
	e.Hint = "llama.cpp may run it: install it, so that llama-server is found, or say with engine.llama_server where it is"
	if !errors.Is(missing, exec.ErrNotFound) {
		e.Hint = fmt.Sprintf("llama-server may run it, but cannot be used: %v", missing)
	}
	return e
}

// What llama-server gets where nobody says.
const (
	usualContext  = 8192 // of one conversation; a model that was trained for less takes less
	usualParallel = 4    // conversations at a time
)

// onLlamaServer is the model with llama-server as its engine.
func (m *modelConfig) onLlamaServer(program string, cfg config) *modelConfig {
	other := *m
	other.Name, other.Health = m.name(), "/health"
	context := cmp.Or(m.Context, cfg.Engine.Context, usualContext)
	parallel := cmp.Or(cfg.Engine.Sequences, usualParallel)
	other.Context = context
	other.Command = []string{
		program, "--model", m.Path, "--host", "127.0.0.1", "--port", "{port}",
		"--ctx-size", strconv.Itoa(context * parallel), "--parallel", strconv.Itoa(parallel),
	}
	// Its port is open to every program and, in part, every web page of this
	// machine: only we know its key. The environment is not shown to others.
	other.Key = rand.Text()
	other.Env = map[string]string{"LLAMA_API_KEY": other.Key}
	if m.Draft != "" {
		other.Command = append(other.Command, "--model-draft", m.Draft)
	}
	if n := cfg.Engine.Threads; n > 0 {
		other.Command = append(other.Command, "--threads", strconv.Itoa(n))
	}
	return &other
}

// entry is the model as the catalog has it.
func (m *modelConfig) entry(cfg config, log *slog.Logger) catalog.Entry {
	e := catalog.Entry{
		Name: m.name(), Aliases: m.Aliases, BuiltIn: m.builtIn, Unlisted: m.Unlisted,
		Memory: int64(m.Memory), GPUs: m.gpus(), Group: m.Group, Priority: m.Priority, Parallel: m.Parallel,
		Idle: m.Idle.Duration, Load: m.loader(cfg, log),
	}
	switch managed := len(m.Command) > 0; {
	case m.Preload != nil && !*m.Preload:
		e.OnDemand = true
	case managed && m.Preload != nil:
		e.Background = true
	case managed:
		e.OnDemand = true
	case m.URL != "":
		e.Elsewhere = true
	}
	if e.OnDemand || e.Background {
		e.Parallel = cmp.Or(m.Parallel, usualRequests)
	}
	// A model that is here from the start is outside an estimate, as the memory
	// is counted that is left beside it.
	if m.Path != "" && m.Memory == 0 && (e.OnDemand || cfg.Engine.Memory > 0) {
		if len(m.Command) == 0 {
			if n, err := engine.Need(m.Path, m.engine(cfg, nil)); err == nil {
				e.Memory, e.AtLeast = n, true
				return e
			}
		}
		for _, path := range []string{m.Path, m.Draft} {
			if info, err := os.Stat(path); err == nil {
				e.Memory, e.AtLeast = e.Memory+info.Size(), true
			}
		}
		if e.AtLeast && len(m.Command) == 0 {
			e.Memory += int64(cfg.Engine.Cache)
		}
	}
	return e
}

// usualRequests is how many requests a model that may have to make room gets at
// a time, where nobody says: more wait outside of it, where others that ask for
// another model get their turn.
const usualRequests = 16

// bounds are what models may be loaded at a time.
func (c *config) bounds() catalog.Options {
	o := catalog.Options{Strict: c.Server.Strict, Default: c.Server.Default, Memory: int64(c.Engine.Memory), GPUs: map[string]int64{}, Groups: map[string]catalog.Group{}}
	if o.Memory == 0 {
		o.Memory, o.Estimate = freeMemory(), true
	}
	for gpu, bytes := range c.Engine.GPUMemory {
		o.GPUs[gpu] = int64(bytes)
	}
	for name, g := range c.Groups {
		o.Groups[name] = catalog.Group(g)
	}
	return o
}

// vocabularyOf is the file from which the vocabulary of an engine's model is
// read: the one named, or the model's own where it can be read.
func (m *modelConfig) vocabularyOf() string {
	if m.Tokenizer != "" || m.Path == "" {
		return m.Tokenizer
	}
	if _, err := vocab.Open(m.Path); err != nil {
		return ""
	}
	return m.Path
}
