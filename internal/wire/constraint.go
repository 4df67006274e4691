package wire

import (
	"parley/internal/limits"
	"parley/llm"
)

// Constraint reads what holds the answer to a language, in the spellings of
// OpenAI, llama.cpp, vLLM and text-generation-webui. Several at once are
// refused: which one was meant is not to be guessed.
func (o *Object) Constraint() *llm.Constraint {
	var all []*llm.Constraint
	add := func(c *llm.Constraint) {
		if c != nil {
			all = append(all, c)
		}
	}
	if v, ok := o.Take("response_format"); ok {
		add(o.ResponseFormat("response_format", v))
	}
	if v, ok := o.Take("structured_outputs"); ok {
		s := o.Object("structured_outputs", v)
		for _, c := range s.languages(map[string]llm.ConstraintKind{
			"json": llm.ConstrainSchema, "regex": llm.ConstrainRegexp, "grammar": llm.ConstrainGBNF, "choice": llm.ConstrainChoice,
		}) {
			add(c)
		}
		if s.IsSet("json_object") {
			add(&llm.Constraint{Kind: llm.ConstrainJSON, Field: s.At("json_object")})
		}
		s.Rest(func(name string, v Value) { o.Unknown(s.At(name), v) })
	}
	for _, c := range o.languages(map[string]llm.ConstraintKind{
		"grammar": llm.ConstrainGBNF, "grammar_string": llm.ConstrainGBNF, "guided_grammar": llm.ConstrainGBNF,
		"json_schema": llm.ConstrainSchema, "guided_json": llm.ConstrainSchema,
		"regex": llm.ConstrainRegexp, "guided_regex": llm.ConstrainRegexp,
		"guided_choice": llm.ConstrainChoice,
	}) {
		add(c)
	}
	if len(all) > 1 {
		o.Invalid(all[1].Field, "the answer is constrained twice, by %s, too: send one of them", all[0].Field)
	}
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// languages reads fields that hold a schema, a grammar, an expression or a
// list. Empty ones say nothing.
func (o *Object) languages(kinds map[string]llm.ConstraintKind) (all []*llm.Constraint) {
	for _, name := range o.names {
		kind, ok := kinds[name]
		if !ok {
			continue
		}
		v, ok := o.Take(name)
		if !ok || v.Empty() && v.Kind() != '{' {
			continue
		}
		c := &llm.Constraint{Kind: kind, Field: o.At(name)}
		switch kind {
		case llm.ConstrainSchema:
			c.Source = o.SchemaOf(c.Field, v)
		case llm.ConstrainChoice:
			o.List(c.Field, v, limits.GrammarChoices, func(path string, v Value) {
				c.Choices = append(c.Choices, o.TextOf(path, v))
			})
		default:
			c.Source = o.TextOf(c.Field, v)
		}
		all = append(all, c)
	}
	return all
}

// SchemaOf is a schema as JSON, or as a string that holds JSON.
func (o *Object) SchemaOf(path string, v Value) string {
	switch v.Kind() {
	case '{', 't':
		return string(v)
	case '"':
		return v.Text()
	}
	o.Invalid(path, "must be a JSON schema, not %s", v.What())
	return ""
}

// ResponseFormat reads OpenAI's response_format, and what other servers take
// under that name; nil is text.
func (o *Object) ResponseFormat(path string, v Value) *llm.Constraint {
	f := o.Object(path, v)
	kind := f.Text("type")
	defer f.Rest(func(name string, v Value) { o.Unknown(f.At(name), v) })
	switch kind {
	case "text", "":
		if kind == "" && o.Err == nil {
			o.Invalid(f.At("type"), "the field is missing; it is text, json_object or json_schema")
		}
		return nil
	case "json_object", "json":
		// llama.cpp's and MLC's servers take a schema here, too.
		for _, name := range []string{"schema", "value"} {
			if v, ok := f.Take(name); ok {
				return &llm.Constraint{Kind: llm.ConstrainSchema, Source: o.SchemaOf(f.At(name), v), Field: f.At(name)}
			}
		}
		return &llm.Constraint{Kind: llm.ConstrainJSON, Field: f.At("type")}
	case "json_schema":
		s, at := f, f.At("schema")
		if v, ok := f.Take("json_schema"); ok {
			s = o.Object(f.At("json_schema"), v)
			at = s.At("schema")
		}
		s.Text("name")
		s.Text("description")
		s.Flag("strict")
		v, ok := s.Take("schema")
		if !ok {
			o.Invalid(at, "the field is missing")
			return nil
		}
		if s != f {
			s.Rest(func(name string, v Value) { o.Unknown(s.At(name), v) })
		}
		return &llm.Constraint{Kind: llm.ConstrainSchema, Source: o.SchemaOf(at, v), Field: at}
	case "grammar", "regex":
		c := &llm.Constraint{Kind: llm.ConstrainGBNF, Field: f.At("value")}
		if kind == "regex" {
			c.Kind = llm.ConstrainRegexp
		}
		c.Source = f.Text("value", kind)
		return c
	}
	o.Unsupported(f.At("type"), "there is no such form of answer here", "text, json_object and json_schema are known")
	return nil
}
