package llamaserver

import (
	"strings"

	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// A Request is what a client asks of /completion, in our own words.
type Request struct {
	Model   string
	Prompts []llm.Prompt
	Gap     *Gap // to be filled instead of the one prompt, where the server puts it; nil: there is none
	Many    bool // the client sent a list of prompts, and gets a list of answers
	Params  llm.Params
	Stream  bool
	Report  llm.Report

	Tokens   bool     // the ids of the answer's tokens are told
	Progress bool     // so is how much of the prompt has been read
	Timings  bool     // each part of a stream tells the times
	NoCache  bool     // nothing that was computed before may be used
	Fields   []string // of the last part, or of the whole answer; nil: all
}

// A Gap is the place of an answer between two texts.
type Gap struct {
	Before, After string
	Files         []string // other files, their names in their first lines
}

// ParseCompletion reads the body of /completion.
func ParseCompletion(body []byte) (*Request, error) {
	return parse(body, func(o *wire.Object, q *Request) {
		if v, ok := o.Take("prompt"); ok {
			q.prompts(o, v)
		} else {
			o.Fail(&llm.Error{Code: llm.Invalid, Field: "prompt", Message: "the field is missing", Hint: "send a text, token ids, or a list of both"})
		}
	})
}

// ParseInfill reads the body of /infill. The prompt is what the answer's own
// file has before the gap in the line of the gap.
func ParseInfill(body []byte) (*Request, error) {
	return parse(body, func(o *wire.Object, q *Request) {
		if !o.Has("input_prefix") && !o.Has("input_suffix") {
			o.Fail(&llm.Error{Code: llm.Invalid, Field: "input_prefix", Message: "the field is missing", Hint: "send input_prefix and input_suffix, the texts around the gap"})
		}
		q.Gap = &Gap{Before: o.Text("input_prefix"), After: o.Text("input_suffix")}
		q.Gap.Before += o.Text("prompt")
		if v, ok := o.Take("input_extra"); ok {
			o.List("input_extra", v, limits.Parts, func(path string, v wire.Value) {
				file := o.Object(path, v)
				name, text := file.Text("filename"), file.Text("text")
				if name != "" {
					name += "\n"
				}
				if text = name + text; !strings.HasSuffix(text, "\n") {
					text += "\n"
				}
				q.Gap.Files = append(q.Gap.Files, text)
			})
		}
		q.Prompts = make([]llm.Prompt, 1)
	})
}

func parse(body []byte, own func(*wire.Object, *Request)) (*Request, error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	q := &Request{
		Model: o.Bounded("model", limits.NameBytes), Stream: o.IsSet("stream"),
		Tokens: o.IsSet("return_tokens"), Progress: o.IsSet("return_progress"), Timings: o.IsSet("timings_per_token"),
	}
	own(o, q)
	// -2 is until the context is full, which it is at -1, too.
	if v, ok := o.Peek("n_predict"); ok && string(v) == "-2" {
		o.Take("n_predict")
	}
	o.Params(&q.Params)
	if n, _ := o.Integer(limits.LogProbs, "n_probs"); n != nil && *n > 0 {
		q.Params.LogProbs = n
	}
	if o.IsSet("post_sampling_probs") && q.Params.LogProbs != nil {
		o.Ignore("post_sampling_probs") // told are the model's own
	}
	if cache := o.Flag("cache_prompt"); cache != nil && !*cache {
		q.NoCache = true
	}
	if v, ok := o.Take("response_fields"); ok {
		o.List("response_fields", v, limits.Fields, func(path string, v wire.Value) {
			q.Fields = append(q.Fields, o.TextOf(path, v))
		})
	}
	o.Rest(o.Leftover)
	if err := o.Checked(&q.Params); err != nil {
		return nil, err
	}
	q.Report = o.Report
	return q, nil
}

// prompts reads one prompt or a list of them. A list whose elements are texts
// and ids in turn, with at least one id, is one prompt; so is one of ids alone.
func (q *Request) prompts(o *wire.Object, v wire.Value) {
	if v.Kind() != '[' || mixed(v) {
		q.Prompts = []llm.Prompt{prompt(o, "prompt", v)}
		return
	}
	q.Many = true
	o.List("prompt", v, limits.PromptsPerCall, func(path string, v wire.Value) {
		q.Prompts = append(q.Prompts, prompt(o, path, v))
	})
	if len(q.Prompts) == 0 {
		o.Invalid("prompt", "the list is empty")
	}
}

// mixed reports whether a list holds token ids side by side, or with texts.
func mixed(v wire.Value) bool {
	ids := false
	for _, e := range v.Elements() {
		switch e.Kind() {
		case '0':
			ids = true
		case '"':
		default:
			return false
		}
	}
	return ids
}

func prompt(o *wire.Object, path string, v wire.Value) llm.Prompt {
	switch v.Kind() {
	case '"':
		return llm.Text(v.Text())
	case '{':
		p := o.Object(path, v)
		if !p.Has("prompt_string") {
			o.Fail(&llm.Error{Code: llm.Invalid, Field: p.At("prompt_string"), Message: "the field is missing", Hint: "it holds the text of the prompt"})
		}
		text := p.Text("prompt_string")
		if d, ok := p.Take("multimodal_data"); ok && !d.Empty() {
			o.Unsupported(p.At("multimodal_data"), "pictures cannot be put into raw prompts here", "send messages to /v1/chat/completions")
		}
		return llm.Text(text)
	}
	var out llm.Prompt
	o.List(path, v, limits.MaxTokens, func(path string, v wire.Value) {
		if v.Kind() == '"' {
			out.Segments = append(out.Segments, llm.Text(v.Text()).Segments...)
			return
		}
		id, ok := o.Number(path, v, limits.TokenID)
		if id != float64(int(id)) {
			o.Invalid(path, "a token id is a whole number")
		}
		if n := len(out.Segments); ok && n > 0 && out.Segments[n-1].Tokens != nil {
			out.Segments[n-1].Tokens = append(out.Segments[n-1].Tokens, int(id))
		} else if ok {
			out.Segments = append(out.Segments, llm.Tokens([]int{int(id)}).Segments...)
		}
	})
	return out
}

// own are fields that only this server's clients send.
var own = []string{"n_predict", "cache_prompt", "id_slot", "n_probs", "return_tokens", "n_keep", "t_max_predict_ms", "post_sampling_probs", "response_fields", "return_progress"}

// Ours reports whether the body of a path that OpenAI's dialect has, too, is
// one of this dialect.
func Ours(body []byte) bool {
	v, err := wire.Parse(body)
	if err != nil || v.Kind() != '{' {
		return false
	}
	o := (&wire.Reader{}).Object("", v)
	for _, name := range own {
		if o.Has(name) {
			return true
		}
	}
	return false
}

// A Tokenize asks for the tokens of a text, in llama.cpp's spelling or vLLM's.
type Tokenize struct {
	Model    string
	Text     string
	Special  bool // control tokens may match
	BOS      bool // with the token that the model puts before a text
	Pieces   bool // with the text of each
	VLLM     bool
	Messages bool // a conversation's tokens are asked for
}

// ParseTokenize reads the body of /tokenize.
func ParseTokenize(body []byte) (Tokenize, error) {
	o, err := wire.Body(body)
	if err != nil {
		return Tokenize{}, err
	}
	t := Tokenize{Model: o.Bounded("model", limits.NameBytes), Special: true}
	yes := func(name string, to *bool) {
		if f := o.Flag(name); f != nil {
			*to = *f
		}
	}
	switch {
	case o.Has("content"):
		t.Text = o.Text("content")
		yes("add_special", &t.BOS)
		yes("parse_special", &t.Special)
		yes("with_pieces", &t.Pieces)
	case o.Has("messages"):
		t.VLLM, t.Messages = true, true
		yes("return_token_strs", &t.Pieces)
	case o.Has("prompt"):
		t.VLLM, t.BOS = true, true
		t.Text = o.Text("prompt")
		yes("add_special_tokens", &t.BOS)
		yes("return_token_strs", &t.Pieces)
	}
	if o.Err != nil {
		return Tokenize{}, o.Err
	}
	return t, nil
}

// ParseDetokenize reads the body of /detokenize.
func ParseDetokenize(body []byte) (model string, ids []int, err error) {
	o, err := wire.Body(body)
	if err != nil {
		return "", nil, err
	}
	model = o.Bounded("model", limits.NameBytes)
	if v, ok := o.Take("tokens"); ok {
		o.List("tokens", v, limits.MaxTokens, func(path string, v wire.Value) {
			if id, ok := o.Number(path, v, limits.TokenID); ok {
				ids = append(ids, int(id))
			}
		})
	} else {
		o.Invalid("tokens", "the field is missing")
	}
	if o.Err != nil {
		return "", nil, o.Err
	}
	return model, ids, nil
}

// An Embed asks for the vectors of texts.
type Embed struct {
	Model   string
	Prompts []llm.Prompt
}

// ParseEmbed reads the body of /embedding.
func ParseEmbed(body []byte) (Embed, error) {
	o, err := wire.Body(body)
	if err != nil {
		return Embed{}, err
	}
	q := Request{}
	e := Embed{Model: o.Bounded("model", limits.NameBytes)}
	for _, name := range []string{"content", "input"} {
		if v, ok := o.Take(name); ok {
			q.prompts(o, v)
		}
	}
	if len(q.Prompts) == 0 {
		o.Invalid("content", "the field is missing")
	}
	if v, ok := o.Take("embd_normalize"); ok && !wire.IsNumber(v, 2) {
		o.Unsupported("embd_normalize", "vectors have the Euclidean length 1 always", "leave it out")
	}
	for i := range q.Prompts {
		for j := range q.Prompts[i].Segments {
			q.Prompts[i].Segments[j].Control = false
		}
	}
	e.Prompts = q.Prompts
	if o.Err != nil {
		return Embed{}, o.Err
	}
	return e, nil
}

// stopType says in this dialect's words why an answer ended.
func stopType(f llm.Finish) string {
	switch f.Reason {
	case llm.ReasonEnd:
		return "eos"
	case llm.ReasonStop:
		return "word"
	case llm.ReasonLength:
		return "limit"
	}
	return "none"
}

func wholePrompt(p llm.Prompt) string { return strings.ToValidUTF8(p.String(), "\ufffd") }
