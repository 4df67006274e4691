package openai

import (
	"encoding/json"
	"fmt"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A ResponseHead is what a response says of itself beyond what its request and
// its answer say.
type ResponseHead struct {
	ID       string // "resp_…"; those of its items are made from what comes behind the mark
	Created  int64  // seconds since 1970
	Model    string // the model that answers
	Sampling llm.Params
}

// The statuses of a response, and of its items.
const (
	inProgress = "in_progress"
	completed  = "completed"
	incomplete = "incomplete"
	failed     = "failed"
)

type response struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Created          int64             `json:"created_at"`
	Completed        *int64            `json:"completed_at"`
	Status           string            `json:"status"`
	Background       bool              `json:"background"`
	Error            *responseError    `json:"error"`
	Incomplete       *incompleteReason `json:"incomplete_details"`
	Instructions     *string           `json:"instructions"`
	MaxOutputTokens  *int              `json:"max_output_tokens"`
	MaxToolCalls     *int              `json:"max_tool_calls"`
	Metadata         json.RawMessage   `json:"metadata"`
	Model            string            `json:"model"`
	Output           []outputItem      `json:"output"`
	Parallel         bool              `json:"parallel_tool_calls"`
	Previous         *string           `json:"previous_response_id"`
	PromptCacheKey   *string           `json:"prompt_cache_key"`
	Reasoning        responseReasoning `json:"reasoning"`
	SafetyID         *string           `json:"safety_identifier"`
	ServiceTier      string            `json:"service_tier"`
	Store            bool              `json:"store"`
	Temperature      float64           `json:"temperature"`
	TopP             float64           `json:"top_p"`
	PresencePenalty  float64           `json:"presence_penalty"`
	FrequencyPenalty float64           `json:"frequency_penalty"`
	TopLogProbs      int               `json:"top_logprobs"`
	Text             responseText      `json:"text"`
	ToolChoice       any               `json:"tool_choice"`
	Tools            []responseTool    `json:"tools"`
	Truncation       string            `json:"truncation"`
	Usage            *responseUsage    `json:"usage"`
	User             *string           `json:"user"`
	Parley           *details          `json:"parley,omitempty"`
}

type responseError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param,omitempty"`
}

type incompleteReason struct {
	Reason string `json:"reason"`
}

type responseReasoning struct {
	Effort  *string `json:"effort"`
	Summary *string `json:"summary"`
}

type responseText struct {
	Format    responseFormat `json:"format"`
	Verbosity *string        `json:"verbosity,omitempty"`
}

type responseUsage struct {
	Input        int               `json:"input_tokens"`
	InputDetails promptDetails     `json:"input_tokens_details"`
	Output       int               `json:"output_tokens"`
	OutputDetail completionDetails `json:"output_tokens_details"`
	Total        int               `json:"total_tokens"`
}

// An outputItem is what an assistant thought, said, or wants to have called.
type outputItem struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Status  string `json:"status"`
	Role    string `json:"role,omitempty"`    // of a message
	Summary *[]any `json:"summary,omitempty"` // of thoughts

	Content *[]outputPart `json:"content,omitempty"` // of a message, and of thoughts

	CallID    string  `json:"call_id,omitempty"` // of a call
	Name      string  `json:"name,omitempty"`
	Arguments *string `json:"arguments,omitempty"`
}

type outputPart struct {
	Type        string       `json:"type"`
	Text        string       `json:"text"`
	Annotations *[]any       `json:"annotations,omitempty"`
	LogProbs    *[]tokenProb `json:"logprobs,omitempty"`
}

// itemID is the id of an item of a response: a prefix, the response's own id,
// and the item's number.
func (h ResponseHead) itemID(prefix string, number int) string {
	return fmt.Sprintf("%s_%s_%d", prefix, h.ID[min(len(h.ID), len("resp_")):], number)
}

func (h ResponseHead) message(number int, status string) outputItem {
	return outputItem{Type: "message", ID: h.itemID("msg", number), Status: status, Role: "assistant", Content: &[]outputPart{}}
}

func (h ResponseHead) thoughts(number int, status string) outputItem {
	return outputItem{Type: "reasoning", ID: h.itemID("rs", number), Status: status, Summary: &[]any{}, Content: &[]outputPart{}}
}

func (h ResponseHead) call(number int, status string, c chat.ToolCall) outputItem {
	return outputItem{Type: "function_call", ID: h.itemID("fc", number), Status: status, CallID: c.ID, Name: c.Name, Arguments: &c.Arguments}
}

