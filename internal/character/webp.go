package character

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"parley/llm"
)

// readWebP reads the card of a WebP, which old programs put into the comment
// of its EXIF data.
func readWebP(data []byte, report *ImportReport) (Card, error) {
	comment := exifComment(webpChunk(data, "EXIF"))
	if !bytes.HasPrefix(bytes.TrimSpace(comment), []byte("{")) {
		comment = fromNumbers(comment)
	}
	if comment == nil {
		return Card{}, &llm.Error{Code: llm.Unreadable, Field: "character", Message: "the picture holds no character", Hint: pictureHint}
	}
	c, err := readJSON(comment, report)
	report.Format += " in WebP"
	return c, err
}

// webpChunk is the first chunk of a kind of a RIFF file; nil if there is none.
func webpChunk(data []byte, kind string) []byte {
	for data = data[12:]; len(data) >= 8; {
		n := uint64(binary.LittleEndian.Uint32(data[4:]))
		if n > uint64(len(data)-8) {
			return nil // cut off
		}
		if string(data[:4]) == kind {
			return data[8 : 8+n]
		}
		data = data[min(8+n+n%2, uint64(len(data))):]
	}
	return nil
}

// The tags of EXIF that lead to the comment.
const (
	exifFields  = 0x8769
	userComment = 0x9286
)

// exifComment is the text of the tag UserComment, without the eight bytes that
// name its alphabet; nil if there is none. EXIF data are a TIFF file: a header,
// then directories of entries of twelve bytes.
func exifComment(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("Exif\x00\x00"))
	if len(data) < 8 {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(data[:2]) == "MM" {
		order = binary.BigEndian
	}
	at := order.Uint32(data[4:])
	for range 2 { // the first directory, and the one that it names
		next := uint32(0)
		for tag, value := range directory(data, at, order) {
			count, offset := order.Uint32(value[4:]), order.Uint32(value[8:])
			switch tag {
			case exifFields:
				next = offset
			case userComment:
				if count < 8 || uint64(offset)+uint64(count) > uint64(len(data)) {
					return nil
				}
				text := data[offset : offset+count]
				if !bytes.HasPrefix(text, []byte("{")) {
					text = text[8:]
				}
				return bytes.TrimRight(text, "\x00")
			}
		}
		if at = next; at == 0 {
			return nil
		}
	}
	return nil
}

// directory gives the entries of a directory by their tags.
func directory(data []byte, at uint32, order binary.ByteOrder) map[uint16][]byte {
	if uint64(at)+2 > uint64(len(data)) {
		return nil
	}
	entries := map[uint16][]byte{}
	rest := data[at+2:]
	for range order.Uint16(data[at:]) {
		if len(rest) < 12 {
			break
		}
		entries[order.Uint16(rest)] = rest[:12]
		rest = rest[12:]
	}
	return entries
}

// fromNumbers reads bytes that were written as numbers with commas, as
// TavernAI did; nil if they are none.
func fromNumbers(text []byte) []byte {
	var out []byte
	for number := range strings.SplitSeq(string(text), ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 8)
		if err != nil {
			return nil
		}
		out = append(out, byte(n))
	}
	return out
}
