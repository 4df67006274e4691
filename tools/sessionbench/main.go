// Command sessionbench measures what sessions cost and that they are kept.
//
//	go run ./tools/sessionbench [-sessions 100000] [-messages 20000] [-parley ./parley] [-dir FOLDER] [curves] [turns] [prefix] [kills]
//
// It prints tables in Markdown. curves is how long it takes to list, open and
// page sessions and to add to them as their number and their length grow, in a
// store of sessions with two messages each and in one session, and to list,
// find, open and save characters as their number grows; everything is asked as
// a server asks it, "cold" is the first time since the server was started, and
// what is added is on the disk when it is done. turns is a turn of a session
// beside a completion whose client sends the whole talk. prefix is how much of
// the prompts of a chat of 200 turns came from the prefix cache. kills kills a
// server in the middle of writes and looks for what it had acknowledged.
// Without a name all four are measured.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
)

type options struct {
	sessions, messages int
	talks, turns       int
	kills              int
	parley             string
	dir                string
}

var parts = []struct {
	name string
	do   func(options) error
}{{"curves", curves}, {"turns", turns}, {"prefix", prefix}, {"kills", kills}}

func main() {
	var o options
	flag.IntVar(&o.sessions, "sessions", 100_000, "curves: how many sessions, and characters, at most")
	flag.IntVar(&o.messages, "messages", 20_000, "curves: how many messages of one session at most")
	flag.IntVar(&o.talks, "talks", 20, "turns: how many talks of 20 turns")
	flag.IntVar(&o.turns, "turns", 200, "prefix: turns of a chat")
	flag.IntVar(&o.kills, "kills", 50, "kills: how often")
	flag.StringVar(&o.parley, "parley", "./parley", "the program that turns and kills start")
	flag.StringVar(&o.dir, "dir", "", "where files are written; default: a folder for temporary files")
	flag.Parse()
	if err := measure(o, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func measure(o options, names []string) error {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, part := range parts {
		if len(names) > 0 && !wanted[part.name] {
			continue
		}
		delete(wanted, part.name)
		if err := apart(o, part.do); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Println()
	}
	for name := range wanted {
		return fmt.Errorf("there is no part %q", name)
	}
	return nil
}

// apart measures in a folder of its own.
func apart(o options, do func(options) error) (err error) {
	if o.dir, err = os.MkdirTemp(o.dir, "sessionbench"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	return do(o)
}
