package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"parley/internal/jinja"
)

type template struct {
	Name          string         `json:"-"`
	Template      string         `json:"template"`
	SpecialTokens map[string]any `json:"special_tokens"`
}

// A conversation keeps its values as they are written: Python tells 1 from
// 1.0 and keeps the order of keys.
type conversation struct {
	ID            string          `json:"id"`
	Messages      json.RawMessage `json:"messages"`
	Kwargs        json.RawMessage `json:"kwargs"`
	Tools         json.RawMessage `json:"tools"`
	Documents     json.RawMessage `json:"documents"`
	AddPrompt     bool            `json:"add_generation_prompt"`
	ContinueFinal bool            `json:"continue_final_message"`
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	br := bufio.NewReader(f)
	var r io.Reader = br
	if magic, _ := br.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if r, err = gzip.NewReader(br); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// readTemplates reads the templates in the order of their names.
func readTemplates(name string) ([]template, error) {
	data, err := readFile(name)
	if err != nil {
		return nil, err
	}
	var byName map[string]template
	if err := json.Unmarshal(data, &byName); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out []template
	for n, t := range byName {
		t.Name = n
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b template) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return out, nil
}

func readConversations(name string) ([]conversation, error) {
	data, err := readFile(name)
	if err != nil {
		return nil, err
	}
	var out []conversation
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// roles is the closed list: they count as the template's own words.
var roles = map[string]bool{"system": true, "developer": true, "user": true, "assistant": true, "tool": true, "function": true}

const userOrigin jinja.Origin = 1

// variables are what transformers gives a template.
func (c *conversation) variables(t template) (*jinja.Dict, error) {
	vars := jinja.NewDict()
	read := func(field string, data json.RawMessage) (jinja.Value, error) {
		if len(data) == 0 {
			return jinja.None{}, nil
		}
		v, err := jinja.FromJSON(data, jinja.DefaultLimits(), func(path []jinja.PathStep, isKey bool) jinja.Origin { return userOrigin })
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", field, c.ID, err)
		}
		return v, nil
	}
	messages, err := read("messages", c.Messages)
	if err != nil {
		return nil, err
	}
	trustRoles(messages)
	vars.Set("messages", messages)
	for _, f := range []struct {
		name string
		data json.RawMessage
	}{{"tools", c.Tools}, {"documents", c.Documents}} {
		v, err := read(f.name, f.data)
		if err != nil {
			return nil, err
		}
		vars.Set(f.name, v)
	}
	vars.Set("add_generation_prompt", jinja.Bool{V: c.AddPrompt && !c.ContinueFinal})
	for name, v := range t.SpecialTokens {
		if s, ok := v.(string); ok {
			vars.Set(name, jinja.String(s, jinja.FromTemplate))
		}
	}
	kwargs, err := read("kwargs", c.Kwargs)
	if err != nil {
		return nil, err
	}
	if d, ok := kwargs.(*jinja.Dict); ok {
		for name, v := range d.All() {
			vars.Set(name, v)
		}
	}
	return vars, nil
}

// trustRoles makes the roles of the closed list the template's.
func trustRoles(messages jinja.Value) {
	list, ok := messages.(*jinja.List)
	if !ok {
		return
	}
	for _, m := range list.Items() {
		d, ok := m.(*jinja.Dict)
		if !ok {
			continue
		}
		if role, ok := d.Get("role").(*jinja.Str); ok && roles[role.Text()] {
			d.Set("role", jinja.String(role.Text(), jinja.FromTemplate))
		}
	}
}
