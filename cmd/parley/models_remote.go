package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// serverFlags say which running server is meant.
type serverFlags struct {
	Server string `placeholder:"URL" env:"PARLEY_SERVER" help:"The server. Default: http://${listen}."`
	APIKey string `name:"api-key" placeholder:"KEY" env:"PARLEY_API_KEY" help:"The server's key."`
}

func (f *serverFlags) remote() (*remote, error) {
	server := f.Server
	if server == "" {
		server = "http://" + defaultListen
	}
	return newRemote(server, f.APIKey, "")
}

type modelsLoadCmd struct {
	Name string `arg:"" help:"The model's name."`
	serverFlags
}

func (*modelsLoadCmd) Help() string {
	return `Waits until the model is loaded, for which others may have to be unloaded.

Example:

    parley models load llama --server http://127.0.0.1:7275`
}

func (c *modelsLoadCmd) Run(a *app) error { return c.change(a, c.Name, "load") }

type modelsUnloadCmd struct {
	Name string `arg:"" help:"The model's name."`
	serverFlags
}

func (*modelsUnloadCmd) Help() string {
	return `Waits until the requests that use the model have ended and it is unloaded. It is
loaded again when it is asked for.

Example:

    parley models unload llama --server http://127.0.0.1:7275`
}

func (c *modelsUnloadCmd) Run(a *app) error { return c.change(a, c.Name, "unload") }

// change has the server load or unload a model.
func (f *serverFlags) change(a *app, name, what string) error {
	r, err := f.remote()
	if err != nil {
		return err
	}
	resp, err := r.do(context.Background(), http.MethodPost, "/parley/v1/models/"+url.PathEscape(name)+"/"+what, []byte("{}"))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var m listedModel
	if err := decodeAnswer(resp, &m); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: %sed\n", printable(name), what)
	return nil
}

// A listedModel is what a Parley tells of a model.
type listedModel struct {
	ID           string    `json:"id"`
	Architecture string    `json:"architecture"`
	State        string    `json:"state"`
	Since        time.Time `json:"since"`
	Running      int       `json:"running"`
	Waiting      int       `json:"waiting"`
	Idle         float64   `json:"idle_seconds"`
	Memory       int64     `json:"memory"`
	Group        string    `json:"group"`
	Engine       struct {
		Kind string `json:"kind"`
		URL  string `json:"url"`
	} `json:"engine"`
	Error string `json:"last_error"`
}

// listServer lists the models of a running server, and what becomes of them.
func listServer(a *app, r *remote) error {
	resp, err := r.do(context.Background(), http.MethodGet, "/parley/v1/models", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var list struct {
		Models []listedModel `json:"models"`
	}
	if err := decodeAnswer(resp, &list); err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATE\tFOR\tRUNNING\tWAITING\tIDLE\tMEMORY\tGROUP\tENGINE")
	for _, m := range list.Models {
		memory, idle, since := "", "", ""
		if !m.Since.IsZero() {
			since = max(0, time.Since(m.Since)).Round(time.Second).String()
		}
		if m.Memory > 0 {
			memory = size(m.Memory)
		}
		if m.Idle > 0 {
			idle = (time.Duration(m.Idle) * time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", printable(m.ID), printable(m.State), since,
			m.Running, m.Waiting, idle, memory, printable(m.Group), printable(strings.TrimSpace(m.Engine.Kind+" "+m.Engine.URL)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, m := range list.Models {
		if m.Error != "" {
			fmt.Fprintf(a.stdout, "%s: %s\n", printable(m.ID), printable(m.Error))
		}
	}
	return nil
}

func decodeAnswer(resp *http.Response, to any) error {
	err := json.NewDecoder(io.LimitReader(resp.Body, limits.BodyBytes.Int64())).Decode(to)
	if err != nil {
		return &userError{Message: "the server's answer is not understood", Hint: "is it a Parley?", Err: llm.AsError(err)}
	}
	return nil
}
