package chatformat

import (
	"slices"
	"strings"
)

// toolSyntaxes are the ways in which models write tool calls, in the order in
// which they are tried on a template. docs/tool-calls.md shows each of them.
var toolSyntaxes = []*callSyntax{
	{ // Hermes, Qwen 2.5 and 3, and many that follow them
		name: "hermes", begins: []string{"<tool_call>"},
		open: []step{literal("<tool_call>"), space, maybe("["), space},
		call: []step{jsonCall},
		many: true, sep: ",", close: []string{"]", "</tool_call>"},
	},
	{ // Qwen 3 Coder, Qwen 3.5, Nemotron 3
		name: "qwen-coder", begins: []string{"<tool_call>", "<function="},
		open: []step{maybe("<tool_call>"), space},
		call: []step{literal("<function="), functionName, literal(">"), tags{
			open: "<parameter=", middle: ">", close: "</parameter>", padded: true,
			end: []string{"</function>", "</tool_call>"},
		}.arguments},
		many: true, close: []string{"</tool_call>"},
	},
	{ // Seed-OSS
		name: "seed", begins: []string{"<seed:tool_call>"},
		open: []step{literal("<seed:tool_call>"), space},
		call: []step{literal("<function="), functionName, literal(">"), tags{
			open: "<parameter=", middle: ">", close: "</parameter>",
			end: []string{"</function>", "</seed:tool_call>"},
		}.arguments},
		many: true, close: []string{"</seed:tool_call>"},
	},
	{ // GLM 4.5 and later
		name: "glm", begins: []string{"<tool_call>"},
		open: []step{literal("<tool_call>"), space},
		call: []step{functionName, tags{
			open: "<arg_key>", middle: "</arg_key>", valueOpen: "<arg_value>", close: "</arg_value>",
			end: []string{"</tool_call>"},
		}.arguments},
	},
	{ // Hunyuan 3
		name: "hunyuan", begins: []string{"<tool_calls:opensource>"},
		open: []step{literal("<tool_calls:opensource>"), space},
		call: []step{literal("<tool_call:opensource>"), functionName, literal("<tool_sep:opensource>"), tags{
			open: "<arg_key:opensource>", middle: "</arg_key:opensource>", valueOpen: "<arg_value:opensource>", close: "</arg_value:opensource>",
			end: []string{"</tool_call:opensource>"},
		}.arguments},
		many: true, close: []string{"</tool_calls:opensource>"},
	},
	{ // MiniMax M2
		name: "minimax", begins: []string{"<minimax:tool_call>"},
		open: []step{literal("<minimax:tool_call>"), space},
		call: []step{literal(`<invoke name="`), functionName, literal(`">`), tags{
			open: `<parameter name="`, middle: `">`, close: "</parameter>", end: []string{"</invoke>"},
		}.arguments},
		many: true, close: []string{"</minimax:tool_call>"},
	},
	dsml("deepseek-v3.2", "function_calls"),
	dsml("deepseek-v4", "tool_calls"),
	{ // MiniCPM 5
		name: "minicpm", begins: []string{`<function name="`},
		call: []step{literal(`<function name="`), functionName, literal(`">`), tags{
			open: `<param name="`, middle: `">`, close: "</param>", cdata: true, end: []string{"</function>"},
		}.arguments},
	},
	{ // Mistral up to v7
		name: "mistral", begins: []string{"[TOOL_CALLS]"},
		open: []step{literal("[TOOL_CALLS]"), space, literal("[")},
		call: []step{jsonCall},
		many: true, sep: ",", close: []string{"]"},
	},
	{ // Mistral from v11 on
		name: "mistral-args", begins: []string{"[TOOL_CALLS]"},
		open: []step{literal("[TOOL_CALLS]"), space},
		call: []step{functionName, whenNext("[CALL_ID]", callID), maybe("[ARGS]"), jsonArguments},
	},
	listed("jamba", "<tool_calls>", "</tool_calls>"),                   // Jamba, Apriel, Hunyuan A13B, MiniMax M1
	listed("nemotron", "<TOOLCALL>", "</TOOLCALL>"),                    // Nemotron Nano 2
	listed("command-r7b", "<|START_ACTION|>", "<|END_ACTION|>"),        // Command R7B, Command A
	listed("internlm", "<|action_start|><|plugin|>", "<|action_end|>"), // InternLM 2.5 and 3
	listed("granite", "<|tool_call|>", "<|/tool_call|>"),               // Granite 3, Phi 4 mini
	{ // Firefunction 2, Phi 4 mini
		name: "firefunction", begins: []string{"functools["}, words: true,
		open: []step{literal("functools["), space},
		call: []step{jsonCall},
		many: true, sep: ",", close: []string{"]"},
	},
	{ // Command R
		name: "command-r", words: true, begins: []string{"Action:"},
		open: []step{literal("Action:"), space, literal("```json"), space, literal("[")},
		call: []step{jsonCall},
		many: true, sep: ",", close: []string{"]", "```"},
	},
	{ // Apertus
		name: "apertus", begins: []string{"<|tools_prefix|>"},
		open: []step{literal("<|tools_prefix|>"), space, literal("[")},
		call: []step{keyedCall},
		many: true, sep: ",", close: []string{"]", "<|tools_suffix|>"},
	},
	{ // DeepSeek V3.1
		name: "deepseek-v3.1", begins: []string{"<｜tool▁calls▁begin｜>"},
		open: []step{literal("<｜tool▁calls▁begin｜>"), space},
		call: []step{literal("<｜tool▁call▁begin｜>"), functionName, literal("<｜tool▁sep｜>"), jsonArguments, ending("<｜tool▁call▁end｜>")},
		many: true, close: []string{"<｜tool▁calls▁end｜>"},
	},
	{ // DeepSeek V2.5, V3, R1
		name: "deepseek", begins: []string{"<｜tool▁calls▁begin｜>"},
		open: []step{literal("<｜tool▁calls▁begin｜>"), space},
		call: []step{literal("<｜tool▁call▁begin｜>"), literal("function"), literal("<｜tool▁sep｜>"), functionName, space,
			literal("```json"), space, jsonArguments, ending("```"), ending("<｜tool▁call▁end｜>")},
		many: true, close: []string{"<｜tool▁calls▁end｜>"},
	},
	{ // Kimi K2
		name: "kimi", begins: []string{"<|tool_calls_section_begin|>"},
		open: []step{literal("<|tool_calls_section_begin|>"), space},
		call: []step{literal("<|tool_call_begin|>"), space, numberedName, space, literal("<|tool_call_argument_begin|>"), jsonArguments, ending("<|tool_call_end|>")},
		many: true, close: []string{"<|tool_calls_section_end|>"},
	},
	{ // Solar Open
		name: "solar", begins: []string{"<|tool_calls|>"},
		open: []step{literal("<|tool_calls|>"), space},
		call: []step{literal("<|tool_call:begin|>"), callID, literal("<|tool_call:name|>"), functionName, literal("<|tool_call:args|>"), jsonArguments, ending("<|tool_call:end|>")},
		many: true, close: []string{"<|calls|>"},
	},
	{ // LFM 2
		name: "lfm", begins: []string{"<|tool_call_start|>"}, hint: "<|tool_list_start|>",
		open: []step{literal("<|tool_call_start|>"), space, literal("[")},
		call: []step{jsonOrPythonCall},
		many: true, sep: ",", close: []string{"]", "<|tool_call_end|>"},
	},
	{ // Gemma 4
		name: "gemma", begins: []string{"<|tool_call>"},
		call: []step{literal("<|tool_call>"), literal("call:"), functionName, bracedArguments(`<|"|>`), ending("<tool_call|>")},
	},
	{ // GigaChat 3
		name: "gigachat", begins: []string{"<|function_call|>"},
		open: []step{literal("<|function_call|>"), space},
		call: []step{jsonCall},
	},
	{ // Functionary 3.1, and Llama 3.1 by its own description of custom tools
		name: "functionary-v3.1", begins: []string{"<function="},
		call: []step{literal("<function="), functionName, literal(">"), jsonArguments, ending("</function>")},
	},
	{ // Functionary 3.2
		name: "functionary-v3.2", begins: []string{">>>"}, bare: true, lead: "all\n", words: true,
		call: []step{maybe(">>>"), functionName, literal("\n"), jsonArguments},
	},
	{ // Functionary 2.2
		name: "functionary-v2.2", begins: []string{"<|from|>assistant\n<|recipient|>"}, bare: true, lead: "all\n<|content|>", words: true,
		call: []step{maybe("<|from|>assistant\n<|recipient|>"), functionName, literal("\n<|content|>"), jsonArguments},
	},
	{ // Llama 3 and 4, and what writes bare JSON
		name: "json", begins: []string{"<|python_tag|>", "<|python_start|>"}, bare: true,
		open: []step{maybe("<|python_tag|>"), maybe("<|python_start|>"), maybe("<|python_end|>"), space, maybe("```json"), space, maybe("["), space},
		call: []step{jsonCall},
		many: true, sep: ",;", close: []string{"]", "```", "<|python_end|>"},
	},
	{ // Llama 4 by its own description, Hammer, and what calls in the manner of Python
		name: "pythonic", begins: []string{"<|python_start|>"}, bare: true,
		open: []step{maybe("<|python_start|>"), space, literal("["), space},
		call: []step{pythonCall},
		many: true, sep: ",", close: []string{"]", "<|python_end|>"},
	},
	{ // GLM 4
		name: "glm4", bare: true,
		call: []step{functionName, literal("\n"), jsonArguments},
	},
}

