package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/session"
	"parley/llm"
)

// kept reports whether the talk is a session.
func (c *chatCmd) kept() bool { return len(c.Characters) > 0 || c.Session != "" || c.New }

// runSession talks in a session, on a server or on the one of this process.
func (c *chatCmd) runSession(a *app) error {
	if err := c.params().Check(); err != nil {
		e := llm.AsError(err)
		return usageError("", "--%s: %s", strings.ReplaceAll(e.Field, "_", "-"), e.Message)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	var server *remote
	var err error
	where, end := "at "+c.Server, func() error { return nil }
	if c.Server != "" {
		server, err = newRemote(c.Server, c.APIKey, c.Model)
	} else {
		server, where, end, err = c.serveHere(a)
	}
	if err != nil {
		return err
	}
	t := &sessionTalk{screen: newScreen(a), server: server, where: where, params: c.params()}
	err = t.begin(ctx, c)
	stop() // from here on Ctrl-C ends a reply
	if err == nil {
		t.arrive()
		err = t.converse(context.Background(), t.reader(a), t.take)
	}
	return orElse(err, end())
}

// A sessionTalk is a conversation that a server keeps.
type sessionTalk struct {
	screen
	server *remote
	where  string // it is kept
	params llm.Params
	again  int64 // how often a reply was made again: with a seed, each time with another
	talkView
}

// A talkView is a session as the server shows it.
type talkView struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Head  int    `json:"head"`
	Count int    `json:"message_count"`
	Run   string `json:"run"`
	session.Settings
	Messages []session.Message `json:"messages"`
}

// do sends a request. Where the server says what is wrong, that is the error.
func (t *sessionTalk) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	resp, err := t.server.do(ctx, method, "/parley/v1/"+path, body)
	if answer, ok := errors.AsType[statusError](err); ok && answer.said != "" && answer.status != http.StatusUnauthorized {
		err = &userError{Message: answer.said, Err: answer}
	}
	return resp, err
}

// ask sends a request and reads its answer, if there is to be one.
func (t *sessionTalk) ask(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	resp, err := t.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return &userError{Message: t.server.base + " sent something that is not JSON", Hint: "is it a Parley?", Err: err}
	}
	return nil
}

func (t *sessionTalk) path(rest string) string { return "sessions/" + url.PathEscape(t.ID) + rest }

// look reads the session again.
func (t *sessionTalk) look(ctx context.Context) error { return t.open(ctx, t.ID) }

func (t *sessionTalk) open(ctx context.Context, id string) error {
	var v talkView
	if err := t.ask(ctx, http.MethodGet, "sessions/"+url.PathEscape(id), nil, &v); err != nil {
		return err
	}
	t.talkView = v
	return nil
}

// change changes what the session has of its own.
func (t *sessionTalk) change(ctx context.Context, fields map[string]any) error {
	var v talkView
	if err := t.ask(ctx, http.MethodPatch, t.path(""), fields, &v); err != nil {
		return err
	}
	t.talkView = v
	return nil
}

// begin finds the session that the flags mean, or begins one.
func (t *sessionTalk) begin(ctx context.Context, c *chatCmd) error {
	var cast []string
	for _, arg := range c.Characters {
		id, err := t.character(ctx, arg)
		if err != nil {
			return err
		}
		cast = append(cast, id)
	}
	with := map[string]any{}
	for field, value := range map[string]string{"system": c.System, "user": c.User, "persona": c.Persona} {
		if value != "" {
			with[field] = value
		}
	}
	found, err := t.find(ctx, c, cast)
	if err != nil {
		return err
	}
	if found {
		if len(cast) > 0 && !slices.Equal(cast, t.cast()) {
			return &userError{Message: "session " + c.Session + " is with " + strings.Join(t.cast(), ", "), Hint: "name no characters, to go on with it, or another --session"}
		}
		return t.change(ctx, with)
	}
	if t.ID = c.Session; t.ID != "" {
		with["external_id"] = t.ID
	}
	switch len(cast) {
	case 0:
	case 1:
		with["character"] = cast[0]
	default:
		with["characters"] = cast
	}
	return t.ask(ctx, http.MethodPost, "sessions", with, &t.talkView)
}

// find looks for the session that goes on: the named one, or the one with the
// same characters that was changed last.
func (t *sessionTalk) find(ctx context.Context, c *chatCmd, cast []string) (bool, error) {
	if c.New {
		if c.Session != "" {
			return false, usageError("", "--new and --session: there is one or the other")
		}
		return false, nil
	}
	if c.Session != "" {
		for _, id := range []string{c.Session, "@" + c.Session} {
			err := t.open(ctx, id)
			if status, ok := errors.AsType[statusError](err); !ok || status.status != http.StatusNotFound {
				return err == nil, err
			}
		}
		return false, nil
	}
	var list struct{ Sessions []talkView }
	if err := t.ask(ctx, http.MethodGet, "sessions?limit=200&character="+url.QueryEscape(cast[0]), nil, &list); err != nil {
		return false, err
	}
	for _, v := range list.Sessions {
		if slices.Equal(v.cast(), cast) {
			return true, t.open(ctx, v.ID)
		}
	}
	return false, nil
}

