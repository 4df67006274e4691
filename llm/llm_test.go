package llm_test

import (
	"errors"
	"math"
	"testing"

	"parley/internal/limits"
	"parley/llm"
	"parley/llm/llmtest"
)

func TestScriptKeepsTheContract(t *testing.T) {
	for name, tokens := range map[string][]string{
		"words":         {"Once", " upon", " a", " time", " there", " was", " a", " mouse", "."},
		"divided runes": {"gr", "\xc3", "\xbc", "n", "e", " \xf0\x9f", "\x8d", "\x8f", " und", " mehr"},
		"lines":         {"One\n", "\nTwo", "\nOne", " more\n", "Two\n", "", "three"},
		"no UTF-8":      {"a", "\xff", "b", "\xfe\xfe", "c", "d", "e", "f", "\xc3"},
	} {
		t.Run(name, func(t *testing.T) {
			m := llm.Script(append(tokens, "<mark>", " end")...)
			m.Control = []string{"<mark>"}
			for _, prompt := range []string{"Tell me a story.", "Tell me a story.\n"} {
				llmtest.Run(t, llmtest.Subject{Model: m, Prompt: llm.Text(prompt), Mark: "<mark>", MarkID: len(tokens)})
			}
		})
	}
}

func TestScriptFailsWhenTold(t *testing.T) {
	m := llm.Script("a", "b")
	m.Err = errors.New("the plug was pulled")
	var text string
	var last error
	for piece, err := range m.Complete(t.Context(), llm.Text("x"), llm.Params{}) {
		text, last = text+piece.Text, err
	}
	if text != "ab" || last != m.Err {
		t.Errorf("got %q, %v", text, last)
	}
}

func TestParamsOutsideTheTableAreNamed(t *testing.T) {
	cases := map[string]struct {
		p     llm.Params
		limit *limits.Limit
	}{
		"max_tokens":               {llm.Params{MaxTokens: new(-2)}, limits.MaxTokens},
		"temperature":              {llm.Params{Temperature: new(math.NaN())}, limits.Temperature},
		"top_k":                    {llm.Params{TopK: new(-2)}, limits.TopK},
		"top_p":                    {llm.Params{TopP: new(1.5)}, limits.TopP},
		"min_p":                    {llm.Params{MinP: new(-0.1)}, limits.MinP},
		"repetition_penalty":       {llm.Params{RepetitionPenalty: new(0.0)}, limits.RepetitionPenalty},
		"repetition_range":         {llm.Params{RepetitionRange: new(-2)}, limits.RepetitionRange},
		"presence_penalty":         {llm.Params{PresencePenalty: new(math.Inf(1))}, limits.PresencePenalty},
		"frequency_penalty":        {llm.Params{FrequencyPenalty: new(-101.0)}, limits.FrequencyPenalty},
		"logprobs":                 {llm.Params{LogProbs: new(21)}, limits.LogProbs},
		"stop":                     {llm.Params{Stop: make([]string, limits.AllStops.Int()+1)}, limits.AllStops},
		"stop[1]":                  {llm.Params{Stop: []string{"ok", ""}}, limits.StopBytes},
		"typical_p":                {llm.Params{TypicalP: new(1.5)}, limits.TypicalP},
		"top_n_sigma":              {llm.Params{TopNSigma: new(-2.0)}, limits.TopNSigma},
		"dynatemp_range":           {llm.Params{DynamicTemperatureRange: new(-1.0)}, limits.DynamicTemperatureRange},
		"dynatemp_exponent":        {llm.Params{DynamicTemperatureExponent: new(math.NaN())}, limits.DynamicTemperatureExponent},
		"xtc_probability":          {llm.Params{XTCProbability: new(2.0)}, limits.XTCProbability},
		"xtc_threshold":            {llm.Params{XTCThreshold: new(-1.0)}, limits.XTCThreshold},
		"mirostat":                 {llm.Params{Mirostat: new(3)}, limits.Mirostat},
		"mirostat_tau":             {llm.Params{MirostatTau: new(math.Inf(1))}, limits.MirostatTau},
		"mirostat_eta":             {llm.Params{MirostatEta: new(-1.0)}, limits.MirostatEta},
		"dry_multiplier":           {llm.Params{DRYMultiplier: new(-1.0)}, limits.DRYMultiplier},
		"dry_base":                 {llm.Params{DRYBase: new(101.0)}, limits.DRYBase},
		"dry_allowed_length":       {llm.Params{DRYAllowedLength: new(-1)}, limits.DRYAllowedLength},
		"dry_penalty_last_n":       {llm.Params{DRYRange: new(-2)}, limits.DRYRange},
		"min_tokens":               {llm.Params{MinTokens: new(-1)}, limits.MinTokens},
		"loop_guard":               {llm.Params{LoopGuard: new(-1)}, limits.LoopGuard},
		"dry_sequence_breakers[0]": {llm.Params{DRYBreakers: []string{""}}, limits.DRYBreakerBytes},
		"banned_strings":           {llm.Params{BannedStrings: make([]string, limits.BannedStrings.Int()+1)}, limits.BannedStrings},
		"banned_strings[1]":        {llm.Params{BannedStrings: []string{"a", ""}}, limits.BannedStringBytes},
		"logit_bias.the":           {llm.Params{WordBias: map[string]float64{"the": -2000}}, limits.LogitBias},
		"logit_bias":               {llm.Params{WordBias: map[string]float64{"": 1}}, limits.LogitBiasWordBytes},
		"logit_bias.5":             {llm.Params{LogitBias: map[int]float64{5: 2000}}, limits.LogitBias},
	}
	for field, c := range cases {
		e := llm.AsError(c.p.Check())
		if e.Code != llm.Invalid || e.Field != field {
			t.Errorf("%s: got code %s, field %q", field, e.Code, e.Field)
		}
		if want := "(limit " + c.limit.Name + ")"; len(e.Message) < len(want) || e.Message[len(e.Message)-len(want):] != want {
			t.Errorf("%s: %q does not name the limit %s", field, e.Message, c.limit.Name)
		}
	}
	if err := (llm.Params{}).Check(); err != nil {
		t.Errorf("the zero Params: %v", err)
	}
}

