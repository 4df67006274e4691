package openai

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// An Embed asks for the vectors of texts.
type Embed struct {
	Model      string
	Prompts    []llm.Prompt
	Dimensions int  // 0: as many as the model has
	Base64     bool // vectors are little-endian float32 in base64 rather than lists

	// Report lists the fields that were not carried out.
	Report llm.Report
}

// ParseEmbed reads the body of a request for vectors. No control token can
// match in its texts.
func ParseEmbed(body []byte) (*Embed, error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	e := &Embed{Model: o.Bounded("model", limits.NameBytes)}
	if v, ok := o.Take("input"); ok {
		e.Prompts = readPrompts(o, "input", v, limits.Inputs)
	} else {
		o.Fail(&llm.Error{Code: llm.Invalid, Field: "input", Message: "the field is missing", Hint: "send a string, a list of strings or token ids"})
	}
	for i := range e.Prompts {
		e.Prompts[i].Segments[0].Control = false
	}
	switch format := o.Text("encoding_format"); format {
	case "", "float":
	case "base64":
		e.Base64 = true
	default:
		o.Invalid("encoding_format", "%q is none of float, base64", wire.Short(format))
	}
	if n, _ := o.Integer(limits.Dimensions, "dimensions"); n != nil {
		e.Dimensions = *n
	}
	o.Bounded("user", limits.NameBytes)
	o.Rest(o.Unknown)
	e.Report = o.Report
	return e, o.Err
}

// Embeddings is the body that answers with the vectors of texts.
func Embeddings(e *Embed, model string, vectors [][]float32, usage llm.Usage) []byte {
	type row struct {
		Object    string `json:"object"`
		Index     int    `json:"index"`
		Embedding any    `json:"embedding"`
	}
	data := []row{}
	for i, v := range vectors {
		x := row{"embedding", i, v}
		if e.Base64 {
			x.Embedding = packed(v)
		}
		data = append(data, x)
	}
	type counts struct {
		Prompt int `json:"prompt_tokens"`
		Total  int `json:"total_tokens"`
	}
	return wire.Encode(struct {
		Object string `json:"object"`
		Data   []row  `json:"data"`
		Model  string `json:"model"`
		Usage  counts `json:"usage"`
	}{"list", data, model, counts{usage.PromptTokens, usage.PromptTokens}})
}

func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}
