// Command parley serves local language models as conversation partners, and
// talks to them in the terminal. Each subcommand has a file of its own here;
// what they do is done by the packages below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

type cli struct {
	Config  string           `placeholder:"FILE" env:"PARLEY_CONFIG" help:"Configuration file. Default: parley.toml here or in the user's configuration directory."`
	Version kong.VersionFlag `help:"Print the version."`

	Serve     serveCmd     `cmd:"" help:"Serve models over HTTP."`
	Chat      chatCmd      `cmd:"" help:"Talk in the terminal."`
	Ask       askCmd       `cmd:"" help:"Ask once; the answer alone on standard output."`
	Render    renderCmd    `cmd:"" help:"Show the exact prompt of a conversation."`
	Tokens    tokensCmd    `cmd:"" help:"Turn text into token ids, and back."`
	Models    modelsCmd    `cmd:"" help:"List models, or look into a file."`
	Pull      pullCmd      `cmd:"" help:"Fetch a model from Hugging Face's hub."`
	Formats   formatsCmd   `cmd:"" help:"List, show and check chat formats."`
	Character characterCmd `cmd:"" help:"Import, list, show and export characters."`
	Lorebook  lorebookCmd  `cmd:"" help:"Import, list, show and export lorebooks."`
	Bench     benchCmd     `cmd:"" help:"Measure how fast a model runs here."`

	Session   sessionCmd `cmd:"" help:"List, show, export and import what was talked."`
	Configure configCmd  `cmd:"" name:"config" help:"Take over the configuration of another program."`
	Key       keyCmd     `cmd:"" help:"Make, list and revoke API keys."`
	Check     checkCmd   `cmd:"" help:"Find out whether a server keeps its promises."`
}

// An app is what every subcommand gets: its streams and how to colour them.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	out, err       style
	configPath     string
}

func (a *app) config() (config, error) { return loadConfig(a.configPath) }

// exited is how kong leaves after --help and --version.
type exited int

// run is the whole program, as a function of its streams; it gives the exit
// code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, out: styleFor(stdout), err: styleFor(stderr)}
	defer func() {
		if e, ok := recover().(exited); ok {
			code = int(e)
		}
	}()
	return a.run(args)
}

func (a *app) run(args []string) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("parley"),
		kong.Description("A chat server for local language models. With no --model, a small built-in one answers."),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ShortUsageOnError(),
		kong.Vars{"version": "parley " + version(), "listen": defaultListen, "faces": strings.Join(faceNames(), ", ")},
	)
	if err != nil {
		panic(err) // the declarations above are wrong
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return report(a.stderr, a.err, asUsage(err))
	}
	a.configPath = c.Config
	err = parsed.Run(a)
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted // he who pressed Ctrl-C knows
	case errors.Is(err, errBroken):
		return exitFailed // the report has said it
	case err != nil:
		return report(a.stderr, a.err, err)
	}
	return 0
}

// asUsage adds to a parser's error where help is.
func asUsage(err error) error {
	hint := "parley --help"
	if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context != nil {
		if command := e.Context.Command(); command != "" {
			hint = "parley " + strings.Fields(command)[0] + " --help"
		}
	}
	return usageError(hint, "%v", err)
}

// version is the module's version, and the commit where it was built from one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return fmt.Sprintf("%s (%s)", release, s.Value[:12])
		}
	}
	return release
}

// release is the version that CHANGELOG.md describes first.
const release = "0.1.0"
