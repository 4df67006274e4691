package openai

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"parley/internal/limits"
	"parley/llm"
)

// Each body is read with as much as its limit allows, and refused by the
// limit's name with one more.
func TestBodiesAreReadUpToTheirLimits(t *testing.T) {
	numbered := func(format string, n int) string {
		return many(n, func(i int) string { return fmt.Sprintf(format, i) })
	}
	media := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, c := range []struct {
		limit *limits.Limit
		body  func(n int) string
	}{
		{limits.Fields, func(n int) string { return hi(numbered(`"f%d":null`, n-1)) }},
		{limits.Stops, func(n int) string { return hi(`"stop":[` + numbered(`"s%d"`, n) + `]`) }},
		{limits.Stops, func(n int) string { // in two spellings
			return hi(`"stop":[` + numbered(`"s%d"`, n/2) + `],"stopping_strings":[` + numbered(`"t%d"`, n-n/2) + `]`)
		}},
		{limits.StopBytes, func(n int) string { return hi(`"stop":"` + strings.Repeat("x", n) + `"`) }},
		{limits.StopsBytes, func(n int) string {
			const each = 1024
			return hi(`"stop":[` + numbered(`"%01024d"`, n/each) + `],"stop_sequence":"` + strings.Repeat("x", n%each) + `"`)
		}},
		{limits.KwargsBytes, func(n int) string {
			return hi(`"chat_template_kwargs":{"x":"` + strings.Repeat("x", n-len(`{"x":""}`)) + `"}`)
		}},
		{limits.MediaBytes, func(n int) string {
			return says(`{"role":"user","content":[{"type":"image_url","image_url":"data:image/png;base64,` + media(n) + `"}]}`)
		}},
		{limits.NameBytes, func(n int) string { return hi(`"model":"` + strings.Repeat("m", n) + `"`) }},
		{limits.Messages, func(n int) string {
			return `{"messages":[` + strings.TrimSuffix(strings.Repeat(`{"role":"user","content":""},`, n), ",") + `]}`
		}},
		{limits.JSONDepth, func(n int) string {
			return hi(`"metadata":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1))
		}},
	} {
		most := c.limit.Int()
		if _, err := ParseChat([]byte(c.body(most))); err != nil {
			t.Errorf("%s: as many as are allowed: %v", c.limit.Name, err)
		}
		_, err := ParseChat([]byte(c.body(most + 1)))
		if e := llm.AsError(err); e.Code != llm.Invalid || !strings.Contains(e.Message, c.limit.Name) {
			t.Errorf("%s: one more: %v, want an error that names the limit", c.limit.Name, err)
		}
	}
}

func TestAReportNamesSoManyIgnoredFieldsInShort(t *testing.T) {
	q, err := ParseChat([]byte(hi(many(100, func(i int) string { return fmt.Sprintf(`"f%02d":1`, i) }))))
	if err != nil {
		t.Fatal(err)
	}
	if want := limits.IgnoredFields.Int() + 1; len(q.Report) != want || q.Report[want-1].Value != "others" {
		t.Errorf("%d notes, want %d, the last of them for the others", len(q.Report), want)
	}
	for n, want := range map[int]string{
		limits.QuotedBytes.Int():     strings.Repeat("x", limits.QuotedBytes.Int()),
		limits.QuotedBytes.Int() + 1: strings.Repeat("x", limits.QuotedBytes.Int()) + "…",
	} {
		q, err := ParseChat([]byte(hi(`"` + strings.Repeat("x", n) + `":1`)))
		if err != nil || len(q.Report) != 1 || q.Report[0].Value != want {
			t.Errorf("a name of %d bytes: %v, %v", n, q.Report, err)
		}
	}
}
