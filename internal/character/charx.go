package character

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"

	"parley/internal/limits"
	"parley/llm"
)

// readCharX reads the card of a CHARX archive, also of one behind a picture.
func readCharX(data []byte, report *ImportReport) (Card, error) {
	card, err := fromArchive(data, "card.json", limits.CardBytes.Int64())
	if err != nil {
		return Card{}, &llm.Error{Code: llm.Unreadable, Field: "character", Message: "the archive holds no card that can be read",
			Hint: "a CHARX file is a zip archive with card.json in it", Err: err}
	}
	c, err := readJSON(card, report)
	report.Format += " in CHARX"
	return c, err
}

// fromArchive reads one file of an archive, and of one that is larger than most
// no more than one byte beyond. Its size counts as it unpacks, not as it says,
// so that a small archive cannot become a large text.
func fromArchive(data []byte, name string, most int64) ([]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if err := limits.ArchiveFiles.CheckInt(len(r.File)); err != nil {
		return nil, err
	}
	for _, f := range r.File {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		file, err := f.Open()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return io.ReadAll(io.LimitReader(file, most+1))
	}
	return nil, errors.New("it is not there")
}
