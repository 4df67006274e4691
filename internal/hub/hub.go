package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"parley/internal/limits"
	"parley/llm"
)

// Endpoint is the hub that is asked where no other is named.
const Endpoint = "https://huggingface.co"

// Options say which hub is asked, and as whom.
type Options struct {
	Endpoint string // "": Endpoint
	Token    string // "": none
	Agent    string // the User-Agent; "": Go's
}

// A Client asks one hub. It is safe for concurrent use.
type Client struct {
	endpoint *url.URL
	token    string
	agent    string
	http     *http.Client
	wait     func(ctx context.Context, d time.Duration) error // between attempts
	stall    time.Duration                                    // without a byte, a transfer is given up
}

// New makes a client. The error is an *llm.Error that names the address.
func New(o Options) (*Client, error) {
	if o.Endpoint == "" {
		o.Endpoint = Endpoint
	}
	u, err := url.Parse(strings.TrimSuffix(o.Endpoint, "/"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
		return nil, &llm.Error{Code: llm.Invalid, Field: "HF_ENDPOINT", Message: fmt.Sprintf("%q is no address of a hub", clip(o.Endpoint)), Hint: "write it as " + Endpoint}
	}
	c := &Client{endpoint: u, token: o.Token, agent: o.Agent, wait: pause, stall: time.Minute}
	c.http = &http.Client{CheckRedirect: c.redirect}
	return c, nil
}

// FromEnvironment are the options that Hugging Face's own programs take from
// the environment: HF_ENDPOINT, HF_TOKEN, and the token that `hf auth login`
// keeps in HF_TOKEN_PATH, HF_HOME/token or ~/.cache/huggingface/token.
func FromEnvironment(getenv func(string) string, home string) Options {
	o := Options{Endpoint: getenv("HF_ENDPOINT"), Token: getenv("HF_TOKEN")}
	if o.Token == "" && getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN") == "" {
		path := getenv("HF_TOKEN_PATH")
		if dir := getenv("HF_HOME"); path == "" && dir != "" {
			path = filepath.Join(dir, "token")
		}
		if path == "" && home != "" {
			path = filepath.Join(home, ".cache", "huggingface", "token")
		}
		if path != "" {
			if data, err := os.ReadFile(path); err == nil && limits.HubTokenBytes.CheckInt(len(data)) == nil {
				o.Token = string(data)
			}
		}
	}
	o.Token = strings.TrimSpace(o.Token)
	return o
}

// redirect follows the hub to where its files lie, without the token if that is
// another server, and never from a protected connection to an open one.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("the hub leads in a circle")
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("the hub leads to %s, which is not protected", req.URL.Host)
	}
	if req.URL.Scheme != c.endpoint.Scheme || req.URL.Host != c.endpoint.Host {
		req.Header.Del("Authorization")
	}
	req.Header.Del("Referer") // its query may be a key
	return nil
}

func (c *Client) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	if c.token != "" && req.URL.Scheme == c.endpoint.Scheme && req.URL.Host == c.endpoint.Host {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(req)
}

// Find asks the hub for a model: the commit that its revision is now, and the
// files. The error is an *llm.Error: NotFound with what there is instead,
// Forbidden where the hub wants a token, Unavailable where it does not answer.
func (c *Client) Find(ctx context.Context, ref Ref) (commit string, m *Model, err error) {
	var info struct {
		SHA string `json:"sha"`
	}
	base := c.endpoint.String() + "/api/models/" + ref.Owner + "/" + ref.Repo
	if _, err := c.json(ctx, ref, base+"/revision/"+ref.Revision, &info); err != nil {
		return "", nil, err
	}
	if !commitID.MatchString(info.SHA) {
		return "", nil, &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("%s does not answer as a hub: the revision has no commit", c.endpoint.Host)}
	}
	var files []File
	for next := base + "/tree/" + info.SHA + "?recursive=true"; next != ""; {
		var page []struct {
			Type string
			Path string
			Size int64
			LFS  *struct {
				OID  string
				Size int64
			}
		}
		header, err := c.json(ctx, ref, next, &page)
		if err != nil {
			return "", nil, err
		}
		for _, e := range page {
			// A model that is not in large file storage has no SHA-256: it is the
			// pointer to one, or an example.
			if e.Type == "file" && e.LFS != nil && sha256Hex.MatchString(e.LFS.OID) && e.LFS.Size >= 0 {
				files = append(files, File{e.Path, e.LFS.Size, e.LFS.OID})
			}
		}
		if err := limits.HubFiles.CheckInt(len(files)); err != nil {
			return "", nil, &llm.Error{Code: llm.Invalid, Field: "model", Message: fmt.Sprintf("%s: %v", ref, err)}
		}
		if next, err = c.nextPage(header.Get("Link")); err != nil {
			return "", nil, err
		}
	}
	m, err = choose(ref, models(files))
	return info.SHA, m, err
}

