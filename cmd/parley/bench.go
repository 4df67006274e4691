package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"parley/engine"
	"parley/internal/demo"
)

type benchCmd struct {
	engineFlags
	Prompt    int   `short:"p" default:"256" help:"Tokens of the prompt."`
	Generate  int   `short:"n" default:"64" help:"Tokens to generate."`
	Sequences []int `short:"c" default:"1,4,16" help:"Sequences at a time."`
	Contexts  []int `default:"512,2048,4096" help:"Generate behind contexts of so many tokens; 0 leaves it out."`
	Behind    []int `default:"1" help:"So many at a time behind those contexts."`
	Turns     int   `default:"6" help:"Turns of a chat that grows; 0 leaves it out."`
	Beside    int   `placeholder:"N" help:"Measure a stream while a prompt of so many tokens is read beside it."`
	Foreseen  []int `placeholder:"PERCENT" help:"Measure an answer of which so much is foreseen and read ahead, as a copy or a predicted output."`
	JSON      bool  `name:"json" help:"Print one JSON object."`
}

func (*benchCmd) Help() string {
	return `First the ceilings: the bandwidth of memory, which bounds how fast tokens are
generated, since each step reads all weights; and the arithmetic of the instructions
that were chosen, which bounds how fast prompts are read. Then the model: reading a
prompt, in the pieces in which a server reads those of requests; generating for several
at a time and behind long contexts; and how long the first token of each turn of a chat
takes. Of a long context the last 256 tokens are read; what the cache holds before them
are copies, which take as long to go through.

Example:

    parley bench --model llama.gguf
    parley bench --model llama.gguf -p 512 -c 1 --contexts 0 --turns 0 --json`
}

func (c *benchCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	o, err := c.options()
	if err != nil {
		return err
	}
	m, cfg, err := c.choose(a)
	if err != nil {
		return err
	}
	cfg.Engine.Sequences = max(cfg.Engine.Sequences, slices.Max(o.Sequences), slices.Max(o.Behind), 2) // 2: a prompt beside a stream
	e, err := m.run(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	// What is usual is measured as far as the context goes.
	o.Contexts = slices.DeleteFunc(o.Contexts, func(n int) bool {
		return slices.Contains(benchContexts, n) && n+o.Generate > e.Describe().Context
	})
	bar := &benchProgress{w: a.stderr, style: a.err, now: time.Now}
	o.Progress = bar.tell
	result, err := e.Bench(ctx, o)
	bar.end()
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(result)
	}
	return printBench(a.stdout, result)
}

// benchContexts are those of the flag's default.
var benchContexts = []int{512, 2048, 4096}

func (c *benchCmd) options() (engine.BenchOptions, error) {
	o := engine.BenchOptions{Prompt: c.Prompt, Generate: c.Generate, Sequences: c.Sequences, Behind: c.Behind, Turns: c.Turns, Beside: c.Beside, Foreseen: c.Foreseen}
	for _, n := range c.Contexts {
		if n != 0 {
			o.Contexts = append(o.Contexts, n)
		}
	}
	for _, n := range []struct {
		flag  string
		least int
		value []int
	}{{"-p", 1, []int{o.Prompt}}, {"-n", 1, []int{o.Generate}}, {"-c", 1, o.Sequences}, {"--contexts", 0, o.Contexts}, {"--behind", 1, o.Behind}, {"--turns", 0, []int{o.Turns}}, {"--beside", 0, []int{o.Beside}}, {"--foreseen", 0, o.Foreseen}} {
		if len(n.value) > 0 && slices.Min(n.value) < n.least {
			return o, usageError("", "%s %d: at least %d is measured", n.flag, slices.Min(n.value), max(1, n.least))
		}
	}
	slices.Sort(o.Sequences)
	slices.Sort(o.Contexts)
	slices.Sort(o.Behind)
	o.Sequences, o.Contexts, o.Behind = slices.Compact(o.Sequences), slices.Compact(o.Contexts), slices.Compact(o.Behind)
	return o, nil
}

