package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/session"
)

const sessionHelp = `/regenerate          another reply in the place of the last one
/continue            the rest of the last reply
/swipe [N]           the next of the replies in the last one's place, a new one behind the last; the N-th
/answer [NAME]       have somebody speak, of several characters the named one
/impersonate         have written what you might say
/edit TEXT           other words for what you said last, answered again
/edit N TEXT         other words for message N
/delete [N]          take out message N, or the last one
/restore N           bring message N back
/undo [N]            go back behind your last message, or by N messages
/talk                show the talk with the numbers of its messages
/inspect [N]         the prompt of the last reply, or of message N
/summary [TEXT]      what stands for the beginning of the talk; write it; "make" has it made
/system [TEXT]       instructions at the beginning; "-" takes them away
/note [TEXT]         instructions near the end; "-" takes them away
/user NAME           what you are called
/persona [TEXT]      who you are
/title TEXT          name the session
/sessions [TEXT]     list the sessions, or those with a message that has this in it
/open ID             go on in another session
/new                 begin another session with the same characters
/fork [N]            go on in a copy of the talk up to its end, or message N
/save FILE           write the talk as JSON, or to FILE.jsonl for SillyTavern
/wait                show the reply that is being generated
/quit                leave, as does Ctrl-D; the talk is kept
"""                  begins and ends a message of several lines`

// A sessionCommand does what stands behind a slash.
type sessionCommand func(t *sessionTalk, ctx context.Context, argument string) error

var sessionCommands map[string]sessionCommand

func init() { // they refer to the map
	sessionCommands = map[string]sessionCommand{
		"help": (*sessionTalk).help, "?": (*sessionTalk).help,
		"quit":        func(*sessionTalk, context.Context, string) error { return errQuit },
		"regenerate":  (*sessionTalk).regenerate,
		"continue":    asks("/continue"),
		"impersonate": asks("/impersonate"),
		"answer":      (*sessionTalk).answer,
		"swipe":       (*sessionTalk).swipe,
		"edit":        (*sessionTalk).edit,
		"delete":      (*sessionTalk).delete,
		"restore":     (*sessionTalk).restore,
		"undo":        (*sessionTalk).undo,
		"talk":        (*sessionTalk).all,
		"inspect":     (*sessionTalk).inspect,
		"summary":     (*sessionTalk).summary,
		"system":      sets("system", func(v *talkView) string { return v.System }),
		"note":        sets("note", func(v *talkView) string { return v.Note }),
		"user":        sets("user", func(v *talkView) string { return v.User }),
		"persona":     sets("persona", func(v *talkView) string { return v.Persona }),
		"title":       sets("title", func(v *talkView) string { return v.Title }),
		"sessions":    (*sessionTalk).sessions,
		"open":        (*sessionTalk).goTo,
		"new":         (*sessionTalk).anew,
		"fork":        (*sessionTalk).fork,
		"save":        (*sessionTalk).save,
		"wait":        (*sessionTalk).wait,
	}
}

func (t *sessionTalk) help(context.Context, string) error {
	fmt.Fprintln(t.out, sessionHelp)
	return nil
}

// asks is a command for which a reply is generated.
func asks(path string) sessionCommand {
	return func(t *sessionTalk, ctx context.Context, _ string) error { return t.reply(ctx, path, map[string]any{}) }
}

// sets is a command that shows or sets a text of the session.
func sets(field string, of func(*talkView) string) sessionCommand {
	return func(t *sessionTalk, ctx context.Context, text string) error {
		if text == "" {
			if err := t.look(ctx); err != nil {
				return err
			}
			if now := of(&t.talkView); now != "" {
				fmt.Fprintln(t.out, printableLines(now))
			} else {
				t.tell("there is no %s", field)
			}
			return nil
		}
		if text == "-" {
			text = ""
		}
		if err := t.change(ctx, map[string]any{field: text}); err != nil {
			return err
		}
		t.tell("%s set", field)
		return nil
	}
}

func (t *sessionTalk) regenerate(ctx context.Context, _ string) error {
	t.again++
	return t.reply(ctx, "/regenerate", map[string]any{})
}

func (t *sessionTalk) answer(ctx context.Context, name string) error {
	body := map[string]any{}
	if name != "" {
		body["speaker"] = name
	}
	return t.reply(ctx, "/answer", body)
}

// last gives the last message of the talk.
func (t *sessionTalk) last(ctx context.Context) (session.Message, error) {
	if err := t.look(ctx); err != nil {
		return session.Message{}, err
	}
	if len(t.Messages) == 0 {
		return session.Message{}, &userError{Message: "nothing was said yet"}
	}
	return t.Messages[len(t.Messages)-1], nil
}

