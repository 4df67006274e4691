package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/internal/wire"
	"parley/llm"
)

// An Attachment is a picture or a sound that stands in the text of a message.
type Attachment struct {
	At     int    `json:"at"`     // bytes of the text that stand before it
	MIME   string `json:"mime"`   // "image/png", …
	Digest string `json:"digest"` // SHA-256 of the file, in hex, by which Sessions.Media gives it

	// As the file says; 0: it does not.
	Width   int     `json:"width,omitempty"` // pixels of a picture
	Height  int     `json:"height,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // of a sound, about
}

// divide takes what a message says apart: its text, what stands in it, and
// the files.
func divide(parts []chat.Part) (text string, all []Attachment, files []Media) {
	var b strings.Builder
	for _, p := range parts {
		if p.Media == nil {
			b.WriteString(p.Text)
			continue
		}
		f := Media{Digest: mediaDigest(p.Media.Data), Data: p.Media.Data}
		a := Attachment{At: b.Len(), MIME: p.Media.MIME, Digest: f.Digest}
		a.measure(f.Data)
		all, files = append(all, a), append(files, f)
	}
	return b.String(), all, files
}

func mediaDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// parts is what a message says, its files without their data.
func (v *Version) parts() (parts []chat.Part) {
	if len(v.Attachments) == 0 {
		return []chat.Part{{Text: v.Text}}
	}
	from := 0
	for _, a := range v.Attachments {
		if a.At > from {
			parts = append(parts, chat.Part{Text: v.Text[from:a.At]})
		}
		parts, from = append(parts, chat.Part{Media: &llm.Media{MIME: a.MIME}}), a.At
	}
	if from < len(v.Text) {
		parts = append(parts, chat.Part{Text: v.Text[from:]})
	}
	return parts
}

// Marked is the text with a mark for each picture and sound, as "[image/png]".
func (v *Version) Marked() string {
	if len(v.Attachments) == 0 {
		return v.Text
	}
	var b strings.Builder
	for _, p := range v.parts() {
		if b.WriteString(p.Text); p.Media != nil {
			b.WriteString("[" + p.Media.MIME + "]")
		}
	}
	return b.String()
}

// under gives attachments their places in another text: those at its beginning
// stay there, and the others stand behind it.
func under(text string, all []Attachment) (moved []Attachment) {
	for _, a := range all {
		if a.At > 0 {
			a.At = len(text)
		}
		moved = append(moved, a)
	}
	return moved
}

// checkAttachments refuses what cannot stand in a text.
func checkAttachments(text string, all []Attachment) error {
	if err := limits.Attachments.CheckInt(len(all)); err != nil {
		return err
	}
	from := 0
	for _, a := range all {
		kind, _, err := mime.ParseMediaType(a.MIME)
		switch {
		case err != nil || kind != a.MIME || !strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "audio/"):
			return fmt.Errorf("%q is no type of picture or sound", a.MIME)
		case a.At < from || a.At > len(text) || a.At < len(text) && !utf8.RuneStart(text[a.At]):
			return fmt.Errorf("there is no place %d for a picture or sound", a.At)
		}
		from = a.At
	}
	return nil
}

// checkFiles refuses files that are not what they are called, and messages
// whose files are missing. It measures the others.
func (a *Archive) checkFiles() error {
	there := map[string][]byte{}
	for i, f := range a.Media {
		path := fmt.Sprintf("media[%d]", i)
		if f.Digest != mediaDigest(f.Data) {
			return llm.Errorf(llm.Unreadable, path, "its digest is another one")
		}
		if err := limits.MediaBytes.CheckInt(len(f.Data)); err != nil {
			return llm.Errorf(llm.Invalid, path, "%v", err)
		}
		there[f.Digest] = f.Data
	}
	for _, digest := range NewTree(a.Session, a.Messages).digests() {
		if _, ok := there[digest]; !ok {
			return llm.Errorf(llm.Unreadable, "media", "the file %s of a message is missing", wire.Short(digest))
		}
	}
	for i := range a.Messages {
		for j := range a.Messages[i].Versions {
			all := a.Messages[i].Versions[j].Attachments
			for k := range all {
				all[k].measure(there[all[k].Digest])
			}
		}
	}
	return nil
}

// Media gives a picture or a sound of a session's messages by its digest.
func (s *Sessions) Media(ctx context.Context, id, digest string) ([]byte, error) {
	return s.store.Media(ctx, id, digest)
}

// attachedFiles are files of a scene's messages that have not been read yet.
type attachedFiles map[*llm.Media]Attachment

// note remembers which files a message's parts are.
func (f attachedFiles) note(m scene.Message, of []Attachment) {
	for _, p := range m.Parts {
		if p.Media != nil {
			f[p.Media], of = of[0], of[1:]
		}
	}
}

// read reads the files that the conversation has.
func (f attachedFiles) read(ctx context.Context, s *Sessions, session string, c chat.Conversation) (err error) {
	for _, m := range c.Messages {
		for _, p := range m.Parts {
			if digest := f[p.Media].Digest; digest != "" {
				if p.Media.Data, err = s.Media(ctx, session, digest); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// digests are those of all files that versions of the tree's messages have,
// each once.
func (t *Tree) digests() (all []string) {
	seen := map[string]bool{}
	for _, n := range t.Nodes {
		for _, v := range n.Versions {
			for _, a := range v.Attachments {
				if !seen[a.Digest] {
					seen[a.Digest] = true
					all = append(all, a.Digest)
				}
			}
		}
	}
	return all
}

// attachments reads all files that the tree's messages have.
func (s *Sessions) attachments(ctx context.Context, t *Tree) (all []Media, err error) {
	for _, digest := range t.digests() {
		data, err := s.Media(ctx, t.Session.ID, digest)
		if err != nil {
			return nil, err
		}
		all = append(all, Media{Digest: digest, Data: data})
	}
	return all, nil
}

// openAIParts is what a message says as OpenAI's protocol has it.
func openAIParts(v *Version, files []Media) []map[string]any {
	of := v.Attachments
	all := []map[string]any{}
	for _, p := range v.parts() {
		if p.Media == nil {
			all = append(all, map[string]any{"type": "text", "text": p.Text})
			continue
		}
		a := of[0]
		of = of[1:]
		i := slices.IndexFunc(files, func(f Media) bool { return f.Digest == a.Digest })
		data := base64.StdEncoding.EncodeToString(files[i].Data)
		if format, ok := strings.CutPrefix(a.MIME, "audio/"); ok {
			all = append(all, map[string]any{"type": "input_audio", "input_audio": map[string]string{"format": format, "data": data}})
			continue
		}
		all = append(all, map[string]any{"type": "image_url", "image_url": map[string]string{"url": "data:" + a.MIME + ";base64," + data}})
	}
	return all
}

// readOpenAIParts reads it: a text, or a list of parts. Of a picture that is
// not in the file itself its address stays, as text.
func readOpenAIParts(path string, content []byte) (parts []chat.Part, err error) {
	if len(content) == 0 {
		return nil, nil
	}
	v, err := wire.Parse(content)
	if err != nil {
		return nil, err
	}
	r := &wire.Reader{}
	switch v.Kind() {
	case 'n':
	case '"':
		parts = []chat.Part{{Text: v.Text()}}
	case '[':
		r.List(path, v, limits.Parts, func(path string, v wire.Value) {
			if v.Kind() == '"' {
				parts = append(parts, chat.Part{Text: v.Text()})
				return
			}
			o := r.Object(path, v)
			switch {
			case r.Err != nil:
			case o.Has("image_url"):
				if url := address(o); url != "" {
					parts = append(parts, chat.Part{Text: "![](" + url + ")"})
				} else {
					parts = append(parts, chat.Part{Media: o.Image()})
				}
			case o.Has("input_audio"):
				parts = append(parts, chat.Part{Media: o.Audio()})
			default:
				parts = append(parts, chat.Part{Text: o.Text("text")})
			}
		})
	default:
		return nil, llm.Errorf(llm.Unreadable, path, "must be a text or a list of parts, not %s", v.What())
	}
	return parts, r.Err
}

// address is where a picture is that has to be fetched.
func address(o *wire.Object) string {
	v, _ := o.Peek("image_url")
	if v.Kind() == '{' {
		var ok bool
		if v, ok = o.Object(o.At("image_url"), v).Take("url"); !ok {
			return ""
		}
	}
	if v.Kind() == '"' && (strings.HasPrefix(v.Text(), "https:") || strings.HasPrefix(v.Text(), "http:")) {
		return v.Text()
	}
	return ""
}
