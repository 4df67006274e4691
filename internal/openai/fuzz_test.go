package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"parley/chat"
	"parley/llm"
)

// Whatever comes in, a request is either understood, with numbers in range
// and something to answer, or refused with a sentence.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"messages":[{"role":"user","content":"Hi"}],"stream":true,"n":2,"stop":["a"],"logit_bias":{"1":2}}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],"tools":[{"type":"function","function":{"name":"f"}}],"parley":{"format":"x"}}`,
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]}],"continue_final_message":true,"logit_bias":[[1,false]]}`,
		`{"prompt":[[1,2],[3]],"echo":true,"max_tokens":"5","seed":1e3,"text":"x","special":true}`,
		`{"input":["a",[1]],"encoding_format":"base64","dimensions":3}`,
		`{"prompt":"a","grammar":"","mirostat":2,"documents":["d"],"chat_template_kwargs":{"a":[]},"stream_options":{}}`,
		`{"prompt":"a","samplers":"ktx","dry_sequence_breakers":"[\\"a\\"]","banned_strings":"b","logit_bias":[["a",false]],"custom_token_bans":"1","dynamic_temperature":true,"dynatemp_low":1,"dynatemp_high":2,"loop_guard":false}`,
		`{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":""},{"type":"reasoning","summary":[{"text":"b"}]}],"instructions":"i","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]},"text":{"format":{"type":"json_object"}}}`,
		"\ufeff[\"\\ud83c\",{}]", `{"a":1,"a":2}`, `{"\u0061":"\"}],"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		check := func(q *Request, err error) {
			if err != nil {
				e, ok := errors.AsType[*llm.Error](err)
				if !ok || e.Message == "" || e.Code != llm.Invalid && e.Code != llm.Unsupported || !json.Valid(Explain(err).JSON()) {
					t.Fatalf("error %#v", err)
				}
				return
			}
			if err := q.Params.Check(); err != nil {
				t.Fatal(err)
			}
			if q.Choices < 1 || len(q.Conversation.Messages)+len(q.Prompts) == 0 {
				t.Fatalf("understood as %+v", q)
			}
			for _, m := range q.Conversation.Messages {
				if !m.Role.Valid() || !utf8.ValidString(m.Text()) {
					t.Fatalf("message %+v", m)
				}
			}
		}
		check(ParseChat(body))
		check(ParseCompletion(body))
		ParseTokenize(body)
		if e, err := ParseEmbed(body); err == nil && (len(e.Prompts) == 0 || e.Prompts[0].Segments[0].Control) {
			t.Fatalf("understood as %+v", e)
		}
		p, err := ParseResponse(body)
		if err != nil {
			check(nil, err)
			return
		}
		if p.Previous != "" {
			p.Follow([]chat.Message{chat.Say(chat.User, "x")})
		}
		if check(p.Request, nil); len(p.places) != len(p.Conversation.Messages) {
			t.Fatalf("%d places for %d messages", len(p.places), len(p.Conversation.Messages))
		}
	})
}

// A chunk is one line of JSON, whatever the model says, and its text comes
// back as it was.
func FuzzChunks(f *testing.F) {
	f.Add("a\u0085b\u2028c\u2029\n\r</script>\x00", "stop")
	f.Fuzz(func(t *testing.T, text, stop string) {
		if !utf8.ValidString(text) {
			return
		}
		q := &Request{Choices: 1, IncludeUsage: true, Params: llm.Params{LogProbs: new(1)}}
		s := NewChat(Head{ID: "x", Model: text}, q)
		for _, e := range []chat.Event{
			chat.Accepted{}, chat.Waiting{},
			chat.TextDelta{Text: text, Tokens: []llm.Token{{Text: text + "\xff", Top: []llm.TokenProb{{Text: stop}}}}},
			chat.ReasoningDelta{Text: text}, chat.ToolCallDelta{ID: text, Arguments: text},
			chat.Done{Finish: llm.Finish{Reason: llm.ReasonStop, Stop: stop}},
		} {
			line := s.Event(0, e)
			if _, waiting := e.(chat.Waiting); waiting && line == nil {
				continue
			}
			if _, said := e.(chat.ReasoningDelta); said && text == "" && line == nil {
				continue
			}
			if !json.Valid(line) || bytes.ContainsAny(line, "\n\r\u0085\u2028\u2029") {
				t.Fatalf("chunk %q", line)
			}
			if _, said := e.(chat.TextDelta); said && text != "" {
				var back answer
				if err := json.Unmarshal(line, &back); err != nil || *back.Choices[0].Delta.Content != text {
					t.Fatalf("%q came back as %s", text, line)
				}
			}
		}
		if !json.Valid(s.End(nil)) {
			t.Fatal("the last chunk is no JSON")
		}
	})
}
