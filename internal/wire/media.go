package wire

import (
	"encoding/base64"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// Image takes a picture from image_url, as OpenAI has it.
func (o *Object) Image() *llm.Media {
	v, ok := o.Take("image_url")
	path := o.At("image_url")
	if ok && v.Kind() == '{' {
		inner := o.Object(path, v)
		if detail := inner.Text("detail"); detail != "" && detail != "auto" {
			o.Ignore("messages[].content[].image_url.detail")
		}
		path = inner.At("url")
		v, ok = inner.Take("url")
	}
	if !ok {
		o.Invalid(path, "the part has no picture")
		return nil
	}
	url := o.TextOf(path, v)
	mime, data, isData := DataURL(url)
	switch {
	case o.Err != nil:
	case !isData:
		o.Unsupported(path, "pictures are not fetched from the network", "send the picture itself as a data: URL")
	case !strings.HasPrefix(mime, "image/"):
		o.Invalid(path, "%q is no type of picture", Short(mime))
	default:
		return o.Media(path, mime, data)
	}
	return nil
}

// Audio takes a sound from input_audio.
func (o *Object) Audio() *llm.Media {
	v, ok := o.Take("input_audio")
	if !ok {
		o.Invalid(o.At("input_audio"), "the part has no sound")
		return nil
	}
	inner := o.Object(o.At("input_audio"), v)
	format := inner.Text("format")
	return o.Media(inner.At("data"), "audio/"+Short(format), inner.Text("data"))
}

// DataURL divides "data:image/png;base64,…".
func DataURL(url string) (mime, data string, ok bool) {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return "", "", false
	}
	head, data, ok := strings.Cut(rest, ",")
	mime, encoding, _ := strings.Cut(head, ";")
	return strings.ToLower(mime), data, ok && strings.HasSuffix(encoding, "base64")
}

// Media is a picture or sound from its base64.
func (o *Object) Media(path, mime, data string) *llm.Media {
	data = strings.TrimRight(data, "=")
	if err := limits.MediaBytes.CheckInt(base64.RawStdEncoding.DecodedLen(len(data))); err != nil {
		o.Invalid(path, "%v", err)
		return nil
	}
	decoded, err := base64.RawStdEncoding.DecodeString(data)
	if err != nil || len(decoded) == 0 {
		o.Invalid(path, "the data is not base64")
		return nil
	}
	return &llm.Media{MIME: mime, Data: decoded}
}
