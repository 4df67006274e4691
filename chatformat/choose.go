package chatformat

import (
	"strings"
	"sync"

	"parley/chat"
	"parley/llm"
)

// The fields of a request that bring a format along.
const (
	fieldTemplate = "chat_template"
	fieldMarkup   = "parley.format_toml"
)

// chosen is the format in which a conversation is laid out: the one that it
// asks for by name or brings along, or the model's.
func (r *Responder) chosen(l chat.Layout) (Format, error) {
	said := 0
	for _, s := range []string{l.Format, l.Template, l.Markup} {
		if s != "" {
			said++
		}
	}
	switch {
	case said > 1:
		return nil, llm.Errorf(llm.Invalid, "parley.format", "a request can choose one chat format: a name, %s or %s", fieldTemplate, fieldMarkup)
	case l.Template != "":
		return r.brought(fieldTemplate, l.Template, func() (Format, error) {
			return NewTemplate("of the request", l.Template, SpecialTokens{BOS: r.info.BOS, EOS: r.info.EOS})
		})
	case l.Markup != "":
		return r.brought(fieldMarkup, l.Markup, func() (Format, error) { return ParseMarkup("of the request", []byte(l.Markup)) })
	case l.Format != "":
		return r.options.Lookup(l.Format)
	}
	return r.format, nil
}

// brought makes a format of what a request brings along, if that is allowed.
// A format writes control tokens: whoever may bring one may forge turns.
func (r *Responder) brought(field, source string, read func() (Format, error)) (Format, error) {
	if !r.options.RequestFormats {
		e := llm.Errorf(llm.Forbidden, field, "this server does not take chat formats from requests")
		e.Hint = "allow it with --request-formats, or request_formats under [chat] of the configuration; or name a built-in format in parley.format"
		return nil, e
	}
	if f := r.recent.get(field, source); f != nil {
		return f, nil
	}
	f, err := read()
	if err != nil {
		e := llm.Errorf(llm.Invalid, field, "%s", unnamed(err))
		e.Hint = "parley formats check FILE looks closer"
		return nil, e
	}
	r.recent.put(field, source, f)
	return f, nil
}

func unnamed(err error) string {
	if e := llm.AsError(err); e.Code != llm.Broken {
		return e.Message
	}
	return err.Error()
}

// recent are formats that requests brought along: clients bring the same one
// with every request, and what a template can express is found out by many
// renders.
type recent struct {
	mu  sync.Mutex
	all map[[2]string]Format
}

const mostRecent = 16

func (c *recent) get(field, source string) Format {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[[2]string{field, source}]
}

func (c *recent) put(field, source string, f Format) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= mostRecent {
		c.all = map[[2]string]Format{}
	}
	c.all[[2]string{field, strings.Clone(source)}] = f
}
