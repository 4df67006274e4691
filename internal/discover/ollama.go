package discover

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"parley/internal/limits"
)

// A manifest is what Ollama says of one of its models.
type manifest struct {
	Layers []struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
	} `json:"layers"`
}

const layerType = "application/vnd.ollama.image."

var digest = regexp.MustCompile(`^sha256:([0-9a-f]{64})$`)

// store looks through Ollama's store: manifests/REGISTRY/OWNER/MODEL/TAG says
// which blob is which part of a model. Nothing outside the store is looked at,
// whatever a manifest says.
func (s *search) store(p place) {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.note(p.dir, "it cannot be read: %v", cause(err))
		}
		return
	}
	defer root.Close()
	s.manifests(p, root, "manifests", 0)
}

// manifests walks over the four levels of names.
func (s *search) manifests(p place, root *os.Root, dir string, level int) {
	const tags = 4
	for _, entry := range s.readDir(filepath.Join(p.dir, filepath.FromSlash(dir))) {
		name := path.Join(dir, entry.Name())
		switch {
		case entry.IsDir() && level < tags-1:
			s.manifests(p, root, name, level+1)
		case entry.Type().IsRegular() && level == tags-1:
			s.manifest(p, root, name)
		}
	}
}

func (s *search) manifest(p place, root *os.Root, name string) {
	where := filepath.Join(p.dir, filepath.FromSlash(name))
	info, err := root.Stat(name)
	if err == nil {
		err = limits.ManifestBytes.Check(float64(info.Size()))
	}
	var data []byte
	if err == nil {
		data, err = root.ReadFile(name)
	}
	var m manifest
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		s.note(where, "it is no manifest that can be read: %v", cause(err))
		return
	}
	c := &candidate{File: File{Name: ollamaName(name), Where: p.where}}
	for _, layer := range m.Layers {
		kind, ok := strings.CutPrefix(layer.MediaType, layerType)
		if !ok {
			continue
		}
		switch kind {
		case "model":
			id := digest.FindStringSubmatch(layer.Digest)
			if id == nil {
				s.note(where, "it names a file that is none of the store's")
				return
			}
			if c.Path != "" {
				s.note(where, "its model has several files, which is not understood")
				return
			}
			blob := path.Join("blobs", "sha256-"+id[1])
			if c.info, err = root.Stat(blob); err != nil || !c.info.Mode().IsRegular() {
				s.note(where, "its model is not in the store: fetch it again with ollama pull %s", c.Name)
				return
			}
			c.Path = filepath.Join(p.dir, filepath.FromSlash(blob))
		case "adapter":
			c.leftOut = "Ollama applies an adapter to it (" + c.Name + "), which is not supported"
		case "template", "params", "system", "projector", "messages":
			c.Extras = append(c.Extras, kind)
		}
	}
	if c.Path != "" {
		s.add(c)
	}
}

// ollamaName is a model's name as Ollama writes it: what is usual is left out.
func ollamaName(manifest string) string {
	parts := strings.Split(manifest, "/") // manifests/REGISTRY/OWNER/MODEL/TAG
	registry, owner, model, tag := parts[1], parts[2], parts[3], parts[4]
	name := model
	if registry != "registry.ollama.ai" {
		name = registry + "/" + owner + "/" + model
	} else if owner != "library" {
		name = owner + "/" + model
	}
	if tag != "latest" {
		name += ":" + tag
	}
	return name
}