// printBench prints tables for people.
func printBench(out io.Writer, r engine.BenchResult) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(format string, values ...any) { fmt.Fprintf(w, format+"\n", values...) }
	row("model\t%s, %s, %s", printable(r.Model), r.Type, size(r.Bytes))
	row("threads\t%d, %s", r.Threads, r.Kernels)
	row("keys, values\t%s", r.KVCache)
	row("loaded\tin %.2f s, %.1f GB/s", r.LoadSeconds, float64(r.Bytes)/1e9/r.LoadSeconds)
	row("memory\t%.1f GB/s: at most %s tokens/s generated", r.ReadGBPS, rate(r.DecodeCeilingTPS))
	if r.Int8GOPS > 0 {
		row("arithmetic\t%.0f · 10⁹ int8 operations/s: at most %s tokens/s of prompts", r.Int8GOPS, rate(r.PrefillCeilingTPS))
	}
	w.Flush()

	row("\nPROMPT\tTOKENS/S\tOF THE CEILING")
	row("%d\t%s\t%s", r.Prompt, rate(r.PrefillTPS), percent(r.PrefillTPS, r.PrefillCeilingTPS))
	w.Flush()

	row("\nAT A TIME\tTOKENS/S\tEACH\tOF THE CEILING")
	for _, s := range r.Sequences {
		n := float64(s.Sequences)
		row("%d\t%s\t%s\t%s", s.Sequences, rate(s.DecodeTPS), rate(s.DecodeTPS/n), percent(s.DecodeTPS, s.CeilingTPS))
	}
	w.Flush()

	if len(r.Contexts) > 0 {
		row("\nCONTEXT\tAT A TIME\tTOKENS/S\tOF THE CEILING\tPROMPT TOKENS/S\tCACHE READ")
	}
	for _, c := range r.Contexts {
		read := ""
		if c.CacheGBPS > 0 {
			read = fmt.Sprintf("%.1f GB/s", c.CacheGBPS)
		}
		row("%s\t%d\t%s\t%s\t%s\t%s", count(int64(c.Context)), c.Sequences, rate(c.DecodeTPS), percent(c.DecodeTPS, c.CeilingTPS), rate(c.PrefillTPS), read)
	}
	w.Flush()

	if len(r.Turns) > 0 {
		row("\nTURN OF A CHAT\tTOKENS\tCACHED\tFIRST TOKEN")
	}
	for i, t := range r.Turns {
		row("%d\t%s\t%s\t%.1f ms", i+1, count(int64(t.Prompt)), count(int64(t.Cached)), t.FirstMS)
	}
	w.Flush()

	if b := r.Beside; b != nil {
		row("\nA STREAM'S NEXT TOKEN\tP50\tP99")
		row("alone\t%.1f ms\t%.1f ms", b.AloneP50MS, b.AloneP99MS)
		row("beside a prompt of %s tokens, read at %s/s\t%.1f ms\t%.1f ms", count(int64(b.Prompt)), rate(b.PromptTPS), b.BesideP50MS, b.BesideP99MS)
	}
	if len(r.Foreseen) > 0 {
		row("\nFORESEEN\tTOKENS/S\tLITERALLY\tREAD AHEAD\tOF THEM CHOSEN")
	}
	for _, f := range r.Foreseen {
		row("%d %%\t%s\t%s\t%d\t%d", f.Percent, rate(f.DecodeTPS), rate(f.LiteralTPS), f.Drafted, f.Accepted)
	}
	return w.Flush()
}

func percent(of, ceiling float64) string {
	if ceiling == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*of/ceiling)
}

// A benchProgress shows on a terminal how far a measurement is.
type benchProgress struct {
	w     io.Writer
	style style
	now   func() time.Time
	shown time.Time
}

func (p *benchProgress) tell(done float64, next string) {
	if now := p.now(); p.style.on && now.Sub(p.shown) >= pullShown {
		p.shown = now
		fmt.Fprintf(p.w, "%s%s  %s", clearLine, p.style.bar(done), next)
	}
}

func (p *benchProgress) end() {
	if p.style.on {
		fmt.Fprint(p.w, clearLine)
	}
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
