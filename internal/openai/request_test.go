package openai

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"parley/chat"
	"parley/internal/limits"
	"parley/llm"
)

// hi is a chat completion with more fields.
func hi(fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return `{"messages":[{"role":"user","content":"Hi"}]` + fields + `}`
}

// says is a chat completion with one message.
func says(message string) string { return `{"messages":[` + message + `]}` }

func TestWrongRequestsNameTheField(t *testing.T) {
	for _, c := range []struct{ body, field string }{
		{``, ""},
		{`null`, ""},
		{`[]`, ""},
		{`"x"`, ""},
		{`{`, ""},
		{hi("") + `x`, ""},
		{hi(`"temperature":NaN`), ""},
		{"{\"messages\":\"\xff\"}", ""},
		{"\xff\xfe{\x00}\x00", ""},
		{strings.Repeat("[", 65) + strings.Repeat("]", 65), ""},
		{strings.Repeat("[", 1_000_000), ""},
		{`{}`, "messages"},
		{`{"messages":null}`, "messages"},
		{`{"messages":"Hi"}`, "messages"},
		{`{"messages":[]}`, "messages"},
		{`{"prompt":"Hi"}`, "messages"},
		{hi(`"model":"a","model":"b"`), "model"},
		{says(`"Hi"`), "messages[0]"},
		{says(`null`), "messages[0]"},
		{says(`{"content":"Hi"}`), "messages[0].role"},
		{says(`{"role":null,"content":"Hi"}`), "messages[0].role"},
		{says(`{"role":7,"content":"Hi"}`), "messages[0].role"},
		{says(`{"role":"narrator","content":"Hi"}`), "messages[0].role"},
		{says(`{"role":"User","content":"Hi"}`), "messages[0].role"},
		{says(`{"role":"user"}`), "messages[0].content"},
		{says(`{"role":"user","Content":"Hi"}`), "messages[0].content"},
		{says(`{"role":"user","content":"a"},{"role":"system"}`), "messages[1].content"},
		{says(`{"role":"assistant"}`), "messages[0].content"},
		{says(`{"role":"tool","tool_call_id":"x"}`), "messages[0].content"},
		{says(`{"role":"user","content":7}`), "messages[0].content"},
		{says(`{"role":"user","content":["a",true]}`), "messages[0].content[1]"},
		{says(`{"role":"user","content":[{"type":"video"}]}`), "messages[0].content[0].type"},
		{says(`{"role":"user","content":[{}]}`), "messages[0].content[0].type"},
		{says(`{"role":"user","content":[{"type":"text"}]}`), "messages[0].content[0].text"},
		{says(`{"role":"user","content":[{"type":"text","text":7}]}`), "messages[0].content[0].text"},
		{says(`{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x.example/a.png"}}]}`), "messages[0].content[1].image_url.url"},
		{says(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:text/html;base64,AAAA"}}]}`), "messages[0].content[0].image_url.url"},
		{says(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,?"}}]}`), "messages[0].content[0].image_url.url"},
		{says(`{"role":"user","content":[{"type":"image_url"}]}`), "messages[0].content[0].image_url"},
		{says(`{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}`), "messages[0].content[0].input_audio.data"},
		{says(`{"role":"user","content":"a","name":"` + strings.Repeat("n", 257) + `"}`), "messages[0].name"},
		{says(`{"role":"assistant","tool_calls":[{"function":{}}]}`), "messages[0].tool_calls[0].function.name"},
		{says(`{"role":"assistant","tool_calls":[{"type":"custom"}]}`), "messages[0].tool_calls[0].type"},
		{says(`{"role":"assistant","content":"a","function_call":{"name":"f"}}`), "messages[0].function_call"},
		{hi(`"temperature":-0.1`), "temperature"},
		{hi(`"prediction":"as it was"`), "prediction"},
		{hi(`"prediction":{"type":"guess","content":"as it was"}`), "prediction.type"},
		{hi(`"prediction":{"type":"content"}`), "prediction.content"},
		{hi(`"prediction":{"type":"content","content":7}`), "prediction.content"},
		{hi(`"prediction":{"type":"content","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}`), "prediction.content"},
		{hi(`"temperature":1e999`), "temperature"},
		{hi(`"temperature":"hot"`), "temperature"},
		{hi(`"temperature":"NaN"`), "temperature"},
		{hi(`"temperature":true`), "temperature"},
		{hi(`"top_p":7`), "top_p"},
		{hi(`"top_k":1.5`), "top_k"},
		{hi(`"top_k":-5`), "top_k"},
		{hi(`"min_p":2`), "min_p"},
		{hi(`"repeat_penalty":0`), "repeat_penalty"},
		{hi(`"max_tokens":-2`), "max_tokens"},
		{hi(`"max_completion_tokens":1e12`), "max_completion_tokens"},
		{hi(`"n":0`), "n"},
		{hi(`"n":-1`), "n"},
		{hi(`"n":65`), "n"},
		{hi(`"n":1e300`), "n"},
		{hi(`"best_of":2`), "best_of"},
		{hi(`"seed":18446744073709551616`), "seed"},
		{hi(`"seed":0.5`), "seed"},
		{hi(`"seed":{}`), "seed"},
		{hi(`"stop":7`), "stop"},
		{hi(`"stop":["a",7]`), "stop[1]"},
		{hi(`"stop":["` + strings.Repeat("x", 4097) + `"]`), "stop[0]"},
		{hi(`"stop":[` + strings.TrimSuffix(strings.Repeat(`"",`, 513), ",") + `]`), "stop"},
		{hi(`"logit_bias":{"":1}`), "logit_bias."},
		{hi(`"logit_bias":{"-5":1}`), "logit_bias.-5"},
		{hi(`"logit_bias":{"` + strings.Repeat("x", 257) + `":1}`), "logit_bias." + strings.Repeat("x", 64) + "…"},
		{hi(`"logit_bias":[[true,1]]`), "logit_bias[0]"},
		{hi(`"logit_bias_type":"bytes"`), "logit_bias_type"},
		{hi(`"custom_token_bans":"1,two"`), "custom_token_bans"},
		{hi(`"typical":2`), "typical"},
		{hi(`"nsigma":-2`), "nsigma"},
		{hi(`"xtc_probability":1.5`), "xtc_probability"},
		{hi(`"dynatemp_range":-1`), "dynatemp_range"},
		{hi(`"dynamic_temperature":true,"dynatemp_low":1`), "dynamic_temperature"},
		{hi(`"dynamic_temperature":true,"dynatemp_low":1,"dynatemp_high":0.5`), "dynamic_temperature"},
		{hi(`"mirostat":3`), "mirostat"},
		{hi(`"mirostat_tau":"much"`), "mirostat_tau"},
		{hi(`"dry_multiplier":1,"dry_base":"x"`), "dry_base"},
		{hi(`"dry_multiplier":1,"dry_sequence_breakers":["a",7]`), "dry_sequence_breakers[1]"},
		{hi(`"dry_multiplier":1,"dry_sequence_breakers":7`), "dry_sequence_breakers"},
		{hi(`"samplers":7`), "samplers"},
		{hi(`"samplers":["top_k",7]`), "samplers[1]"},
		{hi(`"samplers":"` + strings.Repeat("k", 65) + `"`), "samplers"},
		{hi(`"min_tokens":-1`), "min_tokens"},
		{hi(`"banned_strings":["a",7]`), "banned_strings[1]"},
		{hi(`"banned_tokens":["` + strings.Repeat("x", 257) + `"]`), "banned_tokens[0]"},
		{hi(`"banned_strings":[` + many(1025, func(i int) string { return fmt.Sprintf(`"%d"`, i) }) + `]`), "banned_strings"},
		{hi(`"loop_guard":-1`), "loop_guard"},
		{hi(`"logit_bias":{"5":"much"}`), "logit_bias.5"},
		{hi(`"logit_bias":{"5":1e308}`), "logit_bias.5"},
		{hi(`"logit_bias":[[5]]`), "logit_bias[0]"},
		{hi(`"logit_bias":7`), "logit_bias"},
		{hi(`"logprobs":true,"top_logprobs":21`), "top_logprobs"},
		{hi(`"logprobs":5`), "logprobs"},
		{hi(`"stream":"yes"`), "stream"},
		{hi(`"stream_options":true`), "stream_options"},
		{hi(`"response_format":{"type":"xml"}`), "response_format.type"},
		{hi(`"response_format":{"type":"json_schema","json_schema":{"name":"x"}}`), "response_format.json_schema.schema"},
		{hi(`"response_format":{"type":"json_schema","json_schema":{"schema":7}}`), "response_format.json_schema.schema"},
		{hi(`"response_format":{"type":"json_object"},"grammar":"root ::= x"`), "grammar"},
		{hi(`"response_format":"json"`), "response_format"},
		{hi(`"grammar":7`), "grammar"},
		{hi(`"guided_choice":["a",7]`), "guided_choice[1]"},
		{hi(`"stop_token_ids":[2]`), "stop_token_ids"},
		{hi(`"functions":[{}]`), "functions"},
		{hi(`"tools":{}`), "tools"},
		{hi(`"tools":[{"type":"web_search"}]`), "tools[0].type"},
		{hi(`"tools":[{"type":"function","function":{"name":""}}]`), "tools[0].function.name"},
		{hi(`"tools":[{"function":{"name":"f","parameters":7}}]`), "tools[0].function.parameters"},
		{hi(`"tool_choice":"required"`), "tool_choice"},
		{hi(`"tool_choice":{"type":"function","function":{"name":"f"}}`), "tool_choice"},
		{hi(`"tool_choice":"sometimes"`), "tool_choice"},
		{hi(`"tool_choice":7`), "tool_choice"},
		{hi(`"tool_choice":{"type":"allowed_tools"}`), "tool_choice"},
		{hi(`"tool_choice":{"type":"function"}`), "tool_choice.function.name"},
		{hi(`"tools":[{"function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}`), "tool_choice.function.name"},
		{hi(`"parallel_tool_calls":"no"`), "parallel_tool_calls"},
		{hi(`"modalities":["text","audio"]`), "modalities"},
		{hi(`"continue_final_message":true`), "continue_final_message"},
		{hi(`"add_generation_prompt":false`), "add_generation_prompt"},
		{`{"messages":[{"role":"assistant","content":"a"}],"add_generation_prompt":true,"continue_final_message":true}`, "add_generation_prompt"},
		{hi(`"chat_template":{"default":"{{ x }}"}`), "chat_template"},
		{hi(`"parley":{"format_toml":7}`), "parley.format_toml"},
		{hi(`"chat_template_kwargs":{"messages":[]}`), "chat_template_kwargs.messages"},
		{hi(`"chat_template_kwargs":{"x":"` + strings.Repeat("x", 70_000) + `"}`), "chat_template_kwargs"},
		{hi(`"parley":{"formt":"chatml"}`), "parley.formt"},
		{hi(`"parley":{"media":"drop"}`), "parley.media"},
		{hi(`"parley":{"names":"all"}`), "parley.names"},
		{hi(`"parley":{"note":"no place"}`), "parley.note"},
		{hi(`"parley":{"note":"{text}` + strings.Repeat("x", 1024) + `"}`), "parley.note"},
		{says(`{"role":"user","content":"a","placement":"head"}`), "messages[0].placement"},
		{says(`{"role":"system","content":"a","placement":"middle"}`), "messages[0].placement"},
		{says(`{"role":"user","content":"a","pinned":"yes"}`), "messages[0].pinned"},
		{`{"messages":[{"role":"user","content":"a"}],"parley":{"fit":"truncate"}}`, "parley.fit"},
		{hi(`"model":"` + strings.Repeat("m", 257) + `"`), "model"},
		{"{" + many(1025, func(i int) string { return fmt.Sprintf(`"f%d":1`, i) }) + "}", ""},
		{says(many(20_001, func(int) string { return `{"role":"user","content":"x"}` })), "messages"},
	} {
		checkError(t, c.body, c.field, second(ParseChat([]byte(c.body))))
	}
	for _, c := range []struct{ body, field string }{
		{`{}`, "prompt"},
		{`{"messages":[]}`, "prompt"},
		{`{"prompt":null}`, "prompt"},
		{`{"prompt":7}`, "prompt"},
		{`{"prompt":[]}`, "prompt"},
		{`{"prompt":[true]}`, "prompt[0]"},
		{`{"prompt":["a",1]}`, "prompt[1]"},
		{`{"prompt":[1,"a"]}`, "prompt[1]"},
		{`{"prompt":[1,1.5]}`, "prompt[1]"},
		{`{"prompt":[1,-1]}`, "prompt[1]"},
		{`{"prompt":[1,99999999999999999999]}`, "prompt[1]"},
		{`{"prompt":[[1],[2,"a"]]}`, "prompt[1][1]"},
		{`{"prompt":"a","suffix":7}`, "suffix"},
		{`{"prompt":"a","echo":true,"logprobs":1,"suffix":"b"}`, "echo"},
		{`{"prompt":"a","logprobs":1000000}`, "logprobs"},
		{`{"prompt":["a","b","c","d","e"],"n":64}`, "n"},
		{`{"prompt":[` + many(257, func(int) string { return `"a"` }) + `]}`, "prompt"},
	} {
		checkError(t, c.body, c.field, second(ParseCompletion([]byte(c.body))))
	}
}

func many(n int, f func(int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = f(i)
	}
	return strings.Join(all, ",")
}

func second[T any](_ T, err error) error { return err }

func checkError(t *testing.T, body, field string, err error) {
	t.Helper()
	if len(body) > 200 {
		body = body[:200] + "…"
	}
	var e *llm.Error
	if !errors.As(err, &e) {
		t.Errorf("%s\ngot %v, want an error", body, err)
		return
	}
	if e.Field != field || e.Code != llm.Invalid && e.Code != llm.Unsupported || e.Message == "" {
		t.Errorf("%s\ngot %s at %q (%v), want %q", body, e.Code, e.Field, e, field)
	}
}

func TestCarelessRequestsAreUnderstood(t *testing.T) {
	user := func(text string) chat.Message { return chat.Say(chat.User, text) }
	for body, want := range map[string][]chat.Message{
		"\ufeff " + hi("") + "\n":                                                {user("Hi")},
		says(`{"role":"user","content":null}`):                                   {{Role: chat.User}},
		says(`{"role":"user","content":[]}`):                                     {{Role: chat.User}},
		says(`{"role":"user","content":"\ud83c\udf4f"}`):                         {user("🍏")},
		says(`{"role":"user","content":"\ud83c"}`):                               {user("\ufffd")},
		says(`{"role":"user","content":["a",{"type":"text","text":"b"},["c"]]}`): {{Role: chat.User, Parts: []chat.Part{{Text: "a"}, {Text: "b"}, {Text: "c"}}}},
		says(`{"role":"user","content":{"type":"text","text":"b"}}`):             {user("b")},
		says(`{"role":"user","content":[{"text":"b"}]}`):                         {user("b")},
		says(`{"role":"system","content":"x","name":"example_user"}`):            {{Role: chat.System, Name: "example_user", Parts: []chat.Part{{Text: "x"}}}},
		says(`{"role":"developer","content":"x"}`):                               {chat.Say(chat.Developer, "x")},
		says(`{"role":"tool","content":"x","tool_call_id":"c"}`):                 {{Role: chat.Tool, ToolCallID: "c", Parts: []chat.Part{{Text: "x"}}}},
		says(`{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}`): {
			{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "c", Name: "f", Arguments: `{"a":1}`}}}},
		says(`{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}}]}`): {
			{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "f", Arguments: `{"a": 1}`}}}},
		says(`{"role":"assistant","content":"x","reasoning_content":"y","refusal":null}`): {
			{Role: chat.Assistant, Parts: []chat.Part{{Text: "x"}}, Reasoning: "y"}},
		says(`{"role":"user","content":[{"type":"image_url","image_url":"data:image/PNG;base64,` + base64.StdEncoding.EncodeToString([]byte("pic!")) + `"}]}`): {
			{Role: chat.User, Parts: []chat.Part{{Media: &llm.Media{MIME: "image/png", Data: []byte("pic!")}}}}},
	} {
		q, err := ParseChat([]byte(body))
		if err != nil {
			t.Errorf("%s\n%v", body, err)
			continue
		}
		if !reflect.DeepEqual(q.Conversation.Messages, want) || len(q.Report) > 0 {
			t.Errorf("%s\ngot  %+v %v\nwant %+v", body, q.Conversation.Messages, q.Report, want)
		}
	}
}

