package session

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// A reader makes a session of a file.
type reader struct {
	tree *Tree
	now  time.Time
	user string // what the person is called
	main string // what the model is to do

	char     string   // who speaks first for the model, by name
	speakers []string // who of a group speaks, by name
	report   llm.Report
	meta     stMetadata
}

// add adds a message behind the head.
func (r *reader) add(parent int, role chat.Role, author Author, v Version) (int, error) {
	if err := limits.MessageBytes.CheckInt(len(v.Text)); err != nil {
		return 0, llm.Errorf(llm.Invalid, fmt.Sprintf("message %d", len(r.tree.Nodes)+1), "%v", err)
	}
	if err := limits.SessionMessages.CheckInt(len(r.tree.Nodes) + 1); err != nil {
		return 0, llm.Errorf(llm.Invalid, "", "the file's messages: %v", err)
	}
	if limits.NameBytes.CheckInt(len(author.Name)) != nil {
		author.Name = strings.ToValidUTF8(author.Name[:limits.NameBytes.Int()], "")
	}
	if v.Created.IsZero() {
		v.Created = r.now
	}
	v.State = Complete
	return r.tree.Add(parent, role, author, v), nil
}

// A stLine is a line of SillyTavern's chats: the first tells of the chat, the
// others are messages.
type stLine struct {
	UserName      string          `json:"user_name,omitempty"`
	CharacterName string          `json:"character_name,omitempty"`
	CreateDate    string          `json:"create_date,omitempty"`
	ChatMetadata  json.RawMessage `json:"chat_metadata,omitempty"`

	Name     string          `json:"name,omitempty"`
	IsUser   bool            `json:"is_user"`
	IsSystem bool            `json:"is_system"` // hidden from the model
	SendDate json.RawMessage `json:"send_date,omitempty"`
	Mes      string          `json:"mes"`
	Extra    stExtra         `json:"extra"`
	Swipes   []string        `json:"swipes,omitempty"`
	SwipeID  int             `json:"swipe_id,omitempty"`

	OriginalAvatar string `json:"original_avatar,omitempty"` // in a group: the picture of who speaks, which tells characters apart
}

type stExtra struct {
	Model     string `json:"model,omitempty"`
	Reasoning string `json:"reasoning,omitempty"`
	Type      string `json:"type,omitempty"` // "narrator"
}

// stMetadata is what SillyTavern keeps of a chat beside its messages, as far as
// a session has it, too.
type stMetadata struct {
	World     string   `json:"world_info,omitempty"` // the chat's lorebook, by its name
	Note      string   `json:"note_prompt,omitempty"`
	NoteDepth *float64 `json:"note_depth,omitempty"`
	Scenario  string   `json:"scenario,omitempty"`
}

// settle puts it into settings.
func (m stMetadata) settle(v *Settings) {
	v.Note, v.Scenario = m.Note, m.Scenario
	if d := m.NoteDepth; d != nil && limits.NoteDepth.Check(*d) == nil && m.Note != "" {
		v.NoteDepth = int(*d)
	}
}

// metadata is what of settings SillyTavern keeps.
func metadata(v Settings) (m stMetadata) {
	m.Note, m.Scenario = v.Note, v.Scenario
	if m.Note != "" {
		m.NoteDepth = new(float64(v.NoteDepth))
	}
	if len(v.Lorebooks) > 0 {
		m.World = v.Lorebooks[0]
	}
	return m
}

// unset is what newer versions of SillyTavern write for names in the first
// line.
const unset = "unused"

// sillyTavern reads lines of JSON. One that is damaged, as the last of a file
// that was cut off, is left out, and those behind it are read.
func (r *reader) sillyTavern(data []byte) error {
	begun, number, damaged := false, 0, 0
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		data, number = rest, number+1
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !begun {
			if err := r.stHead(line); err != nil {
				return err
			}
			begun = true
			continue
		}
		var m stLine
		_, err := wire.Parse(line)
		if err == nil {
			err = json.Unmarshal(line, &m)
		}
		switch {
		case err == nil:
			if err := r.stMessage(m); err != nil {
				return err
			}
		case damaged < mostDamaged:
			r.report.Add("left_out", fmt.Sprintf("line %d", number), "the line is no message: the file may be damaged there")
			fallthrough
		default:
			damaged++
		}
	}
	if damaged > mostDamaged {
		r.report.Add("left_out", fmt.Sprintf("%d lines more", damaged-mostDamaged), "they are no messages, too")
	}
	if damaged > 0 && len(r.tree.Nodes) == 0 {
		return noTalk
	}
	return nil
}

