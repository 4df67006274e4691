package upstream

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"parley/llm"
)

// A parameter is a row of the table of sampling parameters: a field of
// llm.Params.
type parameter struct {
	field   string   // its name there
	name    string   // as OpenAI's clients spell it; reports use this name
	neutral any      // the value that changes nothing; nil: there is none
	shapes  []string // fields without one of which this one changes nothing
	ours    bool     // carried out here, whatever the engine can
	apart   bool     // each endpoint says it in its own way: see constraint.go
}

// parameters are all fields of llm.Params, in their order.
var parameters = []parameter{
	{field: "MaxTokens", name: "max_tokens"},
	{field: "Temperature", name: "temperature", neutral: 1.0},
	{field: "TopK", name: "top_k", neutral: 0},
	{field: "TopP", name: "top_p", neutral: 1.0},
	{field: "MinP", name: "min_p", neutral: 0.0},
	{field: "TypicalP", name: "typical_p", neutral: 1.0},
	{field: "TopNSigma", name: "top_n_sigma", neutral: 0.0},
	{field: "DynamicTemperatureRange", name: "dynatemp_range", neutral: 0.0},
	{field: "DynamicTemperatureExponent", name: "dynatemp_exponent", neutral: 1.0, shapes: []string{"DynamicTemperatureRange"}},
	{field: "XTCProbability", name: "xtc_probability", neutral: 0.0},
	{field: "XTCThreshold", name: "xtc_threshold", neutral: 0.1, shapes: []string{"XTCProbability"}},
	{field: "Mirostat", name: "mirostat", neutral: 0},
	{field: "MirostatTau", name: "mirostat_tau", neutral: 5.0, shapes: []string{"Mirostat"}},
	{field: "MirostatEta", name: "mirostat_eta", neutral: 0.1, shapes: []string{"Mirostat"}},
	{field: "RepetitionPenalty", name: "repetition_penalty", neutral: 1.0},
	{field: "RepetitionRange", name: "repeat_last_n", neutral: 64, shapes: []string{"RepetitionPenalty", "PresencePenalty", "FrequencyPenalty"}},
	{field: "PresencePenalty", name: "presence_penalty", neutral: 0.0},
	{field: "FrequencyPenalty", name: "frequency_penalty", neutral: 0.0},
	{field: "DRYMultiplier", name: "dry_multiplier", neutral: 0.0},
	{field: "DRYBase", name: "dry_base", neutral: 1.75, shapes: []string{"DRYMultiplier"}},
	{field: "DRYAllowedLength", name: "dry_allowed_length", neutral: 2, shapes: []string{"DRYMultiplier"}},
	{field: "DRYRange", name: "dry_penalty_last_n", neutral: -1, shapes: []string{"DRYMultiplier"}},
	{field: "DRYBreakers", name: "dry_sequence_breakers", shapes: []string{"DRYMultiplier"}},
	{field: "Samplers", name: "samplers"},
	{field: "Seed", name: "seed"},
	{field: "Choice", name: "n", ours: true}, // a seed of its own, and a request of its own
	{field: "Stop", name: "stop", ours: true},
	{field: "StopLines", name: "stop_at_line_start", ours: true},
	{field: "StopAfter", name: "stop_after", ours: true},
	{field: "StopOpen", name: "stop_open", ours: true},
	{field: "BannedStrings", name: "banned_strings"},
	{field: "LogitBias", name: "logit_bias"},
	{field: "WordBias", name: "logit_bias"},
	{field: "MinTokens", name: "min_tokens", neutral: 0},
	{field: "IgnoreEOS", name: "ignore_eos"},
	{field: "LoopGuard", name: "loop_guard", ours: true},
	{field: "TokenHealing", name: "token_healing", neutral: false},
	{field: "Constraint", name: "response_format", apart: true},
	{field: "LogProbs", name: "logprobs"},
	{field: "Prediction", name: "prediction", ours: true}, // the output is the same without it
	{field: "CacheScope", name: "cache_scope"},
}

