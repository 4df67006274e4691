package textgen

import (
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// open opens the body of a small request and reads it with own.
func open(body []byte, own func(*wire.Object)) (llm.Report, error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	own(o)
	o.Rest(o.Leftover)
	return o.Report, o.Err
}

// An Action is what is to be done with the models.
type Action struct {
	Do     string // "" and "info" tell of the one in use, "list" of all; "load", "unload"
	Model  string
	Report llm.Report
}

// ParseAction reads the body of a request about the models, of any age. How an
// engine is set up is the configuration's business: what a request says of it
// is reported.
func ParseAction(body []byte) (a Action, err error) {
	a.Report, err = open(body, func(o *wire.Object) {
		a.Do = o.Bounded("action", limits.NameBytes)
		a.Model = o.Bounded("model_name", limits.NameBytes)
	})
	return a, err
}

// ParseText reads the body of a request about a text, which stands in the
// field of the name given.
func ParseText(body []byte, field string) (s string, err error) {
	_, err = open(body, func(o *wire.Object) {
		if !o.Has(field) {
			o.Invalid(field, "the field is missing")
		}
		s = o.Text(field)
	})
	return s, err
}

// ParseTokens reads the body of a request to show the text of tokens.
func ParseTokens(body []byte) (ids []int, err error) {
	_, err = open(body, func(o *wire.Object) {
		v, ok := o.Take("tokens")
		if !ok {
			o.Invalid("tokens", "the field is missing")
			return
		}
		o.List("tokens", v, limits.Context, func(path string, v wire.Value) {
			if n, ok := o.Number(path, v, limits.TokenID); ok {
				ids = append(ids, int(n))
			}
		})
	})
	return ids, err
}

// Top asks how probable which next token is.
type Top struct {
	Prompt string
	N      int
	Report llm.Report
}

// usualTop is how many tokens are told of where nobody says.
const usualTop = 50

// ParseTop reads the body of a request for the next token's probabilities. More
// than a model tells are cut, which is reported; they are those before any
// sampler.
func ParseTop(body []byte) (*Top, error) {
	q := &Request{}
	t := &Top{N: usualTop}
	err := read(body, q, func(o *wire.Object) {
		if t.Prompt = o.Text("prompt"); t.Prompt == "" {
			o.Invalid("prompt", "the prompt is empty")
		}
		if o.IsSet("use_samplers") {
			o.Unsupported("use_samplers", "probabilities behind the samplers are not told", "leave it out: those of the model itself are")
		}
		if n, _ := o.Integer(limits.MaxTokens, "top_logits"); n != nil {
			t.N = max(*n, 1)
		}
	})
	if err != nil {
		return nil, err
	}
	if most := limits.LogProbs.Int(); t.N > most {
		t.N = most
		q.Report.Add("top_logits_capped", "", "no more are told of")
	}
	t.Report = q.Report
	return t, nil
}
