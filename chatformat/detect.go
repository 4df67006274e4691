package chatformat

import (
	"strings"

	"parley/llm"
)

// Detect finds the format of a model from the chat template in its file. A
// template that matches no known format, or a file without one, is an error
// of code Unsupported that says what to pass: there is no silent fall back.
func Detect(info llm.Info) (Format, error) {
	if strings.TrimSpace(info.ChatTemplate) == "" {
		return nil, undetected("the model's file has no chat template")
	}
	if m := detectMarkup(info.ChatTemplate); m != nil {
		return m, nil
	}
	return nil, undetected("the chat template in the model's file matches no known format")
}

func undetected(why string) error {
	e := llm.Errorf(llm.Unsupported, "format", "%s", why)
	e.Hint = "pass --format NAME, where NAME is one of: " + strings.Join(Names(), ", ") + "; raw lays messages out without any format"
	return e
}

// detectMarkup finds the format all of whose delimiters are in a template. Of
// several, the one with most text to go by is meant.
func detectMarkup(template string) *Markup {
	template = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(template)
	var best *Markup
	weight := 0
	for _, m := range builtin().list {
		w := 0
		for _, s := range m.file.Detect {
			if !strings.Contains(template, s) {
				w = 0
				break
			}
			w += len(s)
		}
		if w > weight {
			best, weight = m, w
		}
	}
	return best
}
