package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"parley/internal/catalog"
	"parley/internal/discover"
	"parley/internal/gguf"
	"parley/internal/limits"
	"parley/internal/upstream"
)

// A discoverConfig says what is looked for where nothing was chosen.
type discoverConfig struct {
	Files   *bool    `toml:"files"`
	Engines *bool    `toml:"engines"`
	Ports   []int    `toml:"ports"`
	Dirs    []string `toml:"dirs"`
}

func (d *discoverConfig) files() bool   { return d.Files == nil || *d.Files }
func (d *discoverConfig) engines() bool { return d.Engines == nil || *d.Engines }

// switchAll lays --discover and --no-discover over the configuration.
func (d *discoverConfig) switchAll(on *bool) {
	if on != nil {
		d.Files, d.Engines = on, on
	}
}

// check refuses values that cannot be meant, and makes paths relative to the
// file.
func (d *discoverConfig) check(c *config) (key string, err error) {
	if err := limits.ProbedPorts.CheckInt(len(d.Ports)); err != nil {
		return "ports", err
	}
	for _, port := range d.Ports {
		if port < 1 || port > 65535 {
			return "ports", fmt.Errorf("%d is not a port", port)
		}
	}
	for i, dir := range d.Dirs {
		if dir == "" {
			return "dirs", errors.New("a folder has no name")
		}
		d.Dirs[i] = c.beside(dir)
	}
	return "", nil
}

// foundFiles looks for model files.
func (c *config) foundFiles(ctx context.Context) discover.Found {
	if !c.Discover.files() {
		return discover.Found{}
	}
	return discover.Files(ctx, discover.Here(), c.Discover.Dirs)
}

// foundEngines looks for engines; ours are the ports that we listen on.
func (c *config) foundEngines(ctx context.Context, ours []int) []discover.Engine {
	if !c.Discover.engines() {
		return nil
	}
	ports := c.Discover.Ports
	if ports == nil {
		ports = discover.Ports
	}
	return discover.Engines(ctx, ports, ours, func(ctx context.Context, url string) (discover.Engine, error) {
		f, err := upstream.Probe(ctx, url)
		if err != nil {
			return discover.Engine{}, err
		}
		return discover.Engine{Kind: f.Kind.Name, Title: f.Kind.Title, Version: f.Version, Models: f.Models}, nil
	})
}

// An offer is a model that was found.
type offer struct {
	modelConfig
	where   string // who keeps it
	kind    string // "llama Q4_K 3.2B"
	size    string
	by      string // what will run it
	refused string // why nothing here can; "" if something does
}

// offerFile is a model file as it will be served: by the engine inside, or else
// by llama-server. It is loaded when it is asked for.
func (c *config) offerFile(f *discover.File) offer {
	o := offer{where: f.Where, size: size(f.Size)}
	o.Name, o.Aliases, o.Path, o.Preload = f.Name, f.Aliases, f.Path, new(false)
	o.kind = strings.Join(strings.Fields(strings.Join([]string{f.Architecture, f.Quantisation, unless0(f.Parameters, short)}, " ")), " ")
	_, missing := c.llamaServer()
	switch {
	case f.Runs():
		o.by = "this program"
	case !f.Fits():
		o.refused = f.Refusal
	case missing == nil:
		o.by, o.Memory = "llama-server", byteSize(f.Size)
	default:
		o.refused = f.Refusal + " (llama.cpp may run it: install it, so that llama-server is found)"
	}
	return o
}

