// Command gatewaybench measures what it costs to go through a server to an
// engine: Parley and, where a binary of it is at hand, llama-swap, before a
// stub engine that answers at once, beside that engine asked directly, all in
// one run.
//
//	go run ./tools/gatewaybench [-parley ./parley] [-llama-swap llama-swap]
//
// It prints one table in Markdown. Whole answers have 300 bytes and streams 100
// events; every event says when the engine wrote it, so that its way through
// the server is measured, and not only how many there are. Streams that are held have
// an event every 250 ms; a gap is the time between two of them. CPU is what the server
// computes for one answer. The load, the server and the engine share this machine:
// read ratios, not absolute numbers.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"parley/tools/load"
)

type options struct {
	parley, llamaSwap string
	connections, held int
	span              time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.parley, "parley", "", "Parley's binary; without it, it is left out")
	flag.StringVar(&o.llamaSwap, "llama-swap", "", "llama-swap's binary; without it, it is left out")
	flag.IntVar(&o.connections, "c", 8, "requests at a time")
	flag.IntVar(&o.held, "held", 2000, "streams to hold open at a time; 0 holds none")
	flag.DurationVar(&o.span, "d", 4*time.Second, "how long each number is measured")
	stub := flag.Bool("stub", false, "be the stub engine (the command starts itself so)")
	flag.Parse()
	var err error
	if *stub {
		err = serveStub(os.Stdout)
	} else {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatewaybench:", err)
		os.Exit(1)
	}
}

// run measures one subject after the other. Each starts alone.
func run(o options) error {
	engine, err := startStub()
	if err != nil {
		return err
	}
	defer engine.Stop()
	subjects := []subject{{name: "the engine directly", start: func(e *stubProcess) (*server, error) {
		return &server{fast: e.fast, slow: e.slow, Process: &e.Process}, nil
	}}}
	if o.llamaSwap != "" {
		subjects = append(subjects, llamaSwap(o.llamaSwap))
	}
	if o.parley != "" {
		subjects = append(subjects, parley(o.parley)...)
	}
	fmt.Println("| | answers/s | p50 | p99 | CPU | streams/s | p50 | p99 | CPU | event p50 | event p99 | held | event p50 | event p99 | gap p99 | memory |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, s := range subjects {
		row, err := s.measure(engine, o)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Println(row)
	}
	return nil
}

// measure starts a server before the engine, measures, and stops it.
func (s subject) measure(engine *stubProcess, o options) (string, error) {
	server, err := s.start(engine)
	if err != nil {
		return "", err
	}
	if server.Process != &engine.Process {
		defer server.Stop()
	}
	row := "| " + s.name + " |"
	// The first second warms up what needs it: connections, a model's entry.
	if _, err := load.Drive(server.fast, load.Request(server.model, false), o.connections, min(time.Second, o.span)); err != nil {
		return "", err
	}
	before := server.Computed()
	whole, err := load.Drive(server.fast, load.Request(server.model, false), o.connections, o.span)
	if err != nil {
		return "", err
	}
	between := server.Computed()
	row += fmt.Sprintf(" %.0f | %s | %s | %s |", whole.PerSecond(), whole.Took.At(.5), whole.Took.At(.99), whole.Each(between-before))
	stream, err := load.Drive(server.fast, load.Request(server.model, true), o.connections, o.span)
	if err != nil {
		return "", err
	}
	after := server.Computed()
	row += fmt.Sprintf(" %.0f | %s | %s | %s | %s | %s |", stream.PerSecond(), stream.Took.At(.5), stream.Took.At(.99), stream.Each(after-between), stream.Late.At(.5), stream.Late.At(.99))
	if o.held == 0 {
		return row + " – | – | – | – | – |", nil
	}
	var memory int64
	held, err := load.Hold(server.slow, load.Request(server.slowModel, true), o.held, o.span, func() {}, func() { memory = server.Memory() })
	if err != nil {
		return "", err
	}
	return row + fmt.Sprintf(" %d | %s | %s | %s | %s |", held.Streams, held.Late.At(.5), held.Late.At(.99), held.Gap.At(.99), load.Megabytes(memory)), nil
}