// A word is how a vocabulary says a parameter.
type word struct {
	name      string
	low, high float64 // what the engine takes; both 0: as much as we do

	// own says that the engine does not begin with the neutral value, or that
	// this cannot be known: then a client who chose the neutral value must be
	// heard.
	own bool

	// apart says that an endpoint writes it itself, since it has a place of
	// its own there.
	apart bool

	// write puts the value into a body; nil writes it as it is. False says that
	// this value cannot be said.
	write func(p llm.Params, name string, value any, into map[string]any) bool
}

func as(name string) word { return word{name: name} }

func (w word) within(low, high float64) word { w.low, w.high = low, high; return w }

func (w word) begins() word { w.own = true; return w }

func (w word) by(write func(llm.Params, string, any, map[string]any) bool) word {
	w.write = write
	return w
}

// apart is a word that endpoints write themselves.
func apart(name string) word { return word{name: name, apart: true} }

// write puts the parameters of a call into a body, under the names of a
// vocabulary, and notes in the report what it has no word for. Stop strings are
// the endpoint's, and so is what a vocabulary keeps apart. Parameters that
// nobody chose are left to the engine. An error is one of code Unsupported for
// what would make the answer a wrong one if it were left out.
func (v vocabulary) write(into map[string]any, p llm.Params, report *llm.Report) error {
	words := columns[v].words
	p = omitted(p)
	fields := reflect.ValueOf(p)
	for _, row := range parameters {
		value, chosen := chosen(fields.FieldByName(row.field))
		if !chosen || row.ours || row.apart {
			continue
		}
		w, has := words[row.field]
		neutral := row.neutral != nil && value == row.neutral
		switch {
		case !has && (neutral || !row.matters(fields)):
		case !has:
			if err := row.missing(v, value, report); err != nil {
				return err
			}
		case w.apart || neutral && !w.own:
		default:
			w.put(row, p, value, into, report)
		}
	}
	if finish := columns[v].finish; finish != nil {
		finish(p, into)
	}
	return nil
}

// put writes one value.
func (w word) put(row parameter, p llm.Params, value any, into map[string]any, report *llm.Report) {
	if w.low != 0 || w.high != 0 {
		value = w.bounded(row, value, report)
	}
	if w.write == nil {
		into[w.name] = value
	} else if !w.write(p, w.name, value, into) {
		report.Add(codeIgnored, row.name, "the engine cannot be told this value; the answer was made without it")
	}
}

// bounded brings a number into the range that the engine takes. A number of
// tokens below 0 is none.
func (w word) bounded(row parameter, value any, report *llm.Report) any {
	switch n := value.(type) {
	case float64:
		if b := min(max(n, w.low), w.high); b != n {
			report.Add(codeCapped, row.name, fmt.Sprintf("the engine takes %g to %g: %g was sent", w.low, w.high, b))
			return b
		}
	case int:
		if b := min(n, int(w.high)); b != n {
			report.Add(row.name+"_"+codeCapped, strconv.Itoa(b), fmt.Sprintf("the engine takes %g to %g", w.low, w.high))
			return b
		}
	}
	return value
}

// has reports whether a vocabulary has a word for a field of llm.Params.
func (v vocabulary) has(field string) bool {
	_, has := columns[v].words[field]
	return has
}

// The codes of notes about parameters.
const (
	codeIgnored = "ignored"
	codeCapped  = "capped"
)

// matters reports whether a parameter changes anything by itself or together
// with those that it shapes.
func (row parameter) matters(fields reflect.Value) bool {
	for _, field := range row.shapes {
		i := slices.IndexFunc(parameters, func(p parameter) bool { return p.field == field })
		if value, ok := chosen(fields.FieldByName(field)); ok && value != parameters[i].neutral {
			return true
		}
	}
	return len(row.shapes) == 0
}

// forcing is the bias from which on a token is as good as forced or forbidden.
const forcing = 100

