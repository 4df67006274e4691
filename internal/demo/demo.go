// Package demo holds the built-in model: a few million parameters that show what chat formats and system messages do,
// embedded in the binary so that a server answers offline, with nothing to download.
//
// The file is an ordinary GGUF (llama architecture, Q8_0) and takes the path of any other model. It was trained from
// nothing by tools/demomodel on conversations which that tool writes; no data set went into it. It is under the
// licence of the repository. What it can do, and how well, is in tools/demomodel/EVALUATION.md.
package demo

import _ "embed"

// Name is what the model is called where models are listed.
const Name = "parley-demo"

//go:embed demo.gguf
var model []byte

// Model returns the built-in model's GGUF file. It lies in the binary and must not be written to.
func Model() []byte { return model }
