package chatformat

import (
	"strings"

	"parley/llm"
)

// Detect gives the format of a model: the chat template in its file. A file
// without one, and a template that cannot be used, is an error of code
// Unsupported that says why and what to pass: there is no silent fall back.
func Detect(info llm.Info) (Format, error) {
	if strings.TrimSpace(info.ChatTemplate) == "" {
		e := llm.Errorf(llm.Unsupported, "format", "the model's file has no chat template")
		e.Hint = otherFormat()
		return nil, e
	}
	return NewTemplate("of the model's file", info.ChatTemplate, SpecialTokens{BOS: info.BOS, EOS: info.EOS})
}

func otherFormat() string {
	return "pass --format NAME, where NAME is one of: " + strings.Join(Names(), ", ") + "; raw lays messages out without any format"
}
