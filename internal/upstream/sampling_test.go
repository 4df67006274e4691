package upstream

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/llm"
)

var update = flag.Bool("update", false, "rewrite golden files")

// unusual is a value for each field of llm.Params that changes something.
func unusual() llm.Params {
	return llm.Params{
		MaxTokens: new(77), Temperature: new(0.5), TopK: new(7), TopP: new(0.5), MinP: new(0.2), TypicalP: new(0.5), TopNSigma: new(2.0),
		DynamicTemperatureRange: new(0.3), DynamicTemperatureExponent: new(2.0), XTCProbability: new(0.4), XTCThreshold: new(0.2),
		Mirostat: new(2), MirostatTau: new(4.0), MirostatEta: new(0.2), RepetitionPenalty: new(1.3), RepetitionRange: new(99),
		PresencePenalty: new(0.6), FrequencyPenalty: new(0.7), DRYMultiplier: new(0.8), DRYBase: new(1.5), DRYAllowedLength: new(3),
		DRYRange: new(500), DRYBreakers: []string{"\n", "\""},
		Samplers: []llm.Sampler{llm.SampleTemperature, llm.SampleTopP, llm.SampleTopK, llm.SamplePenalties, llm.SampleDRY, llm.SampleTopNSigma,
			llm.SampleTypicalP, llm.SampleMinP, llm.SampleXTC},
		Seed: new(int64(42)), Choice: 1, Stop: []string{"x"}, StopAfter: "a", StopOpen: "b", BannedStrings: []string{"never"},
		LogitBias: map[int]float64{5: 1.5}, WordBias: map[string]float64{"yes": 2}, MinTokens: new(9), IgnoreEOS: true, LoopGuard: new(50), TokenHealing: new(true),
		Constraint: &llm.Constraint{Kind: llm.ConstrainJSON}, LogProbs: new(3), Prediction: "so", CacheScope: "key",
	}
}

// neutralParams is the neutral value of everything that has one.
func neutralParams() llm.Params {
	var p llm.Params
	fields := reflect.ValueOf(&p).Elem()
	for _, row := range parameters {
		if row.neutral != nil {
			v := reflect.New(fields.FieldByName(row.field).Type().Elem())
			v.Elem().Set(reflect.ValueOf(row.neutral))
			fields.FieldByName(row.field).Set(v)
		}
	}
	return p
}

func TestTheTableHasARowForEveryField(t *testing.T) {
	var names []string
	for field := range reflect.TypeFor[llm.Params]().Fields() {
		names = append(names, field.Name)
	}
	var rows []string
	for _, row := range parameters {
		rows = append(rows, row.field)
	}
	if !slices.Equal(names, rows) {
		t.Errorf("llm.Params has the fields\n%v\nand the table the rows\n%v", names, rows)
	}
	for _, c := range columns {
		for field := range c.words {
			if !slices.Contains(rows, field) {
				t.Errorf("%s has a word for %s, which is no field", c.title, field)
			}
		}
	}
}

// Every field set alone, with those that it shapes, is sent, kept apart for the
// endpoint, or reported: in every vocabulary.
func TestEveryParameterIsSentOrReported(t *testing.T) {
	for v, c := range columns {
		for _, row := range parameters {
			var p llm.Params
			all, one := reflect.ValueOf(unusual()), reflect.ValueOf(&p).Elem()
			for _, field := range append(slices.Clone(row.shapes), row.field) {
				one.FieldByName(field).Set(all.FieldByName(field))
			}
			with, report := map[string]any{}, llm.Report{}
			if err := vocabulary(v).write(with, p, &report); err != nil {
				t.Fatalf("%s, %s: %v", c.title, row.field, err)
			}
			one.FieldByName(row.field).SetZero()
			without, before := map[string]any{}, llm.Report{}
			if err := vocabulary(v).write(without, p, &before); err != nil {
				t.Fatal(err)
			}
			sent := !reflect.DeepEqual(with, without)
			reported := slices.Contains(report, note(report, codeIgnored, row.name)) && !slices.Contains(before, note(report, codeIgnored, row.name))
			w, has := c.words[row.field]
			switch {
			case row.ours && (sent && row.field != "LoopGuard" || reported):
				t.Errorf("%s: %s is ours: sent %v, reported %v", c.title, row.field, sent, reported)
			case row.ours, row.apart:
			case has && w.apart == sent:
				t.Errorf("%s: %s has a word, kept apart %v, and is sent %v", c.title, row.field, w.apart, sent)
			case !has && !reported && row.field != "WordBias":
				t.Errorf("%s: %s is neither sent nor reported: %v", c.title, row.field, report)
			case !has && sent:
				t.Errorf("%s: %s has no word and is sent: %v", c.title, row.field, with)
			}
			if _, err := json.Marshal(with); err != nil {
				t.Errorf("%s: %v", c.title, err)
			}
		}
	}
}

