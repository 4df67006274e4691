package session

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// A Format is how a talk is written to a file.
type Format string

// The formats. All can be read, too, and only FormatParley has everything in
// it.
const (
	FormatParley      Format = "parley"      // an Archive, in JSON
	FormatSillyTavern Format = "sillytavern" // SillyTavern's chats, in lines of JSON
	FormatTextgen     Format = "textgen"     // text-generation-webui's history, in JSON
	FormatMessages    Format = "messages"    // messages as OpenAI's protocol has them, in JSON
	FormatLlama       Format = "llamacpp"    // a conversation of the page of llama.cpp's server, in lines of JSON
	FormatMarkdown    Format = "markdown"    // for people
)

// Formats are all that there are.
var Formats = []Format{FormatParley, FormatSillyTavern, FormatTextgen, FormatMessages, FormatLlama, FormatMarkdown}

// ContentType is the media type of a file in the format.
func (f Format) ContentType() string {
	switch f {
	case FormatSillyTavern, FormatLlama:
		return "application/x-ndjson"
	case FormatMarkdown:
		return "text/markdown; charset=utf-8"
	}
	return "application/json"
}

// An Archive is a session with everything that was ever in it.
type Archive struct {
	Session  Session `json:"session"`
	Messages []Node  `json:"messages"`
	Media    []Media `json:"media,omitempty"` // pictures and sounds of the messages
}

// Archive is the tree as it is written, without pictures and sounds.
func (t *Tree) Archive() Archive {
	a := Archive{Session: t.Session, Messages: []Node{}}
	for _, n := range t.Nodes {
		a.Messages = append(a.Messages, *n)
	}
	return a
}

// Export writes a session: all of it as FormatParley, all that is not deleted
// as FormatLlama, else the talk up to its head.
func (s *Sessions) Export(ctx context.Context, id string, f Format) ([]byte, error) {
	t, err := s.Tree(ctx, id)
	if err != nil {
		return nil, err
	}
	switch f {
	case FormatParley:
		a := t.Archive()
		if a.Media, err = s.attachments(ctx, t); err != nil {
			return nil, err
		}
		return append(wire.Encode(a), '\n'), nil
	case FormatSillyTavern:
		user, err := s.userOf(ctx, t.Session.Now())
		return toSillyTavern(t, user), err
	case FormatTextgen:
		return toTextgen(t), nil
	case FormatMessages:
		files, err := s.attachments(ctx, t)
		return toMessages(t, files), err
	case FormatLlama:
		return toLlama(t), nil
	case FormatMarkdown:
		user, err := s.userOf(ctx, t.Session.Now())
		return toMarkdown(t, user), err
	}
	return nil, llm.Errorf(llm.Invalid, "as", "there is no format %q; there are %v", wire.Short(string(f)), Formats)
}

func toMessages(t *Tree, files []Media) []byte {
	type message struct {
		Role    chat.Role `json:"role"`
		Name    string    `json:"name,omitempty"`
		Content any       `json:"content"` // text, or a list of parts
	}
	all := []message{}
	if s := t.Session.Now().System; s != "" {
		all = append(all, message{chat.System, "", s})
	}
	for _, m := range t.Messages(t.Session.Head, t.Session.Revision) {
		var content any = m.Text
		if len(m.Attachments) > 0 {
			content = openAIParts(&m.Version, files)
		}
		all = append(all, message{m.Role, m.Author.Name, content})
	}
	return append(wire.Encode(map[string]any{"messages": all}), '\n')
}