// listed are calls as JSON objects between marks, most often in a list.
func listed(name, open, end string) *callSyntax {
	return &callSyntax{
		name: name, begins: []string{open},
		open: []step{literal(open), space, maybe("["), space},
		call: []step{jsonCall},
		many: true, sep: ",", close: []string{"]", end},
	}
}

// dsml is DeepSeek's mark-up, whose marks say whether a value is a string.
func dsml(name, section string) *callSyntax {
	const mark = "｜DSML｜"
	return &callSyntax{
		name: name, begins: []string{"<" + mark + section + ">"},
		open: []step{literal("<" + mark + section + ">"), space},
		call: []step{literal("<" + mark + `invoke name="`), functionName, literal(`">`), tags{
			open: "<" + mark + `parameter name="`, kind: `" string="`, middle: `">`, close: "</" + mark + "parameter>",
			end: []string{"</" + mark + "invoke>"},
		}.arguments},
		many: true, close: []string{"</" + mark + section + ">"},
	}
}

// usualSyntaxes are looked for where it is not known how a model calls: all
// but those whose marks any text may hold.
var usualSyntaxes = slices.DeleteFunc(slices.Clone(toolSyntaxes), func(s *callSyntax) bool { return s.words })

// syntaxesNamed are the syntaxes of these names; a name that none has is left
// out.
func syntaxesNamed(names ...string) (list []*callSyntax) {
	for _, name := range names {
		for _, s := range toolSyntaxes {
			if s.name == name {
				list = append(list, s)
			}
		}
	}
	return list
}

