package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"parley/internal/demo"
)

var update = flag.Bool("update", false, "rewrite what the scripts expect")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"parley": main})
}

// TestScripts runs testdata/script/*.txtar. Besides testscript's own commands
// there are:
//
//	serve [ARG …]              parley serve on a free port, whose address is $URL
//	end                        ends the server as a terminal does; its log is then
//	                           stderr. (testscript has a stop of its own, which
//	                           ends the script.)
//	crash                      ends the server as kill -9 does
//	exits CODE COMMAND …       exec of a command that must exit with the code
//	logged PATTERN             waits until the server's log has a line like that
//	request METHOD PATH [FILE] to $URL; the body is then stdout. Fails for a
//	                           status of 400 and more
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// The scripts see no settings and no files of whoever runs them.
			e.Values[servedKey{}] = &served{}
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			vocabularies, err := filepath.Abs(filepath.Join("..", "..", "internal", "vocab", "testdata"))
			if err != nil {
				return err
			}
			e.Setenv("VOCABULARIES", vocabularies)
			if err := writeExamples(filepath.Join(e.WorkDir, "doc.sh")); err != nil {
				return err
			}
			e.Setenv("PARLEY_DISCOVER", "false")
			e.Setenv("OLLAMA_MODELS", filepath.Join(e.WorkDir, "ollama"))
			e.Setenv("PARLEY_LLAMA_SERVER", "no-such-llama-server")
			for _, name := range []string{"whole.gguf", "truncated.gguf", "unknown-architecture.gguf"} {
				if err := writeBroken(filepath.Join(e.WorkDir, name), name); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   scriptExits,
			"serve":   scriptServe,
			"end":     scriptEnd,
			"crash":   scriptCrash,
			"logged":  scriptLogged,
			"request": scriptRequest,
		},
	})
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND …")
	}
	err := ts.Exec(args[1], args[2:]...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("exit code %v, want %s", err, args[0])
	}
}

// A served is the server of a script.
type served struct {
	cmd   *exec.Cmd
	log   *serverLog
	ended chan struct{} // closed when the log has ended
}

// A serverLog is what a server has logged so far.
type serverLog struct {
	mu   sync.Mutex
	more *sync.Cond
	text strings.Builder
	over bool
}

func newServerLog() *serverLog {
	l := &serverLog{}
	l.more = sync.NewCond(&l.mu)
	return l
}

func (l *serverLog) add(line string, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line)
	l.over = over
	l.more.Broadcast()
}

// await waits for a line, and reports whether it came before the log's end.
func (l *serverLog) await(line *regexp.Regexp) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !line.MatchString(l.text.String()) {
		if l.over {
			return false
		}
		l.more.Wait()
	}
	return true
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type servedKey struct{}

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("use exec for a server that does not start")
	}
	s := &served{log: newServerLog(), ended: make(chan struct{})}
	program := filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "parley")
	s.cmd = exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Dir = ts.MkAbs(".")
	s.cmd.Env = []string{
		"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "XDG_CONFIG_HOME=" + ts.Getenv("XDG_CONFIG_HOME"), "PARLEY_LLAMA_SERVER=" + ts.Getenv("PARLEY_LLAMA_SERVER"),
		"PARLEY_DISCOVER=" + ts.Getenv("PARLEY_DISCOVER"), "OLLAMA_MODELS=" + ts.Getenv("OLLAMA_MODELS"),
	}
	stderr, err := s.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	url := make(chan string, 1)
	go func() {
		defer close(s.ended)
		defer close(url)
		defer s.log.add("", true)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.log.add(lines.Text()+"\n", false)
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case url <- m[1]:
				default:
				}
			}
		}
	}()
	ts.Defer(func() {
		s.cmd.Process.Kill()
		<-s.ended
		s.cmd.Wait()
	})
	address, ok := <-url
	if !ok {
		<-s.ended
		ts.Fatalf("the server ended:\n%s", s.log.String())
	}
	ts.Setenv("URL", address)
	ts.Setenv("ADDRESS", strings.TrimPrefix(address, "http://"))
	*ts.Value(servedKey{}).(*served) = *s
}

func scriptEnd(ts *testscript.TestScript, neg bool, _ []string) {
	s := ts.Value(servedKey{}).(*served)
	if neg || s.cmd == nil {
		ts.Fatalf("no server was started")
	}
	ts.Check(s.cmd.Process.Signal(os.Interrupt))
	<-s.ended
	if err := s.cmd.Wait(); err != nil {
		ts.Fatalf("the server ended with %v:\n%s", err, s.log.String())
	}
	io.WriteString(ts.Stderr(), s.log.String())
}

func scriptCrash(ts *testscript.TestScript, neg bool, _ []string) {
	s := ts.Value(servedKey{}).(*served)
	if neg || s.cmd == nil {
		ts.Fatalf("no server was started")
	}
	ts.Check(s.cmd.Process.Kill())
	<-s.ended
	s.cmd.Wait()
}

// writeExamples writes the commands of docs/sessions.md, for the server at
// $URL.
func writeExamples(path string) error {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "sessions.md"))
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, part := range strings.Split(string(doc), "```sh\n")[1:] {
		commands, _, _ := strings.Cut(part, "```")
		b.WriteString(strings.ReplaceAll(commands, "http://127.0.0.1:7275", "$URL"))
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func scriptLogged(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(servedKey{}).(*served)
	if neg || len(args) != 1 || s.cmd == nil {
		ts.Fatalf("usage: logged PATTERN, of a server that was started")
	}
	if !s.log.await(regexp.MustCompile(args[0])) {
		ts.Fatalf("the server ended without logging that:\n%s", s.log)
	}
}

func scriptRequest(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: request METHOD PATH [FILE]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var body io.Reader
	if len(args) > 2 {
		body = strings.NewReader(ts.ReadFile(args[2]))
	}
	req, err := http.NewRequestWithContext(ctx, args[0], ts.Getenv("URL")+args[1], body)
	ts.Check(err)
	if key := ts.Getenv("KEY"); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if failed := resp.StatusCode >= 400; failed != neg {
		ts.Fatalf("%s %s: %s", args[0], args[1], resp.Status)
	}
}

// writeBroken makes a model file with a fault out of the built-in one.
func writeBroken(path, fault string) error {
	data := slices.Clone(demo.Model())
	switch fault {
	case "truncated.gguf":
		data = data[:len(data)-1000]
	case "unknown-architecture.gguf":
		// The first value of an architecture's name, a string of five letters.
		i := bytes.Index(data, []byte("llama"))
		copy(data[i:], "novel")
	}
	return os.WriteFile(path, data, 0o644)
}
