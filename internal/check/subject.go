package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// A subject is the server that is checked, and what is known of it.
type subject struct {
	*client
	model    string
	listed   *exchange // the list of models
	software string
	version  string
	context  int

	renders   string // route that shows the prompt of a chat, or ""
	tokenizes string // route that turns text into tokens, or ""
	slots     string // route that tells what is running, or ""

	nonce  int     // makes the prompts of this run new to the server's cache
	slope  float64 // tokens of one filler word; 0: not measured yet
	raw    int     // tokens of filler words in a raw prompt; 0: not counted yet; -1: cannot be
	steady error   // why counted tokens are not to be trusted
	grown  *growth // the growing chat; nil: not grown yet
	greedy *sample // the reply with which others are compared; nil: not asked for yet
}

func newSubject(o Options) (*subject, error) {
	c, err := newClient(o.URL, o.Key, o.Transport)
	if err != nil {
		return nil, err
	}
	return &subject{client: c, model: o.Model, nonce: cmp.Or(o.nonce, rand.IntN(9000)+1000)}, nil
}

// survey finds out who is there. Its error means that there is no chat server.
func (s *subject) survey(ctx context.Context) error {
	x, err := s.do(ctx, "GET", "/v1/models", nil)
	s.listed = x
	if r, refused := errors.AsType[*refusal](err); refused {
		switch {
		case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
			return fmt.Errorf("a key is needed: %w", err)
		case s.model == "" && r.status != http.StatusNotFound:
			return fmt.Errorf("it lists no models: %w", err)
		}
	} else if err != nil {
		return err
	}
	s.describe(ctx, models(x.body))
	if s.model == "" {
		return errors.New("it lists no models; name one")
	}
	return nil
}

type listedModel struct {
	ID      string `json:"id"`
	OwnedBy string `json:"owned_by"`
	MaxLen  int    `json:"max_model_len"`
	Window  int    `json:"context_window"`
	Length  int    `json:"context_length"`
	Meta    struct {
		Context int `json:"n_ctx"`
	} `json:"meta"`
}

// models reads a list of models as far as it can be read.
func models(body []byte) []listedModel {
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &list) != nil {
		return nil
	}
	var all []listedModel
	for _, raw := range list.Data {
		var m listedModel
		if json.Unmarshal(raw, &m) == nil && m.ID != "" {
			all = append(all, m)
		}
	}
	return all
}

// describe finds out which model is checked, which server this is and which
// of its own routes answer.
func (s *subject) describe(ctx context.Context, list []listedModel) {
	if s.model == "" && len(list) > 0 {
		s.model = list[0].ID
	}
	for _, m := range list {
		if m.ID == s.model {
			s.context = max(m.MaxLen, m.Window, m.Length, m.Meta.Context)
			s.software = map[string]string{"parley": "Parley", "llamacpp": "llama.cpp", "vllm": "vLLM", "sglang": "SGLang", "koboldcpp": "KoboldCpp"}[m.OwnedBy]
		}
	}
	var own struct{ Models []json.RawMessage }
	if s.ask(ctx, "GET", "/parley/v1/models", nil, &own) && own.Models != nil {
		s.software, s.renders, s.tokenizes = "Parley", "/parley/v1/render", "/parley/v1/tokenize"
		return
	}
	var kobold struct{ Result, Version string }
	var vllm struct{ Version string }
	var props struct {
		Build    string `json:"build_info"`
		Template string `json:"chat_template"`
		Settings struct {
			Context int `json:"n_ctx"`
		} `json:"default_generation_settings"`
	}
	var ollama struct{ Version string }
	switch {
	case s.ask(ctx, "GET", "/api/extra/version", nil, &kobold) && kobold.Result != "":
		s.software, s.version = kobold.Result, kobold.Version
		var length struct{ Value int }
		if s.ask(ctx, "GET", "/api/extra/true_max_context_length", nil, &length) {
			s.context = length.Value
		}
	case s.ask(ctx, "GET", "/props", nil, &props) && props.Settings.Context > 0:
		s.software, s.version = cmp.Or(s.software, "llama.cpp"), props.Build
		s.context = props.Settings.Context
		s.renders, s.tokenizes = "/apply-template", "/tokenize"
		var slots []json.RawMessage
		if s.ask(ctx, "GET", "/slots", nil, &slots) && len(slots) > 0 {
			s.slots = "/slots"
		}
	case s.ask(ctx, "GET", "/api/version", nil, &ollama) && ollama.Version != "":
		s.software, s.version = "Ollama", ollama.Version
	case s.ask(ctx, "GET", "/version", nil, &vllm) && vllm.Version != "":
		s.software, s.version = cmp.Or(s.software, "vLLM"), vllm.Version
		s.tokenizes = "/tokenize"
	}
	for _, path := range []string{"/api/extra/perf", "/metrics"} {
		if _, ok := s.running(ctx, path); ok && s.slots == "" {
			s.slots = path
		}
	}
	s.software, s.version = short(s.software), short(s.version)
}

