package limits

import (
	"fmt"
	"strings"
)

// Markdown is the table for people.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Limits\n\nEvery number and length that comes from outside is bounded by a row of this table, which is printed from\n`internal/limits/table.go`. An error that a limit causes ends in its name.\n\n")
	b.WriteString("| limit | from | to | unit | what it bounds |\n|---|---:|---:|---|---|\n")
	for _, l := range table {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", l.Name, number(l.Min), number(l.Max), l.Unit, l.What)
	}
	return b.String()
}