// number takes a number at the beginning of an argument; 0: there is none.
func number(argument string) (n int, rest string) {
	first, rest, _ := strings.Cut(argument, " ")
	if n, err := strconv.Atoi(first); err == nil && n > 0 {
		return n, strings.TrimSpace(rest)
	}
	return 0, argument
}

// only takes an argument that is a number or nothing.
func only(argument string) (int, error) {
	n, rest := number(argument)
	if rest != "" {
		return 0, &userError{Message: fmt.Sprintf("%q is no number", rest), Hint: "/talk shows the numbers of the messages"}
	}
	return n, nil
}

func (t *sessionTalk) swipe(ctx context.Context, argument string) error {
	n, err := only(argument)
	if err != nil {
		return err
	}
	m, err := t.last(ctx)
	if err != nil {
		return err
	}
	others := m.Alternatives
	if len(others) == 0 {
		others = []int{m.ID}
	}
	if n == 0 {
		n = slices.Index(others, m.ID) + 2
	}
	if n == len(others)+1 && m.Role == chat.Assistant {
		return t.regenerate(ctx, "")
	}
	if n > len(others) {
		return &userError{Message: fmt.Sprintf("there are %d in this place", len(others))}
	}
	if err := t.change(ctx, map[string]any{"head": others[n-1]}); err != nil {
		return err
	}
	t.showTalk(1)
	return nil
}

// said finds the user's last message.
func (t *sessionTalk) said(ctx context.Context) (at int, err error) {
	if _, err := t.last(ctx); err != nil {
		return 0, err
	}
	for i, m := range slices.Backward(t.Messages) {
		if m.Role == chat.User {
			return i, nil
		}
	}
	return 0, &userError{Message: "you said nothing yet"}
}

func (t *sessionTalk) edit(ctx context.Context, argument string) error {
	n, text := number(argument)
	if text == "" {
		return &userError{Message: "/edit needs the new words"}
	}
	if n > 0 {
		if err := t.ask(ctx, http.MethodPatch, t.path("/messages/"+strconv.Itoa(n)), map[string]any{"text": text}, nil); err != nil {
			return err
		}
		t.tell("message %d is changed; what stands behind it stays", n)
		return nil
	}
	i, err := t.said(ctx)
	if err != nil {
		return err
	}
	if err := t.ask(ctx, http.MethodPatch, t.path("/messages/"+strconv.Itoa(t.Messages[i].ID)), map[string]any{"text": text, "branch": true}, nil); err != nil {
		return err
	}
	return t.reply(ctx, "/answer", map[string]any{})
}

func (t *sessionTalk) delete(ctx context.Context, argument string) error {
	n, err := only(argument)
	if err != nil {
		return err
	}
	if n == 0 {
		m, err := t.last(ctx)
		if err != nil {
			return err
		}
		n = m.ID
	}
	if err := t.ask(ctx, http.MethodDelete, t.path("/messages/"+strconv.Itoa(n)), nil, nil); err != nil {
		return err
	}
	t.tell("message %d is deleted; /restore %d brings it back", n, n)
	return nil
}

func (t *sessionTalk) restore(ctx context.Context, argument string) error {
	n, err := only(argument)
	if err != nil {
		return err
	}
	if n == 0 {
		return &userError{Message: "/restore needs the number of a message"}
	}
	if err := t.ask(ctx, http.MethodPost, t.path("/messages/"+strconv.Itoa(n)+"/restore"), nil, nil); err != nil {
		return err
	}
	t.tell("message %d is there again", n)
	return nil
}

func (t *sessionTalk) undo(ctx context.Context, argument string) error {
	n, err := only(argument)
	if err != nil {
		return err
	}
	if n == 0 {
		i, err := t.said(ctx)
		if err != nil {
			return err
		}
		n = len(t.Messages) - i
	}
	if err := t.ask(ctx, http.MethodPost, t.path("/undo"), map[string]any{"count": n}, &t.talkView); err != nil {
		return err
	}
	if err := t.look(ctx); err != nil {
		return err
	}
	if len(t.Messages) == 0 {
		t.tell("the talk begins")
		return nil
	}
	t.showTalk(1)
	return nil
}

func (t *sessionTalk) all(ctx context.Context, _ string) error {
	if err := t.look(ctx); err != nil {
		return err
	}
	t.showTalk(0)
	return nil
}

