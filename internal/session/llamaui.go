package session

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"parley/chat"
	"parley/internal/wire"
	"parley/llm"
)

// A llamaTalk is a conversation as the page of llama.cpp's server keeps it:
// messages form a tree below one that says nothing. The page writes it in
// lines, the conversation first; older versions wrote one object, or a list of
// them. All are read.
type llamaTalk struct {
	Conv     llamaConv      `json:"conv"`
	Messages []llamaMessage `json:"messages"`
}

type llamaConv struct {
	Type     string `json:"type,omitempty"`    // in a line: "session"
	Harness  string `json:"harness,omitempty"` // in a line: who wrote it
	ID       string `json:"id"`
	Name     string `json:"name"`
	Modified int64  `json:"lastModified"` // milliseconds
	At       string `json:"currNode"`     // where the talk goes on
	Pinned   bool   `json:"pinned,omitempty"`
}

type llamaMessage struct {
	ID        string    `json:"id"`
	Talk      string    `json:"convId"`
	Type      string    `json:"type"`      // "root", "system" or "text"
	Timestamp int64     `json:"timestamp"` // milliseconds
	Role      chat.Role `json:"role"`
	Content   string    `json:"content"`
	Parent    *string   `json:"parent"`
	Children  []string  `json:"children"`
	Reasoning string    `json:"reasoningContent,omitempty"`
	Thinking  string    `json:"thinking,omitempty"` // its name in older versions
	Model     string    `json:"model,omitempty"`
}

// A llamaLine is a line of an export: a message, or something that is not
// read. That of a conversation is a llamaConv.
type llamaLine struct {
	Type    string        `json:"type"` // "session" or "message"
	Message *llamaMessage `json:"message"`
}

// llamaTalks takes an export apart, in lines or not.
func llamaTalks(data []byte) (talks []llamaTalk, err error) {
	switch data = bytes.TrimSpace(data); {
	case bytes.HasPrefix(data, []byte("[")):
		return talks, json.Unmarshal(data, &talks)
	case !llamaLines(data):
		talks = make([]llamaTalk, 1)
		return talks, json.Unmarshal(data, &talks[0])
	}
	for text := range bytes.Lines(data) {
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if _, err := wire.Parse(text); err != nil { // bounds the depth
			return nil, err
		}
		var line llamaLine
		if err := json.Unmarshal(text, &line); err != nil {
			return nil, err
		}
		switch {
		case line.Type == "session":
			talks = append(talks, llamaTalk{})
			if err := json.Unmarshal(text, &talks[len(talks)-1].Conv); err != nil {
				return nil, err
			}
		case line.Type == "message" && line.Message != nil && len(talks) > 0:
			talk := &talks[len(talks)-1]
			talk.Messages = append(talk.Messages, *line.Message)
		}
	}
	return talks, nil
}

// llamaLines reports whether the first line is a conversation's.
func llamaLines(data []byte) bool {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	var line struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(first, &line) == nil && line.Type == "session"
}