func (v *talkView) cast() (ids []string) {
	for _, m := range v.Members() {
		ids = append(ids, m.ID)
	}
	return ids
}

// character finds a character by id or name, or sends the file of one.
func (t *sessionTalk) character(ctx context.Context, arg string) (string, error) {
	var list struct{ Characters []session.Document }
	if err := t.ask(ctx, http.MethodGet, "characters", nil, &list); err != nil {
		return "", err
	}
	var names []string
	for _, same := range []func(session.Document) bool{
		func(x session.Document) bool { return x.ID == arg },
		func(x session.Document) bool { return strings.EqualFold(x.Name, arg) || strings.EqualFold(x.ID, arg) },
	} {
		if i := slices.IndexFunc(list.Characters, same); i >= 0 {
			return list.Characters[i].ID, nil
		}
	}
	if filepath.Ext(arg) != "" && isFile(arg) {
		return t.sendCharacter(ctx, arg, list.Characters)
	}
	for _, x := range list.Characters {
		names = append(names, x.Name)
	}
	e := &userError{Message: "there is no character " + arg, Hint: "name the file of one"}
	if len(names) > 0 {
		e.Hint = "there are " + strings.Join(names, ", ") + "; or name the file of one"
	}
	if best := nearest(arg, names); best != "" {
		e.Hint = "did you mean " + best + "?"
	}
	return "", e
}

// sendCharacter has the server keep a character's file, by the file's name. A
// character that is there already and is another stays as it is.
func (t *sessionTalk) sendCharacter(ctx context.Context, file string, there []session.Document) (string, error) {
	data, err := readFile("character", file)
	if err != nil {
		return "", err
	}
	base := filepath.Base(file)
	id := strings.TrimSuffix(base, filepath.Ext(base))
	if slices.ContainsFunc(there, func(x session.Document) bool { return x.ID == id }) {
		resp, err := t.do(ctx, http.MethodGet, "characters/"+url.PathEscape(id)+"/file", nil)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		kept, err := io.ReadAll(io.LimitReader(resp.Body, limits.BodyBytes.Int64()))
		if err != nil {
			return "", err
		}
		if bytes.Equal(kept, data) {
			return id, nil
		}
		return "", &userError{Message: "there is another character " + id + " already", Hint: "parley chat " + quoted(id) + " talks to it; give the file another name to have both"}
	}
	resp, err := t.do(ctx, http.MethodPut, "characters/"+url.PathEscape(id)+"?file="+url.QueryEscape(base), data)
	if err != nil {
		return "", err
	}
	return id, resp.Body.Close()
}

// shownAgain is how many messages one sees of a talk that goes on.
const shownAgain = 4

// arrive shows where the talk was left.
func (t *sessionTalk) arrive() {
	t.welcome(cmp.Or(printable(t.Title), "A new talk"), printable(fmt.Sprintf("session %s %s", t.ID, t.where)))
	if !t.quiet {
		if before := len(t.Messages) - shownAgain; before > 0 {
			t.tell("… %d messages before, which /talk shows", before)
		}
		t.showTalk(shownAgain)
		if t.Run != "" {
			t.tell("a reply is being generated; /wait shows it")
		}
	}
}

// showTalk shows the last messages of the talk; 0 is all of them, with their
// numbers.
func (t *sessionTalk) showTalk(last int) {
	shown := t.Messages
	if last > 0 && len(shown) > last {
		shown = shown[len(shown)-last:]
	}
	for _, m := range shown {
		if last == 0 {
			fmt.Fprintf(t.out, "%s ", t.style.dim(strconv.Itoa(m.ID)))
		}
		fmt.Fprintf(t.out, "%s %s%s\n", t.style.bold(printable(t.nameOf(&m))+":"), printableLines(m.Marked()), t.mark(&m))
	}
	if len(shown) > 0 {
		fmt.Fprintln(t.out)
	}
}

// mark says what is special about a message.
func (t *sessionTalk) mark(m *session.Message) (mark string) {
	if m.State != session.Complete {
		mark = " " + t.style.dim("("+string(m.State)+")")
	}
	if n := len(m.Alternatives); n > 1 {
		mark += " " + t.style.dim(fmt.Sprintf("(%d of %d)", 1+slices.Index(m.Alternatives, m.ID), n))
	}
	return mark
}

func (t *sessionTalk) nameOf(m *session.Message) string {
	switch {
	case m.Author.Name != "":
		return m.Author.Name
	case m.Role == chat.User:
		return cmp.Or(t.User, "you")
	}
	return string(m.Role)
}

// take handles one message or command.
func (t *sessionTalk) take(ctx context.Context, text string) error {
	if name, argument, ok := asCommand(text); ok {
		known := slices.Sorted(maps.Keys(sessionCommands))
		do := sessionCommands[name]
		if do == nil {
			return noCommand(name, known)
		}
		return do(t, ctx, argument)
	}
	return t.reply(ctx, "/send", map[string]any{"text": text})
}

