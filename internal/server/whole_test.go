package server

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/internal/session"
	"parley/llm"
)

// whole is the archive of a server, without when it was written.
func (k *keeper) whole() (archive, less string) {
	k.t.Helper()
	resp := k.do("GET", "/export", "")
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" || !strings.Contains(resp.Header.Get("Content-Disposition"), "attachment; filename=parley-") {
		k.t.Fatalf("%s %v, %v", resp.Status, resp.Header, err)
	}
	_, less, _ = strings.Cut(string(data), "\n")
	return string(data), less
}

func TestAServerIsExportedAndImportedAsAWhole(t *testing.T) {
	k, other := keeps(t, nil), keeps(t, nil)
	k.answer(201, "PUT", "/characters/ada?file=ada.yaml", "name: Ada\ngreeting: Hi.\n")
	x := k.answer(201, "POST", "/sessions", `{"character":"ada"}`)
	k.answer(200, "POST", "/sessions/"+x.ID+"/send", `{"text":"Who are you?"}`)
	k.answer(200, "POST", "/sessions/"+x.ID+"/regenerate", `{}`)
	archive, want := k.whole()
	for _, state := range []string{`{"documents":{"added":1,"same":0,"different":0,"names":[]},"sessions":{"added":1,`, `{"documents":{"added":0,"same":1,"different":0,"names":[]},"sessions":{"added":0,"same":1,`} {
		resp := other.do("POST", "/import", archive)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.HasPrefix(string(body), state) {
			t.Errorf("%s %s", resp.Status, body)
		}
	}
	if _, got := other.whole(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := other.texts(x.ID); got != "Hi.|Who are you?|Hello" {
		t.Errorf("got %q", got)
	}
	if got := other.answer(422, "POST", "/import", archive[:len(archive)-20]); !strings.Contains(got.Error.Message, "cut off") {
		t.Errorf("got %+v", got.Error)
	}
	if got := other.answer(422, "POST", "/sessions/import", archive); !strings.Contains(got.Error.Message, "whole server") {
		t.Errorf("got %+v", got.Error)
	}
	if resp := k.do("HEAD", "/export", ""); resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("got %s %v", resp.Status, resp.Header)
	}
}

// brittle is a store that cannot read a session's messages.
type brittle struct{ session.Store }

func (brittle) Nodes(context.Context, string) ([]session.Node, error) {
	return nil, &llm.Error{Code: llm.Broken, Message: "cannot read"}
}

func TestAnExportThatFailsIsNotTakenForWhole(t *testing.T) {
	for name, size := range map[string]int{"before anything was sent": 10, "in its middle": 200 << 10} {
		store := brittle{session.NewMemory()}
		models := one("tiny", nil, nil)
		sessions := session.Open(store, session.Options{})
		h := httptest.NewServer(New(models, Options{Sessions: sessions}).Handler(Own))
		defer h.Close()
		k := &keeper{t: t, url: h.URL + "/parley/v1"}
		k.answer(201, "PUT", "/characters/ada?file=ada.yaml", "name: Ada\ncontext: "+strings.Repeat("x", size))
		if _, _, err := sessions.Create(t.Context(), session.New{}); err != nil {
			t.Fatal(err)
		}
		resp := k.do("GET", "/export", "")
		data, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if sent := resp.StatusCode == 200; sent != (size > 64<<10) || sent && err == nil || !sent && resp.StatusCode != 500 || !sent && resp.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %s, %d bytes, %v", name, resp.Status, len(data), err)
		}
	}
}
