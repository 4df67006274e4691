package kobold

import (
	"bytes"
	"net/http"
	"slices"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// Versions that clients look at before they use what is newer: of the API of
// KoboldAI United, and of the KoboldCpp whose behaviour this is.
const (
	United = "1.2.5"
	Cpp    = "1.102"
)

type result struct {
	Text       string `json:"text"`
	Reason     string `json:"finish_reason,omitempty"`
	Prompt     int    `json:"prompt_tokens,omitempty"`
	Completion int    `json:"completion_tokens,omitempty"`
}

func reasonOf(f llm.Finish) string {
	if f.Reason == llm.ReasonLength {
		return "length"
	}
	return "stop"
}

// kept is the stop string that the answer is to end with.
func (q *Request) kept(f llm.Finish) string {
	if q.KeepStop && f.Reason == llm.ReasonStop && (slices.Contains(q.Params.Stop, f.Stop) || slices.Contains(q.Params.StopLines, f.Stop)) {
		return f.Stop
	}
	return ""
}

// Results is the body of whole answers.
func Results(q *Request, replies []chat.Reply) []byte {
	all := make([]result, len(replies))
	for i, r := range replies {
		u := r.Finish.Usage
		all[i] = result{r.Message.Text() + q.kept(r.Finish), reasonOf(r.Finish), u.PromptTokens, u.CompletionTokens}
	}
	return results(all)
}

// SoFar is the body that tells what there is of an answer.
func SoFar(text string) []byte { return results([]result{{Text: text}}) }

func results(all []result) []byte {
	return wire.Encode(struct {
		Results []result `json:"results"`
	}{all})
}

// A Stream turns the events of an answer into server-sent events.
type Stream struct{ q *Request }

// NewStream makes the events of an answer.
func NewStream(q *Request) *Stream { return &Stream{q} }

// Event is what is sent for an event of the answer; nil is nothing.
func (s *Stream) Event(_ int, e chat.Event) []byte {
	type token struct {
		Token  string  `json:"token"`
		Reason *string `json:"finish_reason"`
	}
	switch e := e.(type) {
	case chat.TextDelta:
		if e.Text != "" {
			return Message(wire.Encode(token{Token: e.Text}))
		}
	case chat.Done:
		return Message(wire.Encode(token{s.q.kept(e.Finish), new(reasonOf(e.Finish))}))
	}
	return nil
}

// End is what is sent when the answer has ended: all has been said.
func (s *Stream) End(llm.Report) []byte { return nil }

// Message is a server-sent event of this dialect.
func Message(data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("event: message\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return b.Bytes()
}

// Problem is the body of an error.
func Problem(status int, text string) []byte {
	kind := "bad_input"
	switch {
	case status == http.StatusUnauthorized:
		kind = "unauthorized"
	case status == http.StatusServiceUnavailable:
		kind = "service_unavailable"
	case status == http.StatusNotFound:
		kind = "not_found"
	case status >= http.StatusInternalServerError:
		kind = "server_error"
	}
	return wire.Encode(map[string]any{"detail": map[string]any{"msg": text, "type": kind}})
}

// Result is a body that holds one text.
func Result(s string) []byte { return wire.Encode(map[string]any{"result": s}) }

// Value is a body that holds one number or text.
func Value(v any) []byte { return wire.Encode(map[string]any{"value": v}) }

// Values is a body that holds an empty list.
func Values() []byte { return wire.Encode(map[string]any{"values": []string{}}) }

// Version is the body that tells what the server can.
func Version() []byte {
	return wire.Encode(map[string]any{
		"result": "KoboldCpp", "version": Cpp, "protected": false, "llm": true, "txt2img": false, "vision": false, "audio": false, "transcribe": false,
		"multiplayer": false, "websearch": false, "tts": false, "embeddings": false, "savedata": false, "admin": 0, "jinja": true, "mcp": false,
	})
}

// Success is the body that says whether something was done, in this dialect's
// own way.
func Success(ok bool) []byte {
	word := "false"
	if ok {
		word = "true"
	}
	return wire.Encode(map[string]any{"success": word, "done": word})
}

// Tokens is the body that answers tokencount.
func Tokens(ids []int) []byte {
	if ids == nil {
		ids = []int{}
	}
	return wire.Encode(map[string]any{"value": len(ids), "ids": ids})
}

// Text is the body that answers detokenize.
func Text(text string) []byte {
	return wire.Encode(map[string]any{"result": text, "success": true})
}

// Perf tells what the server has done and does.
type Perf struct {
	Last    llm.Finish
	Any     bool // there was an answer
	Total   int  // answers since the start
	Running int
	Uptime  float64 // seconds
}

// JSON is the body that tells it.
func (p Perf) JSON() []byte {
	u := p.Last.Usage
	reason := -1
	if p.Any {
		reason = map[llm.Reason]int{llm.ReasonLength: 0, llm.ReasonEnd: 1, llm.ReasonStop: 2}[p.Last.Reason]
	}
	idle := 1
	if p.Running > 0 {
		idle = 0
	}
	speed := func(n int, seconds float64) float64 {
		if seconds <= 0 {
			return 0
		}
		return float64(n) / seconds
	}
	return wire.Encode(map[string]any{
		"last_process": u.Prefill.Seconds(), "last_eval": u.Decode.Seconds(), "last_token_count": u.CompletionTokens, "last_input_count": u.PromptTokens,
		"last_process_time": u.Prefill.Seconds(), "last_eval_time": u.Decode.Seconds(),
		"last_process_speed": speed(u.PromptTokens-u.CachedTokens, u.Prefill.Seconds()), "last_eval_speed": speed(u.CompletionTokens, u.Decode.Seconds()),
		"last_seed": p.Last.Seed, "total_gens": p.Total, "stop_reason": reason, "queue": max(0, p.Running-1), "idle": idle,
		"hordeexitcounter": -1, "uptime": p.Uptime, "idletime": 0, "quiet": true, "total_img_gens": 0, "last_draft_success": 0, "last_draft_failed": 0,
	})
}