// llama reads what the page of llama.cpp's server has exported: one
// conversation, with all its branches. What tools have said and what was
// attached is left out.
func (r *reader) llama(data []byte) error {
	talks, err := llamaTalks(data)
	if err != nil {
		return &llm.Error{Code: llm.Unreadable, Message: noTalk.Message, Hint: noTalk.Hint, Err: err}
	}
	if len(talks) != 1 {
		return &llm.Error{Code: llm.Unreadable, Message: fmt.Sprintf("the file holds %d talks", len(talks)), Hint: "export each on its own"}
	}
	talk := &talks[0]
	r.tree.Session.Title, r.tree.Session.Pinned = talk.Conv.Name, talk.Conv.Pinned
	known := map[string]*llamaMessage{}
	slices.SortStableFunc(talk.Messages, func(a, b llamaMessage) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
	for i := range talk.Messages {
		known[talk.Messages[i].ID] = &talk.Messages[i]
	}
	put := map[string]int{} // where each has come to stand
	for i := range talk.Messages {
		var path []*llamaMessage // those before it that were written later, by their clocks
		under := 0
		for m := &talk.Messages[i]; m != nil; {
			at, done := put[m.ID]
			if done {
				under = at
				break
			}
			if path = append(path, m); len(path) > len(talk.Messages) {
				return llm.Errorf(llm.Unreadable, "messages", "they stand behind each other in a circle")
			}
			if m.Parent == nil {
				break
			}
			m = known[*m.Parent]
		}
		for _, m := range slices.Backward(path) {
			at, err := r.llamaMessage(under, m)
			if err != nil {
				return err
			}
			put[m.ID], under = at, at
		}
	}
	r.tree.Session.Head = put[talk.Conv.At]
	if _, there := put[talk.Conv.At]; !there {
		r.tree.Session.Head = r.tree.Below(0)
	}
	return nil
}

// llamaMessage adds a message behind another, and tells what stands there then.
func (r *reader) llamaMessage(under int, m *llamaMessage) (int, error) {
	switch {
	case m.Type == "root" || m.Role == "tool" || m.Role == chat.Assistant && m.Content == "" && m.Reasoning == "" && m.Thinking == "":
		return under, nil
	case m.Role == chat.System && under == 0 && r.main == "":
		r.main = m.Content
		return under, nil
	case m.Role != chat.System && m.Role != chat.User && m.Role != chat.Assistant:
		return 0, llm.Errorf(llm.Unreadable, "messages", "there is no role %q", wire.Short(string(m.Role)))
	}
	v := Version{Text: m.Content, Reasoning: cmp.Or(m.Reasoning, m.Thinking)}
	if m.Timestamp > 0 && m.Timestamp < 1e14 {
		v.Created = time.UnixMilli(m.Timestamp).UTC()
	}
	return r.add(under, m.Role, Author{}, v)
}

// toLlama writes all that is not deleted, for the page of llama.cpp's server,
// in lines.
func toLlama(t *Tree) []byte {
	x := &t.Session
	all := []*llamaMessage{}
	add := func(id string, parent *llamaMessage, at time.Time, m llamaMessage) *llamaMessage {
		m.ID, m.Talk, m.Children, m.Timestamp = x.ID+"-"+id, x.ID, []string{}, at.UnixMilli()
		if parent != nil {
			m.Timestamp = max(m.Timestamp, parent.Timestamp+1) // the page shows a talk in this order
			m.Parent = &parent.ID
			parent.Children = append(parent.Children, m.ID)
		}
		all = append(all, &m)
		return &m
	}
	first := add("root", nil, x.Created, llamaMessage{Type: "root", Role: chat.System})
	if system := x.Now().System; system != "" {
		first = add("system", first, x.Created, llamaMessage{Type: "system", Role: chat.System, Content: system})
	}
	stands := map[int]*llamaMessage{0: first} // or what stands before it, of what is left out
	for _, n := range t.Nodes {
		parent := stands[n.Parent]
		m, there := t.message(n.ID, x.Revision)
		if !there || n.Role == summaryRole {
			stands[n.ID] = parent
			continue
		}
		model := ""
		if m.Reply != nil {
			model = m.Reply.Model
		}
		stands[n.ID] = add(fmt.Sprint(n.ID), parent, m.Version.Created, llamaMessage{Type: "text", Role: m.Role, Content: m.Text, Reasoning: m.Reasoning, Model: model})
	}
	var b bytes.Buffer
	put := func(v any) {
		b.Write(wire.Encode(v))
		b.WriteByte('\n')
	}
	put(llamaConv{Type: "session", Harness: "parley", ID: x.ID, Name: x.Title, Modified: x.Updated.UnixMilli(), At: stands[x.Head].ID, Pinned: x.Pinned})
	for _, m := range all {
		put(llamaLine{Type: "message", Message: m})
	}
	return b.Bytes()
}
