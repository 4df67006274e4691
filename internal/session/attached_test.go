package session_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/session"
	"parley/llm"
)

func pictured(t *testing.T, width, height int) chat.Part {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return picture(b.String())
}

// recorded is a WAV file that says how many bytes of sound it has.
func recorded(says uint32, rate uint32, data int) chat.Part {
	b := []byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00\x01\x00\x01\x00")
	b = binary.LittleEndian.AppendUint32(b, rate/2)
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = append(b, "\x02\x00\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, says)
	return chat.Part{Media: &llm.Media{MIME: "audio/wav", Data: append(b, make([]byte, data)...)}}
}

func TestWhatAttachedFilesSayOfThemselves(t *testing.T) {
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 300, 20)), nil); err != nil {
		t.Fatal(err)
	}
	mp3 := chat.Part{Media: &llm.Media{MIME: "audio/mp3", Data: make([]byte, 40_000)}}
	for name, c := range map[string]struct {
		part          chat.Part
		width, height int
		seconds       float64
	}{
		"a picture":                  {part: pictured(t, 640, 480), width: 640, height: 480},
		"a photograph":               {part: chat.Part{Media: &llm.Media{MIME: "image/jpeg", Data: photo.Bytes()}}, width: 300, height: 20},
		"no picture":                 {part: picture("cat")},
		"a broken one":               {part: picture("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f")},
		"a sound":                    {part: recorded(32_000, 16_000, 32_000), seconds: 2},
		"a stream of unknown length": {part: recorded(0xffffffff, 16_000, 8_000), seconds: 0.5},
		"a sound of no rate":         {part: recorded(8_000, 0, 15_945), seconds: 1},
		"another sound":              {part: mp3, seconds: 2.5},
	} {
		st := on(t, &model{responder: chat.Script(chat.TextDelta{Text: "I see."})}, session.New{})
		if _, err := st.Add(t.Context(), st.id, session.Write{}, session.Send{Parts: []chat.Part{{Text: "Lo"}, c.part}}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, messages, _ := st.Read(t.Context(), st.id)
		a := messages[0].Attachments[0]
		if a.Width != c.width || a.Height != c.height || a.Seconds < c.seconds*0.99 || a.Seconds > c.seconds*1.01+0.001 {
			t.Errorf("%s: %d × %d, %v s", name, a.Width, a.Height, a.Seconds)
		}
	}
}

// The budget is 3,000 tokens; the picture counts as 25 · 40 = 1,000.
func TestPicturesAndSoundsTakeRoom(t *testing.T) {
	long := func(v session.Settings) *stage {
		return on(t, &model{responder: chat.Script(chat.TextDelta{Text: "Yes."}), context: 4000, words: &words{}}, session.New{Settings: v})
	}
	shown := func(st *stage) (n int) {
		m := st.model
		for _, said := range m.asked[len(m.asked)-1].Messages {
			for _, p := range said.Parts {
				if p.Media != nil {
					n++
				}
			}
		}
		return n
	}
	st := long(session.Settings{})
	for range 4 {
		st.shows(pictured(t, 700, 1120), chat.Part{Text: "And this?"})
	}
	_, messages, _ := st.Read(t.Context(), st.id)
	r := messages[len(messages)-1].Reply
	if shown(st) != 2 || len(r.Dropped) != 1 || r.Report[0].Code != "shortened" {
		t.Errorf("%d pictures in a prompt of %d, without %+v", shown(st), r.Budget, r.Dropped)
	}
	i, err := st.Inspect(t.Context(), session.Place{Session: st.id, Message: messages[len(messages)-1].ID, Version: -1})
	if err != nil || i.Digest != i.Then || i.Scene.Tokens < 2000 || i.Scene.Tokens > 3000 {
		t.Errorf("%v: %d tokens, %s, then %s", err, i.Scene.Tokens, i.Digest, i.Then)
	}

	st = long(session.Settings{})
	_, run := st.begun(st.Send(t.Context(), st.id, session.Write{}, session.Send{Parts: []chat.Part{pictured(t, 700, 1120), pictured(t, 700, 1120), pictured(t, 700, 1121)}}, session.Ask{}))
	_, err = run.Wait(t.Context())
	if e := llm.AsError(err); e.Code != llm.TooLong || !strings.Contains(e.Hint, "messages (30") {
		t.Errorf("three pictures in one message: %+v", e)
	}
}
