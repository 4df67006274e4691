package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"parley/internal/apikey"
	"parley/internal/server"
)

type keyCmd struct {
	New    keyNewCmd    `cmd:"" help:"Make an API key and show it, once."`
	List   keyListCmd   `cmd:"" help:"List the API keys of a file."`
	Revoke keyRevokeCmd `cmd:"" help:"Take an API key out of a file."`
}

func (*keyCmd) Help() string {
	return `API keys stand in a file, as digests: whoever reads it learns no key. A running
server sees within seconds that the file has changed.

Example:

    parley key new bot --file keys.txt
    parley serve --listen 0.0.0.0:7275 --api-key-file keys.txt
    parley key revoke bot --file keys.txt`
}

// keyFile is which file of keys is meant.
type keyFile struct {
	File string `placeholder:"FILE" env:"PARLEY_API_KEY_FILE" help:"The file of API keys. Default: the configuration's api_keys_file."`
}

func (f keyFile) path(a *app) (string, error) {
	if f.File != "" {
		return f.File, nil
	}
	cfg, err := a.config()
	if err != nil {
		return "", err
	}
	if cfg.Server.APIKeysFile == "" {
		return "", usageError("give --file keys.txt, and start the server with --api-key-file keys.txt", "no file of API keys is named")
	}
	return cfg.Server.APIKeysFile, nil
}

type keyNewCmd struct {
	Name   string `arg:"" help:"Whose it is; the log names it."`
	Scopes string `default:"read,chat" help:"What it is good for: read (look at models and metrics), chat (have them answer), admin (load and unload them)."`
	keyFile
}

func (c *keyNewCmd) Run(a *app) error {
	path, err := c.path(a)
	if err != nil {
		return err
	}
	scopes, err := apikey.ParseScope(c.Scopes)
	if err != nil {
		return usageError("", "--scopes: %v", err)
	}
	if err := apikey.CheckName(c.Name); err != nil {
		return usageError("", "%v", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fileError("file of API keys", path, err)
	}
	defer f.Close()
	have, err := io.ReadAll(f)
	if err != nil {
		return fileError("file of API keys", path, err)
	}
	keys, err := parseKeys(path, have)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Name == c.Name {
			return &userError{Message: fmt.Sprintf("there is a key named %s in %s", c.Name, path), Hint: "take another name, or: parley key revoke " + c.Name}
		}
	}
	text, key := apikey.New(c.Name, scopes, time.Now())
	line := key.Line() + "\n"
	if len(have) > 0 && !bytes.HasSuffix(have, []byte("\n")) {
		line = "\n" + line
	}
	if _, err := f.WriteString(line); err != nil {
		return fileError("file of API keys", path, err)
	}
	if err := f.Close(); err != nil {
		return fileError("file of API keys", path, err)
	}
	fmt.Fprintln(a.stdout, text)
	fmt.Fprintf(a.stderr, "This is the key %s, for %s. It is shown this once; %s keeps its digest.\n", c.Name, scopes, path)
	return nil
}

type keyListCmd struct {
	keyFile
}

func (c *keyListCmd) Run(a *app) error {
	path, err := c.path(a)
	if err != nil {
		return err
	}
	keys, err := readKeys(path)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, k := range keys {
		name, made := k.Name, k.Created.Format(time.DateTime)
		if name == "" {
			name, made = "(in plain text)", ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, k.Scopes, made)
	}
	return w.Flush()
}

type keyRevokeCmd struct {
	Name string `arg:"" help:"The name that it was made with."`
	keyFile
}

func (c *keyRevokeCmd) Run(a *app) error {
	path, err := c.path(a)
	if err != nil {
		return err
	}
	have, err := os.ReadFile(path)
	if err != nil {
		return fileError("file of API keys", path, err)
	}
	if _, err := parseKeys(path, have); err != nil {
		return err
	}
	rest, n := apikey.Remove(have, c.Name)
	if n == 0 {
		return &userError{Message: fmt.Sprintf("there is no key named %s in %s", c.Name, path), Hint: "parley key list shows those that there are; one in plain text is its line"}
	}
	if err := replaceFile(path, rest); err != nil {
		return fileError("file of API keys", path, err)
	}
	fmt.Fprintf(a.stderr, "The key %s is revoked.\n", c.Name)
	return nil
}

// replaceFile writes a file anew, whole or not at all.
func replaceFile(path string, data []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func readKeys(path string) ([]apikey.Key, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError("file of API keys", path, err)
	}
	return parseKeys(path, data)
}

func parseKeys(path string, data []byte) ([]apikey.Key, error) {
	keys, err := apikey.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, &userError{Message: fmt.Sprintf("the file of API keys %s: %v", path, err), Hint: "parley key new writes such a line", Err: err}
	}
	return keys, nil
}

// keys are those of the flags and of the file; nil where none are asked for.
func (c *serveCmd) keys(cfg config) ([]apikey.Key, error) {
	var keys []apikey.Key
	for _, text := range c.APIKey {
		if text == "" {
			return nil, usageError("", "--api-key is empty")
		}
		keys = append(keys, apikey.Plain(text))
	}
	path := cfg.Server.APIKeysFile
	if path == "" {
		return keys, nil
	}
	filed, err := readKeys(path)
	if err != nil {
		return nil, err
	}
	if len(filed) == 0 {
		return nil, &userError{Message: fmt.Sprintf("the file of API keys %s has no key in it", path), Hint: "parley key new NAME --file " + path + " makes one"}
	}
	return append(keys, filed...), nil
}

// reloadKeys has the server know the keys of the file as they are now. A file
// that is not right changes nothing; one that has lost its last key shuts
// everybody out.
func (c *serveCmd) reloadKeys(s *server.Server, path string, log *slog.Logger) {
	filed, err := readKeys(path)
	if err != nil {
		log.Error("the API keys stay as they were", "cause", sentence(err))
		return
	}
	var keys []apikey.Key
	for _, text := range c.APIKey {
		keys = append(keys, apikey.Plain(text))
	}
	keys = append(keys, filed...)
	s.SetKeys(keys)
	log.Info("the API keys have changed", "keys", len(keys))
}
