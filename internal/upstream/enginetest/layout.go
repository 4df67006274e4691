package enginetest

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"parley/internal/jinja"
	"parley/llm"
)

// chatML is the usual template.
const chatML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// Alternating is a template that refuses what many do: a system message
// anywhere but at the beginning, and roles that do not alternate.
const Alternating = `{% if messages[0]['role'] == 'system' %}{% set head = messages[0]['content'] %}{% set rest = messages[1:] %}{% else %}{% set head = '' %}{% set rest = messages %}{% endif %}` +
	`{% for message in rest %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}` +
	`{% if message['role'] == 'user' %}{{ '<|im_start|>user\n' }}{% if loop.first and head %}{{ head + '\n\n' }}{% endif %}{{ message['content'] + '<|im_end|>\n' }}` +
	`{% else %}{{ '<|im_start|>assistant\n' + message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// Dropping is a template that leaves out, and says nothing, every system
// message but one at the beginning.
const Dropping = `{% for message in messages %}{% if message['role'] != 'system' or loop.first %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// Deaf is a template without a place for system messages: it leaves out all.
const Deaf = `{% for message in messages %}{% if message['role'] != 'system' %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

func templateOf(m llm.Model) string {
	if d, ok := m.(llm.Describer); ok {
		if t := d.Describe().ChatTemplate; t != "" {
			return t
		}
	}
	return chatML
}

// A message is what a client sent, its parts joined as engines join them.
type message struct {
	role, content string
	parts         []any // where the content was a list
	fields        map[string]any
}

// messages reads the conversation of a request. Whether an image may be there
// is for the engine to say.
func messages(fields map[string]any) ([]message, error) {
	list, ok := fields["messages"].([]any)
	if !ok || len(list) == 0 {
		return nil, &refusal{status: 422, kind: "missing", field: "messages", message: "Field required"}
	}
	var all []message
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, wrongType("messages", "object")
		}
		role, ok := m["role"].(string)
		if !ok {
			return nil, &refusal{status: 422, kind: "missing", field: "role", message: "Field required"}
		}
		msg := message{role: role, fields: m}
		switch c := m["content"].(type) {
		case nil:
		case string:
			msg.content = c
		case []any:
			msg.parts = c
			var texts []string
			for _, part := range c {
				if p, ok := part.(map[string]any); ok && p["type"] == "text" {
					s, _ := p["text"].(string)
					texts = append(texts, s)
				}
			}
			msg.content = strings.Join(texts, "\n")
		default:
			return nil, wrongType("content", "string")
		}
		all = append(all, msg)
	}
	return all, nil
}

// hasMedia reports whether a message has a part that is not text.
func (m message) hasMedia() bool {
	for _, part := range m.parts {
		if p, ok := part.(map[string]any); ok && p["type"] != "text" {
			return true
		}
	}
	return false
}

// render lays messages out by a Jinja template. What the template refuses is a
// refusal with its words.
func render(template string, list []message, open bool, arguments map[string]any) (string, error) {
	t, err := jinja.Parse("chat_template", template, jinja.DefaultLimits())
	if err != nil {
		return "", &refusal{status: 500, kind: "template", message: err.Error()}
	}
	plain := make([]map[string]any, len(list))
	for i, m := range list {
		plain[i] = map[string]any{}
		for name, v := range m.fields {
			plain[i][name] = v
		}
		plain[i]["content"] = m.content
	}
	vars := map[string]any{"messages": plain, "add_generation_prompt": open, "bos_token": "", "eos_token": "<|im_end|>"}
	for name, v := range arguments {
		vars[name] = v
	}
	data, err := json.Marshal(vars)
	if err != nil {
		return "", err
	}
	v, err := jinja.FromJSON(data, jinja.DefaultLimits(), func([]jinja.PathStep, bool) jinja.Origin { return 0 })
	if err != nil {
		return "", err
	}
	out, err := t.Render(context.Background(), v.(*jinja.Dict), time.Unix(0, 0))
	if err != nil {
		return "", &refusal{status: 400, kind: "template", message: err.Error()}
	}
	return out.Text, nil
}

// shielded lays messages out as ChatML in which only the marks are control
// tokens, as a hosted service does that guards its own.
func shielded(list []message) llm.Prompt {
	var p llm.Prompt
	mark := func(s string) {
		p.Segments = append(p.Segments, llm.Segment{Text: s, Control: true, Trust: llm.TrustFormat})
	}
	for _, m := range list {
		mark("<|im_start|>" + m.role + "\n")
		p.Segments = append(p.Segments, llm.Segment{Text: m.content})
		mark("<|im_end|>\n")
	}
	mark("<|im_start|>assistant\n")
	return p
}

// prompt is a text as an engine reads it: with special tokens in it, or
// without but for those that match in every text.
func (e *Engine) prompt(text string, special bool) llm.Prompt {
	if special || text == "" {
		return llm.Text(text)
	}
	var p llm.Prompt
	for text != "" {
		at, length := -1, 0
		for _, added := range e.o.Added {
			if i := strings.Index(text, added); i >= 0 && (at < 0 || i < at) {
				at, length = i, len(added)
			}
		}
		if at < 0 {
			at = len(text)
		}
		if at > 0 {
			p.Segments = append(p.Segments, llm.Segment{Text: text[:at]})
		}
		if length > 0 {
			p.Segments = append(p.Segments, llm.Segment{Text: text[at : at+length], Control: true})
		}
		text = text[at+length:]
	}
	return p
}

// tokenize reads text. A beginning-of-text token that the model would add is
// there where begin says so.
func (e *Engine) tokenize(text string, special, begin bool) ([]llm.Token, error) {
	t, ok := e.o.Model.(llm.Tokenizer)
	if !ok {
		return nil, refuse(500, "", "the fake's model has no tokenizer")
	}
	tokens, err := t.Tokenize(context.Background(), e.prompt(text, special))
	if err != nil {
		return nil, err
	}
	if !begin && len(tokens) > 0 && tokens[0].Segment < 0 {
		tokens = tokens[1:]
	}
	return tokens, nil
}

func (e *Engine) detokenize(list []int) (string, error) {
	t, ok := e.o.Model.(llm.Tokenizer)
	if !ok {
		return "", refuse(500, "", "the fake's model has no tokenizer")
	}
	s, err := t.Detokenize(context.Background(), list)
	if err != nil {
		return "", refuse(400, "tokens", "%s", llm.AsError(err).Message)
	}
	return s, nil
}

func idsOf(tokens []llm.Token) []int {
	list := make([]int, len(tokens))
	for i, t := range tokens {
		list[i] = t.ID
	}
	return list
}