// mostDamaged is how many damaged lines a report names.
const mostDamaged = 20

func (r *reader) stHead(line []byte) error {
	var head stLine
	if json.Unmarshal(line, &head) != nil || head.UserName == "" && head.ChatMetadata == nil && head.CharacterName == "" {
		return noTalk
	}
	if head.UserName != unset {
		r.user = head.UserName
	}
	if head.CharacterName != unset {
		r.tree.Session.Title = head.CharacterName
	}
	json.Unmarshal(head.ChatMetadata, &r.meta) // fields of other types say nothing
	return nil
}

func (r *reader) stMessage(m stLine) error {
	role, author := chat.Assistant, Author{Name: m.Name}
	switch {
	case m.IsUser:
		role = chat.User
		if r.user == "" {
			r.user = m.Name
		}
	case m.Extra.Type == "narrator":
		role, author = chat.System, Author{}
	}
	if role == chat.Assistant {
		r.char = cmp.Or(r.char, m.Name)
	}
	if m.OriginalAvatar != "" && role == chat.Assistant && !slices.Contains(r.speakers, m.Name) {
		r.speakers = append(r.speakers, m.Name)
	}
	texts, chosen := m.Swipes, m.SwipeID
	if len(texts) == 0 || chosen < 0 || chosen >= len(texts) {
		texts, chosen = []string{m.Mes}, 0
	}
	parent, head := r.tree.Session.Head, 0
	for i, text := range texts {
		v := Version{Created: r.date(m.SendDate), Text: text}
		if i == chosen {
			v.Text, v.Reasoning = m.Mes, m.Extra.Reasoning
		}
		id, err := r.add(parent, role, author, v)
		if err != nil {
			return err
		}
		if i == chosen {
			head = id
		}
	}
	if r.tree.Session.Head = head; m.IsSystem && m.Extra.Type != "narrator" {
		r.tree.Delete(head, false, r.now)
	}
	return nil
}

// date reads when a message was sent: milliseconds, or words in one of the
// ways in which SillyTavern has written them; else it is now.
func (r *reader) date(raw json.RawMessage) time.Time {
	var ms float64
	if json.Unmarshal(raw, &ms) == nil && ms > 0 && ms < 1e14 {
		return time.UnixMilli(int64(ms)).UTC()
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		for _, layout := range []string{time.RFC3339, "January 2, 2006 3:04pm"} {
			if t, err := time.Parse(layout, s); err == nil && t.UTC().Year() < 10000 { // JSON has no later ones
				return t.UTC()
			}
		}
		var d [7]int // 2024-7-12@01h31m37s123ms, with spaces or without, and with milliseconds or without
		n, _ := fmt.Sscanf(strings.ReplaceAll(s, " ", ""), "%d-%d-%d@%dh%dm%ds%dms", &d[0], &d[1], &d[2], &d[3], &d[4], &d[5], &d[6])
		if n >= 6 && d[0] > 0 && d[0] < 9999 && d[1] <= 12 && d[2] <= 31 && d[3] < 24 && d[4] < 60 && d[5] < 60 && d[6] < 1000 && min(d[1], d[2]) > 0 && slices.Min(d[3:]) >= 0 {
			return time.Date(d[0], time.Month(d[1]), d[2], d[3], d[4], d[5], d[6]*int(time.Millisecond), time.UTC)
		}
	}
	return r.now
}