func (t *sessionTalk) inspect(ctx context.Context, argument string) error {
	n, err := only(argument)
	if err != nil {
		return err
	}
	if n == 0 {
		if _, err := t.last(ctx); err != nil {
			return err
		}
		for _, m := range t.Messages {
			if m.Reply != nil {
				n = m.ID
			}
		}
		if n == 0 {
			return &userError{Message: "there is no reply yet"}
		}
	}
	var v struct {
		Model, Format, Text string
		Tokens              []struct{}
		Same                bool
	}
	if err := t.ask(ctx, http.MethodGet, t.path("/messages/"+strconv.Itoa(n)+"/prompt"), nil, &v); err != nil {
		return err
	}
	fmt.Fprintln(t.out, printableLines(v.Text))
	same := "the very prompt of message %d"
	if !v.Same {
		same = "no longer the prompt of message %d"
	}
	t.tell(same+", for %s in the format %s, %d tokens", n, v.Model, v.Format, len(v.Tokens))
	return nil
}

func (t *sessionTalk) summary(ctx context.Context, text string) error {
	switch text {
	case "make":
		return t.reply(ctx, "/summary", map[string]any{})
	case "":
		var v struct {
			Text  string
			Until int
		}
		if err := t.ask(ctx, http.MethodGet, t.path("/summary"), nil, &v); err != nil {
			return err
		}
		if v.Text == "" {
			t.tell("there is no summary")
			return nil
		}
		fmt.Fprintln(t.out, printableLines(v.Text))
		t.tell("it stands for the talk up to message %d", v.Until)
		return nil
	case "-":
		text = ""
	}
	if err := t.ask(ctx, http.MethodPut, t.path("/summary"), map[string]any{"text": text}, nil); err != nil {
		return err
	}
	t.tell("summary set")
	return nil
}

func (t *sessionTalk) sessions(ctx context.Context, text string) error {
	if text != "" {
		var found struct{ Hits []session.Hit }
		if err := t.ask(ctx, http.MethodGet, "search?q="+url.QueryEscape(text), nil, &found); err != nil {
			return err
		}
		for _, h := range found.Hits {
			line, _, _ := strings.Cut(h.Text, "\n")
			fmt.Fprintf(t.out, "%s  %s\n", t.style.cyan(h.Session), printable(line))
		}
		return nil
	}
	var list struct{ Sessions []talkView }
	if err := t.ask(ctx, http.MethodGet, "sessions?limit=20", nil, &list); err != nil {
		return err
	}
	for _, v := range list.Sessions {
		here := " "
		if v.ID == t.ID {
			here = "*"
		}
		fmt.Fprintf(t.out, "%s %s  %4d  %s\n", here, t.style.cyan(v.ID), v.Count, printable(v.Title))
	}
	return nil
}

func (t *sessionTalk) goTo(ctx context.Context, id string) error {
	if id == "" {
		return &userError{Message: "/open needs the id of a session", Hint: "/sessions lists them"}
	}
	if err := t.open(ctx, id); err != nil {
		return err
	}
	t.arrive()
	return nil
}

func (t *sessionTalk) anew(ctx context.Context, _ string) error {
	with := map[string]any{"character": t.Character, "user": t.User, "persona": t.Persona, "system": t.System}
	if len(t.Characters) > 0 {
		delete(with, "character")
		with["characters"] = t.Characters
	}
	return t.moveTo(ctx, "sessions", with)
}

func (t *sessionTalk) fork(ctx context.Context, argument string) error {
	n, err := only(argument)
	if err != nil {
		return err
	}
	with := map[string]any{}
	if n > 0 {
		with["message"] = n
	}
	return t.moveTo(ctx, t.path("/fork"), with)
}

// moveTo goes on in a session that is made.
func (t *sessionTalk) moveTo(ctx context.Context, path string, with map[string]any) error {
	var v talkView
	if err := t.ask(ctx, http.MethodPost, path, with, &v); err != nil {
		return err
	}
	t.talkView = v
	t.arrive()
	return nil
}

// save writes the talk to a file, whose name says how.
func (t *sessionTalk) save(ctx context.Context, file string) error {
	if file == "" {
		return &userError{Message: "/save needs the name of a file"}
	}
	format := session.FormatMessages
	if filepath.Ext(file) == ".jsonl" {
		format = session.FormatSillyTavern
	}
	resp, err := t.do(ctx, http.MethodGet, t.path("/export?as="+string(format)), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limits.BodyBytes.Int64()))
	if err != nil {
		return &userError{Message: "the talk cannot be read: " + err.Error(), Err: err}
	}
	if format == session.FormatMessages && !json.Valid(data) {
		return errBrokenOff
	}
	return t.saveAs(file, data)
}

func (t *sessionTalk) wait(ctx context.Context, _ string) error {
	if err := t.look(ctx); err != nil {
		return err
	}
	if t.Run == "" {
		t.tell("no reply is being generated")
		return nil
	}
	resp, err := t.do(ctx, http.MethodGet, "runs/"+url.PathEscape(t.Run)+"/events", nil)
	if err != nil {
		return err
	}
	return t.watch(ctx, resp)
}
