package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// A remote is a conversation partner on a server that speaks OpenAI's
// protocol: Parley or another.
type remote struct {
	base   string // without /v1
	key    string
	model  string
	client *http.Client
}

func newRemote(server, key, model string) (*remote, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError("for example --server http://"+defaultListen, "--server %s is not the address of a server", server)
	}
	return &remote{strings.TrimSuffix(strings.TrimSuffix(u.String(), "/"), "/v1"), key, model, http.DefaultClient}, nil
}

type wireMessage struct {
	Role    chat.Role `json:"role"`
	Content string    `json:"content"`
}

func wireMessages(messages []chat.Message) []wireMessage {
	wire := make([]wireMessage, len(messages))
	for i, m := range messages {
		wire[i] = wireMessage{m.Role, m.Text()}
	}
	return wire
}

type wireRequest struct {
	Model       string        `json:"model,omitempty"`
	Messages    []wireMessage `json:"messages"`
	Stream      bool          `json:"stream"`
	Temperature *float64      `json:"temperature,omitempty"`
	Seed        *int64        `json:"seed,omitempty"`
	MaxTokens   *int          `json:"max_tokens,omitempty"`
}

type wireChunk struct {
	Choices []struct {
		Delta struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Error *wireError `json:"error"`
}

type wireError struct {
	Message string `json:"message"`
	Param   string `json:"param"`
}

// choose asks the server what answers there, if no model was chosen.
func (r *remote) choose(ctx context.Context) error {
	if r.model != "" {
		return nil
	}
	resp, err := r.do(ctx, http.MethodGet, "/v1/models", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, limits.BodyBytes.Int64())).Decode(&list); err != nil || len(list.Data) == 0 {
		return &userError{Message: r.base + " lists no models", Hint: "is it a server that speaks OpenAI's protocol?", Err: err}
	}
	r.model = list.Data[0].ID
	return nil
}

// Respond sends the conversation and reads the streamed reply.
func (r *remote) Respond(ctx context.Context, c chat.Conversation, params llm.Params) iter.Seq2[chat.Event, error] {
	return func(yield func(chat.Event, error) bool) {
		if params.Seed != nil {
			params.Seed = new(*params.Seed + int64(params.Choice))
		}
		body, err := json.Marshal(wireRequest{
			Model: r.model, Messages: wireMessages(c.Messages), Stream: true,
			Temperature: params.Temperature, Seed: params.Seed, MaxTokens: params.MaxTokens,
		})
		if err != nil {
			yield(nil, err)
			return
		}
		resp, err := r.do(ctx, http.MethodPost, "/v1/chat/completions", body)
		if err != nil {
			yield(nil, err)
			return
		}
		defer resp.Body.Close()
		accepted := chat.Accepted{Report: reportOf(resp.Header)}
		if !yield(accepted, nil) {
			return
		}
		finish, more, err := r.stream(resp.Body, yield)
		switch {
		case !more:
		case err != nil:
			yield(nil, err)
		default:
			yield(chat.Done{Finish: finish}, nil)
		}
	}
}

// stream yields the text of the chunks; more is false when the consumer has
// left.
func (r *remote) stream(body io.Reader, yield func(chat.Event, error) bool) (finish llm.Finish, more bool, err error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, limits.BodyBytes.Int())
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			return finish, true, nil
		}
		var chunk wireChunk
		if err := json.Unmarshal(data, &chunk); err != nil {
			return finish, true, &userError{Message: r.base + " sent something that is not JSON", Err: err}
		}
		if chunk.Error != nil {
			return finish, true, &userError{Message: chunk.Error.Message}
		}
		for _, choice := range chunk.Choices {
			if t := choice.Delta.Reasoning; t != "" && !yield(chat.ReasoningDelta{Text: t}, nil) {
				return finish, false, nil
			}
			if t := choice.Delta.Content; t != "" && !yield(chat.TextDelta{Text: t}, nil) {
				return finish, false, nil
			}
			switch choice.FinishReason {
			case "":
			case "length":
				finish.Reason = llm.ReasonLength
			default:
				finish.Reason = llm.ReasonEnd
			}
		}
	}
	if err := lines.Err(); err != nil {
		return finish, true, err
	}
	return finish, true, &userError{Message: r.base + " broke off its reply"}
}

// do sends a request and turns whatever is not a success into an error.
func (r *remote) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		e := &userError{Message: fmt.Sprintf("%s does not answer: %v", r.base, rootCause(err)), Err: err}
		if errors.Is(err, syscall.ECONNREFUSED) {
			e.Message, e.Hint = "nothing listens at "+r.base, "start one: parley serve"
		}
		return nil, e
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	var answer struct {
		Error wireError `json:"error"`
	}
	e := &userError{Message: fmt.Sprintf("%s answers %s", r.base, resp.Status)}
	if json.Unmarshal(text, &answer) == nil && answer.Error.Message != "" {
		e.Message += ": " + answer.Error.Message
	}
	e.Err = statusError{resp.StatusCode, answer.Error.Message}
	if resp.StatusCode == http.StatusUnauthorized {
		e.Hint = "give the server's key: --api-key or PARLEY_API_KEY"
	}
	return nil, e
}

// A statusError is an answer that is no success.
type statusError struct {
	status int
	said   string // what the server says about it; "": nothing that one can read
}

func (s statusError) Error() string { return cmp.Or(s.said, http.StatusText(s.status)) }

// rootCause is the innermost error: what the layers above add is for
// programmers.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// reportOf reads the notes of a Parley from its header.
func reportOf(h http.Header) (report llm.Report) {
	for note := range strings.SplitSeq(h.Get("Parley-Report"), ",") {
		if code, value, _ := strings.Cut(strings.TrimSpace(note), "="); code != "" {
			report.Add(code, value, "")
		}
	}
	return report
}
