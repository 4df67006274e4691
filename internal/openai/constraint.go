package openai

import (
	"parley/internal/limits"
	"parley/llm"
)

// constraint reads what holds the answer to a language, in the spellings of
// OpenAI, llama.cpp, vLLM and text-generation-webui. Several at once are
// refused: which one was meant is not to be guessed.
func (o *object) constraint() *llm.Constraint {
	var all []*llm.Constraint
	add := func(c *llm.Constraint) {
		if c != nil {
			all = append(all, c)
		}
	}
	if v, ok := o.take("response_format"); ok {
		add(o.responseFormat("response_format", v))
	}
	if v, ok := o.take("structured_outputs"); ok {
		s := o.object("structured_outputs", v)
		for _, c := range s.languages(map[string]llm.ConstraintKind{
			"json": llm.ConstrainSchema, "regex": llm.ConstrainRegexp, "grammar": llm.ConstrainGBNF, "choice": llm.ConstrainChoice,
		}) {
			add(c)
		}
		if s.isSet("json_object") {
			add(&llm.Constraint{Kind: llm.ConstrainJSON, Field: s.at("json_object")})
		}
		s.rest(func(name string, v value) { o.unknown(s.at(name), v) })
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
		o.invalid(all[1].Field, "the answer is constrained twice, by %s, too: send one of them", all[0].Field)
	}
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// languages reads fields that hold a schema, a grammar, an expression or a
// list. Empty ones say nothing.
func (o *object) languages(kinds map[string]llm.ConstraintKind) (all []*llm.Constraint) {
	for _, name := range o.names {
		kind, ok := kinds[name]
		if !ok {
			continue
		}
		v, ok := o.take(name)
		if !ok || v.empty() && v.kind() != '{' {
			continue
		}
		c := &llm.Constraint{Kind: kind, Field: o.at(name)}
		switch kind {
		case llm.ConstrainSchema:
			c.Source = o.schemaOf(c.Field, v)
		case llm.ConstrainChoice:
			o.list(c.Field, v, limits.GrammarChoices, func(path string, v value) {
				c.Choices = append(c.Choices, o.textOf(path, v))
			})
		default:
			c.Source = o.textOf(c.Field, v)
		}
		all = append(all, c)
	}
	return all
}

// schemaOf is a schema as JSON, or as a string that holds JSON.
func (o *object) schemaOf(path string, v value) string {
	switch v.kind() {
	case '{', 't':
		return string(v)
	case '"':
		return v.text()
	}
	o.invalid(path, "must be a JSON schema, not %s", v.what())
	return ""
}

func (o *object) responseFormat(path string, v value) *llm.Constraint {
	f := o.object(path, v)
	kind := f.text("type")
	defer f.rest(func(name string, v value) { o.unknown(f.at(name), v) })
	switch kind {
	case "text", "":
		if kind == "" && o.err == nil {
			o.invalid(f.at("type"), "the field is missing; it is text, json_object or json_schema")
		}
		return nil
	case "json_object", "json":
		// llama.cpp's and MLC's servers take a schema here, too.
		for _, name := range []string{"schema", "value"} {
			if v, ok := f.take(name); ok {
				return &llm.Constraint{Kind: llm.ConstrainSchema, Source: o.schemaOf(f.at(name), v), Field: f.at(name)}
			}
		}
		return &llm.Constraint{Kind: llm.ConstrainJSON, Field: f.at("type")}
	case "json_schema":
		s, at := f, f.at("schema")
		if v, ok := f.take("json_schema"); ok {
			s = o.object(f.at("json_schema"), v)
			at = s.at("schema")
			s.text("name")
			s.text("description")
			s.flag("strict")
		}
		v, ok := s.take("schema")
		if !ok {
			o.invalid(at, "the field is missing")
			return nil
		}
		if s != f {
			s.rest(func(name string, v value) { o.unknown(s.at(name), v) })
		}
		return &llm.Constraint{Kind: llm.ConstrainSchema, Source: o.schemaOf(at, v), Field: at}
	case "grammar", "regex":
		c := &llm.Constraint{Kind: llm.ConstrainGBNF, Field: f.at("value")}
		if kind == "regex" {
			c.Kind = llm.ConstrainRegexp
		}
		c.Source = f.text("value", kind)
		return c
	}
	o.unsupported(f.at("type"), "there is no such form of answer here", "text, json_object and json_schema are known")
	return nil
}
