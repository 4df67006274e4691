// Package discover finds what is there: model files where people and other
// programs keep them, and engines on their usual ports.
//
// Its contract: it reads, and changes nothing. Of a model file it reads what
// describes the model, never the weights. What a store says of its files leads
// to files of that store only. What cannot be read is a note, not an error, and
// a search is bounded in files, depth and time. All it knows of the machine is
// an Environment.
package discover

import (
	"os"
	"runtime"
)

// An Environment is the machine as far as it is looked at.
type Environment struct {
	OS     string              // as runtime.GOOS has it
	Home   string              // the user's folder; "" if there is none
	Dir    string              // the working directory; "" to leave it out
	Root   string              // put before the folders of services of the system; "" but in tests
	Getenv func(string) string // the environment's variables
	Memory int64               // bytes of main memory; 0: not known
}

// Here is the machine that this program runs on.
func Here() Environment {
	home, _ := os.UserHomeDir()
	dir, _ := os.Getwd()
	return Environment{OS: runtime.GOOS, Home: home, Dir: dir, Getenv: os.Getenv, Memory: mainMemory()}
}

// A File is a model in a file, or in several that belong together.
type File struct {
	Name    string   // short, and no other file's
	Aliases []string // what else its store calls it
	Path    string   // of the file, or of the first of its parts
	Parts   int      // files that it consists of
	Where   string   // who keeps it: "Ollama", or a folder

	Size         int64 // bytes
	Parameters   int64
	Context      int // tokens, as trained; 0 if it does not say
	Architecture string
	Quantisation string
	Extras       []string // what its store keeps with it and is not applied: "template", "parameters"

	// Refusal says why the engine in this program cannot run it; "" if it can.
	Refusal string
	large   bool // for this machine
}

// Runs reports whether the engine in this program can run the model.
func (f *File) Runs() bool { return f.Refusal == "" }

// Fits reports whether the model is no larger than the machine's memory, as
// far as that is known.
func (f *File) Fits() bool { return !f.large }

// A Note is something that was found and is no model to serve, or a place that
// could not be read.
type Note struct {
	Path   string
	Reason string
}

// Found is what a search found.
type Found struct {
	Files []File // those of the working directory first, then by place
	Notes []Note
}

// Named gives the file of a name or an alias; nil if there is none.
func (f *Found) Named(name string) *File {
	for i := range f.Files {
		if f.Files[i].Name == name {
			return &f.Files[i]
		}
	}
	for i := range f.Files {
		for _, alias := range f.Files[i].Aliases {
			if alias == name {
				return &f.Files[i]
			}
		}
	}
	return nil
}
