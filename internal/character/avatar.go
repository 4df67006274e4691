package character

import (
	"bytes"
	"encoding/base64"
	"hash/fnv"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // pictures of cards
	"image/png"
	"path"
	"slices"
	"strings"

	_ "golang.org/x/image/webp" // pictures of cards

	"parley/internal/limits"
	"parley/llm"
)

// Avatar finds the character's picture in its file and draws it anew as a PNG,
// so that nothing but the picture is left of it: of a PNG, JPEG or WebP itself,
// of an archive or JSON the icon that the card names. It is nil if there is
// none; nothing is fetched from the network. The error is an *llm.Error.
func Avatar(data []byte) ([]byte, error) {
	if err := limits.CardFileBytes.CheckInt(len(data)); err != nil {
		return nil, llm.Errorf(llm.Unreadable, "character", "the file: %v", err)
	}
	switch kindOf(data) {
	case "png", "webp", "picture":
		return redraw(data)
	case "zip":
		if bytes.HasPrefix(data, []byte("\xff\xd8\xff")) {
			return redraw(data)
		}
	}
	c, _, err := ReadCard("", data)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(c.Assets, func(a Asset) bool { return a.Type == "icon" && a.Name == "main" }); i > 0 {
		c.Assets = slices.Concat(c.Assets[i:i+1], c.Assets[:i], c.Assets[i+1:]) // of several the main one counts
	}
	for _, a := range c.Assets {
		if a.Type != "icon" {
			continue
		}
		// The specification spells the scheme with one d.
		inside, ok := strings.CutPrefix(strings.Replace(a.URI, "embedded://", "embeded://", 1), "embeded://")
		switch {
		case ok && kindOf(data) == "zip":
			if picture, err := fromArchive(data, path.Clean(inside), limits.MediaBytes.Int64()); err == nil {
				return redraw(picture)
			}
		case strings.HasPrefix(a.URI, "data:"):
			_, encoded, _ := strings.Cut(a.URI, ";base64,")
			if picture, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(picture) > 0 {
				return redraw(picture)
			}
		}
	}
	return nil, nil
}

// redraw decodes a picture within the limits, which are asked before a single
// pixel is, and encodes it as PNG.
func redraw(data []byte) ([]byte, error) {
	refuse := func(err error) error {
		return &llm.Error{Code: llm.Unreadable, Field: "avatar", Message: "the picture cannot be read",
			Hint: "it must be a PNG, JPEG or WebP of ordinary size", Err: err}
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, refuse(err)
	}
	long, short := max(size.Width, size.Height), min(size.Width, size.Height)
	if short <= 0 {
		return nil, refuse(nil)
	}
	if err := limits.AvatarPixels.Check(float64(long) * float64(short)); err != nil {
		return nil, refuse(err)
	}
	if err := limits.AvatarRatio.Check(float64(long) / float64(short)); err != nil {
		return nil, refuse(err)
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, refuse(err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, refuse(err)
	}
	return out.Bytes(), nil
}

// plainPicture is for characters that have none: one colour, by the name.
func plainPicture(name string) []byte {
	h := fnv.New32a()
	h.Write([]byte(name))
	n := h.Sum32()
	picture := image.NewRGBA(image.Rect(0, 0, 400, 600))
	shade := color.RGBA{byte(64 + n%128), byte(64 + n>>8%128), byte(64 + n>>16%128), 255}
	draw.Draw(picture, picture.Bounds(), image.NewUniform(shade), image.Point{}, draw.Src)
	var out bytes.Buffer
	png.Encode(&out, picture) // into memory, nothing can fail
	return out.Bytes()
}
