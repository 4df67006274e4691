package upstream

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// openAIAnswer is a chunk of a chat completion, or a whole one.
type openAIAnswer struct {
	Choices []struct {
		Delta    *openAIMessage  `json:"delta"`
		Message  *openAIMessage  `json:"message"`
		Finish   json.RawMessage `json:"finish_reason"`
		Stop     json.RawMessage `json:"stop_reason"` // vLLM: the stop string, or a token's id
		LogProbs *struct {
			Content []openAIToken `json:"content"`
		} `json:"logprobs"`
	} `json:"choices"`
	Usage   *wireUsage `json:"usage"`
	Timings *struct {
		Cached     int `json:"cache_n"`
		Prompt     int `json:"prompt_n"`
		Completion int `json:"predicted_n"`
	} `json:"timings"` // llama.cpp
	Progress *struct {
		Total     int `json:"total"`
		Processed int `json:"processed"`
	} `json:"prompt_progress"` // llama.cpp
}

// openAIMessage is a message or a part of one.
type openAIMessage struct {
	Content          json.RawMessage `json:"content"`
	ReasoningContent json.RawMessage `json:"reasoning_content"`
	Reasoning        json.RawMessage `json:"reasoning"`
	Refusal          json.RawMessage `json:"refusal"`
	ToolCalls        []struct {
		Index    *int   `json:"index"`
		ID       string `json:"id"`
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

type openAIToken struct {
	Token   string        `json:"token"`
	LogProb *float64      `json:"logprob"`
	Bytes   []int         `json:"bytes"`
	Top     []openAIToken `json:"top_logprobs"`
}

// newOpenAIReader begins to read an answer.
func newOpenAIReader() func(frame) (chunk, error) { return alike(openAIFrames()) }

func openAIFrames() func(frame) (chunk, error) {
	var calls toolCalls
	var last repeated
	return func(f frame) (chunk, error) {
		if text, ok := last.text(f.data); ok {
			return chunk{text: text}, nil
		}
		var a openAIAnswer
		if err := json.Unmarshal(f.data, &a); err != nil {
			return chunk{}, err
		}
		c, err := a.chunk(&calls)
		if err == nil && c.onlyText() && a.Choices[0].Delta != nil {
			last.learn(f.data, a.Choices[0].Delta.Content, c.text)
		}
		return c, err
	}
}

func (a openAIAnswer) chunk(calls *toolCalls) (chunk, error) {
	var c chunk
	a.Usage.count(&c)
	if t := a.Timings; t != nil {
		c.cached, c.cacheTold = max(c.cached, t.Cached), true
		c.prompt = max(c.prompt, t.Cached+t.Prompt)
		c.completion = max(c.completion, t.Completion)
	}
	if p := a.Progress; p != nil {
		c.progress = &llm.Waiting{Done: p.Processed, Total: p.Total}
	}
	if len(a.Choices) == 0 {
		return c, nil
	}
	choice := a.Choices[0]
	m := choice.Delta
	if m == nil {
		m = choice.Message
	}
	if m != nil {
		c.text = contentText(m.Content) + plainText(m.Refusal)
		c.reasoning = cmp.Or(plainText(m.ReasoningContent), plainText(m.Reasoning))
		for i, call := range m.ToolCalls {
			at := -1
			switch {
			case call.Index != nil:
				at = *call.Index
			case choice.Delta == nil:
				at = i
			}
			delta, err := calls.delta(at, call.ID, call.Function.Name, argumentsText(call.Function.Arguments))
			if err != nil {
				return chunk{}, err
			}
			c.calls = append(c.calls, delta)
		}
	}
	if choice.LogProbs != nil {
		c.tokens = openAITokens(choice.LogProbs.Content)
	}
	var err error
	c.finish, err = reasonOf(plainText(choice.Finish))
	if stop := plainText(choice.Stop); stop != "" && c.finish == llm.ReasonEnd {
		c.finish, c.stop = llm.ReasonStop, stop
	}
	return c, err
}

// plainText is the text of a JSON string, and "" for all else. Raw is part of
// JSON that has been read: it is a string whole, as most are, or with escapes.
func plainText(raw json.RawMessage) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// contentText is a text, or the text parts of a list.
func contentText(raw json.RawMessage) string {
	if len(raw) == 0 || raw[0] != '[' {
		return plainText(raw)
	}
	var parts []struct {
		Text json.RawMessage `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return ""
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(plainText(p.Text))
	}
	return b.String()
}

// argumentsText is the arguments of a call as JSON text: some engines send the
// object itself.
func argumentsText(raw json.RawMessage) string {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return ""
	case raw[0] == '"':
		return plainText(raw)
	}
	return string(raw)
}

func openAITokens(list []openAIToken) []llm.Token {
	var tokens []llm.Token
	for _, t := range list {
		token := llm.Token{ID: noID, Text: t.text(), LogProb: t.probability()}
		for i, top := range t.Top {
			if i == limits.LogProbs.Int() {
				break
			}
			token.Top = append(token.Top, llm.TokenProb{ID: noID, Text: top.text(), LogProb: top.probability()})
		}
		tokens = append(tokens, token)
	}
	return tokens
}

// noID is the id of a token that the engine tells only the text of.
const noID = -1

// text is what a token stands for: its bytes where they are told, since a part
// of a character is no text.
func (t openAIToken) text() string {
	if len(t.Bytes) == 0 {
		return t.Token
	}
	b := make([]byte, len(t.Bytes))
	for i, v := range t.Bytes {
		b[i] = byte(v)
	}
	return string(b)
}

// probability is a number also where the engine's is none: JSON has no -Inf.
func (t openAIToken) probability() float64 {
	if t.LogProb == nil {
		return -9999 // as OpenAI writes it
	}
	return *t.LogProb
}

// toolCalls number the tool calls of an answer in the order in which they
// begin, whatever numbers and ids the engine gives them.
type toolCalls struct {
	at  map[int]int // our number, by the engine's
	ids []string
}

// delta is a part of the call that the engine numbers at; -1: it gives no
// numbers, and a name begins a call.
func (t *toolCalls) delta(at int, id, name, arguments string) (chat.ToolCallDelta, error) {
	if t.at == nil {
		t.at = map[int]int{}
	}
	n, known := t.at[at]
	if at < 0 {
		n, known = len(t.ids)-1, len(t.ids) > 0 && name == ""
	}
	if known && name != "" && id != "" && id != t.ids[n] {
		known = false // another call under the same number
	}
	d := chat.ToolCallDelta{Index: n, Arguments: arguments}
	if known {
		return d, nil
	}
	d.Index = len(t.ids)
	if err := limits.Tools.CheckInt(d.Index + 1); err != nil {
		return d, fmt.Errorf("the answer's tool calls: %w", err)
	}
	d.ID, d.Name = cmp.Or(id, fmt.Sprintf("call_%d", d.Index)), name
	t.ids = append(t.ids, d.ID)
	if at >= 0 {
		t.at[at] = d.Index
	}
	return d, nil
}
