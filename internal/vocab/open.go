package vocab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"parley/internal/gguf"
	"parley/internal/limits"
)

// Open reads the vocabulary of a GGUF file or of the first part of a split one,
// of a tokenizer.json with what lies beside it, or of a folder with one of them. It keeps no file open. The error
// names the file.
func Open(path string) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if path, err = fileIn(path); err != nil {
			return nil, err
		}
	}
	var m *Model
	if strings.EqualFold(filepath.Ext(path), ".json") {
		m, err = openHF(path)
		path = filepath.Dir(path) // the error says which file
	} else {
		var f *gguf.File
		if f, err = gguf.OpenPart(path); err != nil {
			return nil, err // it names the file
		}
		defer f.Close()
		m, err = FromGGUF(f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// fileIn finds the file with the vocabulary in a folder.
func fileIn(dir string) (string, error) {
	path := filepath.Join(dir, "tokenizer.json")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if strings.EqualFold(filepath.Ext(e.Name()), ".gguf") {
			found = append(found, e.Name())
		}
	}
	if len(found) == 1 {
		return filepath.Join(dir, found[0]), nil
	}
	return "", fmt.Errorf("%s: there is neither a tokenizer.json nor one GGUF file in this folder", dir)
}

func openHF(path string) (*Model, error) {
	var files HF
	for _, x := range []struct {
		name string
		to   *[]byte
		most *limits.Limit
	}{
		{filepath.Base(path), &files.Tokenizer, limits.TokenizerFileBytes},
		{"tokenizer_config.json", &files.Config, limits.TokenizerConfigBytes},
		{"special_tokens_map.json", &files.SpecialTokens, limits.TokenizerConfigBytes},
		{"generation_config.json", &files.Generation, limits.TokenizerConfigBytes},
		{"config.json", &files.Model, limits.TokenizerConfigBytes},
		{"chat_template.jinja", &files.Template, limits.TemplateBytes},
	} {
		data, err := read(filepath.Join(filepath.Dir(path), x.name), x.most)
		if errors.Is(err, fs.ErrNotExist) && x.to != &files.Tokenizer {
			continue
		}
		if err != nil {
			return nil, err
		}
		*x.to = data
	}
	return FromHF(files)
}

func read(path string, most *limits.Limit) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", filepath.Base(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most.Int64()+1))
	if err != nil {
		return nil, err
	}
	if err := most.CheckInt(len(data)); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return data, nil
}
