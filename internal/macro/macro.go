// Package macro puts values in place of the macros that authors of characters
// write: {{char}}, {{user}}, {{random:a,b}} and their kin. It takes texts by
// authors and operators only; what people and models say is never given to it.
//
// A text is read once. What a macro stands for is not looked through again, so
// that a name cannot bring macros along. Clock and chance come in as values:
// the same text and values give the same result.
package macro

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"parley/internal/limits"
	"parley/llm"
)

// Values are what macros stand for.
type Values struct {
	Char, User string
	Group      string // the names of all characters; Char if it is empty
	Persona    string // who the user is
	// Parts of the card, expanded already.
	Description, Personality, Scenario, Examples string

	// Original is what the text replaces, for {{original}}, which stands for it
	// once; a second one is empty.
	Original string

	Now  time.Time     // for {{time}} and its kin, in the zone that counts
	Idle time.Duration // since the user last spoke

	// Place names the text among all texts of a chat. What {{random}} and
	// {{roll}} draw depends on Seed, Place and how many were drawn before in the
	// text; what {{pick}} draws on Chat instead of Seed.
	Place string
	Seed  uint64
	Chat  uint64
}

// A Draw is a choice by chance that was made.
type Draw struct {
	Macro string `json:"macro"` // as it was written
	Value string `json:"value"` // what it came to
}

// Result is a text with its macros expanded.
type Result struct {
	Text    string
	Draws   []Draw
	Hidden  []string // what hidden keys hold: no one is told, but lorebooks look there
	Unknown []string // macros that are none, each once: they stay as they are
	Changes bool     // whether the text depends on the clock or on the seed
}

// maxDepth bounds macros within macros.
const maxDepth = 16

// Expand puts values in place of macros. The error is an *llm.Error: the text
// would be too long.
func Expand(text string, v Values) (Result, error) {
	if !strings.ContainsAny(text, "{<") {
		return Result{Text: text}, nil
	}
	x := &expander{src: text, v: v, ends: matching(text), random: source(v.Seed, v.Place), pick: source(v.Chat, v.Place)}
	x.run(0, len(text), 0)
	if x.tooLong {
		return Result{}, llm.Errorf(llm.Invalid, v.Place, "with its macros expanded the text would be longer than %d bytes", limits.MacroBytes.Int())
	}
	x.res.Text = string(x.out)
	return x.res, nil
}

func source(seed uint64, place string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(place))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// matching says where each {{ has its }}, by its offset.
func matching(text string) map[int]int {
	ends := map[int]int{}
	var open []int
	for i := 0; i+1 < len(text); i++ {
		switch {
		case text[i] == '{' && text[i+1] == '{':
			open = append(open, i)
			i++
		case text[i] == '}' && text[i+1] == '}' && len(open) > 0:
			ends[open[len(open)-1]] = i
			open = open[:len(open)-1]
			i++
		}
	}
	return ends
}

type expander struct {
	src          string
	v            Values
	ends         map[int]int
	random, pick *rand.Rand
	out          []byte
	trims        bool // newlines to come are left out
	usedOriginal bool
	tooLong      bool
	res          Result
}

func (x *expander) write(s string) {
	if x.trims {
		if s = strings.TrimLeft(s, "\r\n"); s == "" {
			return
		}
		x.trims = false
	}
	if len(x.out)+len(s) > limits.MacroBytes.Int() {
		x.tooLong = true
		return
	}
	x.out = append(x.out, s...)
}

// run expands src[from:to].
func (x *expander) run(from, to, depth int) {
	for from < to && !x.tooLong {
		at := strings.IndexAny(x.src[from:to], "{<")
		if at < 0 {
			break
		}
		x.write(x.src[from : from+at])
		from += at
		if x.src[from] == '<' {
			from += x.tag(x.src[from:to])
			continue
		}
		end, ok := x.ends[from]
		if !ok || end >= to || depth >= maxDepth || !x.macro(from+2, end, depth) {
			x.write(x.src[from : from+1])
			from++
			continue
		}
		from = end + 2
	}
	if from < to {
		x.write(x.src[from:to])
	}
}

// tag expands the marks of old, and gives the length of what it read.
func (x *expander) tag(text string) int {
	group := cmp.Or(x.v.Group, x.v.Char)
	for _, t := range []struct{ mark, value string }{
		{"<user>", x.v.User}, {"<bot>", x.v.Char}, {"<char>", x.v.Char}, {"<group>", group}, {"<charifnotgroup>", group},
	} {
		if len(text) >= len(t.mark) && strings.EqualFold(text[:len(t.mark)], t.mark) {
			x.write(t.value)
			return len(t.mark)
		}
	}
	x.write(text[:1])
	return 1
}

