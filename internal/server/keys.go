package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"

	"parley/internal/openai"
)

// authorize refuses a request that has none of the keys, if there are any.
// Keys are compared by their digests, all of them, in the same time whatever
// was sent.
func (s *Server) authorize(r *http.Request) *openai.Problem {
	if len(s.keys) == 0 {
		return nil
	}
	sent, ok := sentKey(r)
	digest := sha256.Sum256([]byte(sent))
	match := 0
	for i := range s.keys {
		match |= subtle.ConstantTimeCompare(digest[:], s.keys[i][:])
	}
	if ok && match == 1 {
		return nil
	}
	message := "the API key is not one of this server's"
	if sent == "" {
		message = "this server wants an API key (send the header Authorization: Bearer KEY)"
	}
	return &openai.Problem{Status: http.StatusUnauthorized, Type: "authentication_error", Code: "invalid_api_key", Message: message}
}

// sentKey is the key of a request, from wherever clients put it. Two that
// differ are none.
func sentKey(r *http.Request) (key string, ok bool) {
	if scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(bearer)
	}
	other := r.Header.Get("X-Api-Key")
	if key != "" && other != "" && key != other {
		return key, false
	}
	if key == "" {
		key = other
	}
	return key, key != ""
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
	if len(s.keys) == 0 {
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
