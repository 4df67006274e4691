package grammar

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"parley/internal/limits"
)

// GBNF reads a grammar as llama.cpp writes them: rules "name ::= …", of which
// "root" is where texts begin. Quoted texts, [classes] with ranges and ^, a dot
// for any character, groups, alternatives, * + ? {m} {m,} {m,n}, and comments
// behind #. References to token ids are refused, and so is a rule that begins
// with itself. An error names the line.
func GBNF(source string) (*Grammar, error) {
	if err := limits.GrammarBytes.CheckInt(len(source)); err != nil {
		return nil, err
	}
	p := &gbnf{src: source, rules: map[string]ref{}}
	if err := p.parse(); err != nil {
		return nil, fmt.Errorf("line %d: %w", 1+strings.Count(source[:min(p.pos, len(source))], "\n"), err)
	}
	root, ok := p.rules["root"]
	if !ok {
		return nil, fmt.Errorf("the grammar has no rule named root")
	}
	for i, e := range p.d.rules {
		if e == nil {
			return nil, fmt.Errorf("rule %s is used and not defined", p.d.names[i])
		}
	}
	return p.d.compile(root)
}

type gbnf struct {
	src   string
	pos   int
	depth int
	rules map[string]ref
	d     definition
}

func (p *gbnf) parse() error {
	for p.space(true); p.pos < len(p.src); p.space(true) {
		name := p.name()
		if name == "" {
			return fmt.Errorf("a rule's name is expected, not %q", p.here())
		}
		p.space(true)
		if !p.take("::=") {
			return fmt.Errorf("::= is expected behind the name %s", name)
		}
		r := p.named(name)
		if p.d.rules[r] != nil {
			return fmt.Errorf("rule %s is defined twice", name)
		}
		e, err := p.alternatives(false)
		if err != nil {
			return err
		}
		p.d.rules[r] = e
	}
	return nil
}

func (p *gbnf) named(name string) ref {
	r, ok := p.rules[name]
	if !ok {
		r = p.d.rule(name)
		p.rules[name] = r
	}
	return r
}

