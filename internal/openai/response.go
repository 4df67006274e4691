package openai

import (
	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A Head is what all chunks of an answer have in common.
type Head struct {
	ID      string // "chatcmpl-…" or "cmpl-…"
	Created int64  // seconds since 1970
	Model   string // the model that answers
}

type answer struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   any      `json:"usage,omitempty"` // *usage, or null where a later chunk has it
	Parley  *details `json:"parley,omitempty"`

	Reading *reading `json:"prompt_progress,omitempty"`
}

// reading tells how much of a prompt has been read, in llama.cpp's words.
type reading struct {
	Total     int `json:"total"`
	Processed int `json:"processed"`
}

// A choice is one answer, or in a stream a part of one. Of Message, Delta and
// Text one is set.
type choice struct {
	Index        int      `json:"index"`
	Message      *message `json:"message,omitempty"`
	Delta        *delta   `json:"delta,omitempty"`
	Text         *string  `json:"text,omitempty"`
	LogProbs     any      `json:"logprobs"`
	FinishReason *string  `json:"finish_reason"`
	StopReason   *string  `json:"stop_reason,omitempty"` // the stop string that matched, as vLLM tells it
}

type message struct {
	Role      chat.Role  `json:"role"`
	Content   *string    `json:"content"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type delta struct {
	Role      chat.Role  `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type toolCall struct {
	Index    *int         `json:"index,omitempty"` // only in streams
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function toolFunction `json:"function"`
}

type toolFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type usage struct {
	PromptTokens     int                `json:"prompt_tokens"`
	CompletionTokens int                `json:"completion_tokens"`
	TotalTokens      int                `json:"total_tokens"`
	PromptDetails    *promptDetails     `json:"prompt_tokens_details,omitempty"` // nil: not told
	Completion       *completionDetails `json:"completion_tokens_details,omitempty"`
}

type promptDetails struct {
	CachedTokens int `json:"cached_tokens"`
}

type completionDetails struct {
	ReasoningTokens int  `json:"reasoning_tokens"`
	Accepted        *int `json:"accepted_prediction_tokens,omitempty"` // where there is a prediction
	Rejected        *int `json:"rejected_prediction_tokens,omitempty"`
}

// details are what Parley says beyond OpenAI's contract, for those who ask.
type details struct {
	Seed       int64      `json:"seed"` // of the first choice, as are the others
	StopReason llm.Reason `json:"stop_reason"`
	AutoStops  []string   `json:"auto_stops,omitempty"` // stop strings that the client did not send
	Report     llm.Report `json:"report"`
	Timings    timings    `json:"timings"`
	Cache      *cacheUse  `json:"cache,omitempty"` // nil: not told
}

// A cacheUse says what of a prompt had not to be read, and if much was kept in vain,
// where the prompt departs from it.
type cacheUse struct {
	Prompt int      `json:"prompt"`
	Cached int      `json:"cached"`
	Broke  *brokeAt `json:"broke_at,omitempty"`
}

type brokeAt struct {
	Token  int    `json:"token"`
	Unused int    `json:"unused"`
	Source Source `json:"source"`
}

// A Source is an llm.Source for a client.
type Source struct {
	Kind  string `json:"kind"`
	Index int    `json:"index"`
	Part  int    `json:"part"`
	Field string `json:"field,omitempty"`
}

// SourceOf spells a source.
func SourceOf(s llm.Source) Source { return Source{s.Kind.String(), s.Index, s.Part, s.Field} }

func cacheUseOf(u llm.Usage) *cacheUse {
	if u.CacheUntold {
		return nil
	}
	c := &cacheUse{Prompt: u.PromptTokens, Cached: u.CachedTokens}
	if b := u.Broke; b != nil {
		c.Broke = &brokeAt{b.Token, b.Unused, SourceOf(b.Source)}
	}
	return c
}

type timings struct {
	QueuedMS  float64 `json:"queued_ms"`
	PrefillMS float64 `json:"prefill_ms"`
	DecodeMS  float64 `json:"decode_ms"`
}

func detailsOf(f llm.Finish, stops []string, report llm.Report) *details {
	if report == nil {
		report = llm.Report{}
	}
	return &details{Seed: f.Seed, StopReason: f.Reason, AutoStops: stops, Report: report, Cache: cacheUseOf(f.Usage), Timings: timings{
		QueuedMS:  f.Usage.Queued.Seconds() * 1000,
		PrefillMS: f.Usage.Prefill.Seconds() * 1000,
		DecodeMS:  f.Usage.Decode.Seconds() * 1000,
	}}
}

// add counts one choice. The prompt is counted once for all its choices, and
// tokens that were drafted where the client predicted the output.
func (u *usage) add(one llm.Usage, reasoning int, newPrompt, predicted bool) {
	if newPrompt {
		u.PromptTokens += one.PromptTokens
		if !one.CacheUntold {
			if u.PromptDetails == nil {
				u.PromptDetails = &promptDetails{}
			}
			u.PromptDetails.CachedTokens += one.CachedTokens
		}
	}
	u.CompletionTokens += one.CompletionTokens
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	if (reasoning > 0 || predicted) && u.Completion == nil {
		u.Completion = &completionDetails{}
	}
	if reasoning > 0 {
		u.Completion.ReasoningTokens += reasoning
	}
	if d := u.Completion; predicted {
		if d.Accepted == nil {
			d.Accepted, d.Rejected = new(0), new(0)
		}
		*d.Accepted += one.AcceptedTokens
		*d.Rejected += one.DraftedTokens - one.AcceptedTokens
	}
}

func (c *choice) finish(f llm.Finish, calls bool) {
	reason := "stop"
	switch {
	case f.Reason == llm.ReasonLength:
		reason = "length"
	case calls:
		reason = "tool_calls"
	}
	c.FinishReason = &reason
	if f.Reason == llm.ReasonStop {
		c.StopReason = &f.Stop
	}
}

// Chat is the body of a whole answer. There is one reply for each choice.
func Chat(h Head, q *Request, replies []chat.Reply, report llm.Report) []byte {
	return whole(h, q, "chat.completion", replies, report, func(c *choice, r chat.Reply) {
		m := &message{Role: chat.Assistant, Reasoning: r.Message.Reasoning}
		if text := r.Message.Text(); text != "" || len(r.Message.ToolCalls) == 0 {
			m.Content = &text
		}
		for _, call := range r.Message.ToolCalls {
			m.ToolCalls = append(m.ToolCalls, toolCall{ID: call.ID, Type: "function", Function: toolFunction{call.Name, call.Arguments}})
		}
		c.Message = m
		if q.Params.LogProbs != nil {
			c.LogProbs = chatLogProbs(r.Tokens)
		}
	})
}

// Completion is the body of a whole completion. The choices of the first
// prompt come first, then those of the second, and so on. Where the request
// wants an echo, echo holds the text of each prompt.
func Completion(h Head, q *Request, replies []chat.Reply, echo []Echo, report llm.Report) []byte {
	return whole(h, q, "text_completion", replies, report, func(c *choice, r chat.Reply) {
		text := r.Message.Text()
		if q.Echo {
			text = echo[c.Index/q.Choices].Text + text
		}
		c.Text = &text
		if q.Params.LogProbs != nil {
			offset := 0
			before := textLogProbs(nil, &offset)
			if q.Echo {
				before, offset = echo[c.Index/q.Choices].logProbs()
			}
			c.LogProbs = before.with(textLogProbs(r.Tokens, &offset))
		}
	})
}

func whole(h Head, q *Request, object string, replies []chat.Reply, report llm.Report, fill func(*choice, chat.Reply)) []byte {
	a := answer{ID: h.ID, Object: object, Created: h.Created, Model: h.Model}
	var u usage
	for i, r := range replies {
		c := choice{Index: i}
		fill(&c, r)
		c.finish(r.Finish, len(r.Message.ToolCalls) > 0)
		a.Choices = append(a.Choices, c)
		u.add(r.Finish.Usage, len(r.Message.Tokens)-len(r.Tokens), i%q.Choices == 0, q.Params.Prediction != "")
	}
	a.Usage = &u
	if q.WantReport {
		a.Parley = detailsOf(replies[0].Finish, replies[0].Accepted.Stops, report)
	}
	return wire.Encode(a)
}
