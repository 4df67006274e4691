package upstream

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"parley/llm"
)

// constraints say how an engine is told to hold its output to a language, by
// what the language is written in.
type constraints map[llm.ConstraintKind]func(k *llm.Constraint, body map[string]any)

// write is an endpoint's constrain.
func (w constraints) write(k *llm.Constraint, body map[string]any) bool {
	say := w[k.Kind]
	if say == nil {
		return false
	}
	say(k, body)
	return true
}

// anyObject is the schema of any JSON object.
const anyObject = `{"type":"object"}`

// schema is a constraint as a JSON schema.
func schemaOf(k *llm.Constraint) json.RawMessage {
	if k.Kind == llm.ConstrainJSON {
		return json.RawMessage(anyObject)
	}
	return json.RawMessage(k.Source)
}

// constrained writes what holds the output to a language. An engine that
// cannot be told is not asked: its answer might be none.
func (e *endpoint) constrained(c *call, title string, body map[string]any) error {
	k := c.params.Constraint
	if k == nil {
		return nil
	}
	if k.Kind == llm.ConstrainCall { // the prompt begins the call; nothing holds what follows
		for _, call := range k.Calls {
			if call.Schema == "" {
				continue
			}
			c.report.Add(llm.CodeArgumentsUnheld, call.Name, title+" is not told what arguments the tool takes")
		}
		return nil
	}
	refused := llm.Errorf(llm.Unsupported, k.Field, "%s cannot hold its output to this here", title)
	refused.Hint = "leave it out, ask for the form in a message and check the answer"
	if k.After != "" && k.Open == "" {
		refused.Message = fmt.Sprintf("%s would hold the thoughts to it, in which the reply begins", title)
		return refused
	}
	if e.constrain == nil || !e.constrain(k, body) {
		return refused
	}
	return nil
}

// asField writes the source under a name.
func asField(name string) func(*llm.Constraint, map[string]any) {
	return func(k *llm.Constraint, body map[string]any) { body[name] = k.Source }
}

// asSchema writes a schema under a name.
func asSchema(name string) func(*llm.Constraint, map[string]any) {
	return func(k *llm.Constraint, body map[string]any) { body[name] = schemaOf(k) }
}

// asGrammar writes a choice as a grammar.
func asGrammar(name string) func(*llm.Constraint, map[string]any) {
	return func(k *llm.Constraint, body map[string]any) {
		quoted := make([]string, len(k.Choices))
		for i, s := range k.Choices {
			quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
		}
		body[name] = "root ::= " + strings.Join(quoted, " | ")
	}
}

// choicePattern is a choice as a regular expression.
func choicePattern(k *llm.Constraint) string {
	quoted := make([]string, len(k.Choices))
	for i, s := range k.Choices {
		quoted[i] = regexp.QuoteMeta(s)
	}
	return "(" + strings.Join(quoted, "|") + ")"
}

// format writes response_format.
func format(of func(*llm.Constraint) map[string]any) func(*llm.Constraint, map[string]any) {
	return func(k *llm.Constraint, body map[string]any) { body["response_format"] = of(k) }
}

func jsonObject(*llm.Constraint) map[string]any { return map[string]any{"type": "json_object"} }

func jsonSchema(k *llm.Constraint) map[string]any {
	return map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "answer", "schema": schemaOf(k)}}
}

// strictSchema is a schema that OpenAI holds to and not only aims at.
func strictSchema(k *llm.Constraint) map[string]any {
	f := jsonSchema(k)
	f["json_schema"].(map[string]any)["strict"] = true
	return f
}

// structured writes one of vLLM's structured_outputs.
func structured(name string) func(*llm.Constraint, map[string]any) {
	return func(k *llm.Constraint, body map[string]any) {
		var v any = k.Source
		if k.Kind == llm.ConstrainChoice {
			v = k.Choices
		}
		body["structured_outputs"] = map[string]any{name: v}
	}
}

// withGrammar are the constraints of engines that take a grammar under a name.
func withGrammar(name string, more constraints) constraints {
	all := constraints{llm.ConstrainGBNF: asField(name), llm.ConstrainChoice: asGrammar(name)}
	for kind, say := range more {
		all[kind] = say
	}
	return all
}