func TestParametersUnderAllTheirNames(t *testing.T) {
	for fields, want := range map[string]llm.Params{
		``: {},
		`"temperature":null,"top_p":null,"max_tokens":null,"stop":null,"seed":null,"logit_bias":null,"stream_options":null,"tools":null,"response_format":null`: {},
		`"temperature":"0.5","max_tokens":"12","top_k":40.0,"seed":" 7 "`:                                                                                       {Temperature: new(0.5), MaxTokens: new(12), TopK: new(40), Seed: new(int64(7))},
		`"max_tokens":-1`:                          {MaxTokens: new(-1)},
		`"max_completion_tokens":5,"max_tokens":5`: {MaxTokens: new(5)},
		`"n_predict":5`:                            {MaxTokens: new(5)},
		`"top_k":-1`:                               {TopK: new(0)},
		`"repetition_penalty":1.1`:                 {RepetitionPenalty: new(1.1)},
		`"repeat_penalty":1.1`:                     {RepetitionPenalty: new(1.1)},
		`"rep_pen":1.1`:                            {RepetitionPenalty: new(1.1)},
		`"repeat_last_n":0`:                        {RepetitionRange: new(0)},
		`"repetition_penalty_range":0`:             {RepetitionRange: new(-1)},
		`"seed":-1`:                                {},
		`"seed":9223372036854775807`:               {Seed: new(int64(1<<63 - 1))},
		`"seed":1e3`:                               {Seed: new(int64(1000))},
		`"stop":"a"`:                               {Stop: []string{"a"}},
		`"stop":""`:                                {},
		`"stop":["a","","b","a"],"stopping_strings":["c","b"]`: {Stop: []string{"a", "b", "c"}},
		`"logit_bias":[]`:                                    {},
		`"logit_bias":{"15043":-100,"2":"1.5"}`:              {LogitBias: map[int]float64{15043: -100, 2: 1.5}},
		`"logit_bias":[[15043,1],[2,false]]`:                 {LogitBias: map[int]float64{15043: 1, 2: -1000}},
		`"logit_bias":{"the":2,"7":1}`:                       {LogitBias: map[int]float64{7: 1}, WordBias: map[string]float64{"the": 2}},
		`"logit_bias":[["7",2],[" a",false]]`:                {WordBias: map[string]float64{"7": 2, " a": -1000}},
		`"logit_bias":{"7":1},"logit_bias_type":"tokens"`:    {WordBias: map[string]float64{"7": 1}},
		`"custom_token_bans":"1, 2"`:                         {LogitBias: map[int]float64{1: -1000, 2: -1000}},
		`"typical_p":0.9`:                                    {TypicalP: new(0.9)},
		`"typical":0.9`:                                      {TypicalP: new(0.9)},
		`"typ_p":0.9`:                                        {TypicalP: new(0.9)},
		`"top_n_sigma":-1`:                                   {TopNSigma: new(-1.0)},
		`"nsigma":1.5`:                                       {TopNSigma: new(1.5)},
		`"xtc_probability":0.5,"xtc_threshold":0.2`:          {XTCProbability: new(0.5), XTCThreshold: new(0.2)},
		`"dynatemp_range":0.5,"dynatemp_exponent":2`:         {DynamicTemperatureRange: new(0.5), DynamicTemperatureExponent: new(2.0)},
		`"temperature":3,"dynatemp_low":1,"dynatemp_high":1`: {Temperature: new(3.0)},
		`"temperature":3,"dynamic_temperature":true,"dynatemp_low":0.5,"dynatemp_high":1.5`: {Temperature: new(1.0), DynamicTemperatureRange: new(0.5)},
		`"mirostat":2,"mirostat_tau":4,"mirostat_eta":0.2`:                                  {Mirostat: new(2), MirostatTau: new(4.0), MirostatEta: new(0.2)},
		`"mirostat_mode":0`: {Mirostat: new(0)},
		`"dry_multiplier":0.8,"dry_base":1.75,"dry_allowed_length":3,"dry_penalty_last_n":-1,"dry_sequence_breakers":["\n",":"]`: {
			DRYMultiplier: new(0.8), DRYBase: new(1.75), DRYAllowedLength: new(3), DRYRange: new(-1), DRYBreakers: []string{"\n", ":"}},
		`"dry_sequence_breakers":"[\"\\n\", \"*\"]"`:                                            {DRYBreakers: []string{"\n", "*"}},
		`"dry_sequence_breakers":"\"\\n\", \"*\""`:                                              {DRYBreakers: []string{"\n", "*"}},
		`"dry_sequence_breakers":"USER:, *"`:                                                    {DRYBreakers: []string{"USER:", "*"}},
		`"dry_sequence_breakers":[]`:                                                            {DRYBreakers: []string{}},
		`"dry_multiplier":0,"dry_base":"x","dry_allowed_length":-7,"dry_sequence_breakers":[7]`: {DRYMultiplier: new(0.0)},
		`"samplers":["dry","top-k","nucleus","temp","penalties"]`: {Samplers: []llm.Sampler{
			llm.SampleDRY, llm.SampleTopK, llm.SampleTopP, llm.SampleTemperature, llm.SamplePenalties}},
		`"stop":"a","stopping_strings":["b"],"stop_at_line_start":true`: {StopLines: []string{"a", "b"}},
		`"stop":"a","stop_at_line_start":false`:                         {Stop: []string{"a"}},
		`"samplers":"edskypmxt"`:                                        {Samplers: llm.DefaultSamplers()},
		`"samplers":[]`:                                                 {Samplers: []llm.Sampler{}},
		`"min_tokens":5`:                                                {MinTokens: new(5)},
		`"token_healing":false`:                                         {TokenHealing: new(false)},
		`"min_length":5`:                                                {MinTokens: new(5)},
		`"banned_strings":["a","","b"],"banned_tokens":["b","c"]`:       {BannedStrings: []string{"a", "b", "c"}},
		`"banned_strings":"as an AI"`:                                   {BannedStrings: []string{"as an AI"}},
		`"banned_strings":"[\"a\",\"b\"]"`:                              {BannedStrings: []string{"a", "b"}},
		`"bad_words":["a"]`:                                             {BannedStrings: []string{"a"}},
		`"loop_guard":false`:                                            {LoopGuard: new(0)},
		`"loop_guard":true`:                                             {},
		`"loop_guard":300`:                                              {LoopGuard: new(300)},
		`"logprobs":true`:                                               {LogProbs: new(0)},
		`"logprobs":true,"top_logprobs":5`:                              {LogProbs: new(5)},
		`"logprobs":false,"top_logprobs":0`:                             {},
		`"ignore_eos":true`:                                             {IgnoreEOS: true},
		`"prediction":{"type":"content","content":"as it was"}`:         {Prediction: "as it was"},
		`"prediction":{"type":"content","content":[{"type":"text","text":"as it "},{"type":"text","text":"was"}]}`: {Prediction: "as it was"},
		`"prediction":null`: {},
	} {
		q, err := ParseChat([]byte(hi(fields)))
		if err != nil {
			t.Errorf("%s\n%v", fields, err)
			continue
		}
		if !reflect.DeepEqual(q.Params, want) || len(q.Report) > 0 {
			t.Errorf("%s\ngot  %s %v\nwant %s", fields, show(q.Params), q.Report, show(want))
		}
	}
}