// ask gets JSON from a route that may not be there.
func (s *subject) ask(ctx context.Context, method, path string, body, into any) bool {
	x, err := s.do(ctx, method, path, body)
	return err == nil && json.Unmarshal(x.body, into) == nil
}

// contextNow is the length of the context. Ollama tells it of models that are
// loaded.
func (s *subject) contextNow(ctx context.Context) int {
	if s.context > 0 || s.software != "Ollama" {
		return s.context
	}
	var loaded struct {
		Models []struct {
			Name   string `json:"name"`
			Length int    `json:"context_length"`
		} `json:"models"`
	}
	if s.ask(ctx, "GET", "/api/ps", nil, &loaded) {
		for _, m := range loaded.Models {
			if m.Name == s.model || m.Name == s.model+":latest" {
				s.context = m.Length
			}
		}
	}
	return s.context
}

// running is how many requests the server works on, where a route tells it:
// llama.cpp's slots, KoboldCpp's state, or the metrics of several servers.
func (s *subject) running(ctx context.Context, path string) (n int, ok bool) {
	switch path {
	case "/api/extra/perf":
		var state struct{ Idle, Queue *int }
		if !s.ask(ctx, "GET", path, nil, &state) || state.Idle == nil || state.Queue == nil {
			return 0, false
		}
		return 1 - *state.Idle + *state.Queue, true
	case "/slots":
		var slots []struct {
			Busy bool `json:"is_processing"`
		}
		if !s.ask(ctx, "GET", path, nil, &slots) {
			return 0, false
		}
		for _, slot := range slots {
			if slot.Busy {
				n++
			}
		}
		return n, true
	}
	x, err := s.do(ctx, "GET", path, nil)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(x.body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, labelled := strings.Cut(name, "{")
		if labelled {
			_, value, _ = strings.Cut(line, "} ")
		}
		switch name {
		case "llamacpp:requests_processing", "llamacpp:requests_deferred", "vllm:num_requests_running", "vllm:num_requests_waiting", "sglang:num_running_reqs":
			var f float64
			if _, err := fmt.Sscan(value, &f); err == nil {
				n, ok = n+int(f), true
			}
		}
	}
	return n, ok
}

const (
	chatPath       = "/v1/chat/completions"
	completionPath = "/v1/completions"
)

// chat asks for a whole reply.
func (s *subject) chat(ctx context.Context, q request) (*reply, *exchange, error) {
	return s.whole(ctx, chatPath, q)
}

func (s *subject) whole(ctx context.Context, path string, q request) (*reply, *exchange, error) {
	q.Model = cmp.Or(q.Model, s.model)
	x, err := s.do(ctx, "POST", path, q)
	if err != nil {
		return nil, x, err
	}
	r, err := parseReply(x.body)
	return r, x, err
}

// streamed asks for a streamed reply.
func (s *subject) streamed(ctx context.Context, path string, q request, each func(string) error) (*reply, *exchange, error) {
	q.Model = cmp.Or(q.Model, s.model)
	return s.stream(ctx, path, q, each)
}

// fresh is a text that this server has not seen before.
func (s *subject) fresh(text string) string {
	s.nonce++
	return fmt.Sprintf("No. %d: %s", s.nonce, text)
}
