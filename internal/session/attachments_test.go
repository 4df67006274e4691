package session_test

import (
	"context"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

func picture(data string) chat.Part {
	return chat.Part{Media: &llm.Media{MIME: "image/png", Data: []byte(data)}}
}

// heard is what the model got last of a message, its files in brackets.
func heard(m *model, message int) string {
	var b strings.Builder
	for _, p := range m.asked[len(m.asked)-1].Messages[message].Parts {
		if b.WriteString(p.Text); p.Media != nil {
			b.WriteString("[" + p.Media.MIME + " " + string(p.Media.Data) + "]")
		}
	}
	return b.String()
}

func (st *stage) shows(parts ...chat.Part) session.Receipt {
	st.t.Helper()
	r, run := st.begun(st.Send(st.t.Context(), st.id, session.Write{}, session.Send{Parts: parts}, session.Ask{}))
	if out, err := run.Wait(st.t.Context()); err != nil {
		st.t.Fatal(out, err)
	}
	return r
}

func TestMessagesHavePicturesAndSounds(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "I see."})}
	st := on(t, m, session.New{Settings: session.Settings{Media: chat.MediaPlaceholder}})
	ctx := t.Context()
	sound := chat.Part{Media: &llm.Media{MIME: "audio/wav", Data: []byte("moo")}}
	r := st.shows(picture("cat"), chat.Part{Text: "A cät"}, picture("dog"), chat.Part{Text: ", and?"}, sound, picture("cat"))
	const said = "[image/png cat]A cät[image/png dog], and?[audio/wav moo][image/png cat]"
	if got := heard(m, 0); got != said || m.asked[0].Layout.Media != chat.MediaPlaceholder {
		t.Errorf("it was shown %s, %q", got, m.asked[0].Layout.Media)
	}
	first := st.talk()[0]
	if len(first.Attachments) != 4 || first.Text != "A cät, and?" || first.Attachments[1].At != len("A cät") || first.Attachments[0] != (session.Attachment{MIME: "image/png", Digest: first.Attachments[3].Digest}) {
		t.Errorf("it is %+v", first)
	}
	for i, want := range []string{"cat", "dog", "moo", "cat"} {
		if data, err := st.Media(ctx, st.id, first.Attachments[i].Digest); err != nil || string(data) != want {
			t.Errorf("the file is %q, %v", data, err)
		}
	}
	if _, err := st.Media(ctx, st.id, "x"); llm.AsError(err).Code != llm.NotFound {
		t.Error(err)
	}
	if got := first.Marked(); got != "[image/png]A cät[image/png], and?[audio/wav][image/png]" {
		t.Errorf("it is told as %s", got)
	}
	st.talks("And now?")
	if got := heard(m, 0); got != said {
		t.Errorf("later it was shown %s", got)
	}
	if x, _, err := st.Read(ctx, st.id); err != nil || x.Title != "A cät, and?" {
		t.Error(x.Title, err)
	}
	i, err := st.Inspect(ctx, session.Place{Session: st.id, Message: r.Reply, Version: -1})
	if err != nil || i.Digest != i.Then || i.Then == "" {
		t.Errorf("the prompt is %+v, %v", i, err)
	}

	f, err := st.Fork(ctx, st.id, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Edit(ctx, st.id, session.Write{}, r.Message, "Look", false); err != nil {
		t.Fatal(err)
	}
	st.talks("And now?")
	if got := heard(m, 0); got != "[image/png cat]Look[image/png dog][audio/wav moo][image/png cat]" {
		t.Errorf("edited it is %s", got)
	}
	if err := st.Purge(ctx, st.id); err != nil {
		t.Fatal(err)
	}
	st.id = f.ID
	st.talks("And now?")
	if got := heard(m, 0); got != said {
		t.Errorf("the fork shows %s", got)
	}
}

func TestWhatIsNoPictureIsRefused(t *testing.T) {
	st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "x"})}, session.New{})
	many := make([]chat.Part, 33)
	for i := range many {
		many[i] = picture("x")
	}
	for name, parts := range map[string][]chat.Part{
		"nothing": {}, "space": {{Text: " "}}, "another type": {{Media: &llm.Media{MIME: "text/html", Data: []byte("x")}}},
		"a type and more": {{Media: &llm.Media{MIME: "image/png; x=y", Data: []byte("x")}}}, "too many": many,
		"too long": {picture("x"), {Text: strings.Repeat("x", 1<<20+1)}}, "too large": {picture(strings.Repeat("x", 20<<20+1))},
	} {
		if _, err := st.Add(t.Context(), st.id, session.Write{}, session.Send{Parts: parts}); llm.AsError(err).Code != llm.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := st.Add(t.Context(), st.id, session.Write{}, session.Send{Parts: []chat.Part{picture("x")}}); err != nil {
		t.Errorf("a picture alone: %v", err)
	}
}

// looked is a store that counts how often a file is read.
type looked struct {
	session.Store
	files int
}

func (s *looked) Media(ctx context.Context, id, digest string) ([]byte, error) {
	s.files++
	return s.Store.Media(ctx, id, digest)
}