func note(r llm.Report, code, value string) llm.Note {
	for _, n := range r {
		if n.Code == code && n.Value == value {
			return n
		}
	}
	return llm.Note{}
}

func TestANeutralValueIsSentOnlyWhereTheEngineBeginsWithAnother(t *testing.T) {
	for v, c := range columns {
		body, report := map[string]any{}, llm.Report{}
		if err := vocabulary(v).write(body, neutralParams(), &report); err != nil {
			t.Fatal(err)
		}
		if len(report) > 0 && report[0].Value != "repeat_last_n" {
			t.Errorf("%s: neutral values are reported: %v", c.title, report)
		}
		for field, w := range c.words {
			i := slices.IndexFunc(parameters, func(p parameter) bool { return p.field == field })
			if parameters[i].neutral == nil || w.apart {
				continue
			}
			if _, sent := body[w.name]; sent != w.own {
				t.Errorf("%s: %s at its neutral value is sent %v, and the engine's own default differs %v", c.title, field, sent, w.own)
			}
		}
	}
	body, report := map[string]any{}, llm.Report{}
	if err := vocabLlamaCPPChat.write(body, llm.Params{TopK: new(0)}, &report); err != nil || body["top_k"] != 0 {
		t.Errorf("a client who wants all tokens gets %v, %v", body, err)
	}
}

func TestNothingIsSentThatNobodyChose(t *testing.T) {
	for v, c := range columns {
		body, report := map[string]any{}, llm.Report{}
		if err := vocabulary(v).write(body, llm.Params{}, &report); err != nil || len(report) > 0 {
			t.Errorf("%s: %v, %v", c.title, report, err)
		}
		for _, name := range []string{"do_sample", "auto_max_new_tokens"} {
			delete(body, name)
		}
		if len(body) > 0 {
			t.Errorf("%s: %v", c.title, body)
		}
	}
}

