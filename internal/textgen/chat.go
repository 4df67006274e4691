package textgen

import (
	"fmt"
	"slices"
	"strings"

	"parley/internal/limits"
	"parley/internal/roleplay"
	"parley/internal/wire"
	"parley/llm"
)

// A Chat is a request to go on with a talk. The client keeps its history and
// sends it along.
type Chat struct {
	Request
	Setting roleplay.Setting
	History History
	Input   string // what the user says now
	System  string // instructions in the modes that have a chat format

	Regenerate bool // another answer instead of the last one
	Continue   bool // more of the last one
}

// A History is what was said: rows of what the user said and what was
// answered, as the model sees them and as they are shown in HTML.
type History struct {
	Internal [][2]string
	Visible  [][2]string
}

// begins stands for the user's words in the row of a greeting.
const begins = "<|BEGIN-VISIBLE-CHAT|>"

// ParseChat reads the body of a request to talk.
func ParseChat(body []byte) (*Chat, error) {
	c := &Chat{}
	return c, read(body, &c.Request, func(o *wire.Object) {
		said := o.Has("user_input")
		c.Input = o.Text("user_input")
		c.Regenerate = o.IsSet("regenerate")
		c.Continue = o.IsSet("_continue")
		c.Setting = o.Roleplay(roleplay.Chat)
		if c.Setting.Mode != roleplay.Chat {
			c.System = o.Text("context_instruct")
		}
		if v, ok := o.Take("history"); ok {
			c.History = readHistory(o, v)
		}
		switch {
		case c.Regenerate && c.Continue:
			o.Invalid("_continue", "cannot be true together with regenerate")
		case !c.Regenerate && !c.Continue && !said:
			o.Invalid("user_input", "the field is missing")
		}
	})
}

func readHistory(o *wire.Object, v wire.Value) (h History) {
	f := o.Object("history", v)
	rows := func(name string) (all [][2]string) {
		v, ok := f.Take(name)
		if !ok {
			return nil
		}
		f.List(f.At(name), v, limits.Messages, func(path string, v wire.Value) {
			var row [2]string
			n := 0
			if v.Kind() == '[' {
				for i, e := range v.Elements() {
					if n++; i < len(row) && !e.Null() {
						row[i] = f.TextOf(fmt.Sprintf("%s[%d]", path, i), e)
					}
				}
			}
			if n != len(row) {
				f.Invalid(path, "must be a pair of what the user said and what was answered")
			}
			all = append(all, row)
		})
		return all
	}
	h.Internal, h.Visible = rows("internal"), rows("visible")
	f.Rest(func(name string, _ wire.Value) { f.Ignore(f.At(name)) })
	for _, row := range h.Internal[min(len(h.Visible), len(h.Internal)):] { // what was not shown yet
		if row[0] == begins {
			row[0] = ""
		}
		h.Visible = append(h.Visible, [2]string{escape(row[0]), escape(row[1])})
	}
	h.Visible = h.Visible[:len(h.Internal)]
	return h
}

// Nothing reports whether there is nothing that could be regenerated or
// continued: no row, or that of the greeting alone.
func (c *Chat) Nothing() bool {
	rows := c.History.Internal
	return (c.Regenerate || c.Continue) && (len(rows) == 0 || len(rows) == 1 && c.History.Visible[0][0] == "")
}

// Turns are what has been said when the bot is to answer. open is set if it is
// to go on with the last of them.
func (c *Chat) Turns() (turns []roleplay.Turn, open bool) {
	add := func(who roleplay.Speaker, i int, text, field string) {
		if text != "" && !(who == roleplay.User && text == begins) {
			turns = append(turns, roleplay.Turn{Who: who, Text: text, Source: llm.Source{Kind: llm.FromMessage, Index: i, Field: field}})
		}
	}
	add(roleplay.Narration, 0, c.System, "context_instruct")
	last := len(c.History.Internal) - 1
	for i, row := range c.History.Internal {
		add(roleplay.User, i, row[0], "history.internal")
		if i < last || !c.Regenerate {
			add(roleplay.Bot, i, row[1], "history.internal")
		}
	}
	if !c.Regenerate && !c.Continue {
		add(roleplay.User, last+1, c.Input, "user_input")
	}
	return turns, c.Continue && c.History.Internal[last][1] != ""
}

// With is the history with the bot's words in it; user is the name by which
// the user is called where it is shown.
func (c *Chat) With(reply, user string) History {
	h := History{slices.Clone(c.History.Internal), slices.Clone(c.History.Visible)}
	if !c.Regenerate && !c.Continue {
		h.Internal = append(h.Internal, [2]string{c.Input})
		h.Visible = append(h.Visible, [2]string{escape(c.Input)})
	}
	last := len(h.Internal) - 1
	if c.Continue && h.Internal[last][1] != "" {
		h.Internal[last][1] += reply
		h.Visible[last][1] += escape(shown(reply, user))
		return h
	}
	reply = strings.TrimLeft(reply, " ")
	h.Internal[last][1] = reply
	h.Visible[last][1] = escape(shown(reply, user))
	return h
}

// shown has the user's name in place of what stands for it.
func shown(reply, user string) string {
	return strings.NewReplacer("{{user}}", user, "<USER>", user, "<user>", user).Replace(reply)
}

// escape is text as HTML, in the way of this dialect.
func escape(text string) string { return escaped.Replace(text) }

var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;")
