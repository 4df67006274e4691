package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"time"

	"parley/internal/check"
	"parley/internal/limits"
)

type checkCmd struct {
	URL      []string      `arg:"" name:"url" placeholder:"URL" help:"Address of a server, with or without /v1; several are put side by side."`
	Model    string        `short:"m" placeholder:"NAME" help:"Model to ask. Default: the first that the server lists."`
	APIKey   string        `name:"api-key" placeholder:"KEY" env:"PARLEY_API_KEY" help:"The server's key. Other users of this machine can see command lines: prefer the variable."`
	Only     []string      `placeholder:"NAME" help:"Only these checks, as docs/check.md names them."`
	Timeout  time.Duration `default:"10m" help:"Longest time for one server; what is left then cannot be told."`
	Verbose  bool          `short:"v" help:"Show every check, and all requests that show a failure."`
	JSON     bool          `name:"json" xor:"form" help:"Print a JSON list of reports, one for each server."`
	Markdown bool          `xor:"form" help:"Print a table in Markdown."`
}

func (*checkCmd) Help() string {
	return `Does a server, Parley or another, keep these promises: is nothing of a
conversation lost, can no user forge a control token, do stops stop, is the same
request answered in the same way, … docs/check.md explains each check. The model
may be any, however small: nothing is concluded from what it says.

The exit code is 1 if a promise is broken, and 2 if a server was not reached.

Example:

    parley check http://127.0.0.1:8080
    parley check --only stop-whole,stop-streamed https://chat.example
    parley check --markdown http://127.0.0.1:7275 http://127.0.0.1:11434`
}

// errBroken is the end of a run in which the report has said everything.
var errBroken = errors.New("a promise is broken")

func (c *checkCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	if err := limits.CheckSeconds.Check(c.Timeout.Seconds()); err != nil {
		return usageError("", "--timeout: %v", err)
	}
	for _, name := range c.Only {
		if !slices.ContainsFunc(check.All(), func(x check.Check) bool { return x.Name == name }) {
			return usageError("checks: "+strings.Join(checkNames(), ", "), "--only: there is no check %q", name)
		}
	}
	var reports []*check.Report
	for _, url := range c.URL {
		r, err := check.Run(ctx, check.Options{
			URL: url, Key: c.APIKey, Model: c.Model, Only: c.Only, Timeout: c.Timeout,
			Progress: c.progress(a, url),
		})
		a.clearProgress()
		if err != nil {
			return unreachable(ctx, url, err)
		}
		reports = append(reports, r)
	}
	if err := c.print(a, reports); err != nil {
		return err
	}
	for _, r := range reports {
		if r.Count(check.Broken) > 0 {
			return errBroken
		}
	}
	return nil
}

func checkNames() (names []string) {
	for _, x := range check.All() {
		names = append(names, x.Name)
	}
	return names
}

// unreachable is the error for a server that is not there; an interrupt stays
// what it is.
func unreachable(ctx context.Context, url string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	e, ok := errors.AsType[*check.UnreachableError](err)
	if !ok {
		return usageError("for example parley check http://"+defaultListen, "%v", err)
	}
	u := &userError{Message: fmt.Sprintf("there is no chat server to be reached at %s: %v", url, e.Err), Usage: true, Err: err}
	if e.Key {
		u.Hint = "give the server's key: PARLEY_API_KEY or --api-key"
	}
	return u
}

// progress shows on a terminal what is being checked.
func (c *checkCmd) progress(a *app, url string) func(int, check.Check) {
	if !a.err.on {
		return nil
	}
	all := len(check.All())
	if len(c.Only) > 0 {
		all = len(c.Only)
	}
	return func(done int, x check.Check) {
		const width = 24
		filled := done * width / all
		fmt.Fprintf(a.stderr, "%s%s%s %d/%d %s  %s", clearLine,
			a.err.green(strings.Repeat("━", filled)), a.err.dim(strings.Repeat("━", width-filled)), done, all, x.Name, a.err.dim(printable(url)))
	}
}

func (a *app) clearProgress() {
	if a.err.on {
		fmt.Fprint(a.stderr, clearLine)
	}
}

func (c *checkCmd) print(a *app, reports []*check.Report) error {
	switch {
	case c.JSON:
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(reports)
	case c.Markdown:
		return check.WriteMarkdown(a.stdout, reports)
	}
	p := &checkPrinter{a.stdout, a.out, c.Verbose}
	if len(reports) > 1 {
		p.table(reports)
	}
	for i, r := range reports {
		if i > 0 || len(reports) > 1 {
			fmt.Fprintln(a.stdout)
		}
		p.report(r)
	}
	return nil
}

