package scene

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/character"
)

// The characters that come with Parley are read without a note and make a
// prompt without an unknown macro.
func TestOurOwnCharactersAreInOrder(t *testing.T) {
	files, err := filepath.Glob("../../examples/characters/*")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, file := range files {
		if filepath.Ext(file) == ".md" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		card, report, err := character.ReadCard(filepath.Base(file), data)
		if err != nil || len(report.Notes) > 0 {
			t.Errorf("%s: %+v, %v", file, report, err)
			continue
		}
		read++
		s := Scene{Cards: []character.Card{card}, User: "Tom", Lore: LoreSettings{Greeting: 0}}
		greetings, err := s.Greetings(0)
		if err != nil || len(greetings) == 0 {
			t.Errorf("%s: greetings %q, %v", file, greetings, err)
			continue
		}
		s.Messages = []Message{Greeting(greetings[0]), said(chat.User, "", "Does the ship carry salt for Crane?")}
		c := compose(t, s)
		all := show(c.Conversation)
		if len(c.Report.Unknown) > 0 || strings.Contains(all, "{{") || !strings.Contains(all, "Tom") {
			t.Errorf("%s: %q\n%s", file, c.Report.Unknown, all)
		}
		for _, v := range c.Report.Lore {
			if !v.Told {
				t.Errorf("%s: %+v", file, v)
			}
		}
	}
	if read < 3 {
		t.Errorf("%d characters", read)
	}
}
