// Command bot is a bot in a channel with many people. The server keeps who it
// is and what was said; the bot carries messages to and fro.
//
//	go run ./examples/bot CHARACTER [URL]
//
// Lines of standard input are the channel: "Ann: hello" is Ann's message, and
// one that names the bot is answered. !again, !more and !undo are commands.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// A Message is what somebody says in a channel.
type Message struct{ AuthorID, Author, Text string }

// A Channel is where people talk. One of Discord has the same two methods.
type Channel interface {
	Next() (Message, error) // waits for one; io.EOF is the end
	Say(text string) error
}

// Loopback is a channel that is a terminal.
type Loopback struct {
	in  *bufio.Scanner
	out io.Writer
}

// Next reads a line.
func (l Loopback) Next() (Message, error) {
	for l.in.Scan() {
		if name, text, ok := strings.Cut(l.in.Text(), ": "); ok && name != "" && text != "" {
			return Message{strings.ToLower(name), name, text}, nil
		}
	}
	return Message{}, cmp.Or(l.in.Err(), io.EOF)
}

// Say writes a line.
func (l Loopback) Say(text string) error {
	_, err := fmt.Fprintln(l.out, text)
	return err
}

// A Talk is one that the server keeps.
type Talk struct {
	url  string
	Name string // of the character
}

type object = map[string]any

// ask posts to a path of the API and reads the answer.
func ask(url string, body, to any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	answer, err := http.Post(url, "application/json", bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 400 {
		var problem struct{ Detail string }
		err := json.NewDecoder(answer.Body).Decode(&problem)
		return cmp.Or(err, errors.New(problem.Detail))
	}
	return json.NewDecoder(answer.Body).Decode(to)
}

// Begin begins a talk, or finds the one there is, and gives its last message.
func Begin(base, id, character string) (Talk, string, error) {
	var x struct {
		Title    string
		Messages []struct{ Text string }
	}
	base = strings.TrimRight(base, "/") + "/parley/v1/sessions"
	err := ask(base, object{"external_id": id, "character": character, "params": object{"max_tokens": 200}}, &x)
	last := ""
	if n := len(x.Messages); n > 0 {
		last = x.Messages[n-1].Text
	}
	return Talk{base + "/@" + url.PathEscape(id), x.Title}, last, err
}

// Do has the character answer, regenerate or continue: what it says then.
func (t Talk) Do(what string) (string, error) {
	var x struct{ Message struct{ Text string } }
	err := ask(t.url+"/"+what, object{}, &x)
	return x.Message.Text, err
}

// Take does what a message asks for; "" is no reply.
func (t Talk) Take(m Message) (string, error) {
	switch m.Text {
	case "!again":
		return t.Do("regenerate")
	case "!more":
		return t.Do("continue")
	case "!undo":
		return "", ask(t.url+"/undo", object{"count": 1}, &object{})
	}
	err := ask(t.url+"/send", object{"author": object{"id": m.AuthorID, "name": m.Author}, "text": m.Text, "reply": false}, &object{})
	if err != nil || !strings.Contains(strings.ToLower(m.Text), strings.ToLower(t.Name)) {
		return "", err
	}
	return t.Do("answer")
}

func run(c Channel, server, character string) error {
	talk, text, err := Begin(server, "channel of "+character, character)
	for err == nil {
		if text != "" {
			err = c.Say(text)
		}
		m, end := c.Next()
		if end == io.EOF {
			return err
		}
		if err = cmp.Or(err, end); err == nil {
			if text, err = talk.Take(m); err != nil {
				text, err = "("+err.Error()+")", nil
			}
		}
	}
	return err
}

func main() {
	args := append(os.Args[1:], "http://127.0.0.1:7275")
	if len(args) < 2 {
		log.Fatal("usage: bot CHARACTER [URL]")
	}
	if err := run(Loopback{bufio.NewScanner(os.Stdin), os.Stdout}, args[1], args[0]); err != nil {
		log.Fatal(err)
	}
}
