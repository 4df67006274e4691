package catalog

import (
	"parley/chatformat"
	"parley/engine"
	"parley/internal/demo"
)

// BuiltInName is what the built-in model is called.
const BuiltInName = "parley-demo"

// A File is a model to run in this process.
type File struct {
	Path   string            // of a GGUF file; "" is the built-in model
	Format chatformat.Format // nil finds it from the file
	Engine engine.Options
	Chat   chatformat.Options
}

// Open loads the file and finds its chat format. The caller closes what it
// gives.
func (f File) Open() (*Loaded, error) {
	e, err := f.open()
	if err != nil {
		return nil, err
	}
	loaded, err := talking(e, f.Format, f.Chat)
	if err != nil {
		e.Close()
		return nil, err
	}
	return loaded, nil
}

func (f File) open() (*engine.Engine, error) {
	if f.Path == "" {
		return engine.OpenBytes(demo.Model(), f.Engine)
	}
	return engine.Open(f.Path, f.Engine)
}

// talking makes an engine into something that answers conversations.
func talking(e *engine.Engine, format chatformat.Format, o chatformat.Options) (*Loaded, error) {
	info := e.Describe()
	if format == nil {
		var err error
		if format, err = chatformat.Detect(info); err != nil {
			return nil, err
		}
	}
	return &Loaded{
		Info:      info,
		Format:    format.Name(),
		Model:     e,
		Responder: chatformat.NewResponder(e, format, o),
		Close:     e.Close,
	}, nil
}
