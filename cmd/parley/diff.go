package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"parley/chat"
)

// showDiff prints by which lines the prompt of one format differs from that
// of another.
func showDiff(a *app, one, other chat.Rendered) error {
	w := bufio.NewWriter(a.stdout)
	fmt.Fprintln(w, a.out.bold("--- "+one.Format))
	fmt.Fprintln(w, a.out.bold("+++ "+other.Format))
	lines := func(r chat.Rendered) []string {
		text := r.Prompt.String()
		if isTerminal(a.stdout) {
			text = printable(text)
		}
		return strings.Split(text, "\n")
	}
	for _, l := range diffLines(lines(one), lines(other)) {
		switch l[0] {
		case '-':
			l = a.out.red(l)
		case '+':
			l = a.out.green(l)
		default:
			l = a.out.dim(l)
		}
		fmt.Fprintln(w, l)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	showFacts(a, one)
	showFacts(a, other)
	return nil
}

// mostCells bounds the table of the longest common subsequence.
const mostCells = 4 << 20

// diffLines is a and b as one text: lines of both behind a space, those of a
// alone behind "-", those of b alone behind "+". What is too long to compare
// counts as different.
func diffLines(a, b []string) (out []string) {
	add := func(mark string, lines []string) {
		for _, l := range lines {
			out = append(out, mark+l)
		}
	}
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	add(" ", a[:head])
	end := a[len(a)-tail:]
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	if (len(a)+1)*(len(b)+1) <= mostCells {
		common := commonLengths(a, b)
		for len(a) > 0 && len(b) > 0 {
			switch i, j := len(common)-len(a)-1, len(common[0])-len(b)-1; {
			case a[0] == b[0]:
				add(" ", a[:1])
				a, b = a[1:], b[1:]
			case common[i+1][j] >= common[i][j+1]:
				add("-", a[:1])
				a = a[1:]
			default:
				add("+", b[:1])
				b = b[1:]
			}
		}
	}
	add("-", a)
	add("+", b)
	add(" ", end)
	return slices.Clip(out)
}

// commonLengths[i][j] is the length of the longest common subsequence of a[i:]
// and b[j:].
func commonLengths(a, b []string) [][]int32 {
	all := make([][]int32, len(a)+1)
	for i := range all {
		all[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				all[i][j] = all[i+1][j+1] + 1
			} else {
				all[i][j] = max(all[i+1][j], all[i][j+1])
			}
		}
	}
	return all
}
