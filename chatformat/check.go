package chatformat

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Finding is something that a person who writes a format should know.
type Finding struct {
	Line     int // of the file, from 1; 0: the file as a whole
	Severity Severity
	Message  string
}

// Severity says how bad a finding is.
type Severity string

const (
	SeverityError   Severity = "error"   // the file is no format
	SeverityWarning Severity = "warning" // it is one, but probably not the one that was meant
	SeverityNote    Severity = "note"    // what the file leaves open, and what that means
)

// Check reads a format file and says what is wrong, suspicious or left open in
// it, in the order of its lines.
func Check(name string, data []byte) []Finding {
	m, err := ParseMarkup(name, data)
	if err != nil {
		message := strings.TrimPrefix(err.Error(), "chat format "+name+": ")
		line := 0
		if at := errorLine.FindStringSubmatch(message); at != nil {
			line, _ = strconv.Atoi(at[1])
			message = message[len(at[0]):]
		}
		return []Finding{{line, SeverityError, message}}
	}
	c := checker{m: m, lines: keyLines(string(data))}
	c.open()
	c.delimiters()
	c.stops()
	c.texts()
	slices.SortStableFunc(c.found, func(a, b Finding) int { return a.Line - b.Line })
	return c.found
}

// errorLine is how ParseMarkup begins where it knows the place.
var errorLine = regexp.MustCompile(`^line (\d+)(?:, column \d+)?: `)

type checker struct {
	m     *Markup
	lines map[string]int
	found []Finding
}

func (c *checker) add(line int, s Severity, format string, args ...any) {
	c.found = append(c.found, Finding{line, s, fmt.Sprintf(format, args...)})
}

func (c *checker) at(key string, s Severity, format string, args ...any) {
	c.add(c.lines[key], s, format, args...)
}

// open says what the file leaves to the defaults.
func (c *checker) open() {
	f := c.m.file
	if f.Generation == nil {
		c.at("assistant", SeverityNote, "generation is not set: a reply begins with %q, the assistant prefix without trailing spaces", c.m.generation)
	}
	if f.Stop == nil {
		if len(c.m.stop) == 0 {
			c.add(0, SeverityWarning, "there are no stop strings, and neither an assistant suffix nor a user prefix to take them from: only the model's own end token ends a reply")
		} else {
			c.add(0, SeverityNote, "stop is not set: a reply ends at %q, the assistant suffix and the user prefix", c.m.stop)
		}
	}
	if c.lines["system"] == 0 {
		c.add(0, SeverityNote, "there is no table [system]: system messages go into the first user message, a blank line behind them")
	} else if c.lines["system.place"] == 0 && f.System.Place == placeFirst {
		c.at("system", SeverityWarning, "system messages have neither prefix nor suffix: only those at the beginning can be told from what follows, later ones become user messages")
	}
	if c.m.Words() && c.lines["words"] == 0 {
		c.at("user", SeverityNote, "turns are marked with plain words, which a user's text can imitate: such look-alikes are reported")
	}
}

// delimiters finds turns that cannot be told apart.
func (c *checker) delimiters() {
	f := c.m.file
	u, a := *f.User, *f.Assistant
	switch {
	case u == (roleTag{}) && a == (roleTag{}):
		c.at("user", SeverityWarning, "neither user nor assistant has a prefix or a suffix: nothing tells the messages apart")
	case u == a:
		c.at("assistant", SeverityWarning, "user and assistant have the same prefix and suffix: a reply cannot be told from a question")
	}
	if !strings.HasPrefix(a.Prefix, c.m.generation) {
		c.at("generation", SeverityWarning, "a reply begins with %q, but the assistant's earlier messages with %q", c.m.generation, a.Prefix)
	}
	if strings.HasSuffix(c.m.generation, " ") {
		c.at("generation", SeverityWarning, "generation ends with a space: most vocabularies join a space to the word behind it, so that the model would have to begin with an unusual token")
	}
	if a.Suffix == "" && u.Prefix == "" && c.m.generation == "" {
		c.at("assistant", SeverityWarning, "nothing stands between an assistant message and the user message behind it")
	}
}

func (c *checker) stops() {
	for i, s := range c.m.stop {
		switch {
		case strings.TrimSpace(s) == "":
			c.at("stop", SeverityWarning, "stop[%d] is white space: a reply ends at its first %q", i, s)
		case len([]rune(s)) == 1:
			c.at("stop", SeverityWarning, "stop[%d] is the single character %q", i, s)
		case c.m.file.Reasoning != nil && strings.Contains(c.m.file.Reasoning.Open+c.m.file.Reasoning.Close, s):
			c.at("stop", SeverityWarning, "stop[%d], %q, ends the reply at a mark of reasoning", i, s)
		}
	}
}

var (
	unknownPlaceholder = regexp.MustCompile(`\{\{.*?\}\}|\{%.*?%\}|\{[a-z_]+\}`)
	literalEscape      = regexp.MustCompile(`\\[nrt]`)
)

// texts finds delimiters that look like a mistake in writing.
func (c *checker) texts() {
	f := c.m.file
	for _, t := range []struct{ key, text string }{
		{"start", f.Start}, {"generation", c.m.generation},
		{"system.prefix", f.System.Prefix}, {"system.suffix", f.System.Suffix},
		{"user.prefix", f.User.Prefix}, {"user.suffix", f.User.Suffix},
		{"assistant.prefix", f.Assistant.Prefix}, {"assistant.suffix", f.Assistant.Suffix},
	} {
		if c.lines[t.key] == 0 {
			continue
		}
		for _, p := range unknownPlaceholder.FindAllString(t.text, -1) {
			if !slices.Contains([]string{userPlaceholder, assistantPlaceholder, roundPlaceholder}, p) {
				c.at(t.key, SeverityWarning, "%s holds %s, which is not replaced: it will stand in the prompt as it is", t.key, p)
			}
		}
		if e := literalEscape.FindString(t.text); e != "" {
			c.at(t.key, SeverityWarning, `%s holds a backslash and a letter, not a line break: write it in "…", not in '…'`, t.key)
		}
	}
	if f.BOS != "" && strings.HasPrefix(f.Start, f.BOS) {
		c.at("start", SeverityNote, "start begins with %s, the beginning-of-text token: it will not be put there a second time", f.BOS)
	}
}

// keyLines finds the line of each table and key of a file that is known to be
// right.
func keyLines(file string) map[string]int {
	lines, table, quoted := map[string]int{}, "", ""
	for i, line := range strings.Split(file, "\n") {
		trimmed := strings.TrimSpace(line)
		if quoted != "" { // inside of a text of several lines
			if strings.Contains(trimmed, quoted) {
				quoted = ""
			}
			continue
		}
		if name, ok := strings.CutPrefix(trimmed, "["); ok {
			if name, _, ok = strings.Cut(name, "]"); ok && !strings.ContainsAny(name, `"', `) {
				table = name + "."
				lines[name] = i + 1
			}
			continue
		}
		key, value, ok := strings.Cut(trimmed, "=")
		key = strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return -1
			}
			return r
		}, key)
		if !ok || key == "" || strings.ContainsAny(key, `"'#`) {
			continue
		}
		lines[table+key] = i + 1
		if dot := strings.IndexByte(key, '.'); dot > 0 && lines[key[:dot]] == 0 {
			lines[key[:dot]] = i + 1
		}
		for _, q := range []string{`"""`, `'''`} {
			if strings.Count(value, q) == 1 {
				quoted = q
			}
		}
	}
	return lines
}
