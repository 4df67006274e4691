// Command benchplot draws what parley bench measured, as an SVG: what a token
// costs behind contexts of some lengths, and with so many streams at a time.
//
//	parley bench --model a.gguf --json > a.json
//	go run ./tools/benchplot a.json … > bench.svg
//
// A file may have several results, one behind the other. Of each the measured
// line is drawn, and in dashes the one that reading memory allows.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"parley/engine"
)

func main() {
	results, err := read(os.Args[1:])
	if err == nil {
		var svg string
		if svg, err = draw(results); err == nil {
			_, err = io.WriteString(os.Stdout, svg)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchplot:", err)
		os.Exit(1)
	}
}

func read(paths []string) (all []engine.BenchResult, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		for d := json.NewDecoder(f); ; {
			var r engine.BenchResult
			if err := d.Decode(&r); err == io.EOF {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// A point of a line: milliseconds a token, over a context or a number of streams.
type point struct{ x, y float64 }

type line struct {
	label    string
	measured []point
	bound    []point
}

// contexts and streams are the lines of the two halves. Those of a single point
// are left out.
func contexts(all []engine.BenchResult) (lines []line) {
	for _, r := range all {
		by := map[int]*line{} // of so many streams at a time
		for _, c := range r.Contexts {
			n := max(1, c.Sequences)
			l := by[n]
			if l == nil {
				l = &line{label: label(r)}
				if n > 1 {
					l.label += fmt.Sprintf(", %d streams", n)
				}
				by[n] = l
			}
			l.measured = append(l.measured, point{float64(c.Context), 1000 / c.DecodeTPS})
			l.bound = append(l.bound, point{float64(c.Context), 1000 / c.CeilingTPS})
		}
		for _, n := range slices.Sorted(maps.Keys(by)) {
			if len(by[n].measured) > 1 {
				lines = append(lines, *by[n])
			}
		}
	}
	return lines
}

func streams(all []engine.BenchResult) (lines []line) {
	for _, r := range all {
		l := line{label: label(r)}
		for _, s := range r.Sequences {
			n := float64(s.Sequences)
			l.measured = append(l.measured, point{n, 1000 / s.DecodeTPS})
			l.bound = append(l.bound, point{n, 1000 / s.CeilingTPS})
		}
		if len(l.measured) > 1 {
			lines = append(lines, l)
		}
	}
	return lines
}

func label(r engine.BenchResult) string {
	s := r.Type + ", " + r.Kernels
	if r.KVCache != "" && r.KVCache != "f16" {
		s += ", cache " + r.KVCache
	}
	return s
}

// The drawing, in pixels.
const (
	width       = 900
	half        = width / 2
	left, right = 52, 16 // of the axes in their half
	top         = 40
	axes        = 256 // the height of them
	below       = 52  // of what stands under them, before the lines' names
	row         = 16  // of two of these
)

// Pages are light or dark, and the lines' colours can be told apart on both.
const style = `<style>
text { fill: #222222 } .grid { stroke: #dddddd }
@media (prefers-color-scheme: dark) { text { fill: #dddddd } .grid { stroke: #3a3f46 } .paper { fill: #161b22 } }
</style>
`

var colours = []string{"#2f86c9", "#d9691f", "#3f9a4e", "#a05fc4", "#a88a00", "#8a8f98"}

func draw(all []engine.BenchResult) (string, error) {
	a, b := contexts(all), streams(all)
	if len(a) == 0 && len(b) == 0 {
		return "", errors.New("nothing was measured for two contexts or two numbers of streams")
	}
	height := top + axes + below + row*((max(len(a), len(b))+1)/2)
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	s.WriteString(style)
	fmt.Fprintf(&s, `<rect class="paper" width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	panel(&s, 0, "ms a token of all streams behind a context", "tokens of context", a)
	panel(&s, half, "ms a token of all streams together", "streams at a time", b)
	s.WriteString("</svg>\n")
	return s.String(), nil
}

// panel draws lines over a logarithmic axis to the right.
func panel(s *strings.Builder, at float64, title, unit string, lines []line) {
	if len(lines) == 0 {
		return
	}
	low, high, most := math.Inf(1), 0.0, 0.0
	ticks := map[float64]bool{}
	for _, l := range lines {
		for _, p := range l.measured {
			low, high, most = min(low, p.x), max(high, p.x), max(most, p.y)
			ticks[p.x] = true
		}
	}
	step := scale(most)
	ceiling := step * math.Ceil(most/step)
	x := func(v float64) float64 {
		return at + left + (half-left-right)*math.Log(v/low)/math.Log(high/low)
	}
	y := func(v float64) float64 { return top + axes*(1-v/ceiling) }
	text := func(px, py float64, anchor, words string) {
		fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", px, py, anchor, html.EscapeString(words))
	}
	text(at+left, top-16, "start", title)
	for v := 0.0; v <= ceiling+step/2; v += step {
		fmt.Fprintf(s, `<path d="M%.1f %.1fH%.1f" class="grid"/>`+"\n", at+left, y(v), at+half-right)
		text(at+left-6, y(v)+4, "end", fmt.Sprintf("%.4g", v))
	}
	last := math.Inf(-1)
	for _, v := range slices.Sorted(maps.Keys(ticks)) {
		if x(v)-last < 34 {
			continue // its number would stand in that of the one before
		}
		last = x(v)
		text(last, top+axes+16, "middle", fmt.Sprintf("%.0f", v))
	}
	text(at+left+(half-left-right)/2.0, top+axes+34, "middle", unit)
	for i, l := range lines {
		colour := colours[i%len(colours)]
		path := func(list []point, dashes string) {
			var d strings.Builder
			for j, p := range list {
				fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(j, 1)], x(p.x), y(min(p.y, ceiling)))
			}
			fmt.Fprintf(s, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8"%s/>`+"\n", d.String(), colour, dashes)
		}
		path(l.bound, ` stroke-dasharray="4 4" opacity="0.6"`)
		path(l.measured, "")
		for _, p := range l.measured {
			fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(p.x), y(p.y), colour)
		}
		kx, ky := at+left+float64(i%2)*(half-left-right)/2, float64(top+axes+below+2+i/2*row)
		fmt.Fprintf(s, `<path d="M%.1f %.1fh18" stroke="%s" stroke-width="3"/>`+"\n", kx, ky-4, colour)
		text(kx+24, ky, "start", l.label)
	}
}

// scale is a round distance between the marks of an axis, some five of them.
func scale(most float64) float64 {
	ten := math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, n := range []float64{1, 2, 5} {
		if most/(n*ten) <= 6 {
			return n * ten
		}
	}
	return 10 * ten
}