// A checkPrinter shows reports to a person.
type checkPrinter struct {
	w       io.Writer
	style   style
	verbose bool
}

// sign is a verdict as one letter.
func (p *checkPrinter) sign(v check.Verdict) string {
	switch v {
	case check.Kept:
		return p.style.green("✓")
	case check.Broken:
		return p.style.red("✗")
	case check.NotOffered:
		return p.style.dim("–")
	}
	return p.style.yellow("?")
}

// report shows one server: a line for each promise, and below it what is not
// kept.
func (p *checkPrinter) report(r *check.Report) {
	about := []string{printable(r.Model)}
	if r.Context > 0 {
		about = append(about, count(int64(r.Context))+" tokens of context")
	}
	name := printable(r.Title())
	if r.Software != "" {
		about = append([]string{printable(r.URL)}, about...)
	}
	fmt.Fprintf(p.w, "%s  %s\n\n", p.style.bold(name), p.style.dim(strings.Join(about, ", ")))
	for rest := r.Results; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Promise == rest[0].Promise {
			n++
		}
		p.promise(rest[:n])
		rest = rest[n:]
	}
	var sums []string
	for _, v := range []check.Verdict{check.Kept, check.Broken, check.NotOffered, check.CannotTell} {
		if k := r.Count(v); k > 0 || v == check.Kept {
			sums = append(sums, fmt.Sprintf("%s %d %s", p.sign(v), k, v))
		}
	}
	fmt.Fprintf(p.w, "\n%s  %s\n", strings.Join(sums, "   "), p.style.dim(fmt.Sprintf("in %.1f s", r.Seconds)))
}

// promise shows the results of one promise.
func (p *checkPrinter) promise(results []check.Result) {
	kept, worst := 0, check.Kept
	for _, x := range results {
		switch {
		case x.Verdict == check.Kept:
			kept++
		case x.Verdict == check.Broken || worst == check.Kept || worst == check.NotOffered && x.Verdict == check.CannotTell:
			if worst != check.Broken {
				worst = x.Verdict
			}
		}
	}
	fmt.Fprintf(p.w, "%s %-40s %s\n", p.sign(worst), results[0].Promise, p.style.dim(fmt.Sprintf("%d of %d kept", kept, len(results))))
	for _, x := range results {
		if x.Verdict == check.Kept && !p.verbose {
			continue
		}
		fmt.Fprintf(p.w, "    %s %-19s %s\n", p.sign(x.Verdict), x.Check, printable(x.Evidence))
		if x.Verdict == check.Kept {
			continue
		}
		requests := x.Requests
		if !p.verbose {
			requests = requests[max(0, len(requests)-1):]
		}
		for _, line := range requests {
			const longest = 2000 // more than that is for --json
			if len(line) > longest && !p.verbose {
				fmt.Fprintf(p.w, "        %s\n", p.style.dim(fmt.Sprintf("a request of %s bytes: --verbose or --json shows it", count(int64(len(line))))))
				continue
			}
			fmt.Fprintf(p.w, "        %s\n", p.style.cyan(printable(line)))
		}
	}
}

// table puts servers side by side.
func (p *checkPrinter) table(reports []*check.Report) {
	names := 0
	for _, r := range reports {
		names = max(names, len([]rune(printable(r.Title()))))
	}
	for i, r := range reports {
		fmt.Fprintf(p.w, "%d  %-*s  %s\n", i+1, names, printable(r.Title()), p.style.dim(printable(r.URL)))
	}
	fmt.Fprintf(p.w, "\n%22s", "")
	for i := range reports {
		p.column(i, fmt.Sprint(i+1), len(reports))
	}
	var promise check.Promise
	for i, first := range reports[0].Results {
		if first.Promise != promise {
			promise = first.Promise
			fmt.Fprintf(p.w, "%s\n", p.style.bold(string(promise)))
		}
		fmt.Fprintf(p.w, "  %-19s ", first.Check)
		for j, r := range reports {
			p.column(j, p.sign(r.Results[i].Verdict), len(reports))
		}
	}
}

// column writes cell i of so many, which is one letter wide.
func (p *checkPrinter) column(i int, letter string, of int) {
	gap := "   "
	if i == of-1 {
		gap = "\n"
	}
	fmt.Fprint(p.w, letter, gap)
}
