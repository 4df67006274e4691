package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"parley/internal/limits"
)

// A model that is split lies in files that are called NAME-00001-of-00003.gguf
// and so on, as llama.cpp's gguf-split writes them: each is a GGUF file with
// some of the tensors, and the first has the metadata.
var partName = regexp.MustCompile(`^(.+)-([0-9]{5})-of-([0-9]{5})(\.(?i:gguf))$`)

const (
	splitTensorsKey = "split.tensors.count"
	splitNumberKey  = "split.no" // from 0 on
)

// NameOf is what a model is called that comes from a file: the file's name, less
// .gguf and the number of the part.
func NameOf(path string) string {
	name := filepath.Base(path)
	if m := partName.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	if ext := filepath.Ext(name); strings.EqualFold(ext, ".gguf") {
		name = name[:len(name)-len(ext)]
	}
	return name
}

// PartPaths names all files of the model to which the file at path belongs: the
// path alone, unless it is called like a part.
func PartPaths(path string) []string {
	m := partName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return []string{path}
	}
	count, _ := strconv.Atoi(m[3])
	number, _ := strconv.Atoi(m[2])
	if number < 1 || number > count || limits.GGUFParts.CheckInt(count) != nil {
		return []string{path}
	}
	paths := make([]string, count)
	for i := range paths {
		paths[i] = filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%s%s", m[1], i+1, m[3], m[4]))
	}
	return paths
}

// openParts opens a model of several files as one: the metadata of the first
// and the tensors of all, each with its offset in its own file.
func openParts(paths []string) (*File, error) {
	whole, err := OpenPart(paths[0])
	if err != nil {
		return nil, missingPart(paths, 0, err)
	}
	unmaps := []func() error{whole.unmap}
	whole.unmap = func() error {
		var errs []error
		for _, unmap := range unmaps {
			errs = append(errs, unmap())
		}
		return errors.Join(errs...)
	}
	if err := whole.isPart(0, len(paths)); err != nil {
		whole.Close()
		return nil, fmt.Errorf("%s: %w", paths[0], err)
	}
	for i, path := range paths[1:] {
		part, err := OpenPart(path)
		if err != nil {
			whole.Close()
			return nil, missingPart(paths, i+1, err)
		}
		unmaps = append(unmaps, part.unmap)
		whole.mapped = append(whole.mapped, part.mapped...)
		if err = part.isPart(i+1, len(paths)); err == nil {
			err = whole.add(part)
		}
		if err != nil {
			whole.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	total, ok, err := whole.Uint(splitTensorsKey)
	if err == nil && ok && total != uint64(len(whole.Tensors)) {
		err = &Error{Offset: whole.values[splitTensorsKey].offset, Field: splitTensorsKey,
			Err: fmt.Errorf("the parts have %d tensors, not %s: they do not belong together", len(whole.Tensors), decimal(total))}
	}
	if err != nil {
		whole.Close()
		return nil, fmt.Errorf("%s: %w", paths[0], err)
	}
	return whole, nil
}

// missingPart is the error of a part that cannot be opened.
func missingPart(paths []string, i int, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: gguf: part %d of %d is not there: %w", paths[i], i+1, len(paths), ErrSplit)
	}
	return err
}

// isPart checks that a file is the part that its name says.
func (f *File) isPart(number, count int) error {
	for _, want := range []struct {
		key string
		n   int
	}{{splitCountKey, count}, {splitNumberKey, number}} {
		got, ok, err := f.Uint(want.key)
		if err != nil {
			return err
		}
		if ok && got != uint64(want.n) {
			return &Error{Offset: f.values[want.key].offset, Field: want.key, Err: fmt.Errorf("is %s, and the file's name says %d", decimal(got), want.n)}
		}
		if !ok && want.key == splitCountKey {
			return fmt.Errorf("gguf: the file's name says that it is one of %d parts, and the file does not: %w", count, ErrSplit)
		}
	}
	return nil
}

// add takes over the tensors of a part.
func (f *File) add(part *File) error {
	if err := limits.GGUFTensors.CheckInt(len(f.Tensors) + len(part.Tensors)); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	for _, t := range part.Tensors {
		if _, ok := f.tensors[t.Name]; ok {
			return fmt.Errorf("gguf: tensor %q is in another part, too", t.Name)
		}
		f.tensors[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}