func thought(text string) outputPart { return outputPart{Type: "reasoning_text", Text: text} }

// spoken is a part of a message. Without logprobs it says nothing of them.
func spoken(text string, probs []tokenProb) outputPart {
	p := outputPart{Type: "output_text", Text: text, Annotations: &[]any{}, LogProbs: &[]tokenProb{}}
	if len(probs) > 0 {
		p.LogProbs = &probs
	}
	return p
}

// Response is the body of a whole response. completedAt is in seconds since
// 1970.
func Response(h ResponseHead, p *ResponseRequest, r chat.Reply, report llm.Report, completedAt int64) []byte {
	var output []outputItem
	status := statusOf(r.Finish)
	if r.Message.Reasoning != "" {
		item := h.thoughts(len(output), completed)
		*item.Content = append(*item.Content, thought(r.Message.Reasoning))
		output = append(output, item)
	}
	if text := r.Message.Text(); text != "" || len(r.Message.ToolCalls)+len(output) == 0 {
		var probs []tokenProb
		if p.Params.LogProbs != nil {
			probs = chatLogProbs(r.Tokens).Content
		}
		item := h.message(len(output), completed)
		*item.Content = append(*item.Content, spoken(text, probs))
		output = append(output, item)
	}
	for _, call := range r.Message.ToolCalls {
		output = append(output, h.call(len(output), completed, call))
	}
	output[len(output)-1].Status = status                    // what was cut off was cut off in its last item
	reasoning := max(0, len(r.Message.Tokens)-len(r.Tokens)) // the ids of tokens need not be known
	return wire.Encode(p.ended(h, output, r.Finish, r.Accepted.Stops, reasoning, report, completedAt))
}

// begun is a response of which there is nothing yet.
func (p *ResponseRequest) begun(h ResponseHead) response {
	sampling := p.Params.WithDefaults(h.Sampling)
	r := response{
		ID: h.ID, Object: "response", Created: h.Created, Status: inProgress, Model: h.Model,
		Instructions: p.echo.instructions, MaxOutputTokens: p.echo.maxTokens, MaxToolCalls: p.echo.maxToolCalls, Metadata: p.echo.metadata,
		Output: []outputItem{}, Parallel: !p.Conversation.Choice.Single, Previous: orNull(p.Previous), PromptCacheKey: p.echo.promptCacheKey,
		Reasoning: responseReasoning{p.echo.effort, p.echo.summary}, SafetyID: p.echo.safetyID, ServiceTier: "default", Store: p.Store,
		Temperature: 1, TopP: 1, // neutral, as are the zeros of the others
		Text: responseText{p.echo.format, p.echo.verbosity}, ToolChoice: p.echo.toolChoice, Tools: p.echo.tools, Truncation: p.echo.truncation,
		User: orNull(p.User),
	}
	for _, n := range []struct {
		to   *float64
		from *float64
	}{
		{&r.Temperature, sampling.Temperature}, {&r.TopP, sampling.TopP},
		{&r.PresencePenalty, sampling.PresencePenalty}, {&r.FrequencyPenalty, sampling.FrequencyPenalty},
	} {
		if n.from != nil {
			*n.to = *n.from
		}
	}
	if n := p.Params.LogProbs; n != nil {
		r.TopLogProbs = *n
	}
	return r
}

func (p *ResponseRequest) ended(h ResponseHead, output []outputItem, f llm.Finish, stops []string, reasoning int, report llm.Report, completedAt int64) response {
	r := p.begun(h)
	r.Output, r.Status = output, statusOf(f)
	if r.Status == incomplete {
		r.Incomplete = &incompleteReason{"max_output_tokens"}
	} else {
		r.Completed = &completedAt
	}
	u := f.Usage
	r.Usage = &responseUsage{
		Input: u.PromptTokens, InputDetails: promptDetails{u.CachedTokens},
		Output: u.CompletionTokens, OutputDetail: completionDetails{ReasoningTokens: reasoning},
		Total: u.PromptTokens + u.CompletionTokens,
	}
	if p.WantReport {
		r.Parley = detailsOf(f, stops, report)
	}
	return r
}

func statusOf(f llm.Finish) string {
	if f.Reason == llm.ReasonLength {
		return incomplete
	}
	return completed
}

// ResponseDeleted is the body that says that a response is no longer kept.
func ResponseDeleted(id string) []byte {
	return wire.Encode(struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{id, "response", true})
}
