package server

import (
	"context"
	"net/http"
	"strings"

	"parley/llm"
)

// An Asker is for whom a request is. Models that work on a number of requests
// at a time divide themselves fairly between askers. It travels in the context
// of Models.Resolve.
type Asker struct {
	Name  string // of a key, or an address; nothing to show
	Low   bool   // it can wait: whoever is in no hurry lets others go first
	Aside bool   // the model is only looked at, not worked with: it takes no turn
}

type askerKey struct{}

// AskerOf is for whom a context is; the zero value is nobody in particular.
func AskerOf(ctx context.Context) Asker {
	a, _ := ctx.Value(askerKey{}).(Asker)
	return a
}

// aside is a context for a look at a model.
func aside(ctx context.Context) context.Context {
	a := AskerOf(ctx)
	a.Aside = true
	return context.WithValue(ctx, askerKey{}, a)
}

// ForAsker is a context for an asker.
func ForAsker(ctx context.Context, a Asker) context.Context {
	return context.WithValue(ctx, askerKey{}, a)
}

// readPriority reads the header with which a client says that a request can
// wait: a title for a chat, a summary.
func readPriority(r *http.Request) (low bool, err error) {
	switch word := strings.ToLower(r.Header.Get("Parley-Priority")); word {
	case "", "normal":
		return false, nil
	case "low":
		return true, nil
	default:
		return false, llm.Errorf(llm.Invalid, "Parley-Priority", "the header is neither low nor normal")
	}
}
