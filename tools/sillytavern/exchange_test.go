//go:build clients

package sillytavern

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const ownSessions = own + "/parley/v1/sessions"

// chats has Parley's exported chats opened by the page: of one character, and
// of a group.
func chats(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []string{"Ada", "Bob"} {
		at := own + "/parley/v1/characters/" + c
		exchange(t, http.MethodPut, at+"?file=c.yaml", "name: "+c+"\ngreeting: I am "+c+".\n")
		save(t, filepath.Join(dir, c+".png"), at+"/export")
	}
	files := map[string]string{}
	for file, body := range map[string]string{
		"single.jsonl": `{"external_id": "single.jsonl", "character": "Ada", "user": "Ann", "params": {"max_tokens": 20}}`,
		"group.jsonl":  `{"external_id": "group.jsonl", "characters": ["Ada", "Bob"], "user": "Ann", "params": {"max_tokens": 20}}`,
	} {
		exchange(t, http.MethodPost, own+"/parley/v1/sessions", body)
		at := own + "/parley/v1/sessions/@" + file
		exchange(t, http.MethodPost, at+"/send", `{"text": "Who are you, Bob?"}`)
		exchange(t, http.MethodPost, at+"/regenerate", `{"params": {"max_tokens": 20, "temperature": 2, "seed": 7}}`)
		files[file] = save(t, filepath.Join(dir, file), at+"/export?as=sillytavern")
	}
	cmd := exec.Command("node", filepath.Join(need(t, "PARLEY_SILLYTAVERN"), "chats.mjs"), tavern, dir)
	complaint := &output{}
	cmd.Stderr = complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, complaint.tail())
	}
	shown := read[map[string]opened](t, string(out))
	for file, written := range files {
		t.Run(file, func(t *testing.T) { opens(t, written, shown[file]) })
	}
}

// opens compares what the page made of a chat with what stands in the file.
func opens(t *testing.T, file string, got opened) {
	var want []message
	for line := range strings.Lines(file) {
		m := read[struct {
			Name    string
			User    bool `json:"is_user"`
			Mes     *string
			Swipes  []string
			SwipeID int    `json:"swipe_id"`
			By      string `json:"original_avatar"`
		}](t, line)
		if m.Mes != nil {
			want = append(want, message{m.Name, m.User, *m.Mes, m.Swipes, m.SwipeID, m.By})
		}
	}
	if len(want) < 3 || len(got.Chat) != len(want) || len(got.Shown) != len(want) {
		t.Fatalf("the page has %d messages and shows %d of %d: %+v", len(got.Chat), len(got.Shown), len(want), got)
	}
	for i, m := range want {
		g := got.Chat[i]
		if g.Name != m.Name || g.User != m.User || g.Text != m.Text || g.By != m.By || len(m.Swipes) > 0 && (!slices.Equal(g.Swipes, m.Swipes) || g.At != m.At) {
			t.Errorf("message %d: the page has %+v, want %+v", i, g, m)
		}
	}
	last := want[len(want)-1]
	if len(last.Swipes) != 2 || last.At != 1 || got.Swiped != last.Swipes[0] {
		t.Errorf("swiped back, the page has %q; there are %q", got.Swiped, last.Swipes)
	}
}

// exchange sends a body to a route of Parley's.
func exchange(t *testing.T, method, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: %s, %v\n%s", url, resp.Status, err, answer)
	}
	return string(answer)
}

// save keeps what a route of Parley's answers.
func save(t *testing.T, file, url string) string {
	t.Helper()
	answer := exchange(t, http.MethodGet, url, "")
	if err := os.WriteFile(file, []byte(answer), 0o600); err != nil {
		t.Fatal(err)
	}
	return answer
}

// opened is what the page made of a chat.
type opened struct {
	Chat   []message
	Shown  []string
	Swiped string // what the last message says after a swipe
}

type message struct {
	Name   string
	User   bool
	Text   string
	Swipes []string
	At     int
	By     string // the picture of who speaks in a group
}
