//go:build clients

package sillytavern

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kept are the fields of a card that SillyTavern keeps.
var kept = []string{
	"name", "description", "personality", "scenario", "first_mes", "mes_example", "creator_notes", "system_prompt",
	"post_history_instructions", "alternate_greetings", "tags", "creator", "character_version", "nickname", "group_only_greetings",
}

// cards sends our own characters through SillyTavern and back: as Parley
// writes them, SillyTavern reads them, and the other way round.
func cards(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "characters", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Ext(file) == ".md" {
			continue
		}
		for _, kind := range []string{"png", "json"} {
			t.Run(filepath.Base(file)+" as "+kind, func(t *testing.T) { card(t, file, kind) })
		}
	}
}

type cardData struct{ Data map[string]json.RawMessage }

func card(t *testing.T, file, kind string) {
	dir := t.TempDir()
	ours := read[cardData](t, parley(t, dir, "show", abs(t, file), "--json"))
	written := filepath.Join(dir, "card."+kind)
	parley(t, dir, "export", abs(t, file), written)

	name := read[struct {
		FileName string `json:"file_name"`
	}](t, upload(t, tavern+"/api/characters/import", written, kind)).FileName
	if name == "" {
		t.Fatal("SillyTavern did not take the card")
	}
	avatar := strings.TrimSuffix(name, ".png") + ".png"
	there := read[cardData](t, ask(t, tavern+"/api/characters/get", object{"avatar_url": avatar}))
	sameCard(t, "in SillyTavern", there, ours)

	for _, format := range []string{"png", "json"} {
		back := filepath.Join(dir, "back."+format)
		if err := os.WriteFile(back, []byte(ask(t, tavern+"/api/characters/export", object{"avatar_url": avatar, "format": format})), 0o600); err != nil {
			t.Fatal(err)
		}
		sameCard(t, "back as "+format, read[cardData](t, parley(t, dir, "show", back, "--json")), ours)
	}
}

func sameCard(t *testing.T, where string, got, want cardData) {
	t.Helper()
	for _, field := range kept {
		if w, ok := want.Data[field]; ok && !equalJSON(got.Data[field], w) {
			t.Errorf("%s: %s is %s, want %s", where, field, got.Data[field], w)
		}
	}
	entries := func(c cardData) (contents []string) {
		var book struct{ Entries []struct{ Content string } }
		json.Unmarshal(c.Data["character_book"], &book) // without a book there are none
		for _, e := range book.Entries {
			contents = append(contents, e.Content)
		}
		return contents
	}
	if g, w := entries(got), entries(want); strings.Join(g, "\n") != strings.Join(w, "\n") {
		t.Errorf("%s: the lorebook tells %q, want %q", where, g, w)
	}
}

func equalJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && x.String() == y.String()
}

func abs(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// parley runs a command of parley character.
func parley(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(need(t, "PARLEY_BINARY"), append([]string{"character"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("parley character %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func upload(t *testing.T, url, file, kind string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("avatar", filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	part.Write(data)
	form.WriteField("file_type", kind)
	form.Close()
	resp, err := http.Post(url, form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", url, resp.Status, err, answer)
	}
	return string(answer)
}
