package check

import (
	"encoding/json"
	"fmt"
)

// A request is the body of a chat completion or, with Prompt, of a completion.
type request struct {
	Model         string             `json:"model,omitempty"`
	Messages      []message          `json:"messages,omitempty"`
	Prompt        string             `json:"prompt,omitempty"`
	MaxTokens     int                `json:"max_tokens,omitempty"`
	Temperature   *float64           `json:"temperature,omitempty"`
	Seed          *int               `json:"seed,omitempty"`
	Stop          []string           `json:"stop,omitempty"`
	N             int                `json:"n,omitempty"`
	LogProbs      bool               `json:"logprobs,omitempty"`
	TopLogProbs   int                `json:"top_logprobs,omitempty"`
	LogitBias     map[string]float64 `json:"logit_bias,omitempty"`
	IgnoreEOS     bool               `json:"ignore_eos,omitempty"`
	Stream        bool               `json:"stream,omitempty"`
	StreamOptions *streamOptions     `json:"stream_options,omitempty"`

	Continue      bool  `json:"continue_final_message,omitempty"`
	AddGeneration *bool `json:"add_generation_prompt,omitempty"`
	Unknown       *int  `json:"no_such_field,omitempty"` // what no server knows
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type message struct {
	Role       string     `json:"role"`
	Name       string     `json:"name,omitempty"`
	Content    any        `json:"content"` // string, nil or []part
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type part struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type toolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function toolFunction `json:"function"`
}

type toolFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

func say(role, text string) message { return message{Role: role, Content: text} }

// A usage is what a server counted. What it does not tell is nil.
type usage struct {
	Prompt     *int `json:"prompt_tokens"`
	Completion *int `json:"completion_tokens"`
	Total      *int `json:"total_tokens"`
	Details    *struct {
		Cached *int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// answer is a body or a chunk. What differs between servers is read leniently.
type answer struct {
	Object  string          `json:"object"`
	Model   string          `json:"model"`
	Choices []choice        `json:"choices"`
	Usage   *usage          `json:"usage"`
	Error   json.RawMessage `json:"error"`
	Timings *struct {
		Cached *int `json:"cache_n"`
	} `json:"timings"` // of llama.cpp
}

type choice struct {
	Index      int       `json:"index"`
	Text       string    `json:"text"`
	Message    *words    `json:"message"`
	Delta      *words    `json:"delta"`
	Finish     *string   `json:"finish_reason"`
	StopReason any       `json:"stop_reason"`  // of vLLM and Parley: a string, a token id or null
	Matched    any       `json:"matched_stop"` // of SGLang
	LogProbs   *logProbs `json:"logprobs"`
}

type words struct {
	Role      string  `json:"role"`
	Content   *string `json:"content"`
	Reasoning string  `json:"reasoning_content"`
	Thoughts  string  `json:"reasoning"`
}

func (w *words) text() string {
	if w == nil || w.Content == nil {
		return ""
	}
	return *w.Content
}

func (w *words) reasoning() string {
	if w == nil {
		return ""
	}
	return w.Reasoning + w.Thoughts
}

type logProbs struct {
	Content []struct {
		Token   string  `json:"token"`
		LogProb float64 `json:"logprob"`
		Top     []struct {
			LogProb float64 `json:"logprob"`
		} `json:"top_logprobs"`
	} `json:"content"`
}

// A reply is what a server answered, streamed or not.
type reply struct {
	texts     []string // of each choice
	reasoning string   // of the first
	finish    string
	stop      any // which stop string matched, where the server tells it
	model     string
	usage     *usage
	cached    int // prompt tokens that were not read again; -1: not told
	logProbs  *logProbs

	deltas []string // of a stream: the first choice's text as it came
	form   []string // of a stream: what is wrong with its form
}

func (r *reply) text() string {
	if len(r.texts) == 0 {
		return ""
	}
	return r.texts[0]
}

// said is all that the model said, its thoughts included.
func (r *reply) said() string { return r.reasoning + r.text() }

// prompt is the number of the prompt's tokens, -1 where it is not told.
func (r *reply) prompt() int { return number(r.usage, func(u *usage) *int { return u.Prompt }) }

func (r *reply) completion() int {
	return number(r.usage, func(u *usage) *int { return u.Completion })
}

func number(u *usage, field func(*usage) *int) int {
	if u == nil || field(u) == nil {
		return -1
	}
	return *field(u)
}

// count notes what a body or a chunk says of tokens.
func (r *reply) count(a *answer) {
	if a.Usage != nil {
		r.usage = a.Usage
		if d := a.Usage.Details; d != nil && d.Cached != nil {
			r.cached = *d.Cached
		}
	}
	if a.Timings != nil && a.Timings.Cached != nil && r.cached < 0 {
		r.cached = *a.Timings.Cached
	}
}

// add puts what a choice says to what it said before.
func (r *reply) add(c *choice) {
	if c.Index < 0 || c.Index > maxChoices {
		return
	}
	for len(r.texts) <= c.Index {
		r.texts = append(r.texts, "")
	}
	text := c.Text + c.Message.text() + c.Delta.text()
	r.texts[c.Index] += text
	if c.Index > 0 {
		return
	}
	r.reasoning += c.Message.reasoning() + c.Delta.reasoning()
	if text != "" {
		r.deltas = append(r.deltas, text)
	}
	if c.Finish != nil && *c.Finish != "" {
		r.finish = *c.Finish
	}
	if c.StopReason != nil {
		r.stop = c.StopReason
	}
	if c.Matched != nil {
		r.stop = c.Matched
	}
	if c.LogProbs != nil && r.logProbs == nil {
		r.logProbs = c.LogProbs
	}
}

// maxChoices is more than any check asks for.
const maxChoices = 8

// parseReply reads a whole answer.
func parseReply(body []byte) (*reply, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("the answer is not what OpenAI's protocol says: %s", short(err.Error()))
	}
	if len(a.Choices) == 0 {
		return nil, fmt.Errorf("the answer has no choices: %s", short(string(body)))
	}
	r := &reply{model: a.Model, cached: -1}
	r.count(&a)
	for i := range a.Choices {
		r.add(&a.Choices[i])
	}
	return r, nil
}
