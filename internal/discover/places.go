package discover

import (
	"path/filepath"
	"strings"

	"parley/internal/gguf"
)

// A place is a folder in which model files are looked for.
type place struct {
	where string // as a person calls it
	dir   string
	in    func(*search, place)
	depth int                      // folders within folders; 0 is the folder itself
	name  func(path string) string // what its files are called; nil: as the file
}

// places lists where to look, in this order. dirs are those that were
// configured.
func (e *Environment) places(dirs []string) (list []place) {
	add := func(where string, in func(*search, place), depth int, dir string) {
		if dir != "" {
			list = append(list, place{where: where, dir: dir, in: in, depth: depth})
		}
	}
	for _, dir := range dirs {
		add(dir, (*search).walk, deepest, dir)
	}
	if e.Dir != "" {
		add("this folder", (*search).walk, 0, e.Dir)
		add("./models", (*search).walk, deepest, filepath.Join(e.Dir, "models"))
	}
	add("Parley", (*search).walk, deepest, e.ModelsDir())
	for _, dir := range e.ollama() {
		add("Ollama", (*search).store, 0, dir)
	}
	add("LM Studio", (*search).walk, deepest, e.home(".lmstudio", "models"))
	add("LM Studio", (*search).walk, deepest, e.home(".cache", "lm-studio", "models"))
	if dir := e.llamaCache(); dir != "" {
		list = append(list, place{where: "llama.cpp", dir: dir, in: (*search).walk, depth: deepest, name: cachedName})
	}
	add("Hugging Face", (*search).hub, deepest, e.hub())
	add("GPT4All", (*search).walk, 0, e.data("nomic.ai", "GPT4All"))
	add("Jan", (*search).walk, deepest, e.data("Jan", "data", "llamacpp", "models"))
	add("Jan", (*search).walk, deepest, e.home("jan", "models"))
	return list
}

// ModelsDir is where Parley keeps the models that it fetched: a folder of the
// user's; "" if there is none.
func (e *Environment) ModelsDir() string { return e.data("parley", "models") }

// DataDir is where Parley keeps what is no model: a folder of the user's; "" if
// there is none.
func (e *Environment) DataDir() string { return e.data("parley") }

// home is a path in the user's folder; "" if there is none.
func (e *Environment) home(parts ...string) string {
	if e.Home == "" {
		return ""
	}
	return filepath.Join(append([]string{e.Home}, parts...)...)
}

// from is a path in the folder that a variable names; "" if it names none.
func (e *Environment) from(variable string, parts ...string) string {
	dir := e.Getenv(variable)
	if dir == "" {
		return ""
	}
	return filepath.Join(append([]string{dir}, parts...)...)
}

// data is a path in the folder where programs keep their data.
func (e *Environment) data(parts ...string) string {
	switch e.OS {
	case "darwin":
		return e.home(append([]string{"Library", "Application Support"}, parts...)...)
	case "windows":
		if parts[0] == "Jan" {
			return e.from("APPDATA", parts...)
		}
		return e.from("LOCALAPPDATA", parts...)
	}
	if dir := e.from("XDG_DATA_HOME", parts...); dir != "" {
		return dir
	}
	return e.home(append([]string{".local", "share"}, parts...)...)
}

// cache is a path in the folder where programs keep what they can fetch again.
func (e *Environment) cache(parts ...string) string {
	if dir := e.from("XDG_CACHE_HOME", parts...); dir != "" {
		return dir
	}
	return e.home(append([]string{".cache"}, parts...)...)
}

// ollama lists Ollama's stores: the user's, and that of the service which its
// installer sets up.
func (e *Environment) ollama() []string {
	if dir := e.Getenv("OLLAMA_MODELS"); dir != "" {
		return []string{dir}
	}
	stores := []string{e.home(".ollama", "models")}
	if e.OS == "linux" {
		stores = append(stores, filepath.Join(e.Root, "/usr/share/ollama/.ollama/models"))
	}
	return stores
}

func (e *Environment) llamaCache() string {
	if dir := e.Getenv("LLAMA_CACHE"); dir != "" {
		return dir
	}
	switch e.OS {
	case "darwin":
		return e.home("Library", "Caches", "llama.cpp")
	case "windows":
		return e.from("LOCALAPPDATA", "llama.cpp")
	}
	return e.cache("llama.cpp")
}

func (e *Environment) hub() string {
	for _, variable := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if dir := e.Getenv(variable); dir != "" {
			return dir
		}
	}
	if dir := e.from("HF_HOME", "hub"); dir != "" {
		return dir
	}
	return e.cache("huggingface", "hub")
}

// cachedName is a file of llama.cpp's cache without the owner and the
// repository that stand before its name.
func cachedName(path string) string {
	name := gguf.NameOf(path)
	if i := strings.LastIndex(strings.ToLower(name), "-gguf_"); i >= 0 {
		name = name[i+len("-gguf_"):]
	}
	return name
}