// reply asks for a reply and shows it as it comes. Ctrl-C stops it: the server
// keeps what there is.
func (t *sessionTalk) reply(ctx context.Context, path string, body map[string]any) error {
	body["stream"] = true
	if t.server.model != "" {
		body["model"] = t.server.model
	}
	if p := t.sampling(); len(p) > 0 {
		body["params"] = p
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := t.do(ctx, http.MethodPost, t.path(path), data)
	if err != nil {
		return err
	}
	return t.watch(ctx, resp)
}

func (t *sessionTalk) sampling() map[string]any {
	p := map[string]any{}
	if v := t.params.Temperature; v != nil {
		p["temperature"] = *v
	}
	if v := t.params.MaxTokens; v != nil {
		p["max_tokens"] = *v
	}
	if v := t.params.Seed; v != nil {
		p["seed"] = *v + t.again
	}
	return p
}

// watch shows a reply, and those that others say behind it. Where the
// connection breaks, it goes on at another one: the reply does, too.
func (t *sessionTalk) watch(ctx context.Context, resp *http.Response) error {
	if !t.quiet {
		interrupted, cancel := signal.NotifyContext(ctx, os.Interrupt)
		defer cancel()
		defer context.AfterFunc(interrupted, func() { t.ask(ctx, http.MethodPost, t.path("/stop"), nil, nil) })()
	}
	w := &watcher{talk: t}
	err := w.read(resp.Body)
	for tries := 0; errors.Is(err, errBrokenOff) && w.run != "" && tries < 3; tries++ {
		var again *http.Response
		if again, err = t.do(ctx, http.MethodGet, fmt.Sprintf("runs/%s/events?after=%d", url.PathEscape(w.run), w.last), nil); err != nil {
			break
		}
		err = w.read(again.Body)
	}
	if w.printer != nil {
		w.printer.end()
	}
	return err
}

var errBrokenOff = &userError{Message: "the server broke off its reply", Hint: "the talk has what there is of it; /wait shows the rest, if it goes on"}

// A watcher shows the events of runs.
type watcher struct {
	talk    *sessionTalk
	printer *printer
	run     string // which is watched
	last    int    // its last event
	next    string // the run behind it
	over    bool
}

// read shows the events of a stream until the last run in it is over.
func (w *watcher) read(body io.ReadCloser) error {
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, limits.BodyBytes.Int())
	var id int
	var kind string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		switch value = strings.TrimPrefix(value, " "); field {
		case "id":
			id, _ = strconv.Atoi(value)
		case "event":
			kind = value
		case "data":
			if err := w.show(id, session.EventKind(kind), []byte(value)); err != nil {
				return err
			}
		}
	}
	if w.over && w.next == "" {
		return nil
	}
	return errBrokenOff
}

// show shows one event.
func (w *watcher) show(id int, kind session.EventKind, data []byte) error {
	var e struct { // what the kinds have
		Run       string
		Author    session.Author
		Queue     int
		Done      int
		Total     int
		Text      string
		Reasoning string
		Next      string
		Revision  int64
		Message   json.RawMessage
		Error     *session.ReplyError
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return &userError{Message: w.talk.server.base + " sent something that is not JSON", Err: err}
	}
	t := w.talk
	if kind == session.EventStarted {
		w.run, w.last, w.next, w.over = e.Run, id, "", false
		w.printer = &printer{out: t.out, style: t.style, quiet: t.quiet, terminal: !t.quiet}
		if e.Author.Name != "" && !t.quiet {
			fmt.Fprint(t.out, t.style.bold(printable(e.Author.Name)+":")+" ")
			w.printer.open = true
		}
		return nil
	}
	if kind != session.EventProgress {
		w.last = id
	}
	p := w.printer
	if p == nil {
		return errBrokenOff
	}
	switch kind {
	case session.EventProgress:
		if !p.open { // else the line has a name on it
			p.print(chat.Waiting{Queue: e.Queue, Done: e.Done, Total: e.Total})
		}
	case session.EventText:
		p.print(chat.TextDelta{Text: e.Text})
	case session.EventReasoning:
		p.print(chat.ReasoningDelta{Text: e.Text})
	case session.EventSnapshot:
		p.print(chat.ReasoningDelta{Text: e.Reasoning})
		p.print(chat.TextDelta{Text: e.Text})
	case session.EventDone, session.EventError:
		w.over, w.next = true, e.Next
		var m session.Message
		if err := json.Unmarshal(e.Message, &m); err == nil && m.Reply != nil {
			p.print(chat.Done{Finish: m.Reply.Finish()})
			p.finish.Reason = m.Reply.Reason
		}
		if e.Error != nil {
			p.end()
			return &llm.Error{Code: e.Error.Code, Field: e.Error.Field, Message: e.Error.Message, Hint: e.Error.Hint}
		}
		for _, c := range m.ToolCalls {
			p.end()
			t.tell("calls %s", printable(c.Function.Name+" "+c.Function.Arguments))
		}
		if m.State == session.Stopped {
			p.end()
			t.tell("stopped")
		}
		t.ended(p)
	}
	return nil
}
