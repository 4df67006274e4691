package chatformat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"parley/chat"
	"parley/llm"
)

// Detect gives the format of a model: the chat template in its file, or the
// built-in format whose name stands in its place. A file without one, and a template that
// cannot be used, is an error of code Unsupported that says why and what to pass: there is
// no silent fall back. All models of some architectures know one format, whatever their file says of it.
func Detect(info llm.Info) (Format, error) {
	name := strings.TrimSpace(info.ChatTemplate)
	if name == "" {
		name = formatOf[info.Architecture]
	}
	if !strings.Contains(name, "{") {
		if m, err := Lookup(name); err == nil {
			return m, nil
		}
	}
	if name == "" {
		e := llm.Errorf(llm.Unsupported, "format", "the model's file has no chat template")
		e.Hint = otherFormat()
		return nil, e
	}
	return NewTemplate("of the model's file", info.ChatTemplate, SpecialTokens{BOS: info.BOS, EOS: info.EOS})
}

// formatOf names the format of architectures whose models were all trained with one.
var formatOf = map[string]string{"rwkv6": "rwkv-world", "rwkv7": "rwkv-world"}

func otherFormat() string {
	return "pass --format chatml, or another one that parley formats list shows; raw lays messages out without any format"
}

// None is the format of a model that has none: it refuses every conversation
// with what Detect says of the model's file. The model still continues prompts, and
// answers conversations that choose a format themselves.
func None() Format { return none{} }

type none struct{}

func (none) Name() string { return "none" }

func (none) Render(chat.Conversation) (Rendering, error) {
	_, err := Detect(llm.Info{})
	return Rendering{}, err
}

// TemplateOfTokenizerConfig finds the chat template in a model's
// tokenizer_config.json: a text, or a list of texts with names, of which the
// one called "default" counts, or the only one. A file without a template
// gives "".
func TemplateOfTokenizerConfig(data []byte) (string, error) {
	var file struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return "", fmt.Errorf("it is not the JSON of a tokenizer's configuration: %w", err)
	}
	var text string
	if len(file.Template) == 0 || json.Unmarshal(file.Template, &text) == nil {
		return text, nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(file.Template, &list); err != nil {
		return "", errors.New("its chat_template is neither a text nor a list of templates with names")
	}
	var names []string
	for _, t := range list {
		if t.Name == "default" || len(list) == 1 {
			return t.Template, nil
		}
		names = append(names, t.Name)
	}
	return "", fmt.Errorf("of its chat templates (%s) none is called default", strings.Join(names, ", "))
}
