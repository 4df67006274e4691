package enginetest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
)

// RetryAfter is the number of seconds that faults with a Retry-After tell.
const RetryAfter = 7

// Secret stands in what hostile answers say; it must not reach a client.
const Secret = "sk-do-not-show-this"

// faults are the ways to spoil an answer, by name.
var faults = map[string]func(*spoiled){
	// Silence.
	"never answers":        func(s *spoiled) { s.hold() },
	"silent after headers": func(s *spoiled) { s.head(200); s.hold() },
	"silent mid-stream":    func(s *spoiled) { s.head(200); s.half(); s.hold() },
	"stays open at the end": func(s *spoiled) {
		s.head(200)
		s.write(s.body)
		s.hold()
	},

	// Broken connections.
	"closes at once":         func(*spoiled) {},
	"resets at once":         (*spoiled).reset,
	"resets mid-stream":      func(s *spoiled) { s.head(200); s.half(); s.reset() },
	"ends before the finish": func(s *spoiled) { s.head(200); s.half() },
	"ends well before the finish": func(s *spoiled) { // as if it were all
		s.chunks()
		s.half()
		s.end()
	},
	"ends inside of a frame": func(s *spoiled) {
		s.chunks()
		s.half()
		frames := s.frames()
		next := frames[len(frames)/2]
		s.write(next[:len(next)/2])
		s.end()
	},
	"ends as if whole before the finish": func(s *spoiled) { // llama-cpp-python, when another request comes
		s.head(200)
		s.half()
		s.write([]byte("data: [DONE]\n\n"))
	},
	"ends behind the finish": func(s *spoiled) { // without the mark that ends the stream
		s.head(200)
		s.write(bytes.Split(s.body, []byte("data: [DONE]"))[0])
	},
	"closes without saying": func(s *spoiled) { // the next request on the connection fails
		s.start(200, fmt.Sprintf("Content-Length: %d", len(s.body)), nil)
		s.write(s.body)
	},

	// Form.
	"split at every byte": func(s *spoiled) {
		s.chunks()
		for i := range s.body {
			s.write(s.body[i : i+1])
		}
		s.end()
	},
	"CRLF": func(s *spoiled) {
		s.head(200)
		s.write(bytes.ReplaceAll(bytes.ReplaceAll(s.body, []byte("\r"), nil), []byte("\n"), []byte("\r\n")))
	},
	"CR": func(s *spoiled) { // events only: lines of JSON end in LF
		s.head(200)
		if _, lines := s.streamed(); lines {
			s.write(s.body)
			return
		}
		s.write(bytes.ReplaceAll(bytes.ReplaceAll(s.body, []byte("\r"), nil), []byte("\n"), []byte("\r")))
	},
	"BOM": func(s *spoiled) {
		s.head(200)
		s.write([]byte("\ufeff"))
		s.write(s.body)
	},
	"comments and other fields": func(s *spoiled) {
		s.head(200)
		for _, f := range s.frames() {
			if parts, lines := s.streamed(); parts && !lines {
				s.write([]byte(": ping\n\nid: 7\nretry: 10\nx-other: y\n"))
			}
			s.write(f)
		}
	},
	"data on several lines": func(s *spoiled) {
		s.head(200)
		if parts, lines := s.streamed(); lines || !parts {
			s.write(s.body)
			return
		}
		for _, f := range s.frames() {
			s.write(bytes.Replace(f, []byte("{"), []byte("{\ndata: "), 1))
		}
	},
	"wrong content type": func(s *spoiled) { s.head(200, "Content-Type: text/plain; charset=iso-8859-1"); s.write(s.body) },
	"gzip":               func(s *spoiled) { s.head(200, "Content-Encoding: gzip"); s.write(packed(s.body)) },
	"truncated gzip": func(s *spoiled) {
		s.head(200, "Content-Encoding: gzip")
		b := packed(s.body)
		s.write(b[:len(b)*2/3])
	},

	// Content.
	"garbage": func(s *spoiled) {
		s.head(200)
		s.half()
		s.write(s.event("\x00\x01{]\"not json"))
	},
	"garbage for a status": func(s *spoiled) { s.write([]byte("\x15\x03\x01\x00\x02\x02\x28")) },
	"HTML with 200": func(s *spoiled) {
		s.head(200, "Content-Type: text/html")
		s.write([]byte("<!doctype html><title>Sign in</title><body>Please sign in"))
	},
	"error instead of a stream": func(s *spoiled) {
		s.head(200, "Content-Type: application/json")
		s.write([]byte(`{"error":{"message":"CUDA out of memory","type":"server_error","code":500}}`))
	},
	"error mid-stream": func(s *spoiled) {
		s.head(200)
		if parts, _ := s.streamed(); parts {
			s.half()
		}
		s.write(s.event(`{"error":{"message":"CUDA out of memory","type":"server_error","code":500}}`))
	},
	"error field mid-stream": func(s *spoiled) { // llama.cpp until September 2025
		s.head(200)
		s.half()
		if _, lines := s.streamed(); lines {
			s.write([]byte(`{"error":"CUDA out of memory"}` + "\n"))
			return
		}
		s.write([]byte(`error: {"message":"CUDA out of memory","type":"server_error","code":500}` + "\n\n"))
	},
	"20 MiB line": func(s *spoiled) {
		s.head(200)
		s.write([]byte("data: {\"choices\":[{\"text\":\""))
		block := bytes.Repeat([]byte("a"), 1<<20)
		for range 20 {
			if s.write(block) != nil {
				return
			}
		}
		s.write([]byte("\"}]}\n\n"))
	},
	"invalid UTF-8": func(s *spoiled) { // a byte of a word that the script says
		s.head(200)
		s.write(bytes.Replace(s.body, []byte("always"), []byte("al\xffways"), 1))
	},
	"answers for another model": func(s *spoiled) {
		s.head(200)
		s.write(bytes.ReplaceAll(s.body, []byte(`"model":"`), []byte(`"model":"another-`)))
	},
	"empty": func(s *spoiled) { s.head(200) },
	"strange frames": func(s *spoiled) {
		s.head(200)
		frames := s.frames()
		parts, lines := s.streamed()
		for i, f := range frames {
			if i == len(frames)/2 && parts && !lines {
				for _, v := range []string{`{}`, `{"choices":[]}`, `{"choices":null}`, `{"choices":[{"index":0}]}`, `{"choices":[{"index":0,"delta":null}]}`,
					`{"choices":[{"index":0,"delta":{"role":"system"}}]}`, `{"choices":[{"index":0,"delta":{"content":null}}]}`, `{"usage":{"prompt_tokens":1}}`} {
					s.write(s.event(v))
				}
				s.write([]byte("event: execute\ndata: {\"code\":\"alert(1)\"}\n\n"))
			}
			s.write(f)
		}
		if parts && !lines && bytes.Contains(s.body, []byte("[DONE]")) {
			s.write([]byte("\n\ndata: [DONE]\n\ndata: [DONE]\n\n"))
		}
	},
	"numbers for text": func(s *spoiled) {
		s.head(200)
		s.half()
		s.write(s.event(`{"choices":[{"index":0,"delta":{"content":7},"text":7}],"content":7,"token":7,"response":7,"message":7,"type":7}`))
	},

	// Size.
	"flood": func(s *spoiled) {
		s.chunks()
		frames := s.frames()
		middle := frames[len(frames)/2]
		block := bytes.Repeat(middle, 1+(64<<10)/len(middle))
		for range 4096 { // 256 MiB
			if s.write(block) != nil {
				return
			}
		}
		s.write(frames[len(frames)-1])
		s.end()
	},
	"100 KB of headers": func(s *spoiled) {
		s.head(200, "X-Padding: "+strings.Repeat("h", 100<<10))
		s.write(s.body)
	},
	"hostile headers": func(s *spoiled) {
		s.head(200, "Set-Cookie: session="+Secret, "Access-Control-Allow-Origin: *", "Parley-Report: forged", "Connection: X-Secret", "X-Secret: "+Secret,
			"Content-Security-Policy: none", "Location: http://example.invalid/", "Refresh: 0; url=http://example.invalid/")
		s.write(s.body)
	},
	"redirect": func(s *spoiled) { s.head(307, "Location: http://localhost.invalid/stolen", "Content-Length: 0") },

	// Statuses.
	"400": refused(400), "401": refused(401), "403": refused(403), "404": refused(404), "413": refused(413), "422": refused(422),
	"429":                  refused(429, fmt.Sprint("Retry-After: ", RetryAfter)),
	"429 without a time":   refused(429),
	"500":                  refused(500),
	"502 of a proxy":       html(502),
	"503 loading":          loading,
	"503 with Retry-After": refused(503, fmt.Sprint("Retry-After: ", RetryAfter)),
	"504 of a proxy":       html(504),
}

func packed(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// refused answers with a status; its message repeats the key of the request, as
// some services do.
func refused(status int, headers ...string) func(*spoiled) {
	return func(s *spoiled) {
		key := Secret
		if auth := s.answer.Request.Header.Get("Authorization"); auth != "" {
			key = strings.TrimPrefix(auth, "Bearer ")
		}
		s.head(status, append(headers, "Content-Type: application/json")...)
		s.write(fmt.Appendf(nil, `{"error":{"message":"the request with the key %s was refused","type":"refused","code":%d}}`, key, status))
	}
}

func html(status int) func(*spoiled) {
	return func(s *spoiled) {
		s.head(status, "Content-Type: text/html")
		s.write(fmt.Appendf(nil, "<html><head><title>%d Bad Gateway</title></head><body>nginx</body></html>", status))
	}
}

func loading(s *spoiled) {
	s.head(503, "Content-Type: application/json")
	s.write([]byte(`{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`))
}