func show(v any) string { b, _ := json.Marshal(v); return string(b) }

func TestWhatIsNotCarriedOutIsReported(t *testing.T) {
	for fields, want := range map[string]string{
		`"typical_p":1,"tfs":1,"top_a":0,"mirostat_mode":0,"mirostat_tau":5,"dry_multiplier":0,"dry_base":1.75,"xtc_threshold":0.1,"grammar":"","banned_strings":[],"add_bos_token":true,"min_tokens":0,"custom_token_bans":"","logit_bias_type":"input_ids"`: "",
		`"user":"me","store":false,"metadata":{},"parallel_tool_calls":true,"service_tier":"auto","response_format":{"type":"text"},"best_of":1,"tool_choice":"auto","modalities":["text"],"suffix":""`:                                                       "",
		`"typical_p":0.9,"typ_p":0.8`:                                     "ignored=typ_p",
		`"mirostat":1,"mirostat_tau":5`:                                   "ignored=mirostat",
		`"tfs":"0.8","smoothing_factor":0.5`:                              "ignored=tfs, ignored=smoothing_factor",
		`"samplers":["infill","top_k","top-k"]`:                           "ignored=samplers.infill, ignored=samplers.top-k",
		`"Temperature":2`:                                                 "ignored=Temperature",
		`"stream_options":{"x":1}`:                                        "ignored=stream_options.x",
		`"max_completion_tokens":5,"max_tokens":9`:                        "ignored=max_tokens",
		`"top_logprobs":5`:                                                "ignored=top_logprobs",
		`"metadata":{"a":"b"}`:                                            "ignored=metadata",
		`"epsilon_cutoff":3,"temperature_last":true`:                      "ignored=epsilon_cutoff",
		many(40, func(i int) string { return fmt.Sprintf(`"x%d":1`, i) }): strings.ReplaceAll(many(32, func(i int) string { return fmt.Sprintf("ignored=x%d", i) }), ",", ", ") + ", ignored=others",
	} {
		q, err := ParseChat([]byte(hi(fields)))
		if err != nil {
			t.Errorf("%s\n%v", fields, err)
			continue
		}
		if got := q.Report.Header(); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", fields, got, want)
		}
	}
	q, err := ParseChat([]byte(says(`{"role":"user","content":"a","mood":"bright"},{"role":"user","content":"a","mood":"dark","reasoning":"x"}`)))
	if err != nil || q.Report.Header() != "ignored=messages[].mood, ignored=messages[].reasoning" {
		t.Errorf("%v, %v", q, err)
	}
}