// missing says that an engine has no word for a parameter. A bias that leaves
// no choice decides which answers are valid at all.
func (row parameter) missing(v vocabulary, value any, report *llm.Report) error {
	var biases []float64
	switch value := value.(type) {
	case map[int]float64:
		biases = slices.Collect(maps.Values(value))
	case map[string]float64:
		biases = slices.Collect(maps.Values(value))
	}
	if slices.ContainsFunc(biases, func(b float64) bool { return math.Abs(b) >= forcing }) {
		e := llm.Errorf(llm.Unsupported, row.name, "%s cannot force or forbid these tokens", columns[v].title)
		e.Hint = "leave the bias out, or use the engine as a model"
		return e
	}
	report.Add(codeIgnored, row.name, columns[v].title+" does not have it; the answer was made without it")
	return nil
}

// chosen gives the value of a field, and whether anybody chose it.
func chosen(field reflect.Value) (any, bool) {
	switch field.Kind() {
	case reflect.Pointer:
		if field.IsNil() {
			return nil, false
		}
		return field.Elem().Interface(), true
	case reflect.Slice:
		return field.Interface(), !field.IsNil()
	case reflect.Map:
		return field.Interface(), field.Len() > 0
	}
	return field.Interface(), !field.IsZero()
}

// omitted makes neutral what an order of samplers leaves out: it does not take
// place. An order that is the usual one says no more than that.
func omitted(p llm.Params) llm.Params {
	if p.Samplers == nil {
		return p
	}
	for _, step := range llm.DefaultSamplers() {
		if slices.Contains(p.Samplers, step) {
			continue
		}
		switch step {
		case llm.SamplePenalties:
			p.RepetitionPenalty, p.PresencePenalty, p.FrequencyPenalty = new(1.0), new(0.0), new(0.0)
		case llm.SampleDRY:
			p.DRYMultiplier = new(0.0)
		case llm.SampleTopNSigma:
			p.TopNSigma = new(0.0)
		case llm.SampleTopK:
			p.TopK = new(0)
		case llm.SampleTypicalP:
			p.TypicalP = new(1.0)
		case llm.SampleTopP:
			p.TopP = new(1.0)
		case llm.SampleMinP:
			p.MinP = new(0.0)
		case llm.SampleXTC:
			p.XTCProbability = new(0.0)
		case llm.SampleTemperature:
			p.Temperature, p.DynamicTemperatureRange = new(1.0), new(0.0)
		}
	}
	usual := slices.DeleteFunc(llm.DefaultSamplers(), func(s llm.Sampler) bool { return !slices.Contains(p.Samplers, s) })
	if slices.Equal(usual, p.Samplers) {
		p.Samplers = nil
	}
	return p
}

// seedOf is the seed of one of several answers: that of the first is the one
// that was asked for. It is not negative and has at most so many bits, since
// engines differ in what they take.
func seedOf(seed int64, choice, bits int) int64 {
	x := uint64(seed)
	if choice > 0 { // SplitMix64 (Steele, Lea, Flood, 2014)
		x += uint64(choice) * 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	for x>>bits != 0 {
		x = x>>bits ^ x&(1<<bits-1)
	}
	return int64(x)
}

// samplingTable is the table for people: what each vocabulary calls each parameter.
func samplingTable() string {
	var b strings.Builder
	b.WriteString("| parameter |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, row := range parameters {
		if row.ours || row.apart {
			continue
		}
		name := row.name
		if row.field == "WordBias" {
			name += " of words"
		}
		fmt.Fprintf(&b, "| `%s` |", name)
		for _, c := range columns {
			w, has := c.words[row.field]
			switch {
			case !has:
				b.WriteString(" – |")
			case w.low != 0 || w.high != 0:
				fmt.Fprintf(&b, " `%s` %g to %g |", w.name, w.low, w.high)
			case w.name == row.name:
				b.WriteString(" yes |")
			default:
				fmt.Fprintf(&b, " `%s` |", w.name)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