func TestParametersAreWrittenAsEachEngineReadsThem(t *testing.T) {
	tests := []struct {
		name   string
		v      vocabulary
		p      llm.Params
		body   string
		report string
	}{
		{"the first choice has the seed asked for", vocabOpenAI, llm.Params{Seed: new(int64(42))}, `{"seed":42}`, ""},
		{"a long seed becomes a short one", vocabOllama, llm.Params{Seed: new(int64(1<<40 + 5))}, `{"seed":517}`, ""},
		{"as many tokens as fit", vocabOpenAI, llm.Params{MaxTokens: new(-1)}, `{}`, ""},
		{"a temperature above the engine's range", vocabAnthropic, llm.Params{Temperature: new(1.5)}, `{"temperature":1}`, "capped=temperature"},
		{"more tokens than the engine makes", vocabKoboldUnited, llm.Params{MaxTokens: new(600)}, `{"max_length":512}`, "max_tokens_capped=512"},
		{"a steep bias", vocabOpenAI, llm.Params{LogitBias: map[int]float64{3: -1000, 4: 2}}, `{"logit_bias":{"3":-100,"4":2}}`, ""},
		{"forbidden tokens and words", vocabLlamaCPP, llm.Params{LogitBias: map[int]float64{3: -1000, 1: 2}, WordBias: map[string]float64{"no": -1000}},
			`{"logit_bias":[[1,2],[3,false],["no",false]]}`, ""},
		{"all tokens, as vLLM writes it", vocabVLLM, llm.Params{TopK: new(0)}, `{"top_k":-1}`, ""},
		{"greedy where a temperature of 0 is refused", vocabTGI, llm.Params{Temperature: new(0.0)}, `{"do_sample":false}`, ""},
		{"drawn where greedy is the default", vocabTGI, llm.Params{}, `{"do_sample":true}`, ""},
		{"a range around the temperature", vocabTextgen, llm.Params{MaxTokens: new(5), Temperature: new(0.8), DynamicTemperatureRange: new(0.5)},
			`{"dynamic_temperature":true,"dynatemp_high":1.3,"dynatemp_low":0.30000000000000004,"max_tokens":5,"temperature":0.8}`, ""},
		{"the whole text", vocabTextgen, llm.Params{MaxTokens: new(5), RepetitionPenalty: new(1.1), RepetitionRange: new(-1)},
			`{"max_tokens":5,"repetition_penalty":1.1,"repetition_penalty_range":0}`, ""},
		{"breakers as a text", vocabTextgen, llm.Params{MaxTokens: new(5), DRYMultiplier: new(1.0), DRYBreakers: []string{"\n", "\""}},
			`{"dry_multiplier":1,"dry_sequence_breakers":"\"\\n\",\"\\\"\"","max_tokens":5}`, ""},
		{"what an order of samplers leaves out is switched off", vocabLlamaCPP, llm.Params{TopK: new(5), Samplers: []llm.Sampler{llm.SampleTopP, llm.SampleTemperature}},
			`{"dry_multiplier":0,"frequency_penalty":0,"min_p":0,"presence_penalty":0,"repeat_penalty":1,"top_k":0,"top_n_sigma":0,"typical_p":1,"xtc_probability":0}`, ""},
		{"an order by numbers", vocabKobold, llm.Params{Samplers: []llm.Sampler{llm.SampleTemperature, llm.SamplePenalties, llm.SampleTopK, llm.SampleTypicalP, llm.SampleTopP,
			llm.SampleDRY, llm.SampleMinP, llm.SampleXTC, llm.SampleTopNSigma}}, `{"sampler_order":[5,6,0,4,2,1,3]}`, ""},
		{"banned strings that an engine does not have", vocabOllama, llm.Params{BannedStrings: []string{"x"}}, `{}`, "ignored=banned_strings"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body, report := map[string]any{}, llm.Report{}
			if err := test.v.write(body, test.p, &report); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(body)
			if err != nil || string(got) != test.body || report.Header() != test.report {
				t.Errorf("got  %s %s\nwant %s %s", got, report.Header(), test.body, test.report)
			}
		})
	}
}

func TestABiasThatLeavesNoChoiceIsRefusedWhereItCannotBeSaid(t *testing.T) {
	var report llm.Report
	err := vocabOllama.write(map[string]any{}, llm.Params{LogitBias: map[int]float64{3: 100}}, &report)
	if e := llm.AsError(err); err == nil || e.Code != llm.Unsupported || e.Field != "logit_bias" {
		t.Errorf("got %v", err)
	}
	if err := vocabOllama.write(map[string]any{}, llm.Params{LogitBias: map[int]float64{3: 1}}, &report); err != nil || report.Header() != "ignored=logit_bias" {
		t.Errorf("a nudge: %v, %v", report, err)
	}
}

func TestEveryChoiceHasASeedOfItsOwn(t *testing.T) {
	seen := map[int64]bool{}
	for choice := range 64 {
		s := seedOf(7, choice, 31)
		if s < 0 || s >= 1<<31 || seen[s] {
			t.Errorf("choice %d has the seed %d", choice, s)
		}
		seen[s] = true
	}
	if seedOf(7, 0, 31) != 7 {
		t.Error("the first choice has not the seed that was asked for")
	}
}

func TestTheDocumentationHasTheTable(t *testing.T) {
	const file, begin, end = "../../docs/engines.md", "<!-- sampling table: go test ./internal/upstream -update -->\n", "<!-- end of the sampling table -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	head, rest, found := strings.Cut(text, begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", file)
	}
	want := head + begin + "\n" + samplingTable() + "\n" + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Errorf("%s is not what the table says: go test ./internal/upstream -update", file)
	}
}
