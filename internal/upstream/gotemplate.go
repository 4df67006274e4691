package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"parley/chat"
	"parley/internal/limits"
)

// layOutInGo lays messages out in a template of Ollama's, as it does: neighbours
// of one role are one message; a template that does not know messages gets a
// system text, a prompt and a response at a time. What a template may do is
// bounded: it is a stranger's.
func layOutInGo(source string, list []chat.Message) (string, error) {
	if err := limits.GoTemplateBytes.CheckInt(len(source)); err != nil {
		return "", err
	}
	t, err := bounded(source)
	if err != nil {
		return "", err
	}
	type turn struct {
		Role, Content, Thinking, ToolName string
		ToolCalls, Images                 []any
	}
	var turns []*turn
	var systems []string
	for _, m := range list {
		if m.Role == chat.System {
			systems = append(systems, m.Text())
		}
		if last := len(turns) - 1; last >= 0 && turns[last].Role == string(m.Role) {
			turns[last].Content += "\n\n" + m.Text()
			continue
		}
		turns = append(turns, &turn{Role: string(m.Role), Content: m.Text()})
	}
	var b goOutput
	if strings.Contains(source, ".Messages") {
		err := t.Execute(&b, map[string]any{"System": strings.Join(systems, "\n\n"), "Messages": turns, "Tools": nil, "Response": "",
			"Think": false, "ThinkLevel": "", "IsThinkSet": false})
		return b.String(), err
	}
	var now struct{ System, Prompt, Response string }
	say := func() error {
		defer func() { now.System, now.Prompt, now.Response = "", "", "" }()
		return t.Execute(&b, now)
	}
	for _, m := range turns {
		var err error
		switch {
		case m.Role == string(chat.System) && now.Prompt+now.Response != "", m.Role == string(chat.User) && now.Response != "":
			err = say()
		}
		if err != nil {
			return "", err
		}
		switch m.Role {
		case string(chat.System):
			now.System = m.Content
		case string(chat.User):
			now.Prompt = m.Content
		default:
			now.Response = m.Content
		}
	}
	if now.Prompt+now.Response == "" && len(turns) > 1 {
		now.System = "" // it is lost without a prompt behind it
	}
	response := now.Response
	err = say()
	text := b.String()
	if i := strings.LastIndex(text, response); i >= 0 && response != "" {
		text = text[:i+len(response)] // the template ends there for the last one
	}
	return text, err
}

// continuesInGo reports whether the assistant's last message is continued: the
// prompt ends with it.
func continuesInGo(source string) bool {
	list := []chat.Message{chat.Say(chat.User, "Say the letters."), chat.Say(chat.Assistant, "A, B, C, D")}
	text, err := layOutInGo(source, list)
	return err == nil && strings.HasSuffix(text, list[1].Text())
}

// goOutput is what a template writes, up to a limit.
type goOutput struct{ strings.Builder }

func (t *goOutput) Write(p []byte) (int, error) {
	if err := limits.GoTemplateBytes.CheckInt(t.Len() + len(p)); err != nil {
		return 0, err
	}
	return t.Builder.Write(p)
}

// bounded reads a template so that it ends: each time through the body of a
// loop, or of a template that it calls, is a step.
func bounded(source string) (*template.Template, error) {
	const most = 10_000
	steps := 0
	none := func(...any) string { return "" }
	t, err := template.New("").Funcs(template.FuncMap{
		"json": func(v any) string {
			b, _ := json.Marshal(v)
			return string(b)
		},
		"currentDate": func() string { return time.Now().Format(time.DateOnly) },
		"yesterdayDate": func() string {
			return time.Now().AddDate(0, 0, -1).Format(time.DateOnly)
		},
		"toTypeScriptType": none,
		"boundedStep": func() (string, error) {
			if steps++; steps > most {
				return "", errors.New("the template does not end")
			}
			return "", nil
		},
	}).Parse(source)
	if err != nil {
		return nil, err
	}
	step, err := template.New("").Funcs(template.FuncMap{"boundedStep": none}).Parse("{{ boundedStep }}")
	if err != nil {
		return nil, fmt.Errorf("read a step: %w", err)
	}
	for _, each := range t.Templates() {
		if each.Tree != nil {
			bound(each.Root, step.Root.Nodes[0])
		}
	}
	return t, nil
}

// bound puts a step before everything that may come more than once.
func bound(n parse.Node, step parse.Node) {
	list := func(lists ...*parse.ListNode) {
		for _, l := range lists {
			if l != nil {
				bound(l, step)
			}
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, inner := range n.Nodes {
			bound(inner, step)
		}
		n.Nodes = append([]parse.Node{step}, n.Nodes...)
	case *parse.RangeNode:
		list(n.List, n.ElseList)
	case *parse.IfNode:
		list(n.List, n.ElseList)
	case *parse.WithNode:
		list(n.List, n.ElseList)
	}
}
