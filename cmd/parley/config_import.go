package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"parley/internal/limits"
	"parley/internal/llamaswap"
	"parley/internal/process"
)

type configCmd struct {
	FromLlamaSwap fromLlamaSwapCmd `cmd:"" name:"from-llama-swap" help:"Turn a configuration of llama-swap into one of Parley."`
}

func (*configCmd) Help() string {
	return `Example:

    parley config from-llama-swap config.yaml > parley.toml`
}

type fromLlamaSwapCmd struct {
	File string `arg:"" help:"llama-swap's configuration in YAML."`
}

func (*fromLlamaSwapCmd) Help() string {
	return `Writes the configuration on standard output. What has no counterpart is in it as
a comment that says so. Macros are filled in, those of the environment with what
it has now. Keys are not repeated.

Example:

    parley config from-llama-swap config.yaml > parley.toml`
}

func (c *fromLlamaSwapCmd) Run(a *app) error {
	f, err := os.Open(c.File)
	if err != nil {
		return fileError("configuration", c.File, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limits.ConfigBytes.Int64()+1))
	if err != nil {
		return fileError("configuration", c.File, err)
	}
	if err := limits.ConfigBytes.CheckInt(len(data)); err != nil {
		return &userError{Message: fmt.Sprintf("%s: the configuration is too large", c.File), Hint: "is it the right file?", Err: err}
	}
	swap, err := llamaswap.Parse(data, os.LookupEnv)
	if err != nil {
		return &userError{Message: fmt.Sprintf("%s: %v", c.File, err), Err: err}
	}
	text := fromLlamaSwap(swap)
	check := config{path: "parley.toml"}
	if err := check.decode(text); err != nil {
		return &userError{Message: fmt.Sprintf("%s means something that Parley does not take: %s", c.File, sentence(err)), Err: err}
	}
	_, err = a.stdout.Write(text)
	return err
}

// A tomlWriter writes settings with comments, which no encoder of values does.
type tomlWriter struct{ bytes.Buffer }

func (w *tomlWriter) comment(format string, args ...any) {
	for line := range strings.SplitSeq(strings.TrimRight(fmt.Sprintf(format, args...), "\n"), "\n") {
		fmt.Fprintf(w, "# %s\n", printable(strings.ReplaceAll(line, "\r", "")))
	}
}

func (w *tomlWriter) set(key string, value any) { fmt.Fprintf(w, "%s = %s\n", key, inTOML(value)) }

