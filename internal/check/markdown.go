package check

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// signs stand for the verdicts in a table.
var signs = map[Verdict]string{Kept: "yes", Broken: "**no**", NotOffered: "–", CannotTell: "?"}

// WriteMarkdown writes a table of checks and servers, and under it what was
// found where a promise is not kept. The reports must be of the same checks.
func WriteMarkdown(w io.Writer, reports []*Report) error {
	var b strings.Builder
	b.WriteString("| check |")
	for _, r := range reports {
		fmt.Fprintf(&b, " %s |", cell(r.Title()))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(reports)) + "\n")
	if len(reports) > 0 {
		var promise Promise
		for i, first := range reports[0].Results {
			if first.Promise != promise {
				promise = first.Promise
				fmt.Fprintf(&b, "| **%s** |%s\n", promise, strings.Repeat(" |", len(reports)))
			}
			fmt.Fprintf(&b, "| `%s` |", first.Check)
			for _, r := range reports {
				fmt.Fprintf(&b, " %s |", signs[r.Results[i].Verdict])
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\nyes: kept; **no**: broken; –: not offered, and openly so; ?: cannot be told from outside.\n")
	for _, r := range reports {
		if r.Count(Kept) == len(r.Results) {
			continue
		}
		fmt.Fprintf(&b, "\n%s, model `%s`:\n\n", r.Title(), r.Model)
		for _, x := range r.Results {
			if x.Verdict != Kept {
				fmt.Fprintf(&b, "- `%s` %s: %s\n", x.Check, x.Verdict, strings.ReplaceAll(x.Evidence, "<", "&lt;"))
			}
		}
	}
	// Names come from servers.
	_, err := io.WriteString(w, strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, b.String()))
	return err
}

// Title is the server's software and version, or its address where it does not
// say.
func (r *Report) Title() string {
	switch {
	case r.Software == "":
		return r.URL
	case r.Version == "":
		return r.Software
	}
	return r.Software + " " + r.Version
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
