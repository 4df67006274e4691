package llm

import "strings"

// A Report lists what was done differently from what was asked: a number
// capped, a field ignored, messages repaired or dropped. Whoever does such a
// thing adds a note; nothing of the kind is done in silence.
type Report []Note

// A Note is one entry of a Report.
type Note struct {
	Code   string `json:"code"`             // a fixed word: "max_tokens_capped", "ignored", …
	Value  string `json:"value,omitempty"`  // what it is about: a number, the name of a field
	Detail string `json:"detail,omitempty"` // a sentence for a person
}

// Add appends a note, unless the same one is there already.
func (r *Report) Add(code, value, detail string) {
	n := Note{code, value, detail}
	for _, have := range *r {
		if have == n {
			return
		}
	}
	*r = append(*r, n)
}

// Merge adds the notes of another report.
func (r *Report) Merge(other Report) {
	for _, n := range other {
		r.Add(n.Code, n.Value, n.Detail)
	}
}

// Header is the report in one line for an HTTP header: "code=value, …".
// Values are reduced to the characters that a header may carry.
func (r Report) Header() string {
	var b strings.Builder
	for i, n := range r {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(headerSafe(n.Code))
		if n.Value != "" {
			b.WriteByte('=')
			b.WriteString(headerSafe(n.Value))
		}
	}
	return b.String()
}

func headerSafe(s string) string {
	const longest = 128
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || r == ',' || r == '=' {
			return '_'
		}
		return r
	}, s[:min(len(s), longest)])
}
