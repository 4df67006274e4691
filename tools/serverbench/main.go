// Command serverbench measures what the server itself costs: a server with a
// model that answers from a script, in a process of its own, and nothing
// behind it.
//
//	go run ./tools/serverbench [-d 4s] [-hold 60s]
//
// It prints tables in Markdown: answers and streams of 100 events, as many as
// go through; streams that are held, more and more of them, with an event
// every 250 ms; and 300 streams beside 200 clients that read nothing of a model
// that never stops. Every event says when the model gave it, so that its way
// through the server is measured; a gap is the time between two of a stream.
// CPU and memory are the server's. The load and the server share this machine.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"parley/tools/load"
)

type options struct {
	connections int
	span, hold  time.Duration
	streams     int
	pprof       bool
}

func main() {
	var o options
	flag.IntVar(&o.connections, "c", 8, "requests at a time")
	flag.DurationVar(&o.span, "d", 4*time.Second, "how long each number is measured")
	flag.DurationVar(&o.hold, "hold", 60*time.Second, "how long the most streams are held")
	flag.IntVar(&o.streams, "streams", 2000, "the most streams held")
	flag.BoolVar(&o.pprof, "pprof", false, "print the server's address, for its profiles")
	serve := flag.Bool("serve", false, "be the server (the command starts itself so)")
	flag.Parse()
	var err error
	if *serve {
		err = serveScript(os.Stdout)
	} else {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "serverbench:", err)
		os.Exit(1)
	}
}

// A subject is the server that is measured, in its process.
type subject struct {
	load.Process
	addr string
}

func start() (*subject, error) {
	p, line, err := load.Again("-serve")
	if err != nil {
		return nil, err
	}
	return &subject{Process: p, addr: line}, nil
}

func run(o options) error {
	for _, part := range []func(*subject, options) error{through, growing, beside} {
		s, err := start()
		if err != nil {
			return err
		}
		if o.pprof {
			fmt.Fprintf(os.Stderr, "http://%s/debug/pprof/\n", s.addr)
		}
		err = part(s, o)
		s.Stop()
		if err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}

// through is how many answers go through.
func through(s *subject, o options) error {
	// The first second warms up.
	if _, err := load.Drive(s.addr, load.Request("fast", false), o.connections, min(time.Second, o.span)); err != nil {
		return err
	}
	fmt.Println("| | a second | p50 | p99 | CPU | event p50 | event p99 |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, kind := range []string{"whole answers", "streams"} {
		before := s.Computed()
		got, err := load.Drive(s.addr, load.Request("fast", kind == "streams"), o.connections, o.span)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.0f | %s | %s | %s | %s | %s |\n", kind, got.PerSecond(), got.Took.At(.5), got.Took.At(.99), got.Each(s.Computed()-before), got.Late.At(.5), got.Late.At(.99))
	}
	return nil
}

// growing is what streams cost that are held, from few to many.
func growing(s *subject, o options) error {
	fmt.Println("| streams held | events/s | event p50 | event p99 | gap p99 | CPU an event | memory | a stream |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	var before, after time.Duration
	var memory int64
	empty := s.Memory()
	for _, n := range slices.DeleteFunc([]int{10, 100, 500, 1000, o.streams}, func(n int) bool { return n > o.streams }) {
		span := o.span
		if n == o.streams {
			span = o.hold
		}
		held, err := load.Hold(s.addr, load.Request("slow", true), n, span,
			func() { before = s.Computed() }, func() { after, memory = s.Computed(), s.Memory() })
		if err != nil {
			return fmt.Errorf("%d streams: %w", n, err)
		}
		events := len(held.Late)
		fmt.Printf("| %d | %.0f | %s | %s | %s | %.1f µs | %s | %d KB |\n", n, float64(events)/held.Span.Seconds(), held.Late.At(.5), held.Late.At(.99), held.Gap.At(.99),
			float64((after-before).Microseconds())/float64(max(1, events)), load.Megabytes(memory), (memory-empty)>>10/int64(n))
	}
	return nil
}

// beside is what clients that read nothing do to those that read.
func beside(s *subject, o options) error {
	const readers, others = 300, 200
	fmt.Println("| 300 streams | event p50 | event p99 | gap p99 | memory | of those that read nothing closed |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, crowd := range []bool{false, true} {
		name, stop := "alone", func() int { return 0 }
		span := o.span
		if crowd {
			var err error
			if stop, err = load.Ignore(s.addr, load.Request("endless", true), others); err != nil {
				return err
			}
			name, span = "beside 200 that read nothing", max(o.span, min(o.hold, 30*time.Second))
		}
		var memory int64
		held, err := load.Hold(s.addr, load.Request("slow", true), readers, span, func() {}, func() { memory = s.Memory() })
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s | %s | %s | %s | %d |\n", name, held.Late.At(.5), held.Late.At(.99), held.Gap.At(.99), load.Megabytes(memory), stop())
	}
	return nil
}
