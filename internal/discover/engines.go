package discover

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"parley/internal/limits"
)

// Ports are those on which engines usually are: Ollama, llama.cpp, KoboldCpp,
// text-generation-webui, LM Studio, and vLLM and many others.
var Ports = []int{11434, 8080, 5001, 5000, 1234, 8000}

// An Engine is a server that runs models, on this machine.
type Engine struct {
	URL     string
	Kind    string   // "ollama"
	Title   string   // "Ollama"
	Version string   // or ""
	Models  []string // under its own names; none if it does not tell
}

// Says is a sentence about the engine.
func (e *Engine) Says() string {
	s := fmt.Sprintf("%s at %s", strings.TrimSpace(e.Title+" "+e.Version), e.URL)
	switch n := len(e.Models); {
	case e.Kind == parley:
		return s + ": another server of this kind, left alone"
	case n == 0:
		return s + ", which names no models"
	case n == 1:
		return s + ", with " + e.Models[0]
	case n <= 3:
		return s + ", with " + strings.Join(e.Models, ", ")
	default:
		return fmt.Sprintf("%s, with %s and %d more", s, strings.Join(e.Models[:3], ", "), n-3)
	}
}

const parley = "parley"

// Serves reports whether the engine has models to serve: another Parley would
// serve them itself.
func (e *Engine) Serves() bool { return e.Kind != parley && len(e.Models) > 0 }

// A Prober says which engine listens at an address. An error means that none
// does that is known.
type Prober func(ctx context.Context, url string) (Engine, error)

// Engines looks, at all ports at once, for engines on this machine's loopback
// address. ours are ports on which this program listens itself: they are left
// out. The engines come in the order of the ports.
func Engines(ctx context.Context, ports, ours []int, probe Prober) []Engine {
	ports = slices.DeleteFunc(slices.Clone(ports), func(p int) bool { return slices.Contains(ours, p) })
	ports = ports[:min(len(ports), limits.ProbedPorts.Int())]
	ctx, cancel := context.WithTimeout(ctx, time.Duration(limits.ProbeMillis.Max)*time.Millisecond)
	defer cancel()
	found := make([]*Engine, len(ports))
	var probes sync.WaitGroup
	for i, port := range ports {
		probes.Go(func() {
			address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				return // nothing is there
			}
			conn.Close()
			e, err := probe(ctx, "http://"+address)
			if err != nil {
				return
			}
			e.URL = "http://" + address
			found[i] = &e
		})
	}
	probes.Wait()
	var engines []Engine
	for _, e := range found {
		if e != nil {
			engines = append(engines, *e)
		}
	}
	return engines
}
