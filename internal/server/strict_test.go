package server

import (
	"net/http"
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

func TestUnderStrictNoFieldIsIgnored(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"messages":[{"role":"user","content":"a"}],"temprature":1}`,
		"/v1/completions":      `{"prompt":"a","temprature":1}`,
		"/completion":          `{"prompt":"a","temprature":1}`,
		"/api/chat":            `{"model":"tiny","messages":[{"role":"user","content":"a"}],"temprature":1,"stream":false}`,
		"/v1/messages":         `{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"a"}],"temprature":1}`,
		"/api/v1/generate":     `{"prompt":"a","temprature":1}`,
		"/v1/responses":        `{"input":"a","temprature":1}`,
	} {
		for _, strict := range []bool{false, true} {
			s := New(one("tiny", chat.Script(chat.TextDelta{Text: "x"}), llm.Script("x")), Options{Strict: strict})
			rec := serve(s, "POST", path, body)
			switch {
			case strict && (rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "temprature")):
				t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
			case !strict && (rec.Code != http.StatusOK || !strings.Contains(rec.Header().Get("Parley-Report"), "ignored=temprature")):
				t.Errorf("%s, not strict: %d %s %s", path, rec.Code, rec.Header().Get("Parley-Report"), rec.Body)
			}
			if rec := serve(s, "POST", path, strings.Replace(body, `,"temprature":1`, "", 1)); rec.Code != http.StatusOK {
				t.Errorf("%s without it: %d %s", path, rec.Code, rec.Body)
			}
		}
	}
}