// Import makes a session of a file in any of the formats that can be read,
// which its content tells apart. The report says what of a damaged file was
// left out ("left_out").
func (s *Sessions) Import(ctx context.Context, data []byte) (Session, llm.Report, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	t := NewTree(Session{}, nil)
	t.Session.Revision = 1
	r := reader{tree: t, now: s.now()}
	err := r.read(data)
	if err != nil {
		return Session{}, nil, err
	}
	x := &t.Session
	x.ID, x.ExternalID, x.Updated, x.Deleted = s.newID(), "", r.now, nil
	if x.Created.IsZero() {
		x.Created = r.now
	}
	if len(x.Settings) == 0 {
		x.Settings = []Settings{{Since: 1, User: r.user, System: r.main}}
		r.meta.settle(&x.Settings[0])
	}
	v := &x.Settings[len(x.Settings)-1]
	missing := func(m Member) bool { // it may be that of another server
		_, err := s.part(ctx, m.ID, 0)
		return err != nil
	}
	if v.Character != "" && missing(Member{ID: v.Character}) {
		v.Character = ""
	}
	v.Characters = slices.DeleteFunc(slices.Clone(v.Characters), missing)
	v.Lorebooks = slices.DeleteFunc(slices.Clone(v.Lorebooks), func(id string) bool {
		_, err := s.Document(ctx, Lorebooks, id, 0)
		return err != nil
	})
	if _, err := s.wear(ctx, Cast{ID: v.PersonaID}); err != nil {
		v.PersonaID = ""
	}
	if _, err := s.use(ctx, Settings{}, v.Preset, &llm.Report{}); err != nil {
		v.Preset = ""
	}
	if r.meta.World != "" {
		if d, err := s.world(ctx, r.meta.World); err == nil {
			v.Lorebooks = []string{d.ID}
		}
	}
	if len(r.speakers) > 1 {
		if v.Characters, err = s.called(ctx, r.speakers); err != nil {
			return Session{}, nil, err
		}
	} else if r.char != "" {
		here, err := s.called(ctx, []string{r.char})
		if err != nil {
			return Session{}, nil, err
		}
		for _, m := range here {
			v.Character = m.ID
		}
	}
	if x.Title == "" {
		for _, n := range t.Nodes {
			if n.Role == chat.User {
				x.Title = titleOf(n.Versions[0].Text)
				break
			}
		}
	}
	if err := limits.SessionMessages.CheckInt(len(t.Nodes)); err != nil {
		return Session{}, nil, llm.Errorf(llm.Invalid, "", "the file's messages: %v", err)
	}
	if err := (New{Title: x.Title, Tags: x.Tags, Settings: x.Now()}).check(); err != nil {
		return Session{}, nil, err
	}
	if err := s.store.Commit(context.WithoutCancel(ctx), t.Change()); err != nil {
		return Session{}, nil, err
	}
	return *x, r.report, nil
}

// called finds characters by what they are called; those that are not here are
// left out.
func (s *Sessions) called(ctx context.Context, names []string) (all []Member, err error) {
	here, err := s.Documents(ctx, Characters)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		i := slices.IndexFunc(here, func(c Document) bool { return strings.EqualFold(c.Name, name) })
		if i >= 0 && len(all) < limits.Company.Int() {
			all = append(all, Member{ID: here[i].ID})
			here = slices.Delete(here, i, i+1)
		}
	}
	return all, nil
}

var noTalk = &llm.Error{Code: llm.Unreadable, Message: "the file holds no talk",
	Hint: "it must be an export of Parley, a chat of SillyTavern (lines of JSON), a history of text-generation-webui, messages as OpenAI's clients send them, a conversation of llama.cpp's page, or Markdown in which headings or bold words say who speaks (User, Assistant)"}

// read tells the formats apart.
func (r *reader) read(data []byte) error {
	if IsWhole(data) {
		return &llm.Error{Code: llm.Unreadable, Message: "the file is the archive of a whole server", Hint: "POST /parley/v1/import takes it, or parley session import"}
	}
	if first := bytes.TrimSpace(data); len(first) > 0 && first[0] != '{' && first[0] != '[' {
		return r.markdown(data)
	}
	if llamaLines(bytes.TrimSpace(data)) {
		return r.llama(data)
	}
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	if len(bytes.TrimSpace(rest)) > 0 && json.Valid(first) {
		return r.sillyTavern(data)
	}
	var kind struct {
		Session      *json.RawMessage `json:"session"`
		Internal     *json.RawMessage `json:"internal"`
		Data         *json.RawMessage `json:"data"`
		Messages     *json.RawMessage `json:"messages"`
		ChatMetadata *json.RawMessage `json:"chat_metadata"`
		Conv         *json.RawMessage `json:"conv"`
	}
	if _, err := wire.Parse(data); err != nil { // bounds the depth
		return noTalk
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return r.llama(data)
	}
	if json.Unmarshal(data, &kind) != nil {
		return noTalk
	}
	switch {
	case kind.Session != nil:
		return r.archive(data)
	case kind.Internal != nil || kind.Data != nil:
		return r.textgen(data)
	case kind.ChatMetadata != nil:
		return r.sillyTavern(data)
	case kind.Conv != nil:
		return r.llama(data)
	case kind.Messages != nil:
		return r.openAI(data)
	}
	return noTalk
}

