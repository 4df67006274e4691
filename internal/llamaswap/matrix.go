package llamaswap

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// matrix reads which sets of models may be loaded together. One set that is a
// product of alternatives, "(a | b) & c", is the same as a group of one at a
// time for each factor; anything else cannot be said with groups, and only one
// model at a time is loaded.
func (r *reader) matrix(s *section) {
	names := map[string]string{}
	vars := s.table("vars")
	for _, p := range vars.pairs {
		names[fmt.Sprint(p.Key)] = vars.text(fmt.Sprint(p.Key))
	}
	if len(s.table("evict_costs").pairs) > 0 {
		r.note("matrix.evict_costs has no counterpart: among models that could leave, those of low priority leave first, and then those unused for longest")
	}
	sets := s.table("sets")
	if len(sets.pairs) == 1 {
		name := fmt.Sprint(sets.pairs[0].Key)
		if groups, all := r.product(name, sets.text(name), names); all {
			r.config.Groups = append(r.config.Groups, groups...)
			return
		}
	}
	for _, p := range sets.pairs {
		name := fmt.Sprint(p.Key)
		r.note("matrix.sets.%s cannot be said with groups, so that one model at a time is loaded: %s", name, sets.text(name))
	}
}

var reference = regexp.MustCompile(`^[A-Za-z0-9._:/-]+$`)

// product reads a set as factors of alternatives; all says that it is one and
// that it has every model.
func (r *reader) product(set, expression string, names map[string]string) (groups []Group, all bool) {
	var found []string
	for i, factor := range splitTop(expression) {
		factor = strings.TrimSpace(factor)
		if inner, open := strings.CutPrefix(factor, "("); open {
			factor, open = strings.CutSuffix(inner, ")")
			if !open {
				return nil, false
			}
		} else if strings.Contains(factor, "|") {
			return nil, false
		}
		g := Group{Name: fmt.Sprintf("%s-%d", set, i+1), Swap: true}
		for alternative := range strings.SplitSeq(factor, "|") {
			id := strings.TrimSpace(alternative)
			if real, is := names[id]; is {
				id = real
			}
			if !reference.MatchString(id) || r.find(id) == nil || slices.Contains(found, id) {
				return nil, false
			}
			g.Members = append(g.Members, id)
			found = append(found, id)
		}
		groups = append(groups, g)
	}
	return groups, len(found) == len(r.config.Models)
}

// splitTop divides an expression at the & that stand in no parentheses.
func splitTop(s string) (parts []string) {
	depth, from := 0, 0
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case '&':
			if depth == 0 {
				parts = append(parts, s[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, s[from:])
}
