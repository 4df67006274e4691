package process

import (
	"context"
	"net"
	"strconv"
	"sync"
)

// leased are the ports that were given to programs which may not listen yet.
var leased = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// lease finds a port that is free and that no other of our programs has been
// promised. Between now and the moment when the program listens on it somebody
// else may take it: then the start fails and is tried with another.
func lease() (int, error) {
	leased.Lock()
	defer leased.Unlock()
	var kept []net.Listener
	defer func() {
		for _, l := range kept {
			l.Close()
		}
	}()
	for {
		var lc net.ListenConfig
		l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		kept = append(kept, l) // so that the next try gets another
		port := l.Addr().(*net.TCPAddr).Port
		if !leased.ports[port] {
			leased.ports[port] = true
			return port, nil
		}
	}
}

func giveBack(port int) {
	leased.Lock()
	defer leased.Unlock()
	delete(leased.ports, port)
}

// taken reports whether somebody listens on a port of this machine.
func taken(port int) bool {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return true
	}
	l.Close()
	return false
}