// archive takes over an export of ours, which may have been written by
// anybody.
func (r *reader) archive(data []byte) error {
	var a Archive
	if err := json.Unmarshal(data, &a); err != nil {
		return &llm.Error{Code: llm.Unreadable, Message: noTalk.Message, Hint: noTalk.Hint, Err: err}
	}
	if err := a.check(); err != nil {
		return err
	}
	for i := range a.Messages {
		for _, v := range a.Messages[i].Versions {
			if v.Reply != nil {
				v.Reply.Tokens = nil // they might be any: ids are not text that one can read
			}
		}
	}
	*r.tree = *NewTree(a.Session, a.Messages)
	r.tree.base, r.tree.known, r.tree.files = 0, 0, a.Media
	return nil
}

// check finds what cannot be in an archive, and settles what was running.
func (a *Archive) check() error {
	wrong := func(field, format string, args ...any) error {
		return llm.Errorf(llm.Unreadable, field, format, args...)
	}
	x := a.Session
	if x.Revision < 1 || x.Messages != len(a.Messages) || x.Head < 0 || x.Head > len(a.Messages) || len(x.Settings) == 0 {
		return wrong("session", "its revision, head, number of messages or settings cannot be")
	}
	since := int64(0)
	for i, v := range x.Settings {
		if v.Since <= since || v.Since > x.Revision {
			return wrong(fmt.Sprintf("session.settings[%d].since", i), "the revisions do not rise")
		}
		since = v.Since
		if err := v.check(); err != nil {
			return err
		}
	}
	for i := range a.Messages {
		n := &a.Messages[i]
		n.settle()
		if err := n.check(i, x.Revision); err != nil {
			return err
		}
		if n.Parent > 0 && a.Messages[n.Parent-1].Role == summaryRole {
			return wrong(fmt.Sprintf("messages[%d].parent", i), "it is no message")
		}
	}
	if x.Head > 0 && a.Messages[x.Head-1].Role == summaryRole {
		return wrong("session.head", "it is no message")
	}
	return a.checkFiles()
}

// settle ends what was running where the message was written.
func (n *Node) settle() {
	for j := range n.Versions {
		if v := &n.Versions[j]; v.State == Running {
			v.State = Interrupted
		}
	}
}

// check finds what cannot be in the i-th message of an archive.
func (n *Node) check(i int, revision int64) error {
	path := fmt.Sprintf("messages[%d]", i)
	if n.ID != i+1 || n.Parent < 0 || n.Parent > i || len(n.Versions) == 0 {
		return llm.Errorf(llm.Unreadable, path, "its id, parent or number of versions cannot be")
	}
	role := n.Role
	if role == summaryRole {
		role = chat.System
	}
	if err := (Send{Text: "-", Author: n.Author, Role: role}).check(); err != nil || n.Role == "" {
		return llm.Errorf(llm.Unreadable, path, "its role or author cannot be")
	}
	since := int64(1)
	for j := range n.Versions {
		v := &n.Versions[j]
		if err := limits.MessageBytes.CheckInt(len(v.Text)); err != nil {
			return llm.Errorf(llm.Invalid, fmt.Sprintf("%s.versions[%d].text", path, j), "%v", err)
		}
		if err := checkAttachments(v.Text, v.Attachments); err != nil {
			return llm.Errorf(llm.Unreadable, fmt.Sprintf("%s.versions[%d].attachments", path, j), "%v", err)
		}
		if !slices.Contains([]State{Complete, Stopped, Interrupted, Failed}, v.State) || v.Since < since || v.Since > revision ||
			v.Reply != nil && (v.Reply.Continued < 0 || v.Reply.Continued > j || v.Reply.Kind == Continue && v.Reply.Continued == j) {
			return llm.Errorf(llm.Unreadable, fmt.Sprintf("%s.versions[%d]", path, j), "its state, revision or reply cannot be")
		}
		since = v.Since
	}
	return nil
}
