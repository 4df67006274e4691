package kobold

import (
	"slices"
	"strings"

	"parley/internal/limits"
	"parley/internal/wire"
	"parley/llm"
)

// A Request is what a client asks, in our own words.
type Request struct {
	Memory, Prompt string // laid side by side; of what is too long, the prompt's beginning goes
	Context        int    // tokens that prompt and answer may have together; 0: as many as the model takes
	Params         llm.Params
	Choices        int
	Key            string // names the request for those who look at it and abort it; "" is none
	KeepStop       bool   // the answer ends with the stop string that ended it
	Report         llm.Report

	placeholders bool
}

// usualLength is how many tokens are made where nobody says.
const usualLength = 512

// silent are fields that say how the sender's own page is set, and what changes
// nothing here.
var silent = []string{
	"use_story", "use_memory", "use_authors_note", "use_world_info", "use_userscripts", "quiet", "can_abort", "streaming_server", "api_server", "gui_settings",
	"disable_input_formatting", "disable_output_formatting", "robinmode", "bypass_eos", "grammar_retain_state", "allow_tts", "soft_prompt",
}

// formatting are United's ways to mend an answer, which are left to clients.
var formatting = []string{"frmttriminc", "frmtrmblln", "frmtrmspch", "frmtadsnsp", "reset_sampler_order", "sampler_full_determinism"}

// Parse reads the body of a request to generate.
func Parse(body []byte) (*Request, error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	q := &Request{Memory: o.Text("memory"), Prompt: o.Text("prompt"), Key: o.Bounded("genkey", limits.NameBytes), Choices: 1, placeholders: true}
	if o.Err == nil && q.Prompt == "" && q.Memory == "" {
		o.Invalid("prompt", "the prompt is empty")
	}
	if n, _ := o.Integer(limits.Context, "max_context_length"); n != nil {
		q.Context = *n
	}
	if n, _ := o.Integer(limits.Choices, "n"); n != nil {
		q.Choices = *n
	}
	if p := o.Flag("replace_instruct_placeholders"); p != nil {
		q.placeholders = *p
	}
	if trim := o.Flag("trim_stop"); trim != nil {
		q.KeepStop = !*trim
	}
	q.params(o)
	if v, ok := o.Take("images"); ok && !v.Empty() {
		o.Unsupported("images", "pictures cannot be put into raw prompts here", "send messages to /v1/chat/completions")
	}
	for _, name := range silent {
		o.Take(name)
	}
	for _, name := range formatting {
		if v, ok := o.Take(name); ok && !v.Empty() {
			o.Ignore(name)
		}
	}
	o.Take("model") // there is no choice of models in this dialect
	o.Rest(o.Leftover)
	if err := o.Checked(&q.Params); err != nil {
		return nil, err
	}
	q.Report = o.Report
	return q, nil
}

func (q *Request) params(o *wire.Object) {
	p := &q.Params
	length, _ := o.Integer(limits.MaxTokens, "max_length")
	line := o.IsSet("singleline")
	bans := o.IsSet("use_default_badwordsids") // what KoboldAI calls the end-of-text token's ban
	special := o.Flag("render_special")
	q.order(o)
	order := p.Samplers
	o.Params(p)
	if order != nil {
		p.Samplers = order
	}
	if p.MaxTokens == nil {
		p.MaxTokens = length
	}
	if p.MaxTokens == nil {
		p.MaxTokens = new(usualLength)
	}
	if p.RepetitionRange != nil && *p.RepetitionRange == 0 {
		p.RepetitionRange = new(-1) // the whole text, as KoboldAI has it
	}
	p.IgnoreEOS = p.IgnoreEOS || bans
	if line && !slices.Contains(p.Stop, "\n") {
		p.Stop = append(p.Stop, "\n")
	}
	if special != nil && *special {
		o.Ignore("render_special")
	}
}

// steps are the numbers of samplers in sampler_order.
var steps = [][]llm.Sampler{
	0: {llm.SampleTopK},
	1: nil, // top-a
	2: {llm.SampleTopP, llm.SampleMinP},
	3: nil, // tail-free
	4: {llm.SampleTypicalP},
	5: {llm.SampleTemperature},
	6: {llm.SamplePenalties, llm.SampleDRY},
}

