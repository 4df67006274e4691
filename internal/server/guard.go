package server

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"parley/internal/openai"
)

// guard keeps out requests that a web page makes behind its reader's back.
//
// A page can reach a server on its reader's machine in two ways. It can have
// its own host name point there, so that the browser takes the server for the
// page's own (DNS rebinding): hence a host name must be one that nobody else
// can point anywhere. Or it can send a request across origins: hence its
// origin must be of this machine, of an app, or allowed.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Origin")
		if !s.hostAllowed(r.Host) {
			s.problem(w, r, wrongHost(printable(r.Host)))
			return
		}
		origin := r.Header.Get("Origin")
		if origin != "" {
			if !s.originAllowed(origin, r.Host) {
				s.problem(w, r, forbidden(fmt.Sprintf("web pages of %s may not use this server (start it with --allow-origin %s to allow it)",
					printable(origin), printable(origin))))
				return
			}
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "Parley-Report, X-Request-Id, Retry-After")
			if preflight(w, r) {
				return
			}
		} else if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			s.problem(w, r, forbidden("web pages of other sites may not use this server (start it with --allow-origin to allow one)"))
			return
		}
		if r.Method == http.MethodPost && fromBrowser(r) && !isJSON(r) {
			s.problem(w, r, openai.Problem{Status: http.StatusUnsupportedMediaType, Type: "invalid_request_error", Code: "unsupported_media_type",
				Message: "web pages must send Content-Type: application/json"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func wrongHost(host string) openai.Problem {
	if !plainName(hostname(host)) {
		return forbidden(fmt.Sprintf("requests must say in the header Host to which name or address they go, and %q is neither", host))
	}
	return forbidden(fmt.Sprintf("requests to the host name %q are not answered, since its owner could be somebody else (start the server with --allow-host %s to allow it)",
		host, hostname(host)))
}

func forbidden(message string) openai.Problem {
	return openai.Problem{Status: http.StatusForbidden, Type: "permission_error", Code: "forbidden", Message: message}
}

// preflight answers a browser's question whether a page may send a request.
func preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	if ask := r.Header.Get("Access-Control-Request-Headers"); ask != "" {
		h.Set("Access-Control-Allow-Headers", ask)
	}
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
	return true
}

func fromBrowser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
}

func isJSON(r *http.Request) bool {
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return t == "application/json"
}

// hostAllowed reports whether a host name is safe: an address, a name that no
// public name server answers for, or one that the operator allowed.
func (s *Server) hostAllowed(host string) bool {
	name := hostname(host)
	if isAddress(name) {
		return true
	}
	if !plainName(name) {
		return false
	}
	if !strings.Contains(name, ".") || loopback(name) || strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".internal") {
		return true
	}
	return slices.ContainsFunc(s.options.Hosts, func(allowed string) bool { return hostname(allowed) == name })
}

// hostname is a Host header without its port, in lower case and without the
// dot that may end a name.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// plainName reports whether name consists of what names consist of.
func plainName(name string) bool {
	for _, label := range strings.Split(name, ".") {
		if label == "" {
			return false
		}
		for _, c := range label {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

func loopback(name string) bool {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap().IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// appSchemes are origins of programs on the reader's machine: no page of the
// web can have them.
var appSchemes = []string{"app", "tauri", "vscode-webview"}

// originAllowed reports whether a page may ask: it is of this machine, of an
// app, of the very host that is asked, or the operator allowed it.
func (s *Server) originAllowed(origin, host string) bool {
	if slices.ContainsFunc(s.options.Origins, func(allowed string) bool {
		return strings.EqualFold(strings.TrimSuffix(allowed, "/"), origin)
	}) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if slices.Contains(appSchemes, u.Scheme) {
		return true
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return false
	}
	return loopback(hostname(u.Host)) || strings.EqualFold(u.Host, host)
}
