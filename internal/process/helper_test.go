package process

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test's own binary is the program that is run: HELPER says what it does.
//
//	serve ADDRESS           answers /health with 200, and holds /hold for ever
//	slow ADDRESS            the same, but /health is 503 until /wake was asked for
//	deaf ADDRESS            serve that does not heed SIGTERM
//	tree ADDRESS OTHER      serve, with a child of its own at OTHER
//	exit CODE               prints two lines and ends
//	hang                    does nothing, for ever
//	parent ADDRESS OTHER    runs tree as a Process, says so, and does nothing
func TestMain(m *testing.M) {
	if what := os.Getenv("HELPER"); what != "" {
		help(what, os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func help(what string, args []string) {
	switch what {
	case "serve":
		serveHelp(args[0], true)
	case "slow":
		serveHelp(args[0], false)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		serveHelp(args[0], true)
	case "tree":
		c := exec.Command(os.Args[0], args[1])
		c.Env = append(os.Environ(), "HELPER=serve")
		if err := c.Start(); err != nil {
			panic(err)
		}
		serveHelp(args[0], true)
	case "exit":
		fmt.Println("model file is damaged\x1b[31m")
		fmt.Fprintln(os.Stderr, "cannot go on; key", cmp.Or(os.Getenv("PARLEY_API_KEY"), "unknown"))
		var code int
		fmt.Sscan(args[0], &code)
		os.Exit(code)
	case "hang":
		wait()
	case "parent":
		p := New(helper("tree", args...))
		p.o.URL, p.o.Health = "http://"+args[0], "/health"
		if _, err := p.Start(context.Background()); err != nil {
			panic(err)
		}
		fmt.Println("ready")
		wait()
	}
}

func serveHelp(address string, well bool) {
	awake := make(chan struct{})
	if well {
		close(awake)
	}
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-awake:
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/wake", func(http.ResponseWriter, *http.Request) { close(awake) })
	http.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("."))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	if err := http.ListenAndServe(address, nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// helper are the Options of this binary doing something.
func helper(what string, args ...string) Options {
	return Options{
		Name: what, Command: append([]string{os.Args[0]}, args...), Env: []string{"HELPER=" + what},
		Start: time.Minute, Health: "/health",
	}
}

// hold opens a connection that ends when whoever answers there ends.
func hold(t *testing.T, address string) (gone <-chan struct{}) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v", line, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := r.ReadByte(); err != nil {
				return
			}
		}
	}()
	return ended
}

// within waits for what must happen soon.
func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not happen", what)
	}
}

// freeAddress is one at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := lease()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { giveBack(port) })
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// wait waits until it is ended from outside. A select without cases would end
// a program that has nothing else to do.
func wait() { <-time.After(24 * time.Hour) }