func TestPicturesThatHaveNoRoomAreNotRead(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "Yes."}), context: 4000, words: &words{}}
	store := &looked{Store: session.NewMemory()}
	s := session.Open(store, session.Options{Models: m})
	x, _, err := s.Create(t.Context(), session.New{})
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{Sessions: s, model: m, t: t, id: x.ID}
	for i := range 9 {
		st.shows(picture(string(rune('a'+i))), chat.Part{Text: "This makes ten words if you count all of them."})
	}
	store.files = 0
	st.shows(picture("z"), chat.Part{Text: "And this?"})
	if got := heard(m, len(m.asked[9].Messages)-1); store.files != (len(m.asked[9].Messages)+1)/2 || store.files > 5 || got != "[image/png z]And this?" {
		t.Errorf("%d files were read for %d messages, the last is %s", store.files, len(m.asked[9].Messages), got)
	}
}

func TestPicturesAreExportedAndImported(t *testing.T) {
	m := &model{responder: chat.Script(chat.TextDelta{Text: "I see."})}
	st := on(t, m, session.New{})
	ctx := t.Context()
	st.shows(chat.Part{Text: "Lo: "}, picture("cat"), chat.Part{Text: "ok?"}, chat.Part{Media: &llm.Media{MIME: "audio/wav", Data: []byte("moo")}})
	was := st.talk()[0]
	file, err := st.Export(ctx, st.id, session.FormatParley)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := st.Export(ctx, st.id, session.FormatMessages)
	if want := `{"messages":[{"role":"user","content":[{"text":"Lo: ","type":"text"},{"image_url":{"url":"data:image/png;base64,Y2F0"},"type":"image_url"},{"text":"ok?","type":"text"},{"input_audio":{"data":"bW9v","format":"wav"},"type":"input_audio"}]},{"role":"assistant","content":"I see."}]}` + "\n"; err != nil || string(messages) != want {
		t.Errorf("it is written as\n%s, %v, not\n%s", messages, err, want)
	}
	other := on(t, m, session.New{})
	for name, data := range map[string][]byte{"parley": file, "messages": messages} {
		x, _, err := other.Import(ctx, data)
		if err != nil {
			t.Fatal(name, err)
		}
		_, talk, err := other.Read(ctx, x.ID)
		if err != nil || !reflect.DeepEqual(talk[0].Attachments, was.Attachments) || talk[0].Text != was.Text {
			t.Errorf("%s: it is %+v, %v", name, talk, err)
		}
		for i, want := range []string{"cat", "moo"} {
			if data, err := other.Media(ctx, x.ID, talk[0].Attachments[i].Digest); err != nil || string(data) != want {
				t.Errorf("%s: the file is %q, %v", name, data, err)
			}
		}
	}
	server := whole(t, st)
	moved := empty(t)
	if m, err := moved.ImportAll(ctx, strings.NewReader(server)); err != nil || m.Sessions.Added != 1 {
		t.Fatal(m, err)
	}
	for i, want := range []string{"cat", "moo"} {
		if data, err := moved.Media(ctx, st.id, was.Attachments[i].Digest); err != nil || string(data) != want {
			t.Errorf("of a whole server: the file is %q, %v", data, err)
		}
	}
	if again := whole(t, moved); less(again) != less(server) {
		t.Errorf("it is written again as\n%s", again)
	}
	lost := regexp.MustCompile(`(?m)^\{"media".*\n`).ReplaceAllString(server, "")
	if _, err := empty(t).ImportAll(ctx, strings.NewReader(lost)); llm.AsError(err).Code != llm.Unreadable || !strings.Contains(err.Error(), "missing") {
		t.Errorf("files are missing: %v", err)
	}
	digest := was.Attachments[0].Digest
	for name, bad := range map[string][2]string{
		"another file":         {`"Y2F0"`, `"Y2F1"`},
		"a file is missing":    {`"digest":"` + digest + `","data"`, `"digest":"0","data"`},
		"a place within a bit": {`"at":4,`, `"at":99,`},
		"an unknown type":      {`"mime":"image/png"`, `"mime":"text/html"`},
	} {
		if _, _, err := other.Import(ctx, []byte(strings.Replace(string(file), bad[0], bad[1], 1))); llm.AsError(err).Code != llm.Unreadable {
			t.Errorf("%s: %v", name, err)
		}
	}
	x, _, err := other.Import(ctx, []byte(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/cat.png"}},{"type":"image_url","image_url":"http://b.example"},"?"]},{"role":"assistant","content":null}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, talk, _ := other.Read(ctx, x.ID); len(talk) != 2 || talk[0].Text != "![](https://a.example/cat.png)![](http://b.example)?" {
		t.Errorf("it is %+v", talk)
	}
	for _, bad := range []string{`[{"type":"image_url"}, {"type":"image_url","image_url":7}]`, `[{"image_url":{"url":"data:text/html;base64,eA=="}}]`, `[{"input_audio":{}}]`, `[7]`} {
		if _, _, err := other.Import(ctx, []byte(`{"messages":[{"role":"user","content":`+bad+`}]}`)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	var archive session.Archive
	if err := json.Unmarshal(file, &archive); err != nil || len(archive.Media) != 2 {
		t.Errorf("%+v, %v", archive.Media, err)
	}
}
