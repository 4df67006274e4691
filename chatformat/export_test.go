package chatformat

import "time"

// SetClock sets what a template takes for the current time.
func (t *Template) SetClock(now time.Time) { t.now = func() time.Time { return now } }

// Addition is what a prompt has beyond another one.
var Addition = addition

// CallSyntax is the syntax in which the calls of a template's models are read,
// "" where others are looked for.
func (t *Template) CallSyntax() string {
	if f := t.calls(); f.known {
		return f.syntaxes[0].name
	}
	return ""
}