func TestSamplersThatCannotBeAreNamed(t *testing.T) {
	for field, p := range map[string]llm.Params{
		"samplers[1]": {Samplers: []llm.Sampler{llm.SampleTopK, "top-k"}},
		"samplers[2]": {Samplers: []llm.Sampler{llm.SampleTopK, llm.SampleTopP, llm.SampleTopK}},
		"mirostat":    {Mirostat: new(1)},
	} {
		if e := llm.AsError(p.Check()); e.Field != field || e.Code != llm.Invalid && e.Code != llm.Unsupported {
			t.Errorf("%s: got %v", field, e)
		}
	}
	if err := (llm.Params{Samplers: llm.DefaultSamplers()}).Check(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsLeftOpenComesFromTheDefaults(t *testing.T) {
	p := llm.Params{Temperature: new(0.0)}.WithDefaults(llm.Params{Temperature: new(0.8), TopK: new(40)})
	if *p.Temperature != 0 || *p.TopK != 40 || p.TopP != nil {
		t.Errorf("got temperature %v, top_k %v, top_p %v", *p.Temperature, *p.TopK, p.TopP)
	}
	p = llm.Params{Samplers: []llm.Sampler{}}.WithDefaults(llm.Params{Samplers: llm.DefaultSamplers(), DRYBreakers: []string{"x"}, LoopGuard: new(7)})
	if len(p.Samplers) != 0 || len(p.DRYBreakers) != 1 || *p.LoopGuard != 7 {
		t.Errorf("got %+v", p)
	}
}

func TestReportHeaderCarriesOnlyWhatAHeaderMay(t *testing.T) {
	var r llm.Report
	r.Add("max_tokens_capped", "4000", "asked for 8192")
	r.Add("max_tokens_capped", "4000", "asked for 8192")
	r.Add("ignored", "logit bias,\r\nEvil: 1=ü", "")
	if got, want := r.Header(), "max_tokens_capped=4000, ignored=logit_bias___Evil:_1_"; len(r) != 2 || got[:len(want)] != want {
		t.Errorf("%d notes, header %q", len(r), got)
	}
	for _, c := range r.Header() {
		if c < ' ' || c >= 0x7f {
			t.Errorf("header holds %q", c)
		}
	}
}