// alternatives reads up to the end of a rule, or of a group.
func (p *gbnf) alternatives(inGroup bool) (expr, error) {
	var all alt
	for {
		p.space(true)
		one, err := p.sequence(inGroup)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
		if !p.take("|") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *gbnf) sequence(inGroup bool) (expr, error) {
	var out seq
	for {
		p.space(inGroup)
		e, err := p.item()
		if err != nil {
			return nil, err
		}
		if e == nil {
			return out, nil
		}
		if e, err = p.repeated(e); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
}

// item reads one text, class, group or name; nil where there is none.
func (p *gbnf) item() (expr, error) {
	switch c := p.peek(); {
	case c == '"':
		p.pos++
		var out seq
		for p.peek() != '"' {
			r, err := p.char()
			if err != nil {
				return nil, err
			}
			out = append(out, class{{r, r}})
		}
		p.pos++
		return out, nil
	case c == '[':
		p.pos++
		return p.class()
	case c == '.':
		p.pos++
		return class{{0, utf8.MaxRune}}, nil
	case c == '(':
		p.pos++
		if p.depth++; limits.GrammarDepth.CheckInt(p.depth) != nil {
			return nil, limits.GrammarDepth.CheckInt(p.depth)
		}
		e, err := p.alternatives(true)
		if err != nil {
			return nil, err
		}
		p.depth--
		p.space(true)
		if !p.take(")") {
			return nil, fmt.Errorf(") is missing")
		}
		return e, nil
	case c == '<' || c == '!':
		return nil, fmt.Errorf("tokens in a grammar are not supported (write their text)")
	case isName(c):
		return p.named(p.name()), nil
	case c == 0, c == '|', c == ')', c == '\n', c == '\r', c == '#':
		return nil, nil
	}
	return nil, fmt.Errorf("unexpected %q", p.here())
}

func (p *gbnf) repeated(e expr) (expr, error) {
	for {
		switch {
		case p.take("*"):
			e = star(e)
		case p.take("+"):
			e = repeat{e, 1, -1}
		case p.take("?"):
			e = optional(e)
		case p.take("{"):
			least, most, err := p.counts()
			if err != nil {
				return nil, err
			}
			e = repeat{e, least, most}
		default:
			return e, nil
		}
	}
}

// counts reads "m}", "m,}" or "m,n}".
func (p *gbnf) counts() (least, most int, err error) {
	inside, rest, ok := strings.Cut(p.src[p.pos:], "}")
	if !ok {
		return 0, 0, fmt.Errorf("} is missing")
	}
	from, to, ranged := strings.Cut(inside, ",")
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if from == "" && ranged {
		from = "0"
	}
	if least, err = strconv.Atoi(from); err != nil || least < 0 {
		return 0, 0, fmt.Errorf("{%s} is no count of repetitions", inside)
	}
	switch {
	case !ranged:
		most = least
	case to == "":
		most = -1
	default:
		if most, err = strconv.Atoi(to); err != nil || most < least {
			return 0, 0, fmt.Errorf("{%s} is no count of repetitions", inside)
		}
	}
	if err := limits.GrammarPlaces.CheckInt(max(least, most)); err != nil {
		return 0, 0, err
	}
	p.pos = len(p.src) - len(rest)
	return least, most, nil
}

func (p *gbnf) class() (expr, error) {
	not := p.take("^")
	var c class
	for p.peek() != ']' {
		lo, err := p.char()
		if err != nil {
			return nil, err
		}
		hi := lo
		if p.peek() == '-' && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
			p.pos++
			if hi, err = p.char(); err != nil {
				return nil, err
			}
			if hi < lo {
				return nil, fmt.Errorf("the range %c-%c is the wrong way round", lo, hi)
			}
		}
		c = append(c, runeRange{lo, hi})
	}
	p.pos++
	if not {
		return c.not(), nil
	}
	return c.normal(), nil
}

// char reads a character of a text or class, escapes included.
func (p *gbnf) char() (rune, error) {
	if p.pos >= len(p.src) {
		return 0, fmt.Errorf("the grammar ends inside of a text or a class")
	}
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	if r == utf8.RuneError && n == 1 {
		return 0, fmt.Errorf("the grammar is no valid UTF-8")
	}
	p.pos += n
	if r != '\\' {
		return r, nil
	}
	c := p.peek()
	p.pos++
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits > 0 {
		if p.pos+digits > len(p.src) {
			return 0, fmt.Errorf("\\%c needs %d digits", c, digits)
		}
		n, err := strconv.ParseUint(p.src[p.pos:p.pos+digits], 16, 32)
		if err != nil || n > utf8.MaxRune {
			return 0, fmt.Errorf("\\%c%s is no character", c, p.src[p.pos:p.pos+digits])
		}
		p.pos += digits
		return rune(n), nil
	}
	switch c {
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case '\\', '"', '[', ']', '-', '^', '/', '\'':
		return rune(c), nil
	}
	return 0, fmt.Errorf("unknown escape \\%c", c)
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func (p *gbnf) name() string {
	from := p.pos
	for p.pos < len(p.src) && isName(p.src[p.pos]) {
		p.pos++
	}
	return p.src[from:p.pos]
}

// peek is the next byte, 0 at the end.
func (p *gbnf) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *gbnf) here() string {
	r, _ := utf8.DecodeRuneInString(p.src[p.pos:])
	return string(r)
}

func (p *gbnf) take(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

// space skips white space and comments. Where lines do not matter it skips
// line ends, too.
func (p *gbnf) space(lines bool) {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == ' ' || c == '\t':
		case lines && (c == '\n' || c == '\r'):
		case c == '#':
			if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
				p.pos += i - 1
			} else {
				p.pos = len(p.src) - 1
			}
		default:
			return
		}
		p.pos++
	}
}
