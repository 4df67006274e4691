package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/signal"
	"text/tabwriter"

	"parley/engine"
	"parley/internal/demo"
)

type benchCmd struct {
	engineFlags
	Prompt    int  `short:"p" default:"256" help:"Tokens of the prompt."`
	Generate  int  `short:"n" default:"64" help:"Tokens to generate."`
	Sequences int  `short:"c" default:"1" help:"Sequences at a time."`
	JSON      bool `name:"json" help:"Print one JSON object."`
}

func (*benchCmd) Help() string {
	return `The model reads a prompt and generates. The ceiling is what
reading the weights from memory once for each step would allow, were there
nothing to compute.

Example:

    parley bench --model llama.gguf -p 512 -n 128 -c 4 --json`
}

func (c *benchCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	for _, n := range []struct {
		flag  string
		value int
	}{{"-p", c.Prompt}, {"-n", c.Generate}, {"-c", c.Sequences}} {
		if n.value < 1 {
			return usageError("", "%s %d: at least 1 is measured", n.flag, n.value)
		}
	}
	m, cfg, err := c.choose(a)
	if err != nil {
		return err
	}
	cfg.Engine.Sequences = max(cfg.Engine.Sequences, c.Sequences)
	e, err := m.run(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	result, err := e.Bench(ctx, engine.BenchOptions{Prompt: c.Prompt, Generate: c.Generate, Sequences: c.Sequences})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(result)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "model\t%s, %s\n", printable(result.Model), result.Type)
	fmt.Fprintf(w, "threads\t%d, %s\n", result.Threads, result.Kernels)
	fmt.Fprintf(w, "prompt\t%s tokens/s over %d\n", rate(result.PrefillTPS), result.Prompt)
	fmt.Fprintf(w, "generation\t%s tokens/s over %d in %d sequences\n", rate(result.DecodeTPS), result.Generate, result.Sequences)
	fmt.Fprintf(w, "memory\t%.1f GB/s, a ceiling of %s tokens/s\n", result.ReadGBPS, rate(result.DecodeCeilingTPS))
	return w.Flush()
}

// run starts the model alone: a benchmark needs no chat format.
func (m *modelConfig) run(cfg config) (*engine.Engine, error) {
	if err := m.here(); err != nil {
		return nil, err
	}
	if m.Path == "" {
		return engine.OpenBytes(demo.Model(), m.engine(cfg, nil))
	}
	e, err := engine.Open(m.Path, m.engine(cfg, nil))
	if err != nil {
		return nil, modelFileError(m.Path, err)
	}
	return e, nil
}

func rate(tps float64) string {
	if tps < 100 {
		return fmt.Sprintf("%.1f", tps)
	}
	return fmt.Sprintf("%.0f", tps)
}