// macro expands the macro in src[from:to] and reports whether it is one.
func (x *expander) macro(from, to, depth int) bool {
	whole := x.src[from:to]
	from, to = to-len(strings.TrimLeft(whole, " \t\r\n")), from+len(strings.TrimRight(whole, " \t\r\n"))
	if from >= to { // there is nothing
		return x.unknown(whole)
	}
	body := x.src[from:to]
	if strings.HasPrefix(body, "//") {
		return true
	}
	end := strings.IndexFunc(body, func(r rune) bool { return r == ':' || unicode.IsSpace(r) })
	if end <= 0 {
		end = len(body)
	}
	name := strings.ToLower(body[:end])
	if value, ok := x.value(name); ok && strings.TrimSpace(body[end:]) == "" {
		x.write(value)
		return true
	}
	rest := strings.TrimLeft(body[end:], " \t\r\n")
	if cut, ok := strings.CutPrefix(rest, "::"); ok {
		rest = cut
	} else {
		rest = strings.TrimPrefix(rest, ":")
	}
	argument, hasArgument := to-len(rest), end < len(body)
	switch name {
	case "noop":
	case "newline", "space":
		n := 1
		if hasArgument {
			var err error
			if n, err = strconv.Atoi(strings.Trim(x.src[argument:to], ": ")); err != nil || n < 0 || n > 100 {
				return x.unknown(whole)
			}
		}
		x.write(strings.Repeat(map[string]string{"newline": "\n", "space": " "}[name], n))
	case "trim":
		x.out = bytes.TrimRight(x.out, "\r\n")
		x.trims = true
	case "time", "datetimeformat":
		s, ok := "", false
		if argument := strings.TrimLeft(x.src[argument:to], ": "); name == "time" {
			s, ok = x.clock("time_" + strings.ToLower(argument))
		} else if ok = argument != ""; ok {
			s = moment(x.v.Now, argument)
		}
		if !ok {
			return x.unknown(whole)
		}
		x.res.Changes = true
		x.write(s)
	case "comment":
	case "hidden_key":
		x.res.Hidden = append(x.res.Hidden, strings.TrimSpace(x.inner(argument, to, depth)))
	case "reverse":
		runes := []rune(x.inner(argument, to, depth))
		slices.Reverse(runes)
		x.write(string(runes))
	case "random", "pick":
		choices := x.choices(argument, to)
		if len(choices) == 0 {
			return x.unknown(whole)
		}
		draws := x.random
		if name == "pick" {
			draws = x.pick
		}
		c := choices[draws.IntN(len(choices))]
		x.drawn(name, whole, strings.ReplaceAll(strings.TrimSpace(x.inner(c[0], c[1], depth)), `\,`, ","))
	case "roll":
		sum, ok := roll(x.random, strings.Trim(x.src[argument:to], ": "))
		if !ok {
			return x.unknown(whole)
		}
		x.drawn(name, whole, strconv.Itoa(sum))
	default:
		return x.unknown(whole)
	}
	return true
}

func (x *expander) unknown(body string) bool {
	m := "{{" + body + "}}"
	if most := limits.QuotedBytes.Int(); len(m) > most {
		m = strings.ToValidUTF8(m[:most], "") + "…"
	}
	if len(x.res.Unknown) < maxDepth && !slices.Contains(x.res.Unknown, m) {
		x.res.Unknown = append(x.res.Unknown, m)
	}
	return false
}

func (x *expander) drawn(name, body, value string) {
	x.res.Changes = x.res.Changes || name != "pick"
	x.res.Draws = append(x.res.Draws, Draw{"{{" + body + "}}", value})
	x.write(value)
}

// inner is src[from:to], expanded.
func (x *expander) inner(from, to, depth int) string {
	out, trims := x.out, x.trims
	x.out, x.trims = nil, false
	x.run(from, to, depth+1)
	inner := string(x.out)
	x.out, x.trims = out, trims
	return inner
}

// choices divides src[from:to] at :: if there is one, else at commas; neither
// counts inside of a macro.
func (x *expander) choices(from, to int) (all [][2]int) {
	divide := func(mark string) (all [][2]int) {
		begin := from
		for i := from; i < to; i++ {
			if end, ok := x.ends[i]; ok && end < to {
				i = end + 1
				continue
			}
			if strings.HasPrefix(x.src[i:to], mark) && (mark != "," || i == from || x.src[i-1] != '\\') {
				all = append(all, [2]int{begin, i})
				begin = i + len(mark)
				i = begin - 1
			}
		}
		return append(all, [2]int{begin, to})
	}
	if all = divide("::"); len(all) > 1 {
		return all
	}
	if strings.TrimSpace(x.src[from:to]) == "" {
		return nil
	}
	return divide(",")
}

// roll throws dice: 6, d6, 2d6, 2d6+1 or 2d6-1.
func roll(draws *rand.Rand, dice string) (sum int, ok bool) {
	dice = strings.ToLower(strings.ReplaceAll(dice, " ", ""))
	if at := strings.IndexAny(dice, "+-"); at > 0 {
		n, err := strconv.Atoi(dice[at:])
		if err != nil || n < -1e6 || n > 1e6 {
			return 0, false
		}
		dice, sum = dice[:at], n
	}
	count, sides, isDice := strings.Cut(dice, "d")
	if !isDice {
		count, sides = "1", dice
	} else if count == "" {
		count = "1"
	}
	n, err1 := strconv.Atoi(count)
	m, err2 := strconv.Atoi(sides)
	if err1 != nil || err2 != nil || n < 1 || n > 100 || m < 1 || m > 1e6 {
		return 0, false
	}
	for range n {
		sum += 1 + draws.IntN(m)
	}
	return sum, true
}

// value is what a macro without an argument stands for.
func (x *expander) value(name string) (string, bool) {
	v := &x.v
	switch name {
	case "char":
		return v.Char, true
	case "user":
		return v.User, true
	case "group", "charifnotgroup": // one and the same in SillyTavern
		return cmp.Or(v.Group, v.Char), true
	case "persona":
		return v.Persona, true
	case "description", "chardescription":
		return v.Description, true
	case "personality", "charpersonality":
		return v.Personality, true
	case "scenario", "charscenario":
		return v.Scenario, true
	case "mesexamples":
		return v.Examples, true
	case "original":
		if x.usedOriginal {
			return "", true
		}
		x.usedOriginal = true
		return v.Original, true
	}
	if s, ok := x.clock(name); ok {
		x.res.Changes = true
		return s, true
	}
	return "", false
}
