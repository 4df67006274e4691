package kobold

import (
	"errors"
	"reflect"
	"testing"

	"parley/llm"
)

func TestTheOrderOfSamplers(t *testing.T) {
	for body, want := range map[string][]llm.Sampler{
		`[6,0,1,3,4,2,5]`: nil, // as it is anyway
		`[]`:              nil,
		`[0,6,1,2,3,4,5]`: {llm.SampleTopNSigma, llm.SampleTopK, llm.SamplePenalties, llm.SampleDRY, llm.SampleTopP, llm.SampleMinP, llm.SampleTypicalP, llm.SampleTemperature, llm.SampleXTC},
		`[6,5,0,1,2,3,4]`: {llm.SamplePenalties, llm.SampleDRY, llm.SampleTopNSigma, llm.SampleTemperature, llm.SampleTopK, llm.SampleTopP, llm.SampleMinP, llm.SampleTypicalP, llm.SampleXTC},
		`[5]`:             {llm.SampleTopNSigma, llm.SampleTemperature, llm.SampleXTC},
	} {
		q, err := Parse([]byte(`{"prompt":"a","sampler_order":` + body + `}`))
		if err != nil || !reflect.DeepEqual(q.Params.Samplers, want) {
			t.Errorf("%s: %v, %v", body, q.Params.Samplers, err)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	d := Delimiters{System: "<s>", Input: "<u>", Output: "<a>", Last: "<a><think>"}
	for prompt, want := range map[string]string{
		"{{[SYSTEM]}}be kind{{[SYSTEM_END]}}{{[INPUT]}}Hi{{[INPUT_END]}}{{[OUTPUT]}}Yes{{[OUTPUT_END]}}{{[INPUT]}}go{{[OUTPUT]}}": "<s>be kind<u>Hi<a>Yes<u>go<a><think>",
		"plain": "plain",
	} {
		q, err := Parse([]byte(`{"prompt":"` + prompt + `","stop_sequence":["{{[INPUT]}}","{{[INPUT_END]}}","x"]}`))
		if err != nil || !q.Placeholders() {
			t.Fatal(err)
		}
		if q.Fill(d); q.Prompt != want || !reflect.DeepEqual(q.Params.Stop, []string{"<u>", "x"}) {
			t.Errorf("%s: %q, stops %q", prompt, q.Prompt, q.Params.Stop)
		}
	}
	for _, body := range []string{`{"prompt":"{{user}}"}`, `{"prompt":"{{[INPUT]}}","replace_instruct_placeholders":false}`} {
		if q, err := Parse([]byte(body)); err != nil || q.Placeholders() {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"prompt":"a","memory":"b","max_length":"5","sampler_order":[6,0],"sampler_seed":"1","trim_stop":false,"n":2,"genkey":"x","use_default_badwordsids":true}`,
		`{"prompt":"{{[INPUT]}}","stop_sequence":["{{[OUTPUT]}}"],"logit_bias":{"1":2},"grammar":"root ::= \"a\""}`, `{"ids":[1]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := Parse(body)
		if err != nil {
			if e, ok := errors.AsType[*llm.Error](err); !ok || e.Message == "" {
				t.Fatalf("error %#v", err)
			}
		} else if q.Params.Check() != nil || q.Choices < 1 || q.Params.MaxTokens == nil {
			t.Fatalf("understood as %+v", q)
		} else if q.Placeholders() {
			q.Fill(Delimiters{})
		}
		ParseCount(body)
		ParseIDs(body)
		ParseKey(body)
	})
}
