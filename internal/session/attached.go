package session

import (
	"bytes"
	"encoding/binary"
	"image"
	_ "image/gif" // kinds of pictures whose size is read
	_ "image/jpeg"
	_ "image/png"
	"slices"
	"strings"

	"parley/chat"
	"parley/llm"

	_ "golang.org/x/image/webp"
)

// What a picture or a sound counts as where a talk has to fit: an estimate, since
// each model cuts pictures in its own way, and engines do not tell how. A picture is a token for each
// 28 × 28 pixels, as Qwen's models and Anthropic count, but at least what Gemma 3 makes of any
// picture, and at most what Pixtral makes of its largest one; a sound is 25 tokens a second, as
// Qwen's models count.
const (
	pictureSide   = 28
	leastPicture  = 256
	mostPicture   = 4096
	usualPicture  = 1024 // of which the size is not known
	soundTokens   = 25
	leastSound    = 25
	usualSound    = 30    // seconds, where nothing is known
	soundBytes    = 16000 // of a second, in a file that does not say: 128 kbit
	longestSound  = 24 * 60 * 60
	largestLength = 1 << 20 // pixels of a side that is believed
)

// measure notes how large a picture is, or how long a sound, as far as its file says so.
func (a *Attachment) measure(data []byte) {
	a.Width, a.Height, a.Seconds = 0, 0, 0
	if strings.HasPrefix(a.MIME, "audio/") {
		a.Seconds = min(seconds(data), longestSound)
		return
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err == nil && 0 < c.Width && c.Width <= largestLength && 0 < c.Height && c.Height <= largestLength {
		a.Width, a.Height = c.Width, c.Height
	}
}

// seconds is how long a sound lasts: exactly of a WAV file with whole chunks, else by
// the number of its bytes.
func seconds(data []byte) float64 {
	le, byBytes := binary.LittleEndian, float64(len(data))/soundBytes
	if len(data) < 12 || string(data[:4]) != "RIFF" || string(data[8:12]) != "WAVE" {
		return byBytes
	}
	rate := 0.0
	for rest := data[12:]; len(rest) >= 8; {
		size := int64(le.Uint32(rest[4:8]))
		switch name := string(rest[:4]); {
		case name == "fmt " && size >= 16 && len(rest) >= 8+16:
			rate = float64(le.Uint32(rest[16:20]))
		case name == "data" && rate > 0:
			return float64(min(size, int64(len(rest)-8))) / rate // what streams write says more than there is
		}
		if size += size & 1; size > int64(len(rest)-8) {
			break
		}
		rest = rest[8+size:]
	}
	return byBytes
}

// tokens is what it counts as.
func (a *Attachment) tokens() int {
	if strings.HasPrefix(a.MIME, "audio/") {
		s := a.Seconds
		if s == 0 {
			s = usualSound
		}
		return max(leastSound, int(s*soundTokens))
	}
	if a.Width == 0 {
		return usualPicture
	}
	side := func(n int) int { return (n + pictureSide - 1) / pictureSide }
	return min(max(side(a.Width)*side(a.Height), leastPicture), mostPicture)
}

// attached is how many tokens a picture or a sound counts as: those of a note,
// where one stands in its place.
func (c *counter) attached(a Attachment, policy chat.MediaPolicy) int {
	if c.noted(a.MIME, policy) {
		kind, _, _ := strings.Cut(a.MIME, "/")
		return c.count("[" + kind + "]")
	}
	return a.tokens()
}

// noted reports whether the model gets a note in the place of such a file.
func (c *counter) noted(mime string, policy chat.MediaPolicy) bool {
	renderer, ok := c.model.Responder.(chat.Renderer)
	if !ok {
		return false
	}
	if known, ok := c.notes[mime]; ok {
		return known
	}
	probe := chat.Conversation{Messages: []chat.Message{{Role: chat.User, Parts: []chat.Part{{Media: &llm.Media{MIME: mime, Data: []byte{0}}}}}}}
	probe.Layout.Media = policy
	rendered, err := renderer.Render(c.ctx, probe)
	is := err == nil && slices.ContainsFunc(rendered.Report, func(n llm.Note) bool { return n.Code == "media_placeholder" })
	if c.notes == nil {
		c.notes = map[string]bool{}
	}
	c.notes[mime] = is
	return is
}
