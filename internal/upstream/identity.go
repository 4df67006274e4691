package upstream

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"parley/llm"
)

// An identity notices that an engine was started anew with another model: what
// was found out about the first would make nonsense of the second. An engine
// needs a moment to start, in which it answers nobody, so a look is needed only
// where it has not answered for that long.
type identity struct {
	ask   func(context.Context) (string, error) // what tells its models apart; nil: nothing does
	after time.Duration                         // that an engine needs to start, at least

	mu       sync.Mutex
	is       string
	answered time.Time
	lost     func() // called when it is another
	over     bool
}

const startTime = 500 * time.Millisecond

// newIdentity takes note of what a model is.
func (e *Engine) newIdentity(ctx context.Context, model string) (*identity, error) {
	i := &identity{after: startTime, lost: e.lose}
	if e.kind.asks.identity == nil {
		return i, nil
	}
	i.ask = func(ctx context.Context) (string, error) { return e.kind.asks.identity(ctx, e.transport, model) }
	var err error
	i.is, err = i.ask(ctx)
	i.answered = time.Now()
	return i, err
}

// heard says that the engine has answered.
func (i *identity) heard() {
	i.mu.Lock()
	i.answered = time.Now()
	i.mu.Unlock()
}

// check is an error if the engine runs another model now. One that does not
// answer is for the request itself to notice.
func (i *identity) check(ctx context.Context, t *transport) error {
	i.mu.Lock()
	recent, over := time.Since(i.answered) < i.after, i.over
	i.mu.Unlock()
	if i.ask == nil || recent && !over {
		return nil
	}
	is, err := i.ask(ctx)
	if err != nil && !over {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if is == i.is && !over {
		i.answered = time.Now()
		return nil
	}
	if !i.over {
		i.over = true
		i.lost()
	}
	return &llm.Error{
		Code: llm.Unavailable, Message: fmt.Sprintf("the engine at %s runs another model now", t),
		Hint: "ask again", Err: &llm.BusyError{RetryAfter: time.Second},
	}
}

// identifyLlama is the model's file and template, and the size of its context.
func identifyLlama(ctx context.Context, t *transport, model string) (string, error) {
	var props struct {
		Settings struct {
			Context int `json:"n_ctx"`
		} `json:"default_generation_settings"`
		Template string `json:"chat_template"`
		Path     string `json:"model_path"`
	}
	path := "/props"
	if model != "" {
		path += "?model=" + url.QueryEscape(model)
	}
	err := t.get(ctx, path, &props)
	return fmt.Sprintf("%q %d %q", props.Path, props.Settings.Context, props.Template), err
}

// identifyByName is the one model that an engine says it has.
func identifyByName(list func(context.Context, *transport) ([]string, error)) func(context.Context, *transport, string) (string, error) {
	return func(ctx context.Context, t *transport, _ string) (string, error) {
		names, err := list(ctx, t)
		return fmt.Sprintf("%q", names), err
	}
}