var (
	llamaConstraints = withGrammar("grammar", constraints{
		llm.ConstrainJSON: asSchema("json_schema"), llm.ConstrainSchema: asSchema("json_schema"),
	})
	vllmConstraints = constraints{
		llm.ConstrainJSON: format(jsonObject), llm.ConstrainSchema: format(jsonSchema), llm.ConstrainRegexp: structured("regex"),
		llm.ConstrainGBNF: structured("grammar"), llm.ConstrainChoice: structured("choice"),
	}
	mlcConstraints = constraints{
		llm.ConstrainJSON: format(jsonObject),
		llm.ConstrainSchema: format(func(k *llm.Constraint) map[string]any { // the schema is a string there
			return map[string]any{"type": "json_object", "schema": k.Source}
		}),
	}
	sglangExpressions = constraints{
		llm.ConstrainRegexp: asField("regex"), llm.ConstrainGBNF: asField("ebnf"),
		llm.ConstrainChoice: func(k *llm.Constraint, body map[string]any) { body["regex"] = choicePattern(k) },
	}
	ollamaConstraints = constraints{llm.ConstrainJSON: asSchema("format"), llm.ConstrainSchema: asSchema("format")}
	parleyConstraints = constraints{
		llm.ConstrainJSON: format(jsonObject), llm.ConstrainSchema: format(jsonSchema), llm.ConstrainRegexp: asField("regex"),
		llm.ConstrainGBNF:   asField("grammar"),
		llm.ConstrainChoice: func(k *llm.Constraint, body map[string]any) { body["guided_choice"] = k.Choices },
	}
	tgiGrammar = func(k *llm.Constraint, body map[string]any) bool {
		var grammar map[string]any
		switch k.Kind {
		case llm.ConstrainJSON, llm.ConstrainSchema:
			grammar = map[string]any{"type": "json", "value": schemaOf(k)}
		case llm.ConstrainRegexp:
			grammar = map[string]any{"type": "regex", "value": k.Source}
		case llm.ConstrainChoice:
			grammar = map[string]any{"type": "regex", "value": choicePattern(k)}
		default:
			return false
		}
		if parameters, ok := body["parameters"].(map[string]any); ok {
			parameters["grammar"] = grammar
		} else {
			body["response_format"] = grammar
		}
		return true
	}
)

// chatConstraints are those of OpenAI's chat route, by who speaks it.
var chatConstraints = map[vocabulary]constraints{
	vocabOpenAI:       {llm.ConstrainJSON: format(jsonObject), llm.ConstrainSchema: format(strictSchema)},
	vocabParley:       parleyConstraints,
	vocabLlamaCPPChat: llamaConstraints,
	vocabVLLM:         vllmConstraints,
	vocabSGLang: {
		llm.ConstrainJSON: format(jsonObject), llm.ConstrainSchema: format(jsonSchema), llm.ConstrainRegexp: sglangExpressions[llm.ConstrainRegexp],
		llm.ConstrainGBNF: sglangExpressions[llm.ConstrainGBNF], llm.ConstrainChoice: sglangExpressions[llm.ConstrainChoice],
	},
	vocabMLC: mlcConstraints,
	vocabLlamaCPPPython: withGrammar("grammar", constraints{
		llm.ConstrainJSON: format(jsonObject),
		llm.ConstrainSchema: format(func(k *llm.Constraint) map[string]any {
			return map[string]any{"type": "json_object", "schema": schemaOf(k)}
		}),
	}),
	vocabTextgen:    withGrammar("grammar_string", nil),
	vocabKoboldChat: withGrammar("grammar", nil),
	vocabLMStudio:   {llm.ConstrainJSON: format(jsonSchema), llm.ConstrainSchema: format(jsonSchema)},
	vocabLocalAI:    withGrammar("grammar", constraints{llm.ConstrainJSON: format(jsonObject), llm.ConstrainSchema: format(jsonSchema)}),
}

// rawConstraints are those of OpenAI's route for raw prompts.
var rawConstraints = map[vocabulary]constraints{
	vocabParley: parleyConstraints,
	vocabVLLM:   vllmConstraints,
	vocabSGLang: {
		llm.ConstrainJSON:   func(_ *llm.Constraint, body map[string]any) { body["json_schema"] = anyObject },
		llm.ConstrainSchema: asField("json_schema"), llm.ConstrainRegexp: sglangExpressions[llm.ConstrainRegexp],
		llm.ConstrainGBNF: sglangExpressions[llm.ConstrainGBNF], llm.ConstrainChoice: sglangExpressions[llm.ConstrainChoice],
	},
	vocabMLC:            mlcConstraints,
	vocabLlamaCPPPython: withGrammar("grammar", nil),
	vocabTextgen:        withGrammar("grammar_string", nil),
	vocabLocalAI:        withGrammar("grammar", nil),
}
