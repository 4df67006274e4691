package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A style colours text, or leaves it as it is where nobody would see colours.
type style struct{ on bool }

func (s style) wrap(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(t string) string   { return s.wrap("1", t) }
func (s style) dim(t string) string    { return s.wrap("2", t) }
func (s style) red(t string) string    { return s.wrap("1;31", t) }
func (s style) green(t string) string  { return s.wrap("32", t) }
func (s style) yellow(t string) string { return s.wrap("33", t) }
func (s style) cyan(t string) string   { return s.wrap("36", t) }

// bar shows how much of something is done, from 0 to 1.
func (s style) bar(share float64) string {
	const width = 24
	filled := int(share * width)
	return fmt.Sprintf("%s%s %3d %%", s.green(strings.Repeat("━", filled)), s.dim(strings.Repeat("━", width-filled)), int(share*100))
}

// styleFor decides whether a stream shows colours: a terminal does, unless
// NO_COLOR (no-color.org) is set or it calls itself dumb.
func styleFor(w io.Writer) style {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return style{}
	}
	return style{enableEscapes(w.(*os.File))}
}

// isTerminal reports whether a stream is a person.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
