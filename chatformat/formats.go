package chatformat

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"parley/llm"
)

//go:embed formats/*.toml
var files embed.FS

// A library is a set of formats by name.
type library struct {
	list   []*Markup // by name
	byName map[string]*Markup
}

// builtin reads the formats that come with the program.
var builtin = sync.OnceValue(func() *library {
	l := &library{byName: map[string]*Markup{}}
	names, err := fs.Glob(files, "formats/*.toml")
	if err != nil {
		panic(err) // the pattern is right
	}
	for _, file := range names {
		data, err := files.ReadFile(file)
		if err != nil {
			panic(err) // it is embedded
		}
		m, err := ParseMarkup(strings.TrimSuffix(path.Base(file), ".toml"), data)
		if err != nil {
			panic(err) // the tests read them all
		}
		l.list = append(l.list, m)
		for _, name := range append([]string{m.name}, m.file.Aliases...) {
			if other := l.byName[plainName(name)]; other != nil {
				panic(fmt.Sprintf("chat formats %s and %s share the name %s", m.name, other.name, name))
			}
			l.byName[plainName(name)] = m
		}
	}
	slices.SortFunc(l.list, func(a, b *Markup) int { return strings.Compare(a.name, b.name) })
	return l
})

// plainName makes "Llama-3" and "llama3" one name.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_. ", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// Names lists the built-in formats in alphabetical order.
func Names() []string {
	var names []string
	for _, m := range builtin().list {
		names = append(names, m.name)
	}
	return names
}

// Lookup finds a built-in format by its name or one of its aliases; case,
// hyphens, underscores, dots and spaces do not count.
func Lookup(name string) (*Markup, error) {
	if m := builtin().byName[plainName(name)]; m != nil {
		return m, nil
	}
	e := llm.Errorf(llm.NotFound, "format", "there is no chat format %q", name)
	e.Hint = "one of: " + strings.Join(Names(), ", ")
	return nil, e
}
