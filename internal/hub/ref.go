// Package hub fetches models from Hugging Face's hub, or a server of its shape.
//
// Its contract: a file has its own name only when all of it is there and its
// SHA-256 is what the hub says; what has come of it so far lies beside it, and
// the next attempt goes on from there. The token goes to the hub alone, not to
// the servers that it leads to. Nothing that the hub says leads out of the
// folder that files are kept in.
package hub

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// A Ref is what a person calls a model on the hub.
type Ref struct {
	Owner, Repo string
	Revision    string // a branch, a tag or a commit; "main" if none was given
	Want        string // a quantisation as Q4_K_M, or a file's name; "" for the usual choice
}

// String is the reference in its short form.
func (r Ref) String() string {
	s := r.Owner + "/" + r.Repo
	if r.Revision != "main" {
		s += "@" + r.Revision
	}
	if r.Want != "" {
		s += ":" + r.Want
	}
	return s
}

// word is what owners, repositories, revisions and quantisations are made of.
var word = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// ParseRef reads OWNER/REPO, OWNER/REPO:QUANT, OWNER/REPO:FILE.gguf, each also
// with @REVISION after the repository, after hf.co/ or huggingface.co/, and the
// addresses of a repository's page and of its files' pages. The error is an
// *llm.Error.
func ParseRef(s string) (Ref, error) {
	wrong := func(why string) (Ref, error) {
		return Ref{}, &llm.Error{Code: llm.Invalid, Field: "model", Message: fmt.Sprintf("%q is no model of a hub: %s", clip(s), why),
			Hint: "write OWNER/REPO or OWNER/REPO:QUANT, for example bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M"}
	}
	if err := limits.NameBytes.CheckInt(len(s)); err != nil {
		return wrong(err.Error())
	}
	rest := s
	if _, after, ok := strings.Cut(rest, "://"); ok {
		rest = after
	}
	for _, host := range []string{"hf.co/", "huggingface.co/", "www.huggingface.co/"} {
		rest = strings.TrimPrefix(rest, host)
	}
	rest, _, _ = strings.Cut(rest, "?")
	r := Ref{Revision: "main"}
	rest, r.Want, _ = strings.Cut(strings.TrimSuffix(rest, "/"), ":")
	path := strings.Split(rest, "/")
	if len(path) >= 4 && (path[2] == "blob" || path[2] == "resolve" || path[2] == "tree") {
		r.Revision = path[3]
		if len(path) > 4 {
			file, err := url.PathUnescape(strings.Join(path[4:], "/"))
			if err != nil || r.Want != "" {
				return wrong("its address cannot be read")
			}
			r.Want = file
		}
		path = path[:2]
	}
	if len(path) != 2 {
		return wrong("it must have an owner and a repository")
	}
	r.Owner, r.Repo = path[0], path[1]
	if repo, revision, ok := strings.Cut(r.Repo, "@"); ok {
		r.Repo, r.Revision = repo, revision
	}
	for _, part := range []string{r.Owner, r.Repo, r.Revision} {
		if !word.MatchString(part) {
			return wrong(fmt.Sprintf("%q is no name", clip(part)))
		}
	}
	return r, nil
}

// clip is a text short enough for a sentence.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
