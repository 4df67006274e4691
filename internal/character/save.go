package character

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/llm"
)

// Save puts a character's file into the folder as it is, so that nothing of it
// is lost, under the character's name with the ending of what it is. A folder
// that does not exist is made. A character of that name that is there already
// is an *llm.Error with Code Invalid, unless replace is set; then its file goes.
func (f Folder) Save(file string, data []byte, replace bool) (saved string, report ImportReport, err error) {
	card, report, err := ReadCard(file, data)
	if err != nil {
		return "", report, err
	}
	saved, err = f.files().save(card.Name, endingOf(data, report), data, replace)
	return saved, report, err
}

// Save puts a lorebook's file into the folder as it is, under the lorebook's
// name, which is that of its file if it has none of its own. A folder that
// does not exist is made. A lorebook of that name that is there already is an
// *llm.Error with Code Invalid, unless replace is set.
func (f LorebookFolder) Save(file string, data []byte, replace bool) (saved string, report ImportReport, err error) {
	book, report, err := ReadBook(data)
	if err != nil {
		return "", report, err
	}
	saved, err = f.files().save(book.Called(file), ".json", data, replace)
	return saved, report, err
}

func (f files) save(name, ending string, data []byte, replace bool) (saved string, err error) {
	broken := func(err error) error {
		return &llm.Error{Code: llm.Broken, Message: "the " + f.kind + "'s file cannot be written", Err: err}
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return "", broken(err)
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return "", broken(err)
	}
	defer root.Close()
	name = fileName(name)
	saved = name + ending
	var others []string
	for _, ending := range f.endings {
		switch _, err := root.Lstat(name + ending); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", broken(err)
		case !replace:
			return "", &llm.Error{Code: llm.Invalid, Field: f.kind, Message: "there is a " + f.kind + " of this name already: " + name + ending}
		default:
			others = append(others, name+ending)
		}
	}
	// Under another name first, so that no reader sees half a file.
	const half = ".half"
	if err := root.WriteFile(saved+half, data, 0o644); err != nil {
		return "", broken(err)
	}
	if err := root.Rename(saved+half, saved); err != nil {
		return "", broken(err)
	}
	for _, other := range others {
		if other != saved {
			if err := root.Remove(other); err != nil {
				return "", broken(err)
			}
		}
	}
	return saved, nil
}

// endingOf is the ending by which the folder knows what a file is.
func endingOf(data []byte, report ImportReport) string {
	switch kindOf(data) {
	case "png":
		return ".png"
	case "zip":
		return ".charx"
	}
	switch report.Format[strings.LastIndexByte(report.Format, ' ')+1:] {
	case "JSON":
		return ".json"
	case "TOML":
		return ".toml"
	}
	return ".yaml"
}

// fileName makes a name of a file of a character's, that every system takes.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) || strings.ContainsRune(`<>:"/\|?*`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimSpace(name), ". ")
	for len(name) > 100 {
		_, width := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-width]
	}
	base, _, _ := strings.Cut(strings.ToUpper(name), ".")
	reserved := []string{"CON", "PRN", "AUX", "NUL"}
	if name == "" || strings.HasPrefix(name, ".") || slices.Contains(reserved, base) || len(base) == 4 && (base[:3] == "COM" || base[:3] == "LPT") {
		name = "_" + name
	}
	return name
}
