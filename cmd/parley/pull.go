package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"parley/internal/discover"
	"parley/internal/gguf"
	"parley/internal/hub"
)

type pullCmd struct {
	Model string `arg:"" help:"OWNER/REPO, with :QUANT or :FILE.gguf to choose one, and @REVISION; or the address of its page."`
	To    string `placeholder:"DIR" env:"PARLEY_MODELS" help:"Keep it in this folder. Default: one of the user's, in which every command looks for models."`
}

func (*pullCmd) Help() string {
	return `Without a quantisation, Q4_K_M is fetched if there is one. A fetch that is
broken off goes on where it was when the command is given again. Nothing counts as a
model before all of it has come and its SHA-256 is the hub's.

HF_TOKEN is your token for models that need one, HF_ENDPOINT another hub or a mirror.

Examples:

    parley pull bartowski/Llama-3.2-3B-Instruct-GGUF
    parley pull bartowski/Llama-3.2-3B-Instruct-GGUF:Q8_0 --to ./models`
}

func (c *pullCmd) Run(a *app) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	ref, err := hub.ParseRef(c.Model)
	if err != nil {
		return err
	}
	here := discover.Here()
	dir, found := c.To, ""
	if dir == "" {
		if dir = here.ModelsDir(); dir == "" {
			return usageError("name one with --to", "you have no folder of your own to keep it in")
		}
		found = " (it is found there)"
	}
	options := hub.FromEnvironment(os.Getenv, here.Home)
	options.Agent = "parley/" + version()
	client, err := hub.New(options)
	if err != nil {
		return err
	}
	commit, m, err := client.Find(ctx, ref)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	fmt.Fprintf(a.stderr, "%s, %s in %s, from %s\n", printable(m.Name), size(m.Size()), files(len(m.Files)), printable(ref.Owner+"/"+ref.Repo))
	p := &pullProgress{w: a.stderr, style: a.err, now: time.Now}
	path, err := client.Fetch(ctx, ref, commit, m, dir, p.tell)
	p.end()
	if ctx.Err() != nil {
		fmt.Fprintln(a.stderr, "broken off: the same command goes on where it was")
	}
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	fmt.Fprintln(a.stdout, path)
	name := path
	if found != "" {
		name = gguf.NameOf(path)
	}
	fmt.Fprintf(a.stderr, "%s parley chat --model %s%s\n", a.err.dim("talk to it:"), printable(quoted(name)), found)
	return nil
}

// quoted is a word for a shell.
func quoted(s string) string {
	if strings.ContainsAny(s, " '\"\\$`!&|;<>()*?[]#~%") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

func files(n int) string {
	if n == 1 {
		return "one file"
	}
	return fmt.Sprintf("%d files", n)
}

// A pullProgress shows on a terminal how far a fetch is, and how long it will
// take at the speed of the last seconds.
type pullProgress struct {
	w     io.Writer
	style style
	now   func() time.Time

	shown time.Time
	past  []moment // of the last seconds, one for each time it was shown
}

type moment struct {
	at   time.Time
	done int64
}

const (
	pullShown = 100 * time.Millisecond // a line is not written more often
	pullPast  = 5 * time.Second
)

func (p *pullProgress) tell(s hub.Progress) {
	if !p.style.on {
		return
	}
	now := p.now()
	if now.Sub(p.shown) < pullShown && s.Done < s.Total {
		return
	}
	p.shown = now
	share := 1.0
	if s.Total > 0 {
		share = float64(s.Done) / float64(s.Total)
	}
	line := fmt.Sprintf("%s  %s of %s", p.style.bar(share), size(s.Done), size(s.Total))
	if s.Checking {
		p.past = nil
		line += "  checking what is there"
	} else {
		p.past = append(p.past, moment{now, s.Done})
		for now.Sub(p.past[0].at) > pullPast {
			p.past = p.past[1:]
		}
		if first := p.past[0]; now.Sub(first.at) >= time.Second/2 {
			speed := float64(s.Done-first.done) / now.Sub(first.at).Seconds()
			line += fmt.Sprintf("  %s/s", size(int64(speed)))
			if left := s.Total - s.Done; left > 0 && speed > 0 {
				line += "  " + remaining(time.Duration(float64(left)/speed*float64(time.Second)))
			}
		}
	}
	fmt.Fprint(p.w, clearLine+line)
}

// remaining is a time as people say it.
func remaining(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s left", int(d.Seconds())+1)
	case d < time.Hour:
		return fmt.Sprintf("%d min left", int(d.Minutes())+1)
	case d < 100*time.Hour:
		return fmt.Sprintf("%d h %d min left", int(d.Hours()), int(d.Minutes())%60)
	}
	return "days left"
}

func (p *pullProgress) end() {
	if p.style.on {
		fmt.Fprint(p.w, clearLine)
	}
}