// toSillyTavern writes the talk up to the head, alternatives as swipes.
func toSillyTavern(t *Tree, user string) []byte {
	v := t.Session.Now()
	user, char := cmp.Or(user, "User"), "Assistant"
	talk := t.Messages(t.Session.Head, t.Session.Revision)
	for _, m := range talk {
		if m.Role == chat.Assistant && m.Author.Name != "" {
			char = m.Author.Name
			break
		}
	}
	var b bytes.Buffer
	put := func(v any) {
		b.Write(wire.Encode(v))
		b.WriteByte('\n')
	}
	put(map[string]any{"user_name": user, "character_name": char, "create_date": t.Session.Created.Format(time.RFC3339), "chat_metadata": metadata(v)})
	for _, m := range talk {
		line := stLine{Name: m.Author.Name, IsUser: m.Role == chat.User, Mes: m.Text, SendDate: wire.Encode(m.Version.Created.Format(time.RFC3339)), Extra: stExtra{Reasoning: m.Reasoning}}
		switch {
		case m.Role == chat.System:
			line.Extra.Type, line.IsSystem = "narrator", false
			line.Name = "System"
		case line.Name == "" && line.IsUser:
			line.Name = user
		case line.Name == "":
			line.Name = char
		}
		if m.Reply != nil {
			line.Extra.Model = m.Reply.Model
		}
		if len(v.Characters) > 0 && m.Role == chat.Assistant {
			line.OriginalAvatar = line.Name + ".png"
		}
		for _, id := range m.Alternatives {
			if id == m.ID {
				line.SwipeID = len(line.Swipes)
			}
			line.Swipes = append(line.Swipes, t.Seen(id).Text)
		}
		put(line)
	}
	return b.Bytes()
}

// openAI reads messages as OpenAI's protocol has them. A system's at the
// beginning is the session's own.
func (r *reader) openAI(data []byte) error {
	unreadable := func(err error) error {
		return &llm.Error{Code: llm.Unreadable, Message: noTalk.Message, Hint: noTalk.Hint, Err: err}
	}
	var talk struct {
		Messages []struct {
			Role    chat.Role       `json:"role"`
			Name    string          `json:"name"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(data, &talk); err != nil {
		return unreadable(err)
	}
	for i, m := range talk.Messages {
		parts, err := readOpenAIParts(fmt.Sprintf("messages[%d].content", i), m.Content)
		if err != nil {
			return err
		}
		text, attachments, files := divide(parts)
		if err := checkAttachments(text, attachments); err != nil {
			return llm.Errorf(llm.Invalid, fmt.Sprintf("messages[%d].content", i), "%v", err)
		}
		switch m.Role {
		case chat.System, chat.Developer:
			if m.Role = chat.System; i == 0 {
				r.main = text
				continue
			}
		case chat.User, chat.Assistant:
		default:
			return llm.Errorf(llm.Unreadable, fmt.Sprintf("messages[%d].role", i), "only system, user and assistant are read")
		}
		if _, err := r.add(r.tree.Session.Head, m.Role, Author{Name: m.Name}, Version{Text: text, Attachments: attachments}); err != nil {
			return err
		}
		r.tree.files = append(r.tree.files, files...)
	}
	return nil
}

// beginning is what text-generation-webui writes for the user before a
// greeting.
const beginning = "<|BEGIN-VISIBLE-CHAT|>"

func (r *reader) textgen(data []byte) error {
	var h struct {
		Internal [][]string `json:"internal"`
		Data     [][]string `json:"data"` // of old versions
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return &llm.Error{Code: llm.Unreadable, Message: noTalk.Message, Hint: noTalk.Hint, Err: err}
	}
	for _, pair := range slices.Concat(h.Internal, h.Data) {
		for i, role := range []chat.Role{chat.User, chat.Assistant} {
			if i >= len(pair) || pair[i] == "" || pair[i] == beginning {
				continue
			}
			if _, err := r.add(r.tree.Session.Head, role, Author{}, Version{Text: pair[i]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// toTextgen writes the talk as pairs. It has no place for a system's message,
// and two in a row by the same stand in pairs of their own.
func toTextgen(t *Tree) []byte {
	pairs := [][]string{}
	open := false // the last pair has no reply
	for _, m := range t.Messages(t.Session.Head, t.Session.Revision) {
		switch {
		case m.Role == chat.User:
			pairs, open = append(pairs, []string{m.Text, ""}), true
		case m.Role == chat.Assistant && open:
			pairs[len(pairs)-1][1], open = m.Text, false
		case m.Role == chat.Assistant && len(pairs) == 0:
			pairs = append(pairs, []string{beginning, m.Text})
		case m.Role == chat.Assistant:
			pairs = append(pairs, []string{"", m.Text})
		}
	}
	visible := [][]string{}
	for _, p := range pairs {
		shown := []string{escape(p[0]), escape(p[1])}
		if p[0] == beginning {
			shown[0] = ""
		}
		visible = append(visible, shown)
	}
	return append(wire.Encode(map[string]any{"internal": pairs, "visible": visible, "metadata": map[string]any{}}), '\n')
}

// escape is how text-generation-webui keeps what it shows.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(s)
}