// offers are what is served where nothing was chosen: files, and the models of
// engines. Each has a name of its own.
func (c *config) offers(files []discover.File, engines []discover.Engine) (all []offer) {
	taken := map[string]bool{catalog.BuiltInName: true}
	for i := range files {
		o := c.offerFile(&files[i])
		if taken[o.Name] {
			o.Name += "-2" // than the built-in model's
		}
		for _, name := range append([]string{o.Name}, o.Aliases...) {
			taken[name] = true
		}
		all = append(all, o)
	}
	for _, e := range engines {
		if !e.Serves() {
			continue
		}
		for _, model := range e.Models {
			o := offer{where: e.URL, kind: e.Kind, by: strings.TrimSpace(e.Title + " " + e.Version)}
			o.Name, o.Preload = model, new(false)
			if strings.ContainsAny(model, `/\`) && strings.EqualFold(filepath.Ext(model), ".gguf") {
				o.Name = gguf.NameOf(model) // it tells the path of its file
			}
			for name := o.Name + "@" + e.Kind; taken[o.Name]; name += "'" {
				o.Name = name
			}
			taken[o.Name] = true
			o.URL, o.Kind, o.Model = e.URL, e.Kind, model
			all = append(all, o)
		}
	}
	return all
}

// discover looks for what is there and takes it into the configuration, where
// nothing was chosen. It gives what was found.
func (c *serveCmd) discover(ctx context.Context, a *app, cfg *config, log *slog.Logger, open []listener) ([]offer, error) {
	if cfg.chosen || !cfg.Discover.files() && !cfg.Discover.engines() {
		return nil, nil
	}
	var ours []int
	for _, l := range open {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			ours = append(ours, a.Port)
		}
	}
	engines := make(chan []discover.Engine, 1)
	go func() { engines <- cfg.foundEngines(ctx, ours) }()
	files := cfg.foundFiles(ctx)
	others := <-engines
	for _, n := range files.Notes {
		log.Debug("left out", "path", n.Path, "cause", n.Reason)
	}
	for _, e := range others {
		log.Info("engine found", "says", e.Says())
	}
	level := slog.LevelInfo
	if isTerminal(a.stderr) {
		level = slog.LevelDebug // there it is shown as a table
	}
	var served []offer
	var models []modelConfig
	for _, o := range cfg.offers(files.Files, others) {
		if o.refused != "" {
			log.Info("found and not served", "model", o.Name, "where", o.where, "cause", o.refused)
			continue
		}
		log.Log(ctx, level, "found", "model", o.Name, "where", o.where, "kind", o.kind, "size", o.size, "runs", o.by)
		served = append(served, o)
		models = append(models, o.modelConfig)
	}
	cfg.Models = append(models, cfg.Models...)
	return served, c.overModels(cfg)
}

// mostShown is how many of the models found a terminal gets to see.
const mostShown = 20

// showOffers is a table of what was found.
func showOffers(w io.Writer, s style, offers []offer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, o := range offers {
		if i == mostShown {
			break
		}
		label := "found"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", label, printable(o.Name), printable(o.where), printable(o.kind), o.size, "run by "+printable(o.by))
	}
	table.Flush()
	if more := len(offers) - mostShown; more > 0 {
		fmt.Fprintf(w, "         %s\n", s.dim(fmt.Sprintf("and %d more: parley models list", more)))
	}
	fmt.Fprintf(w, "         %s\n", s.dim("each is loaded when it is asked for; --no-discover looks for nothing"))
}

// modelFound is the model of that name among the files found, and the names of
// all of them.
func (c *config) modelFound(name string) (m modelConfig, ok bool, names []string) {
	found := c.foundFiles(context.Background())
	if f := found.Named(name); f != nil {
		o := c.offerFile(f)
		o.Preload = nil // it was chosen
		return o.modelConfig, true, nil
	}
	for _, f := range found.Files {
		names = append(names, f.Name)
	}
	return m, false, names
}

// listFound lists model files that were found and are not listed yet.
func listFound(table io.Writer, c *config, found discover.Found, seen map[string]bool) {
	for i := range found.Files {
		f := &found.Files[i]
		if seen[f.Path] {
			continue
		}
		seen[f.Path] = true
		format := ""
		if file, err := openGGUF(f.Path); err == nil {
			format = detected(summarise(file))
			file.Close()
		}
		where := "in " + f.Where
		if o := c.offerFile(f); o.refused != "" {
			where = "not served: " + o.refused
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(f.Name), printable(f.Architecture), unless0(f.Parameters, short),
			f.Quantisation, size(f.Size), unless0(int64(f.Context), count), printable(format), printable(f.Path), printable(where))
	}
}

// listNotes lists what was found and is no model to serve.
func listNotes(w io.Writer, notes []discover.Note, seen map[string]bool) {
	notes = slices.DeleteFunc(slices.Clone(notes), func(n discover.Note) bool { return seen[n.Path] })
	if len(notes) == 0 {
		return
	}
	fmt.Fprintf(w, "\nLeft out (%d):\n", len(notes))
	for _, n := range notes {
		fmt.Fprintf(w, "  %s: %s\n", printable(n.Path), printable(n.Reason))
	}
}
