package process

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	firstPoll = 50 * time.Millisecond // between two looks, growing
	lastPoll  = 500 * time.Millisecond
	oneLook   = 5 * time.Second // some engines take a second to say that they are well
)

// poll looks again and again until it finds nothing wrong; when ctx ends, it
// gives what was wrong last.
func poll(ctx context.Context, look func(context.Context) error) error {
	wait := firstPoll
	for {
		one, cancel := context.WithTimeout(ctx, oneLook)
		err := look(one)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
		wait = min(wait*3/2, lastPoll)
	}
}

// lookers asks programs how they are: every time on a connection of its own,
// straight, and without following them elsewhere.
var lookers = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// healthy gives nil if the program at an address is ready.
func healthy(ctx context.Context, address, health string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if health == "tcp" {
		port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
		if err != nil {
			return fmt.Errorf("nothing listens at %s", u.Host)
		}
		return c.Close()
	}
	route := cmp.Or(health, "/health")
	u.Path = "/" + strings.TrimPrefix(route, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := lookers.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s did not answer in time", u)
		}
		return fmt.Errorf("nothing answers at %s", u)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case health == "" && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusUnauthorized):
		return nil // it serves, and has no such route
	}
	return fmt.Errorf("%s answers %s", u, resp.Status)
}
