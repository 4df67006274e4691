// Rendercorpus renders every template of a corpus on every conversation and
// writes what came of it, so that anyone can score internal/jinja:
//
//	go run ./tools/rendercorpus TEMPLATES.json CONVERSATIONS.json > candidate.jsonl
//
// The inputs, which may be gzipped, and the lines of the output have the form
// that the corpus's README describes. It renders as transformers does and
// normalises nothing. No case ends the program.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
)

func main() {
	jobs := flag.Int("j", runtime.NumCPU(), "templates to work on at a time")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: rendercorpus [-j N] TEMPLATES.json CONVERSATIONS.json > candidate.jsonl")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), max(*jobs, 1)); err != nil {
		fmt.Fprintln(os.Stderr, "rendercorpus:", err)
		os.Exit(1)
	}
}

func run(templateFile, conversationFile string, jobs int) error {
	templates, err := readTemplates(templateFile)
	if err != nil {
		return err
	}
	conversations, err := readConversations(conversationFile)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for results := range inOrder(len(templates), jobs, func(i int) []result { return renderAll(templates[i], conversations) }) {
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("writing: %w", err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// inOrder does n pieces of work, so many at a time, and gives the results in
// their order.
func inOrder[T any](n, jobs int, work func(int) T) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		results := make([]chan T, n)
		for i := range results {
			results[i] = make(chan T, 1)
		}
		var wg sync.WaitGroup
		next := make(chan int, n)
		for i := range n {
			next <- i
		}
		close(next)
		for range jobs {
			wg.Go(func() {
				for i := range next {
					results[i] <- work(i)
				}
			})
		}
		for i := range n {
			if !yield(<-results[i]) {
				break
			}
		}
		wg.Wait()
	}
}
