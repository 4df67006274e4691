package character

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// An object is taken apart field by field. Cards come from many programs and
// hands: a value of the wrong type is put right where its meaning is plain,
// and the report says so.
type object struct {
	path   string // where it stands, "" for the outermost
	fields map[string]json.RawMessage
	report *ImportReport
}

// fieldsOf reads an object; what is none has no fields.
func fieldsOf(raw json.RawMessage) (fields map[string]json.RawMessage) {
	if len(raw) > 0 && json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	return fields
}

func (o *object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// take gives a field and takes it out. Neither one that is missing nor one
// that is null is there.
func (o *object) take(name string) (json.RawMessage, bool) {
	raw, ok := o.fields[name]
	if !ok {
		return nil, false
	}
	delete(o.fields, name)
	return raw, len(raw) > 0 && !bytes.Equal(raw, []byte("null"))
}

// first takes the field with the first of the names that is there.
func (o *object) first(names ...string) string {
	for _, name := range names {
		if s := o.text(name); s != "" {
			return s
		}
	}
	return ""
}

func (o *object) text(name string) string {
	raw, ok := o.take(name)
	if !ok {
		return ""
	}
	s, ok := asText(raw)
	switch {
	case !ok:
		o.report.note("ignored", o.at(name), "it is no text")
	case raw[0] != '"':
		o.report.note("repaired", o.at(name), "it is no text, but can be read as one")
	}
	return s
}

// asText reads a text, also one that was written as a number, as a bool or as
// a list of lines.
func asText(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	switch raw[0] {
	case '{':
		return "", false
	case '[':
		var lines []string
		if json.Unmarshal(raw, &lines) != nil {
			return "", false
		}
		return strings.Join(lines, "\n"), true
	}
	return string(raw), true
}

func (o *object) texts(name string) []string {
	raw, ok := o.take(name)
	if !ok {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		s, ok := asText(raw)
		if !ok {
			o.report.note("ignored", o.at(name), "it is no list of texts")
			return nil
		}
		o.report.note("repaired", o.at(name), "it is no list, but one text")
		if strings.TrimSpace(s) == "" {
			return nil
		}
		return []string{s}
	}
	all := make([]string, 0, len(list))
	for i, item := range list {
		if s, ok := asText(item); ok && !bytes.Equal(item, []byte("null")) {
			all = append(all, s)
		} else {
			o.report.note("ignored", o.at(name)+"["+strconv.Itoa(i)+"]", "it is no text")
		}
	}
	return all
}

// words is a list of texts that some write as one, with commas.
func (o *object) words(name string) []string {
	isList := bytes.HasPrefix(o.fields[name], []byte("["))
	all := o.texts(name)
	if isList || len(all) != 1 || !strings.Contains(all[0], ",") {
		return all
	}
	words := strings.Split(all[0], ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	o.report.note("repaired", o.at(name), "one text with commas was read as a list")
	return slices.DeleteFunc(words, func(s string) bool { return s == "" })
}

func (o *object) number(name string) (float64, bool) {
	raw, ok := o.take(name)
	if !ok {
		return 0, false
	}
	var n float64
	if json.Unmarshal(raw, &n) == nil {
		return n, true
	}
	s, _ := asText(raw)
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || n != n || n > 1e300 || n < -1e300 {
		if strings.TrimSpace(s) != "" {
			o.report.note("ignored", o.at(name), "it is no number")
		}
		return 0, false
	}
	o.report.note("repaired", o.at(name), "it is a text, but can be read as a number")
	return n, true
}

func (o *object) flag(name string) (yes, said bool) {
	raw, ok := o.take(name)
	if !ok {
		return false, false
	}
	if json.Unmarshal(raw, &yes) == nil {
		return yes, true
	}
	s, _ := asText(raw)
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1":
		yes = true
	case "false", "0":
	default:
		if s != "" {
			o.report.note("ignored", o.at(name), "it is neither true nor false")
		}
		return false, false
	}
	o.report.note("repaired", o.at(name), "it can be read as true or false")
	return yes, true
}

// inner takes an object; ok is false if there is none.
func (o *object) inner(name string) (in object, ok bool) {
	raw, there := o.take(name)
	in = object{path: o.at(name), report: o.report}
	if !there {
		return in, false
	}
	if in.fields = fieldsOf(raw); in.fields == nil {
		o.report.note("ignored", o.at(name), "it is no object")
		return in, false
	}
	return in, true
}

// rest is what nobody took, nil if there is nothing.
func (o *object) rest() map[string]json.RawMessage {
	if len(o.fields) == 0 {
		return nil
	}
	return maps.Clone(o.fields)
}