// callMarks are the marks of tool calls, and of the text beside them, that an
// assistant writes itself.
var callMarks = []string{
	"<tool_call>", "</tool_call>", "<tool_calls>", "</tool_calls>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|tool_call|>", "<|/tool_call|>", "<|tool_calls|>",
	"<|python_tag|>", "<|python_start|>", "<|python_end|>", "<function_call>", "</function_call>", "<|function_call|>", "<|tool_call_start|>", "<|tool_call_end|>", "<|action_start|>", "<|action_end|>", "<|plugin|>",
	"<|START_ACTION|>", "<|END_ACTION|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>",
	"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
	"<tool_calls:opensource>", "</tool_calls:opensource>", "<tool_call:opensource>", "</tool_call:opensource>", "<tool_sep:opensource>",
	"<arg_key:opensource>", "</arg_key:opensource>", "<arg_value:opensource>", "</arg_value:opensource>",
	"<minimax:tool_call>", "</minimax:tool_call>", "<seed:tool_call>", "</seed:tool_call>", "｜DSML｜",
	"<TOOLCALL>", "</TOOLCALL>", "<|tools_prefix|>", "<|tools_suffix|>",
	"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>",
	"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_end|>", "<|tool_call_argument_begin|>",
	"<|tool_call:begin|>", "<|tool_call:end|>", "<|tool_call:name|>", "<|tool_call:args|>",
	"<|tool_call>", "<tool_call|>", `<|"|>`, "<|channel>", "<channel|>",
}

// hasMarks reports whether a template's source shows that its models write a
// syntax.
func (s *callSyntax) hasMarks(source string) bool {
	return slices.ContainsFunc(s.begins, func(b string) bool { return strings.Contains(source, b) }) ||
		s.hint != "" && strings.Contains(source, s.hint)
}