var (
	commitID  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)
	nextLink  = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="next"`)
)

// nextPage is the address of the next page of a list; "" after the last one.
func (c *Client) nextPage(link string) (string, error) {
	m := nextLink.FindStringSubmatch(link)
	if m == nil {
		return "", nil
	}
	u, err := c.endpoint.Parse(m[1])
	if err != nil || u.Host != c.endpoint.Host && u.Hostname() != "huggingface.co" {
		return "", &llm.Error{Code: llm.Broken, Message: "the hub leads to another server for the rest of its list"}
	}
	u.Scheme, u.Host = c.endpoint.Scheme, c.endpoint.Host // mirrors hand on the hub's own
	return u.String(), nil
}

// json gets a value, in as many attempts as it takes.
func (c *Client) json(ctx context.Context, ref Ref, address string, value any) (header http.Header, err error) {
	err = c.persist(ctx, func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, c.stall)
		defer cancel()
		resp, err := c.get(ctx, address, nil)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, c.refused(ref, resp)
		}
		body := http.MaxBytesReader(nil, resp.Body, limits.HubListBytes.Int64())
		data, err := io.ReadAll(body)
		if err != nil {
			return false, err
		}
		if json.Unmarshal(data, value) != nil {
			return false, &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("%s does not answer as a hub does", c.endpoint.Host)}
		}
		header = resp.Header
		return true, nil
	})
	return header, err
}

// refused is what a status says.
func (c *Client) refused(ref Ref, resp *http.Response) error {
	repo := ref.Owner + "/" + ref.Repo
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e := &llm.Error{Code: llm.Forbidden, Field: "model", Message: fmt.Sprintf("the hub does not give %s to you", repo),
			Hint: "if it exists, accept its terms on its page"}
		if c.token == "" {
			e.Hint = "if it exists, it is private or its terms must be accepted: set HF_TOKEN to a token of yours that may read it"
		}
		return e
	case code == http.StatusNotFound:
		return &llm.Error{Code: llm.NotFound, Field: "model", Message: fmt.Sprintf("the hub has no %s at %s", repo, ref.Revision), Hint: "look for its exact name on the hub's page"}
	case code == http.StatusTooManyRequests || code >= 500:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &again{after: time.Duration(min(max(after, 0), 300)) * time.Second, err: fmt.Errorf("the hub answers %s", resp.Status)}
	default:
		return &llm.Error{Code: llm.Broken, Message: fmt.Sprintf("the hub answers %s", resp.Status)}
	}
}

// again is an error after which another attempt may do better.
type again struct {
	after time.Duration
	err   error
}

func (a *again) Error() string { return a.err.Error() }
func (a *again) Unwrap() error { return a.err }

// attempts is how often something is tried that does not get on.
const attempts = 6

// persist tries something until it is done, or has failed for good, or has not
// got on in a number of attempts. try says whether it got on.
func (c *Client) persist(ctx context.Context, try func() (gotOn bool, err error)) error {
	for failed := 1; ; failed++ {
		gotOn, err := try()
		if err == nil {
			return nil
		}
		if e, ok := errors.AsType[*llm.Error](err); ok {
			return e
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if gotOn {
			failed = 1
		}
		if failed >= attempts {
			return &llm.Error{Code: llm.Unavailable, Message: fmt.Sprintf("%s cannot be reached, or does not send what it has", c.endpoint.Host),
				Hint: "try again later: what has come is kept. A mirror can be named in HF_ENDPOINT", Err: err}
		}
		delay := time.Second << (failed - 1)
		if a, ok := errors.AsType[*again](err); ok {
			delay = max(delay, a.after)
		}
		if err := c.wait(ctx, delay); err != nil {
			return err
		}
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
