package lorebook

import (
	"strconv"
	"strings"
)

// known are the decorators of V3 that are followed, or that are there for what
// we are not (another kind of prompt, pictures of users).
var known = map[string]bool{
	"activate_only_after": true, "activate_only_every": true, "keep_activate_after_match": true, "dont_activate_after_match": true,
	"depth": true, "reverse_depth": true, "role": true, "scan_depth": true, "is_greeting": true, "position": true,
	"ignore_on_max_context": true, "additional_keys": true, "exclude_keys": true, "dont_activate": true, "activate": true,
}

// numeric decorators have a number for their value.
var numeric = map[string]bool{
	"activate_only_after": true, "activate_only_every": true, "depth": true, "reverse_depth": true, "scan_depth": true, "is_greeting": true,
}

// decorators are the lines at the top of an entry's text that say how it is
// told, and the text without them.
type decorators struct {
	text    string
	said    map[string]string
	unknown []string // names that were passed over
}

// readDecorators takes the decorators from a text. A line @@@name is what the
// line above means to readers that do not know it. None of them is ever text.
func readDecorators(content string) decorators {
	d := decorators{said: map[string]string{}}
	followed := false // whether the decorator above was
	rest := content
	for {
		line, next, more := strings.Cut(strings.TrimLeft(rest, "\r\n"), "\n")
		if !strings.HasPrefix(line, "@@") {
			break
		}
		rest = next
		fallback := strings.HasPrefix(line, "@@@")
		name, value, _ := strings.Cut(strings.TrimSpace(strings.TrimLeft(line, "@")), " ")
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if !fallback || !followed {
			followed = d.add(name, value)
		}
		if !more {
			break
		}
	}
	if rest == content {
		d.text = content
	} else {
		d.text = strings.TrimLeft(rest, "\r\n")
	}
	return d
}

func (d *decorators) add(name, value string) bool {
	ok := known[name]
	if ok && numeric[name] {
		n, err := strconv.Atoi(value)
		ok = err == nil && n >= 0 && n <= 1e6
	}
	if !ok {
		if len(d.unknown) < 8 && len(name) <= 64 {
			d.unknown = append(d.unknown, "@@"+name)
		}
		return false
	}
	if _, twice := d.said[name]; !twice {
		d.said[name] = value
	}
	return true
}

func (d *decorators) has(name string) bool {
	_, ok := d.said[name]
	return ok
}

func (d *decorators) value(name string) string { return d.said[name] }

func (d *decorators) number(name string, unsaid int) int {
	if n, err := strconv.Atoi(d.said[name]); err == nil {
		return n
	}
	return unsaid
}

func (d *decorators) values(name string) (all []string) {
	for v := range strings.SplitSeq(d.said[name], ",") {
		if v = strings.TrimSpace(v); v != "" {
			all = append(all, v)
		}
	}
	return all
}
