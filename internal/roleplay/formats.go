package roleplay

import "strings"

// formats are text-generation-webui's instruction templates, and what their
// chat formats are called here.
var formats = map[string]string{
	"alpaca":            "alpaca",
	"baichuan chat":     "baichuan",
	"chatglm":           "chatglm1",
	"chatml":            "chatml",
	"command-r":         "command-r",
	"guanaco":           "guanaco",
	"h2o-prompt_answer": "h2o-prompt-answer",
	"incite-chat":       "redpajama-incite",
	"koala":             "koala",
	"llama-v2":          "llama2",
	"llama-v3":          "llama3",
	"metharme":          "metharme",
	"mistral":           "mistral-v1",
	"mistral v1":        "mistral-v1",
	"moss":              "moss",
	"open assistant":    "openassistant",
	"openbuddy":         "openbuddy",
	"openchat":          "openchat-v1",
	"orca mini":         "orca-mini",
	"orca-vicuna":       "vicuna-orca",
	"rwkv-raven":        "rwkv-world",
	"stablebeluga2":     "stablebeluga",
	"stablelm":          "stablelm-alpha",
	"starchat-beta":     "starchat",
	"tulu":              "tulu",
	"vicuna-v0":         "vicuna-v0",
	"vicuna-v1.1":       "vicuna",
}

// FormatNamed finds the chat format of an instruction template by its name
// there, whatever the case of its letters.
func FormatNamed(name string) (format string, ok bool) {
	format, ok = formats[strings.ToLower(name)]
	return format, ok
}