// order reads sampler_order. KoboldCpp's samplers without a number keep their
// place: top-n-sigma first of those that cut, XTC last.
func (q *Request) order(o *wire.Object) {
	v, ok := o.Take("sampler_order")
	if !ok || v.Empty() {
		return
	}
	var numbers []int
	o.List("sampler_order", v, limits.Samplers, func(path string, v wire.Value) {
		n, ok := o.Number(path, v, limits.MaxTokens)
		if i := int(n); ok && (float64(i) != n || i < 0 || i >= len(steps) || slices.Contains(numbers, i)) {
			o.Invalid(path, "the order names each of the samplers 0 to 6 once")
		} else if ok {
			numbers = append(numbers, i)
		}
	})
	if o.Err != nil || slices.Equal(numbers, []int{6, 0, 1, 3, 4, 2, 5}) {
		return // the usual one, in which everything stands here, too
	}
	order := []llm.Sampler{llm.SampleTopNSigma}
	for _, n := range numbers {
		order = append(order, steps[n]...)
	}
	for i, s := range order { // penalties come before all that cut
		if s == llm.SamplePenalties && i == 1 {
			order = append([]llm.Sampler{llm.SamplePenalties, llm.SampleDRY, llm.SampleTopNSigma}, order[3:]...)
		}
	}
	q.Params.Samplers = append(order, llm.SampleXTC)
}

// Delimiters are what a chat format writes around turns.
type Delimiters struct {
	System string // before the instructions
	Input  string // before what a user says, behind the other's turn
	Output string // before an answer, behind a user's turn
	Last   string // the same where the answer is to be written
}

// Placeholders reports whether the request has places for delimiters.
func (q *Request) Placeholders() bool {
	if !q.placeholders {
		return false
	}
	for _, s := range slices.Concat([]string{q.Memory, q.Prompt}, q.Params.Stop, q.Params.StopLines) {
		if strings.Contains(s, "{{[") {
			return true
		}
	}
	return false
}

// Fill puts a format's delimiters in their places.
func (q *Request) Fill(d Delimiters) {
	replace := strings.NewReplacer(
		"{{[SYSTEM]}}", d.System, "{{[SYSTEM_END]}}", "",
		"{{[INPUT]}}", d.Input, "{{[INPUT_END]}}", "",
		"{{[OUTPUT]}}", d.Output, "{{[OUTPUT_END]}}", "",
	).Replace
	if before, ok := strings.CutSuffix(q.Prompt, "{{[OUTPUT]}}"); ok {
		q.Prompt = before + d.Last
	}
	q.Memory, q.Prompt = replace(q.Memory), replace(q.Prompt)
	for _, list := range []*[]string{&q.Params.Stop, &q.Params.StopLines} {
		var stops []string
		for _, s := range *list {
			if s = replace(s); s != "" && !slices.Contains(stops, s) {
				stops = append(stops, s)
			}
		}
		*list = stops
	}
}

// A Count asks for the tokens of a text.
type Count struct {
	Text    string
	Special bool // the token that the model puts before a text is counted
}

// ParseCount reads the body of tokencount.
func ParseCount(body []byte) (Count, error) {
	o, err := wire.Body(body)
	if err != nil {
		return Count{}, err
	}
	c := Count{Text: o.Text("prompt"), Special: true}
	if s := o.Flag("special"); s != nil {
		c.Special = *s
	}
	if o.Err != nil {
		return Count{}, o.Err
	}
	return c, nil
}

// ParseIDs reads the body of detokenize.
func ParseIDs(body []byte) (ids []int, err error) {
	o, err := wire.Body(body)
	if err != nil {
		return nil, err
	}
	if v, ok := o.Take("ids"); ok {
		o.List("ids", v, limits.MaxTokens, func(path string, v wire.Value) {
			if n, ok := o.Number(path, v, limits.TokenID); ok {
				ids = append(ids, int(n))
			}
		})
	} else {
		o.Invalid("ids", "the field is missing")
	}
	if o.Err != nil {
		return nil, o.Err
	}
	return ids, nil
}

// ParseKey reads the genkey of a body that may be empty.
func ParseKey(body []byte) string {
	v, err := wire.Parse(body)
	if err != nil || v.Kind() != '{' {
		return ""
	}
	return (&wire.Reader{}).Object("", v).Bounded("genkey", limits.NameBytes)
}
