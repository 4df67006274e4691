package character

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngTexts finds the texts of a PNG by their keyword, in chunks tEXt, zTXt and
// iTXt anywhere in the file. Of several with one keyword the last counts, as
// programs append. Checksums are not looked at: a text either is JSON or not.
func pngTexts(data []byte, wanted ...string) map[string][]byte {
	type chunk struct {
		kind string
		rest []byte
	}
	found := map[string]chunk{} // unpacked at the end, so that many cost no more than one
	data = data[len(pngSignature):]
	for chunks := 0; len(data) >= 12 && limits.PNGChunks.CheckInt(chunks) == nil; chunks++ {
		n := binary.BigEndian.Uint32(data)
		kind := string(data[4:8])
		if uint64(n)+12 > uint64(len(data)) {
			break // cut off
		}
		body := data[8 : 8+n]
		data = data[12+n:]
		if kind != "tEXt" && kind != "zTXt" && kind != "iTXt" {
			continue
		}
		keyword, rest, ok := bytes.Cut(body, []byte{0})
		name := strings.ToLower(string(keyword))
		if !ok || !slices.Contains(wanted, name) {
			continue
		}
		found[name] = chunk{kind, rest}
	}
	texts := map[string][]byte{}
	for name, c := range found {
		if text, ok := chunkText(c.kind, c.rest); ok {
			texts[name] = text
		}
	}
	return texts
}

// chunkText is the text of a chunk behind its keyword, as the PNG
// specification lays it out (sections 11.3.3.2 to 11.3.3.4).
func chunkText(kind string, rest []byte) ([]byte, bool) {
	switch kind {
	case "zTXt":
		if len(rest) < 1 || rest[0] != 0 {
			return nil, false
		}
		return inflate(rest[1:])
	case "iTXt":
		if len(rest) < 2 {
			return nil, false
		}
		packed := rest[0] == 1
		_, rest, ok := bytes.Cut(rest[2:], []byte{0}) // language
		if !ok {
			return nil, false
		}
		_, rest, ok = bytes.Cut(rest, []byte{0}) // keyword in that language
		if ok && packed {
			return inflate(rest)
		}
		return rest, ok
	}
	return rest, true
}

// encodedBytes is what the largest card may have in base64.
func encodedBytes() int64 { return limits.CardBytes.Int64()*4/3 + 4 }

func inflate(packed []byte) ([]byte, bool) {
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, false
	}
	text, err := io.ReadAll(io.LimitReader(r, encodedBytes()+1)) // one byte more is too large for a card
	return text, err == nil
}

func readPNG(data []byte, report *ImportReport) (Card, error) {
	texts := pngTexts(data, "chara", "ccv3")
	if len(texts) == 0 {
		return Card{}, &llm.Error{Code: llm.Unreadable, Field: "character", Message: "the picture holds no character",
			Hint: "a picture that was converted, or sent through a service that strips what it does not know, has lost it"}
	}
	var failed error
	for _, keyword := range []string{"ccv3", "chara"} { // what is newer says more
		text, ok := texts[keyword]
		if !ok {
			continue
		}
		inner := ImportReport{}
		c, err := readJSON(fromBase64(text), &inner)
		if err == nil {
			report.Format = inner.Format + " in PNG"
			report.Notes.Merge(inner.Notes)
			return c, nil
		}
		failed = err
		report.note("ignored", keyword, "the card in this part of the picture cannot be read")
	}
	return Card{}, failed
}

// fromBase64 decodes a text; one that is JSON already stays as it is.
func fromBase64(text []byte) []byte {
	if t := bytes.TrimSpace(text); bytes.HasPrefix(t, []byte("{")) {
		return t
	}
	clean := bytes.Map(func(r rune) rune {
		switch {
		case r == '-':
			return '+'
		case r == '_':
			return '/'
		case r <= ' ' || r == '=':
			return -1
		}
		return r
	}, text)
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, err := base64.RawStdEncoding.Decode(out, clean)
	if err != nil {
		return nil
	}
	return out[:n]
}

// withTexts puts texts into a PNG, right behind its header, where readers that
// stop at the picture find them.
func withTexts(png []byte, texts ...[2]string) []byte {
	const header = len(pngSignature) + 4 + 4 + 13 + 4
	out := slices.Clone(png[:header])
	for _, t := range texts {
		body := slices.Concat([]byte("tEXt"), []byte(t[0]), []byte{0}, []byte(base64.StdEncoding.EncodeToString([]byte(t[1]))))
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)-4))
		out = append(out, body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	}
	return append(out, png[header:]...)
}
