package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"parley/internal/apikey"
	"parley/internal/openai"
)

// SetKeys has requests need one of these keys from now on. With none, every
// request is refused: a server that asks for keys never stops to.
func (s *Server) SetKeys(keys []apikey.Key) { s.keys.Store(&keys) }

// authorize refuses a request that has none of the keys, or one that is good
// for nothing of what is needed. The key is nil where none is asked for or
// needed.
func (s *Server) authorize(r *http.Request, need apikey.Scope) (*apikey.Key, *openai.Problem) {
	keys := s.keys.Load()
	if keys == nil || need == forAnyone {
		return nil, nil
	}
	sent, ok := sentKey(r)
	key, known := apikey.Find(*keys, sent)
	switch {
	case sent == "" && ok:
		return nil, notKnown("this server wants an API key (send the header Authorization: Bearer KEY)")
	case !ok:
		return nil, notKnown("the request has two API keys that differ (send one)")
	case !known:
		return nil, notKnown("the API key is not one of this server's")
	case key.Scopes&need == 0:
		return nil, new(tooNarrow(key.Scopes, need))
	}
	return &key, nil
}

// tooNarrow is a key that is good for other things.
func tooNarrow(have, need apikey.Scope) openai.Problem {
	return forbidden(fmt.Sprintf("this API key is for %s, and this needs one for %s (parley key new --scopes %s makes one)", have, need, need))
}

// mayAlso refuses what only some requests of a route do, where the key is not
// good for it.
func mayAlso(w http.ResponseWriter, need apikey.Scope) error {
	if rec, ok := w.(*recorder); ok && rec.key != nil && rec.key.Scopes&need == 0 {
		return new(refusal(tooNarrow(rec.key.Scopes, need)))
	}
	return nil
}

func notKnown(message string) *openai.Problem {
	return &openai.Problem{Status: http.StatusUnauthorized, Type: "authentication_error", Code: "invalid_api_key", Message: message}
}

// sentKey is the key of a request, from wherever clients put it, or "". It is
// not ok to send two that differ. What stands in an address is no key:
// addresses are logged by everybody on the way.
func sentKey(r *http.Request) (key string, ok bool) {
	var sent []string
	for _, v := range r.Header.Values("Authorization") {
		scheme, rest, _ := strings.Cut(v, " ")
		if strings.EqualFold(scheme, "Bearer") {
			sent = append(sent, rest)
		}
	}
	if _, password, basic := r.BasicAuth(); basic {
		sent = append(sent, password) // of those whose client can only send names and passwords
	}
	sent = append(sent, r.Header.Values("X-Api-Key")...)
	sent = append(sent, r.Header.Values("Api-Key")...)
	for _, k := range sent {
		k = strings.TrimSpace(k)
		if k != "" && key != "" && k != key {
			return key, false
		}
		if k != "" {
			key = k
		}
	}
	return key, true
}

// cacheScope keeps the prompt caches of different keys apart, if wanted.
func (s *Server) cacheScope(r *http.Request) string {
	if !s.options.IsolateCache {
		return ""
	}
	key, _ := sentKey(r)
	return digestOf(key)
}

// keyScope keeps what is kept for different keys apart, where there are keys.
func (s *Server) keyScope(r *http.Request) string {
	if s.keys.Load() == nil {
		return ""
	}
	key, _ := sentKey(r)
	return digestOf(key)
}

func digestOf(key string) string {
	if key == "" {
		return ""
	}
	digest := sha256.Sum256([]byte(key))
	return hex.EncodeToString(digest[:])
}
