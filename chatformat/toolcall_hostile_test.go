package chatformat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
)

// TestNestingIsBounded: arguments that nest deeper than the limit are text.
func TestNestingIsBounded(t *testing.T) {
	nested := func(levels int) string {
		return strings.Repeat("[", levels) + strings.Repeat("]", levels)
	}
	for syntax, form := range map[string][2]string{
		"hermes":           {`<tool_call>{"name": "now", "arguments": {"a": `, "}}</tool_call>"},
		"lfm":              {"<|tool_call_start|>[now(a=", ")]<|tool_call_end|>"},
		"gemma":            {"<|tool_call>call:now{a:", "}<tool_call|>"},
		"pythonic":         {"[now(a=", ")]"},
		"mistral":          {`[TOOL_CALLS] [{"name": "now", "arguments": {"a": `, "}}]"},
		"deepseek":         {"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{\"a\": ", "}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"},
		"kimi":             {`<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{"a": `, "}<|tool_call_end|><|tool_calls_section_end|>"},
		"apertus":          {`<|tools_prefix|>[{"now": {"a": `, "}}]<|tools_suffix|>"},
		"harmony":          {`<|channel|>commentary to=functions.now<|message|>{"a": `, "}"},
		"minicpm":          {`<function name="now"><param name="a">`, "</param></function>"},
		"functionary-v3.1": {`<function=now>{"a": `, "}</function>"},
	} {
		for levels, whole := range map[int]bool{60: true, 65: syntax == "minicpm", 200_000: syntax == "minicpm"} {
			output := form[0] + nested(levels) + form[1]
			events := readCalls(t, chatformat.NewCallParser(callConversation(), "", syntax), []string{output})
			if called := strings.Contains(events, "call 0") && !strings.Contains(events, "broken"); called != whole {
				t.Errorf("%s, %d levels: %.200s", syntax, levels, events)
			}
			if !whole && !strings.Contains(events, "text") {
				t.Errorf("%s, %d levels: nothing came out: %.200s", syntax, levels, events)
			}
		}
	}
}

// TestSchemasSayWhatAValueIs, wherever in them it stands.
func TestSchemasSayWhatAValueIs(t *testing.T) {
	const schema = `{"type": "object", "$defs": {"word": {"type": "string"}, "loop": {"$ref": "#/$defs/loop"}, "both": {"anyOf": [{"$ref": "#/$defs/both"}, {"$ref": "#/$defs/both"}]}},
		"properties": {
			"ref": {"$ref": "#/$defs/word"}, "any": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "list": {"type": ["string", "integer"]},
			"enum": {"enum": ["1", "2"]}, "const": {"const": "1"}, "number": {"type": "number"}, "loop": {"$ref": "#/$defs/loop"}, "both": {"$ref": "#/$defs/both"},
			"away": {"$ref": "#/nowhere"}, "silly": {"type": 7}}}`
	c := callConversation()
	c.Tools = []chat.ToolSpec{{Name: "f", Parameters: json.RawMessage(schema)}}
	for name, values := range map[string]map[string]string{
		"ref":    {"1": `"1"`, "null": `"null"`},
		"any":    {"1": `"1"`, "null": `null`, "x": `"x"`},
		"list":   {"1": `1`, "x": `"x"`, "null": `"null"`},
		"enum":   {"1": `"1"`},
		"const":  {"1": `"1"`},
		"number": {"1.5": `1.5`, "x": `"x"`},
		"loop":   {"1": `1`, "x": `"x"`},
		"both":   {"1": `1`},
		"away":   {"1": `1`},
		"silly":  {"1": `1`},
		"other":  {"1": `1`, "True": `true`, "yes": `"yes"`, "[1, 'a']": `[1, "a"]`, `{"a": 1}`: `{"a": 1}`, "": `""`},
	} {
		for value, want := range values {
			p := chatformat.NewCallParser(c, "", "minimax")
			events := readCalls(t, p, []string{`<minimax:tool_call><invoke name="f"><parameter name="` + name + `">` + value + `</parameter></invoke></minimax:tool_call>`})
			if want := "call 0 call00001 f\narguments 0 " + quote(`{"`+name+`": `+want+`}`) + "\n"; events != want {
				t.Errorf("%s, %q:\n got %s\nwant %s", name, value, events, want)
			}
		}
	}
}
