package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
)

type requestKey struct{}

func newRequest(r *http.Request) *Request {
	body, _ := io.ReadAll(r.Body)
	return &Request{
		Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body,
		Ended: make(chan struct{}),
	}
}

func withRequest(r *http.Request, req *Request) *http.Request {
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, req))
	r.Body = io.NopCloser(bytes.NewReader(req.Body))
	return r
}

func requestOf(r *http.Request) *Request { return r.Context().Value(requestKey{}).(*Request) }

// decode reads the body as one JSON object.
func decode(req *Request) error {
	if err := json.Unmarshal(req.Body, &req.Fields); err != nil {
		return &refusal{status: 400, kind: "json", message: "the body is not a JSON object: " + err.Error()}
	}
	return nil
}

// words splits a list of field names.
func words(s string) []string { return strings.Fields(s) }

// knows notes which fields the engine does not know.
func (req *Request) knows(names []string) {
	for name := range req.Fields {
		if !slices.Contains(names, name) {
			req.Unknown = append(req.Unknown, name)
		}
	}
	slices.Sort(req.Unknown)
}

// What follows reads one field, as strictly as a validator does: a value of
// another type is an error, null is as if it were absent.

func wrongType(field, want string) error {
	return &refusal{status: 422, kind: "type", field: field, message: fmt.Sprintf("Input should be a valid %s", want)}
}

func text(fields map[string]any, name string) (string, error) {
	switch v := fields[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", wrongType(name, "string")
}

func flag(fields map[string]any, name string) (bool, error) {
	switch v := fields[name].(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	}
	return false, wrongType(name, "boolean")
}

func number(fields map[string]any, name string) (*float64, error) {
	switch v := fields[name].(type) {
	case nil:
		return nil, nil
	case float64:
		return &v, nil
	}
	return nil, wrongType(name, "number")
}

func integer(fields map[string]any, name string) (*int, error) {
	n, err := number(fields, name)
	if err != nil || n == nil {
		return nil, err
	}
	if *n != math.Trunc(*n) {
		return nil, wrongType(name, "integer")
	}
	return new(int(*n)), nil
}

// texts reads a string or a list of strings.
func texts(fields map[string]any, name string) ([]string, error) {
	switch v := fields[name].(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var list []string
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, wrongType(name, "list of strings")
			}
			list = append(list, s)
		}
		return list, nil
	}
	return nil, wrongType(name, "string or list of strings")
}

// ids reads a list of token ids; ok is false where the value is none.
func ids(v any) (list []int, ok bool) {
	items, ok := v.([]any)
	if !ok || len(items) == 0 {
		return nil, false
	}
	for _, x := range items {
		n, ok := x.(float64)
		if !ok || n != math.Trunc(n) {
			return nil, false
		}
		list = append(list, int(n))
	}
	return list, true
}
