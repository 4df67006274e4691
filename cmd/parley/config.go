package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"parley/chat"
	"parley/chatformat"
	"parley/engine"
	"parley/internal/character"
	"parley/internal/limits"
	"parley/internal/server"
	"parley/internal/session"
	"parley/llm"
)

// config is the configuration file. parley.example.toml explains every key;
// flags and environment variables go before what stands here.
type config struct {
	Server serverConfig  `toml:"server"`
	Engine engineConfig  `toml:"engine"`
	Chat   chatConfig    `toml:"chat"`
	Models []modelConfig `toml:"models"`

	Discover discoverConfig `toml:"discover"`

	Groups  map[string]groupConfig    `toml:"groups"`
	Presets map[string]samplingConfig `toml:"presets"`

	Characters charactersConfig `toml:"characters"`
	Lorebooks  lorebooksConfig  `toml:"lorebooks"`

	path   string // where it was read, "" for none
	chosen bool   // models were, here or on the command line
}

type serverConfig struct {
	Listen       []string `toml:"listen"`
	As           []string `toml:"as"`
	Strict       bool     `toml:"strict"`
	Default      string   `toml:"default"`
	APIKeysFile  string   `toml:"api_keys_file"`
	TLSCert      string   `toml:"tls_cert"`
	TLSKey       string   `toml:"tls_key"`
	AllowHosts   []string `toml:"allow_hosts"`
	AllowOrigins []string `toml:"allow_origins"`

	TrustedProxies []string `toml:"trusted_proxies"`

	Data              string `toml:"data"`
	RequestsPerMinute int    `toml:"requests_per_minute"`
	TokensPerMinute   int    `toml:"tokens_per_minute"`
	Concurrent        int    `toml:"concurrent"`

	PlainPrompts bool   `toml:"plain_prompts"`
	IsolateCache bool   `toml:"isolate_cache"`
	LogFormat    string `toml:"log_format"`
	LogContents  bool   `toml:"log_contents"`
	Pprof        bool   `toml:"pprof"`
}

