package chatformat

import (
	"encoding/json"
	"strings"
)

// The names under which calls in JSON give their parts.
var (
	nameKeys     = map[string]bool{"name": true, "tool_name": true}
	argumentKeys = map[string]bool{"arguments": true, "parameters": true}
	idKeys       = map[string]bool{"id": true, "call_id": true}
	// callKeys are all that a call without a mark may have: what has another
	// is an answer in JSON, which must not wait for its end.
	callKeys = map[string]bool{
		"name": true, "tool_name": true, "arguments": true, "parameters": true, "id": true, "call_id": true, "function": true, "type": true,
	}
)

// jsonCall is a call as a JSON object: {"name": …, "arguments": {…}}, with
// the names of nameKeys and so on, in any order. What else is in it is skipped.
// It may stand inside of another, as "function". Once the arguments are whole
// the call is, whatever is wrong behind them.
func jsonCall(c *call, text string, last bool) (n int, s status) {
	o := scratch[jsonCallState](c)
	n, s = o.read(c, text, last)
	if s == broken && c.begun && o.given {
		s = done
	}
	return n, s
}

func (o *jsonCallState) read(c *call, text string, last bool) (n int, s status) {
	for {
		if o.at != objectInKey && o.at != objectValue {
			n += spaces(text[n:])
		}
		if n == len(text) {
			return n, wait(last)
		}
		switch o.at {
		case objectBegin:
			if text[n] != '{' {
				return n, broken
			}
			n++
			o.at = objectKeyOrEnd
		case objectKeyOrEnd, objectKey:
			if text[n] == '}' && o.at == objectKeyOrEnd {
				n++
				if o.ended() {
					return n, o.finish(c)
				}
				continue
			}
			if text[n] != '"' {
				return n, broken
			}
			o.at = objectInKey
		case objectInKey:
			size, s := o.value.read(text[n:], last)
			if n += size; s != done {
				return n, s
			}
			if json.Unmarshal([]byte(o.value.take()), &o.key) != nil || c.bare && !callKeys[o.key] {
				return n, broken
			}
			o.value = jsonText{}
			o.at = objectColon
		case objectColon:
			if text[n] != ':' {
				return n, broken
			}
			n++
			o.at = objectValueBegin
		case objectValueBegin:
			if o.key == "function" && text[n] == '{' && o.depth == 0 {
				n++
				o.depth = 1
				o.at = objectKeyOrEnd
				continue
			}
			o.direct = argumentKeys[o.key] && c.name != "" && text[n] == '{' && !o.given
			if o.direct && !c.begin() {
				return n, broken
			}
			o.at = objectValue
		case objectValue:
			size, s := o.value.read(text[n:], last)
			n += size
			if o.direct {
				c.argue(o.value.take())
			}
			if s != done {
				return n, s
			}
			if !o.take(c) {
				return n, broken
			}
			o.at = objectNext
		case objectNext:
			switch text[n] {
			case ',':
				o.at = objectKey
			case '}':
				if o.ended() {
					return n + 1, o.finish(c)
				}
			default:
				return n, broken
			}
			n++
		}
	}
}

type jsonCallState struct {
	at    objectPlace
	depth int // 1: inside of "function"
	key   string
	value jsonText

	direct bool   // the value are the arguments, passed on as they come
	held   string // arguments that came before the name
	given  bool   // there were arguments
}

type objectPlace uint8

const (
	objectBegin objectPlace = iota
	objectKeyOrEnd
	objectKey
	objectInKey
	objectColon
	objectValueBegin
	objectValue
	objectNext
)

// ended leaves an object and reports whether it was the outer one.
func (o *jsonCallState) ended() bool {
	o.depth--
	o.at = objectNext
	return o.depth < 0
}

// take does with a value what its key says. It reports whether the value is
// right.
func (o *jsonCallState) take(c *call) bool {
	value := o.value.take()
	o.value = jsonText{}
	var text string
	isText := json.Unmarshal([]byte(value), &text) == nil && strings.HasPrefix(value, `"`)
	switch {
	case o.direct:
		o.given, o.direct = true, false
	case nameKeys[o.key]:
		return isText && c.named(text)
	case o.key == "function" && isText && c.name == "":
		return c.named(text)
	case idKeys[o.key] && isText:
		c.id = text
	case argumentKeys[o.key] && !o.given:
		switch {
		case value == "null":
			return true
		case isText && strings.TrimSpace(text) == "":
			value = "{}"
		case isText:
			value = strings.TrimSpace(text) // an object written as a string
		}
		if !isObject(value) {
			return false
		}
		o.held, o.given = value, true
	}
	return true
}

// finish ends the call with its object.
func (o *jsonCallState) finish(c *call) status {
	if c.name == "" {
		return broken
	}
	if !c.begun {
		if !c.begin() {
			return broken
		}
		if o.held == "" {
			o.held = "{}"
		}
		c.argue(o.held)
	}
	return done
}

// jsonArguments is an object that holds the arguments and nothing else.
func jsonArguments(c *call, text string, last bool) (n int, s status) {
	j := scratch[jsonText](c)
	if !c.begun {
		n = spaces(text)
		if n == len(text) {
			return n, wait(last)
		}
		if text[n] != '{' || !c.begin() {
			return n, broken
		}
	}
	size, s := j.read(text[n:], last)
	c.argue(j.take())
	return n + size, s
}

// keyedCall is a call as an object with the function's name as its only key:
// {"name": {…}}. Its last bracket may be missing.
func keyedCall(c *call, text string, last bool) (n int, s status) {
	o := scratch[jsonCallState](c)
	for {
		if o.at != objectInKey && o.at != objectValue {
			n += spaces(text[n:])
		}
		switch {
		case n == len(text) && last && o.at == objectNext:
			return n, done
		case n == len(text):
			return n, wait(last)
		}
		switch o.at {
		case objectBegin:
			if text[n] != '{' {
				return n, broken
			}
			n++
			o.at = objectKey
		case objectKey:
			if text[n] != '"' {
				return n, broken
			}
			o.at = objectInKey
		case objectColon:
			if text[n] != ':' {
				return n, broken
			}
			n++
			o.at = objectValueBegin
		case objectNext:
			if text[n] == '}' {
				n++
			}
			return n, done
		case objectInKey:
			size, s := o.value.read(text[n:], last)
			if n += size; s != done {
				return n, s
			}
			if json.Unmarshal([]byte(o.value.take()), &o.key) != nil || !c.named(o.key) {
				return n, broken
			}
			o.value = jsonText{}
			o.at = objectColon
		case objectValueBegin:
			if text[n] != '{' || !c.begin() {
				return n, broken
			}
			o.at = objectValue
		case objectValue:
			size, s := o.value.read(text[n:], last)
			n += size
			c.argue(o.value.take())
			if s != done {
				return n, s
			}
			o.at = objectNext
		}
	}
}
