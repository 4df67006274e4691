package llm

// A Constraint holds an output to a language: what is not in it cannot be
// chosen. An output that is ended by a stop string or by its length may be the
// beginning of such a text only.
type Constraint struct {
	Kind    ConstraintKind
	Source  string   // the schema, grammar or expression
	Choices []string // of ConstrainChoice
	Calls   []Call   // of ConstrainCall

	// Field is where the client wrote it, for errors.
	Field string

	// After and Open are for models that think before they reply: the
	// constraint begins behind After, white space aside; where Open is set, too,
	// only for outputs that begin with Open, and all others are constrained from
	// the beginning. A format sets them.
	After, Open string

	// Behind, if set, leaves the output free until this text comes. What follows
	// is held, to its end; then the output is free again. A format sets it.
	Behind string
}

// ConstraintKind says what a constraint's source is written in.
type ConstraintKind string

const (
	ConstrainJSON   ConstraintKind = "json"        // any JSON object
	ConstrainSchema ConstraintKind = "json_schema" // a JSON schema
	ConstrainGBNF   ConstraintKind = "gbnf"        // a grammar in llama.cpp's notation
	ConstrainRegexp ConstraintKind = "regexp"      // a regular expression in RE2's syntax, for the whole output
	ConstrainChoice ConstraintKind = "choice"      // one of Choices
	ConstrainCall   ConstraintKind = "call"        // one of Calls; a format sets it
)

// A Call is how a model calls a function: the text before the arguments, and
// behind it they themselves, one JSON object. What cannot hold an output to the
// schema holds it to any object, or not at all, and reports so.
type Call struct {
	Name   string // of the function, for the report
	Before string
	Schema string // of the arguments, in JSON; empty: any object
}

// CodeSchemaWord is the code of the note that a schema has a word that is no
// keyword of any draft and says nothing; its value is the word.
const CodeSchemaWord = "schema_word_ignored"

// CodeArgumentsUnheld is the code of the note that a call's arguments need not
// be valid under the function's schema; its value is the function's name.
const CodeArgumentsUnheld = "arguments_unheld"