// inTOML writes a value. A text in JSON is one in TOML, but for DEL.
func inTOML(value any) string {
	switch v := value.(type) {
	case []string:
		all := make([]string, len(v))
		for i, s := range v {
			all[i] = inTOML(s)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case string:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.Encode(v)
		return strings.ReplaceAll(strings.TrimSpace(b.String()), "\x7f", `\u007f`)
	}
	return fmt.Sprint(value)
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func tomlKey(name string) string {
	if bareKey.MatchString(name) {
		return name
	}
	return inTOML(name)
}

func fromLlamaSwap(c *llamaswap.Config) []byte {
	var w tomlWriter
	w.comment("From a configuration of llama-swap. parley.example.toml explains the settings.")
	for _, note := range c.Notes {
		w.comment("llama-swap's %s", note)
	}
	if c.Keys > 0 {
		w.comment("llama-swap's apiKeys: write them into a file, one a line, and name it here:")
		w.comment("[server]")
		w.comment("api_keys_file = \"keys.txt\"")
	}
	for _, g := range c.Groups {
		fmt.Fprintf(&w, "\n[groups.%s]\n", tomlKey(g.Name))
		if g.Swap {
			w.set("together", 1)
		}
		if g.Exclusive {
			w.set("exclusive", true)
		}
		if g.Keep {
			w.set("keep", true)
		}
	}
	for i := range c.Models {
		w.model(&c.Models[i], c)
	}
	for _, p := range c.Peers {
		for _, model := range p.Models {
			w.WriteString("\n[[models]]\n")
			w.set("name", p.Name+"/"+model)
			w.set("url", p.URL)
			w.set("model", model)
			if p.Key {
				w.comment("its key: set this variable")
				w.set("key_env", "PARLEY_KEY_"+strings.ToUpper(regexp.MustCompile(`[^A-Za-z0-9]`).ReplaceAllString(p.Name, "_")))
			}
		}
	}
	return w.Bytes()
}

func (w *tomlWriter) model(m *llamaswap.Model, c *llamaswap.Config) {
	w.WriteString("\n")
	for _, note := range m.Notes {
		w.comment("%s", note)
	}
	w.WriteString("[[models]]\n")
	w.set("name", m.ID)
	if len(m.Aliases) > 0 {
		w.set("aliases", m.Aliases)
	}
	w.set("command", m.Command)
	if m.URL == "" && !slices.ContainsFunc(append(m.Env, m.Command...), process.HasPort) {
		w.comment("The command does not tell the engine its port: write {port} where it goes, and leave url out.")
		w.set("url", "http://127.0.0.1:{port}")
	}
	if m.URL != "" && !regexp.MustCompile(`^http://(localhost|127\.0\.0\.1):\{port\}/?$`).MatchString(m.URL) {
		w.set("url", m.URL)
	}
	switch m.Health {
	case "", "/health":
		w.set("health", "/health")
	case "none":
		w.comment("llama-swap does not look whether it is ready; here its port must take connections.")
		w.set("health", "tcp")
	default:
		w.set("health", m.Health)
	}
	if n := cmp.Or(m.StartSeconds, c.StartSeconds); n > 0 {
		w.set("start_seconds", n)
	}
	if m.StopSeconds > 0 {
		w.set("stop_seconds", m.StopSeconds)
	}
	if len(m.Stop) > 0 {
		w.set("stop_command", m.Stop)
	}
	w.environment(m.Env)
	if m.Model != "" {
		w.set("model", m.Model)
	}
	if m.Context > 0 {
		w.set("context", m.Context)
	}
	if m.Idle > 0 {
		w.set("idle", fmt.Sprintf("%ds", m.Idle))
	}
	for _, g := range c.Groups {
		if slices.Contains(g.Members, m.ID) {
			w.set("group", g.Name)
		}
	}
	if m.Priority != 0 {
		w.set("priority", m.Priority)
	}
	if m.Parallel > 0 {
		w.set("parallel", m.Parallel)
	}
	if m.Preload {
		w.set("preload", true)
	}
	if m.Unlisted {
		w.set("unlisted", true)
	}
	w.sampling(m.Set)
}

func (w *tomlWriter) environment(env []string) {
	if len(env) == 0 {
		return
	}
	var names, all []string
	for _, e := range slices.Backward(env) { // of two the last one counts
		name, value, _ := strings.Cut(e, "=")
		if !slices.Contains(names, name) {
			names = append(names, name)
			all = append(all, tomlKey(name)+" = "+inTOML(value))
		}
	}
	slices.Reverse(all)
	fmt.Fprintf(w, "env = { %s }\n", strings.Join(all, ", "))
}

// sampling writes the parameters that llama-swap sets in requests.
func (w *tomlWriter) sampling(set []llamaswap.Param) {
	known := map[string]string{
		"max_tokens": "max_tokens", "temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
		"repetition_penalty": "repetition_penalty", "repeat_penalty": "repetition_penalty",
		"presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty",
	}
	var sampling []string
	for _, p := range set {
		if key, is := known[p.Name]; is {
			switch p.Value.(type) {
			case int, int64, uint64, float64:
				sampling = append(sampling, key+" = "+inTOML(p.Value))
				continue
			}
		}
		w.comment("filters.setParams.%s has no counterpart", p.Name)
	}
	if len(sampling) > 0 {
		w.comment("llama-swap lets these go before what a client chooses; here a client's choice goes before them.")
		fmt.Fprintf(w, "[models.sampling]\n%s\n", strings.Join(sampling, "\n"))
	}
}