// proxies are the addresses and networks of trusted_proxies.
func (c *serverConfig) proxies() (all []netip.Prefix, err error) {
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, usageError("write 10.0.0.5, or 10.0.0.0/8", "the trusted proxy %q is neither an address nor a network", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

type charactersConfig struct {
	Dir      string `toml:"dir"`
	AsModels bool   `toml:"as_models"`
}

type lorebooksConfig struct {
	Dir        string   `toml:"dir"`
	Everywhere []string `toml:"everywhere"`
}

type chatConfig struct {
	Policy     string `toml:"policy"`
	Fit        string `toml:"fit"`
	Media      string `toml:"media"`
	LookAlikes string `toml:"look_alikes"`
	Names      string `toml:"names"`
	Note       string `toml:"note"`

	StopInReasoning bool `toml:"stop_in_reasoning"`
	RequestFormats  bool `toml:"request_formats"`
}

// options are the settings as chatformat has them; the words are the same,
// but for those of the defaults.
func (c chatConfig) options() chatformat.Options {
	unless := func(word, usual string) string {
		if word == usual {
			return ""
		}
		return word
	}
	return chatformat.Options{
		Policy:     c.Policy,
		Names:      chat.NamesPolicy(c.Names),
		Note:       c.Note,
		Fit:        chat.FitPolicy(unless(c.Fit, "refuse")),
		Media:      chat.MediaPolicy(unless(c.Media, "refuse")),
		LookAlikes: chatformat.LookAlikes(unless(c.LookAlikes, "default")),

		StopInReasoning: c.StopInReasoning,
		RequestFormats:  c.RequestFormats,
	}
}

type engineConfig struct {
	Context   int `toml:"context"`
	Threads   int `toml:"threads"`
	Sequences int `toml:"sequences"`

	Cache       byteSize            `toml:"cache"`
	KVCache     string              `toml:"kv_cache"`
	Memory      byteSize            `toml:"memory"`
	GPUMemory   map[string]byteSize `toml:"gpu_memory"`
	LlamaServer string              `toml:"llama_server"`
	Logs        string              `toml:"logs"`
}

type modelConfig struct {
	Name     string         `toml:"name"`
	Path     string         `toml:"path"`
	Aliases  []string       `toml:"aliases"`
	Format   string         `toml:"format"`
	Context  int            `toml:"context"`
	Draft    string         `toml:"draft"`
	Sampling samplingConfig `toml:"sampling"`

	Policy string `toml:"policy"`
	Names  string `toml:"names"`
	Note   string `toml:"note"`

	remoteConfig  // of an engine over HTTP, instead of a path
	managedConfig // of an engine that is started for it
	placeConfig

	builtIn bool // it leaves when there is another
}

// chat is how the model's conversations are laid out: what it does not say
// itself is as for all.
func (m *modelConfig) chat(all chatConfig) chatformat.Options {
	all.Policy = cmp.Or(m.Policy, all.Policy)
	all.Names = cmp.Or(m.Names, all.Names)
	all.Note = cmp.Or(m.Note, all.Note)
	return all.options()
}

type samplingConfig struct {
	MaxTokens         *int     `toml:"max_tokens"`
	Temperature       *float64 `toml:"temperature"`
	TopK              *int     `toml:"top_k"`
	TopP              *float64 `toml:"top_p"`
	MinP              *float64 `toml:"min_p"`
	RepetitionPenalty *float64 `toml:"repetition_penalty"`
	RepetitionRange   *int     `toml:"repetition_range"`
	PresencePenalty   *float64 `toml:"presence_penalty"`
	FrequencyPenalty  *float64 `toml:"frequency_penalty"`
}

func (s samplingConfig) params() llm.Params {
	return llm.Params{
		MaxTokens:         s.MaxTokens,
		Temperature:       s.Temperature,
		TopK:              s.TopK,
		TopP:              s.TopP,
		MinP:              s.MinP,
		RepetitionPenalty: s.RepetitionPenalty,
		RepetitionRange:   s.RepetitionRange,
		PresencePenalty:   s.PresencePenalty,
		FrequencyPenalty:  s.FrequencyPenalty,
	}
}

// presets are the sampling parameters that requests choose by name: those of
// the configuration, and each model's by the model's name.
func (c config) presets() map[string]llm.Params {
	all := map[string]llm.Params{}
	for _, m := range c.Models {
		if m.Sampling != (samplingConfig{}) {
			all[m.name()] = m.Sampling.params()
		}
	}
	for name, preset := range c.Presets {
		all[name] = preset.params()
	}
	return all
}

// characters is the folder of characters, if there is one.
func (c config) characters() server.Characters {
	if c.Characters.Dir == "" {
		return nil
	}
	return character.Folder(c.Characters.Dir)
}

// sessions are what the sessions need besides their store.
func (c config) sessions(models server.Models, log *slog.Logger) session.Options {
	o := session.Options{Models: server.Answers(models), Logger: log, Files: map[session.Shelf]session.Files{}, Everywhere: c.Lorebooks.Everywhere}
	if c.Characters.Dir != "" {
		o.Files[session.Characters] = character.Folder(c.Characters.Dir)
	}
	if c.Lorebooks.Dir != "" {
		o.Files[session.Lorebooks] = character.LorebookFolder(c.Lorebooks.Dir)
	}
	return o
}

const configName = "parley.toml"

// loadConfig reads the named file; with no name, parley.toml of the working
// directory or of the user's configuration directory, if there is one.
func loadConfig(path string) (config, error) {
	if path != "" {
		return readConfig(path)
	}
	candidates := []string{configName}
	if dir, err := os.UserConfigDir(); err == nil {
		candidates = append(candidates, filepath.Join(dir, "parley", configName))
	}
	for _, c := range candidates {
		cfg, err := readConfig(c)
		if !errors.Is(err, fs.ErrNotExist) {
			return cfg, err
		}
	}
	return config{}, nil
}

func readConfig(path string) (config, error) {
	f, err := os.Open(path)
	if err != nil {
		return config{}, fileError("configuration", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limits.ConfigBytes.Int64()+1))
	if err != nil {
		return config{}, fileError("configuration", path, err)
	}
	if err := limits.ConfigBytes.CheckInt(len(data)); err != nil {
		return config{}, &userError{Message: fmt.Sprintf("%s: the configuration is too large", path), Hint: "is it the right file?", Err: err}
	}
	cfg := config{path: path}
	if err := cfg.decode(data); err != nil {
		return config{}, err
	}
	return cfg, nil
}

// decode reads TOML strictly: a key that means nothing is an error, since a
// setting that is silently not applied is worse than none.
func (c *config) decode(data []byte) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(c)
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(missing.Errors) > 0 {
		unknown := &missing.Errors[0]
		row, _ := unknown.Position()
		key := unknown.Key()
		e := &userError{Message: fmt.Sprintf("%s:%d: there is no setting %q", c.path, row, strings.Join(key, "."))}
		if known := keysBeside(reflect.TypeFor[config](), key); len(known) > 0 {
			e.Hint = fmt.Sprintf("known here: %s", strings.Join(known, ", "))
			if best := nearest(key[len(key)-1], known); best != "" {
				e.Hint = fmt.Sprintf("did you mean %q? %s", best, e.Hint)
			}
		}
		return e
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, column := wrong.Position()
		return &userError{
			Message: fmt.Sprintf("%s:%d:%d: %s", c.path, row, column, strings.TrimPrefix(wrong.Error(), "toml: ")),
			Hint:    "every setting is explained in parley.example.toml",
		}
	}
	if err != nil {
		return &userError{Message: fmt.Sprintf("%s: %v", c.path, err)}
	}
	return c.check()
}

// check refuses values that cannot be meant, and makes paths relative to the
// file.
func (c *config) check() error {
	bad := func(key, format string, args ...any) error {
		return &userError{Message: fmt.Sprintf("%s: %s %s", c.path, key, fmt.Sprintf(format, args...))}
	}
	if n := c.Engine.Context; n != 0 && limits.Context.CheckInt(n) != nil {
		return bad("engine.context:", "%v", limits.Context.CheckInt(n))
	}
	if n := c.Engine.Sequences; n != 0 && limits.Sequences.CheckInt(n) != nil {
		return bad("engine.sequences:", "%v", limits.Sequences.CheckInt(n))
	}
	if c.Engine.Cache < 0 {
		return bad("engine.cache:", "%d is less than none", c.Engine.Cache)
	}
	if c.Engine.Memory < 0 {
		return bad("engine.memory:", "%d is less than none", c.Engine.Memory)
	}
	for gpu, n := range c.Engine.GPUMemory {
		if n < 0 {
			return bad("engine.gpu_memory."+gpu+":", "%d is less than none", n)
		}
	}
	for key, n := range map[string]int{
		"requests_per_minute": c.Server.RequestsPerMinute, "tokens_per_minute": c.Server.TokensPerMinute, "concurrent": c.Server.Concurrent,
	} {
		if n < 0 {
			return bad("server."+key+":", "%d is less than none", n)
		}
	}
	if c.Engine.Threads < 0 {
		return bad("engine.threads:", "%d is less than none", c.Engine.Threads)
	}
	for _, setting := range []struct {
		key, value string
		words      []string
	}{
		{"engine.kv_cache", c.Engine.KVCache, engine.KVCaches()},
		{"server.log_format", c.Server.LogFormat, []string{"text", "json"}},
		{"chat.policy", c.Chat.Policy, chatformat.Policies()},
		{"chat.names", c.Chat.Names, namesPolicies},
		{"chat.fit", c.Chat.Fit, []string{"refuse", string(chat.FitDropOldest)}},
		{"chat.media", c.Chat.Media, []string{"refuse", string(chat.MediaPlaceholder)}},
		{"chat.look_alikes", c.Chat.LookAlikes, []string{"default", string(chatformat.LookAlikesReport), string(chatformat.LookAlikesEscape), string(chatformat.LookAlikesRefuse)}},
	} {
		if setting.value != "" && !slices.Contains(setting.words, setting.value) {
			return bad(setting.key+":", "%q is not one of %s", setting.value, strings.Join(setting.words, ", "))
		}
	}
	if err := checkNote(c.Chat.Note); err != nil {
		return bad("chat.note:", "%v", err)
	}
	for name, g := range c.Groups {
		if g.Together < 0 {
			return bad("groups."+name+".together:", "%d is less than none", g.Together)
		}
	}
	if s := c.Engine.LlamaServer; s != "" && isPath(s) {
		c.Engine.LlamaServer = c.beside(s)
	}
	if c.Engine.Logs != "" {
		c.Engine.Logs = c.beside(c.Engine.Logs)
	}
	if c.Characters.Dir != "" {
		c.Characters.Dir = c.beside(c.Characters.Dir)
	}
	if c.Lorebooks.Dir != "" {
		c.Lorebooks.Dir = c.beside(c.Lorebooks.Dir)
	}
	for name, preset := range c.Presets {
		if err := preset.params().Check(); err != nil {
			e := llm.AsError(err)
			return bad("presets."+name+"."+e.Field+":", "%s", e.Message)
		}
	}
	for _, path := range []*string{&c.Server.APIKeysFile, &c.Server.TLSCert, &c.Server.TLSKey} {
		if *path != "" {
			*path = c.beside(*path)
		}
	}
	if d := c.Server.Data; d != "" && d != dataOff && d != dataMemory {
		c.Server.Data = c.beside(d)
	}
	if key, err := c.Discover.check(c); err != nil {
		return bad("discover."+key+":", "%v", err)
	}
	for i := range c.Models {
		m := &c.Models[i]
		at := fmt.Sprintf("models[%d]", i)
		started := len(m.Command) > 0
		if !started && (m.Path == "") == (m.URL == "") {
			return bad(at, "needs a path, a url or a command, one of them")
		}
		if m.Path != "" {
			m.Path = c.beside(m.Path)
		}
		if m.Draft != "" {
			if started || m.Path == "" {
				return bad(at+".draft:", "means something only with a path, and without command")
			}
			m.Draft = c.beside(m.Draft)
		}
		for _, check := range []func() (string, error){
			func() (string, error) { return m.remoteConfig.check(started, c) },
			func() (string, error) { return m.managedConfig.check(m, c) },
			func() (string, error) { return m.placeConfig.check(c) },
		} {
			if key, err := check(); err != nil {
				return bad(at+"."+key+":", "%v", err)
			}
		}
		if m.Policy != "" && !slices.Contains(chatformat.Policies(), m.Policy) {
			return bad(at+".policy:", "%q is not one of %s", m.Policy, strings.Join(chatformat.Policies(), ", "))
		}
		if m.Names != "" && !slices.Contains(namesPolicies, m.Names) {
			return bad(at+".names:", "%q is not one of %s", m.Names, strings.Join(namesPolicies, ", "))
		}
		if err := checkNote(m.Note); err != nil {
			return bad(at+".note:", "%v", err)
		}
		if isFormatFile(m.Format) {
			m.Format = c.beside(m.Format)
		}
		if m.Context != 0 && limits.Context.CheckInt(m.Context) != nil {
			return bad(at+".context:", "%v", limits.Context.CheckInt(m.Context))
		}
		if err := m.Sampling.params().Check(); err != nil {
			e := llm.AsError(err)
			return bad(at+".sampling."+e.Field+":", "%s", e.Message)
		}
	}
	return nil
}

var namesPolicies = []string{string(chat.NamesField), string(chat.NamesPrefix), string(chat.NamesNone)}

func checkNote(note string) error {
	if err := limits.NoteBytes.CheckInt(len(note)); err != nil {
		return err
	}
	if note != "" && strings.Count(note, "{text}") != 1 {
		return errors.New("it needs {text} once, where the message's text goes")
	}
	return nil
}

// beside is a path as the configuration file means it.
func (c *config) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.path), path)
}