func TestLayoutAndContinuation(t *testing.T) {
	q, err := ParseChat([]byte(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b "}],
		"add_generation_prompt":false,"continue_final_message":true,"reasoning_effort":"none",
		"chat_template_kwargs":{"style":"x"},"documents":["d",{"title":"t","text":"e"}],
		"tools":[{"type":"function","function":{"name":"f","description":"does","parameters":{"type":"object"}}}],"tool_choice":"none",
		"parley":{"report":false,"format":"chatml","policy":"strict","media":"placeholder"}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := q.Conversation
	if !c.Continue || c.Messages[1].Text() != "b " {
		t.Errorf("continue %v, %q", c.Continue, c.Messages[1].Text())
	}
	if show(c.Layout.Arguments) != `{"enable_thinking":false,"style":"x"}` {
		t.Errorf("arguments %s", show(c.Layout.Arguments))
	}
	if c.Layout.Format != "chatml" || c.Layout.Policy != "strict" || c.Layout.Media != chat.MediaPlaceholder || q.WantReport {
		t.Errorf("layout %+v, report %v", c.Layout, q.WantReport)
	}
	if len(c.Tools) != 1 || c.Tools[0].Name != "f" || string(c.Tools[0].Parameters) != `{"type":"object"}` || c.Choice.Mode != chat.ToolNone {
		t.Errorf("tools %+v, choice %+v", c.Tools, c.Choice)
	}
	if len(c.Documents) != 2 || c.Documents[0].Text != "d" || c.Documents[1].Title != "t" {
		t.Errorf("documents %+v", c.Documents)
	}
}

func TestToolChoice(t *testing.T) {
	for fields, want := range map[string]chat.ToolChoice{
		`"parallel_tool_calls":true`:                                {},
		`"parallel_tool_calls":false`:                               {Single: true},
		`"tool_choice":"auto","parallel_tool_calls":false`:          {Single: true},
		`"tool_choice":"none"`:                                      {Mode: chat.ToolNone},
		`"tool_choice":"required"`:                                  {Mode: chat.ToolRequired},
		`"tool_choice":"any"`:                                       {Mode: chat.ToolRequired},
		`"tool_choice":{"type":"function","function":{"name":"f"}}`: {Mode: chat.ToolNamed, Name: "f"},
	} {
		q, err := ParseChat([]byte(hi(`"tools":[{"type":"function","function":{"name":"f"}}],` + fields)))
		if err != nil {
			t.Errorf("%s: %v", fields, err)
			continue
		}
		if q.Conversation.Choice != want {
			t.Errorf("%s: got %+v, want %+v", fields, q.Conversation.Choice, want)
		}
		if len(q.Report) > 0 {
			t.Errorf("%s: report %v", fields, q.Report)
		}
	}
}

func TestPrompts(t *testing.T) {
	for prompt, want := range map[string]string{
		`"a"`:         `"a" []`,
		`["a","b"]`:   `"a" [] | "b" []`,
		`[1, 2]`:      `"" [1 2]`,
		`[[1,2],[3]]`: `"" [1 2] | "" [3]`,
		`[[1],"a"]`:   `"" [1] | "a" []`,
	} {
		q, err := ParseCompletion([]byte(`{"prompt":` + prompt + `}`))
		if err != nil {
			t.Errorf("%s: %v", prompt, err)
			continue
		}
		var got []string
		for i, p := range q.Prompts {
			s := p.Segments[0]
			got = append(got, fmt.Sprintf("%q %v", s.Text, s.Tokens))
			if len(p.Segments) != 1 || !s.Control || s.Source.Index != i {
				t.Errorf("%s: segment %+v", prompt, s)
			}
		}
		if strings.Join(got, " | ") != want {
			t.Errorf("%s: got %v", prompt, got)
		}
	}
}

// The cost of a hostile body is bounded by its length.
func TestHostileBodiesAreReadInLinearTime(t *testing.T) {
	big := limits.BodyBytes.Int() / 8
	for name, body := range map[string]string{
		"one long list":     `{"messages":[` + strings.Repeat("0,", big/2) + `0]}`,
		"many token ids":    `{"prompt":[` + strings.Repeat("0,", big/2) + `0]}`,
		"one long string":   says(`{"role":"user","content":"` + strings.Repeat(`\"`, big/2) + `"}`),
		"many quotes":       strings.Repeat(`"`, big),
		"many stop strings": hi(`"stop":[` + strings.Repeat(`"x",`, big/4) + `"x"]`),
		"many fields":       hi(strings.Repeat(`"x":0,`, big/6) + `"y":0`),
	} {
		ParseChat([]byte(body))
		ParseCompletion([]byte(body))
		if testing.Verbose() {
			fmt.Fprintln(os.Stderr, name, len(body))
		}
	}
}
