package grammar

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/limits"
)

// Regexp is the language of a regular expression in RE2's syntax. It holds for
// the whole text, whether it has anchors or not. Anchors anywhere but at the
// ends, and word boundaries, are refused.
func Regexp(source string) (*Grammar, error) {
	e, err := parseRegexp(source, nothing)
	if err != nil {
		return nil, err
	}
	var d definition
	return d.compile(d.define("expression", e))
}

// Choice is one of some texts.
func Choice(texts []string) (*Grammar, error) {
	if len(texts) == 0 {
		return nil, fmt.Errorf("there is nothing to choose from")
	}
	if err := limits.GrammarChoices.CheckInt(len(texts)); err != nil {
		return nil, err
	}
	var all alt
	bytes := 0
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return nil, fmt.Errorf("the choice %q is no valid UTF-8", s)
		}
		bytes += len(s)
		all = append(all, text(s))
	}
	if err := limits.GrammarBytes.CheckInt(bytes); err != nil {
		return nil, err
	}
	var d definition
	return d.compile(d.define("choice", all))
}

// parseRegexp reads an expression. Where an end of it has no anchor, around
// stands there.
func parseRegexp(source string, around expr) (expr, error) {
	if err := limits.GrammarBytes.CheckInt(len(source)); err != nil {
		return nil, err
	}
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return anchored(re, around)
}

// anchored deals with the anchors at the ends of an expression.
func anchored(re *syntax.Regexp, around expr) (expr, error) {
	switch re.Op {
	case syntax.OpAlternate:
		var all alt
		for _, sub := range re.Sub {
			e, err := anchored(sub, around)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		return all, nil
	case syntax.OpCapture:
		return anchored(re.Sub[0], around)
	case syntax.OpBeginText, syntax.OpEndText:
		return around, nil // ^ alone or $ alone: the other end is open
	}
	subs := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		subs = re.Sub
	}
	before, behind := around, around
	for len(subs) > 0 && subs[0].Op == syntax.OpBeginText {
		before, subs = nothing, subs[1:]
	}
	for len(subs) > 0 && subs[len(subs)-1].Op == syntax.OpEndText {
		behind, subs = nothing, subs[:len(subs)-1]
	}
	out := seq{before}
	for _, sub := range subs {
		e, err := fromSyntax(sub)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return append(out, behind), nil
}

func fromSyntax(re *syntax.Regexp) (expr, error) {
	var subs []expr
	for _, sub := range re.Sub {
		e, err := fromSyntax(sub)
		if err != nil {
			return nil, err
		}
		subs = append(subs, e)
	}
	switch re.Op {
	case syntax.OpNoMatch:
		return alt{}, nil
	case syntax.OpEmptyMatch:
		return nothing, nil
	case syntax.OpLiteral:
		var out seq
		for _, r := range re.Rune {
			c := class{{r, r}}
			if re.Flags&syntax.FoldCase != 0 {
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					c = append(c, runeRange{f, f})
				}
			}
			out = append(out, c.normal())
		}
		return out, nil
	case syntax.OpCharClass:
		var c class
		for i := 0; i+1 < len(re.Rune); i += 2 {
			c = append(c, runeRange{re.Rune[i], re.Rune[i+1]})
		}
		return c.normal(), nil
	case syntax.OpAnyCharNotNL:
		return class{{'\n', '\n'}}.not(), nil
	case syntax.OpAnyChar:
		return class{{0, utf8.MaxRune}}, nil
	case syntax.OpCapture:
		return subs[0], nil
	case syntax.OpStar:
		return star(subs[0]), nil
	case syntax.OpPlus:
		return repeat{subs[0], 1, -1}, nil
	case syntax.OpQuest:
		return optional(subs[0]), nil
	case syntax.OpRepeat:
		return repeat{subs[0], re.Min, re.Max}, nil
	case syntax.OpConcat:
		return seq(subs), nil
	case syntax.OpAlternate:
		return alt(subs), nil
	}
	return nil, fmt.Errorf("%s is not supported here: anchors may stand at the ends of the expression only", re)
}

// mostRepeats is how often a part of an expression may be repeated in RE2's
// syntax.
const mostRepeats = 1000

// shortRepeats is an expression in which nothing may be repeated more often than
// RE2 counts: of the texts of the expression it has all but those with more.
func shortRepeats(source string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case c == '\\' && i+1 < len(source):
			b.WriteByte(c)
			i++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '{' && !class:
			if m := upperBound.FindStringSubmatch(source[i:]); m != nil {
				if most, err := strconv.Atoi(m[2]); err != nil || most > mostRepeats {
					b.WriteString("{" + m[1] + "," + strconv.Itoa(mostRepeats) + "}")
					i += len(m[0]) - 1
					continue
				}
			}
		}
		b.WriteByte(source[i])
	}
	return b.String()
}

var upperBound = regexp.MustCompile(`^\{(\d+),(\d+)\}`)
