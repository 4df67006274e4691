package textgen

import (
	"slices"

	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// usualLength is how many tokens are made where nobody says.
const usualLength = 200

// A Request is what a client asks, in our own words.
type Request struct {
	Prompt  string // of a request to generate
	Params  llm.Params
	Context int    // tokens that prompt and answer may have together; 0: as many as the model takes
	NoBOS   bool   // the token that the model puts before a text is left out
	Preset  string // name of sampling parameters that go before those of the request; "" is none
	Report  llm.Report
}

// silent are fields that change nothing here.
var silent = []string{"early_stopping", "stream", "use_max_seq_len", "loader", "loading_message"}

// off are the values at which fields that are not carried out say nothing.
var off = map[string]float64{
	"max_tokens_second": 0, "chat_generation_attempts": 1, "tokens_per_second": 0,
}

// ParseGenerate reads the body of a request to continue a prompt.
func ParseGenerate(body []byte) (*Request, error) {
	q := &Request{}
	return q, read(body, q, func(o *wire.Object) {
		if !o.Has("prompt") {
			o.Invalid("prompt", "the field is missing")
		}
		if q.Prompt = o.Text("prompt"); o.Err == nil && q.Prompt == "" {
			o.Invalid("prompt", "the prompt is empty")
		}
	})
}

// read reads a body: what the kind of request has of its own, then how to
// continue.
func read(body []byte, q *Request, own func(*wire.Object)) error {
	o, err := wire.Body(body)
	if err != nil {
		return err
	}
	own(o)
	q.params(o)
	for _, name := range silent {
		o.Take(name)
	}
	for name, value := range off {
		if v, ok := o.Take(name); ok && !wire.IsNumber(v, value) {
			o.Ignore(name)
		}
	}
	o.Rest(o.Leftover)
	q.Report = o.Report
	return o.Checked(&q.Params)
}

func (q *Request) params(o *wire.Object) {
	p := &q.Params
	length, _ := o.Integer(limits.MaxTokens, "max_length")
	line := o.IsSet("stop_at_newline")
	open := o.IsSet("auto_max_new_tokens")
	sample := o.Flag("do_sample")
	bos := o.Flag("add_bos_token")
	presence := o.Float(limits.PresencePenalty, "presence_pen")
	frequency := o.Float(limits.FrequencyPenalty, "frequency_pen")
	if n, _ := o.Integer(limits.MaxTokens, "truncation_length", "max_context_length"); n != nil {
		q.Context = max(*n, 0)
	}
	if q.Preset = o.Bounded("preset", limits.NameBytes); q.Preset == "None" {
		q.Preset = ""
	}
	o.Params(p)
	for _, or := range []struct{ to, from **float64 }{{&p.PresencePenalty, &presence}, {&p.FrequencyPenalty, &frequency}} {
		if *or.to == nil {
			*or.to = *or.from
		}
	}
	switch {
	case open:
		p.MaxTokens = nil
	case p.MaxTokens == nil && length != nil:
		p.MaxTokens = length
	case p.MaxTokens == nil:
		p.MaxTokens = new(usualLength)
	}
	if sample != nil && !*sample {
		p.Temperature = new(0.0)
	}
	q.NoBOS = bos != nil && !*bos
	if line && !slices.Contains(p.Stop, "\n") {
		p.Stop = append(p.Stop, "\n")
	}
}

// theirs and ours are fields by which bodies for a path that both have are told
// apart: KoboldAI's own, and those of this dialect.
var (
	theirs = []string{
		"max_context_length", "rep_pen", "rep_pen_range", "stop_sequence", "sampler_seed", "sampler_order", "genkey", "memory", "quiet", "singleline",
		"use_story", "use_memory", "use_authors_note", "use_world_info", "use_default_badwordsids", "trim_stop",
	}
	ours = []string{
		"max_new_tokens", "stopping_strings", "custom_stopping_strings", "truncation_length", "repetition_penalty", "encoder_repetition_penalty", "typical_p",
		"do_sample", "add_bos_token", "skip_special_tokens", "penalty_alpha", "num_beams", "preset", "seed", "auto_max_new_tokens", "no_repeat_ngram_size",
	}
)

// Ours reports whether the body of a request to generate is of this dialect
// rather than KoboldAI's. One that could be of either is KoboldAI's.
func Ours(body []byte) bool {
	v, err := wire.Parse(body)
	if err != nil || v.Kind() != '{' {
		return false
	}
	is := false
	for name := range v.Fields() {
		if slices.Contains(theirs, name) {
			return false
		}
		is = is || slices.Contains(ours, name)
	}
	return is
}