// keysBeside lists the settings of the table in which an unknown key stands.
func keysBeside(t reflect.Type, key []string) []string {
	for _, part := range key[:max(len(key)-1, 0)] {
		f, ok := fieldOf(t, part)
		if !ok {
			break
		}
		t = f
	}
	var names []string
	for f := range fields(t) {
		names = append(names, f.Tag.Get("toml"))
	}
	return names
}

func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	if t.Kind() == reflect.Map {
		return t.Elem(), true
	}
	for f := range fields(t) {
		if f.Tag.Get("toml") == name {
			if f.Type.Kind() == reflect.Slice {
				return f.Type.Elem(), true
			}
			return f.Type, true
		}
	}
	return nil, false
}

// fields ranges over the settings of a table.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		if t.Kind() != reflect.Struct {
			return
		}
		for f := range t.Fields() {
			if f.Anonymous {
				for inner := range fields(f.Type) {
					if !yield(inner) {
						return
					}
				}
				continue
			}
			if f.Tag.Get("toml") != "" && !yield(f) {
				return
			}
		}
	}
}

// nearest is the name that a mistyped one was meant to be, or "" if none is
// near.
func nearest(name string, known []string) string {
	best, least := "", 1+len(name)/3
	for _, k := range known {
		if d := editDistance(name, k); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements of bytes that
// make a into b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, above+1, row[j]+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
