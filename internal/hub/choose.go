package hub

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"parley/internal/gguf"
	"parley/llm"
)

// A File is one file of a repository.
type File struct {
	Path   string // in the repository, with slashes
	Size   int64  // bytes
	SHA256 string // in hexadecimal
}

// A Model is one model of a repository: a file, or all parts of one that is
// split.
type Model struct {
	Name  string
	Files []File // in the order of the parts
}

// Size is that of all files, in bytes.
func (m *Model) Size() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// models groups the GGUF files of a repository. Files that belong to a model
// and are none (mmproj, imatrix) are left out.
func models(files []File) []Model {
	byName := map[string]*Model{}
	var order []*Model
	for _, f := range files {
		base := path.Base(f.Path)
		if lower := strings.ToLower(base); !strings.HasSuffix(lower, ".gguf") || strings.Contains(lower, "mmproj") || strings.Contains(lower, "imatrix") {
			continue
		}
		key := path.Join(path.Dir(f.Path), gguf.NameOf(base))
		m := byName[key]
		if m == nil {
			m = &Model{Name: gguf.NameOf(base)}
			byName[key] = m
			order = append(order, m)
		}
		m.Files = append(m.Files, f)
	}
	var list []Model
	for _, m := range order {
		slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b Model) int { return cmp.Or(cmp.Compare(a.Size(), b.Size()), strings.Compare(a.Name, b.Name)) })
	return list
}

// usual are the quantisations that are taken where none is asked for, the first
// that there is: small enough for most machines and close to the original.
var usual = []string{"Q4_K_M", "Q4_K_S", "MXFP4", "Q4_0", "Q5_K_M", "Q6_K", "Q8_0"}

// choose finds the model that was asked for among those of a repository.
func choose(ref Ref, list []Model) (*Model, error) {
	if len(list) == 0 {
		return nil, &llm.Error{Code: llm.NotFound, Field: "model", Message: fmt.Sprintf("%s/%s has no GGUF files", ref.Owner, ref.Repo),
			Hint: "many models have a second repository whose name ends in -GGUF"}
	}
	offer := func(message string) error {
		var names []string
		for i := range list {
			names = append(names, fmt.Sprintf("%s (%.1f GB)", list[i].Name, float64(list[i].Size())/1e9))
		}
		return &llm.Error{Code: llm.NotFound, Field: "model", Message: message, Hint: "write it after a colon; there are " + strings.Join(names, ", ")}
	}
	if ref.Want == "" {
		for _, quant := range usual {
			if fit := having(quant, list); len(fit) == 1 {
				return fit[0], nil
			}
		}
		if len(list) == 1 {
			return &list[0], nil
		}
		return nil, offer("there are several models and none is the usual choice")
	}
	for i := range list {
		m := &list[i]
		if strings.EqualFold(m.Name, ref.Want) || slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == ref.Want || path.Base(f.Path) == ref.Want }) {
			return m, nil
		}
	}
	switch fit := having(ref.Want, list); len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return nil, offer(fmt.Sprintf("none is called %q", clip(ref.Want)))
	default:
		return nil, offer(fmt.Sprintf("several are called %q", clip(ref.Want)))
	}
}

// having are the models in whose names a quantisation stands as a word. Names
// have one after a hyphen or a point: model-Q4_K_M, model.Q4_0, UD-Q4_K_XL.
func having(quant string, list []Model) (fit []*Model) {
	for i := range list {
		name, quant := strings.ToLower(list[i].Name), strings.ToLower(quant)
		for at := 0; ; at++ {
			next := strings.Index(name[at:], quant)
			if next < 0 {
				break
			}
			at += next
			before := at == 0 || strings.ContainsRune("-. ", rune(name[at-1]))
			end := at + len(quant)
			if before && (end == len(name) || strings.ContainsRune("-. ", rune(name[end]))) {
				fit = append(fit, &list[i])
				break
			}
		}
	}
	return fit
}
