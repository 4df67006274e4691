package openai

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"parley/chat"
	"parley/llm"
)

func responseOf(t *testing.T, body string) *ResponseRequest {
	t.Helper()
	p, err := ParseResponse([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return p
}

// What an assistant did in a row is one message, whose places are those of
// its first item.
func TestItemsBecomeMessages(t *testing.T) {
	p := responseOf(t, `{"instructions":"be kind","input":[
		{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,AAAA"}]},
		{"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"t"},{"type":"reasoning_text","text":"u"}]},
		{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"b","annotations":[]}]},
		{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
		{"type":"function_call","call_id":"c2","name":"g","arguments":"{\"x\":1}"},
		{"type":"function_call_output","call_id":"c1","output":"1"},
		{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"}]},
		{"type":"reasoning","summary":[{"type":"summary_text","text":"only this"}]},
		{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},
		{"role":"assistant","content":"d"},
		{"role":"assistant","content":"e"},
		{"role":"developer","content":null}]}`)
	want := []chat.Message{
		chat.Say(chat.System, "be kind"),
		{Role: chat.User, Parts: []chat.Part{{Text: "a"}, {Media: &llm.Media{MIME: "image/png", Data: []byte{0, 0, 0}}}}},
		{Role: chat.Assistant, Reasoning: "t\n\nu", Parts: []chat.Part{{Text: "b"}}, ToolCalls: []chat.ToolCall{{ID: "c1", Name: "f", Arguments: "{}"}, {ID: "c2", Name: "g", Arguments: `{"x":1}`}}},
		{Role: chat.Tool, ToolCallID: "c1", Parts: []chat.Part{{Text: "1"}}},
		{Role: chat.Tool, ToolCallID: "c2", Parts: []chat.Part{{Text: "2"}}},
		{Role: chat.Assistant, Reasoning: "only this", Parts: []chat.Part{{Text: "d"}}},
		chat.Say(chat.Assistant, "e"),
		{Role: chat.Developer},
	}
	if !reflect.DeepEqual(p.Conversation.Messages, want) {
		t.Errorf("got  %+v\nwant %+v", p.Conversation.Messages, want)
	}
	if want := "instructions input[0] input[1] input[5] input[6] input[7] input[10] input[11]"; strings.Join(p.places, " ") != want {
		t.Errorf("places %v", p.places)
	}
	if want := "ignored=input[].encrypted_content"; p.Report.Header() != want {
		t.Errorf("report %s, want %s", p.Report.Header(), want)
	}
	if got := llm.AsError(p.Locate(llm.Errorf(llm.Invalid, "messages[2].content[0]", "x"))).Field; got != "input[1].content[0]" {
		t.Errorf("located at %s", got)
	}
}

func TestWhatWasSaidBeforeStandsBehindTheInstructions(t *testing.T) {
	p := responseOf(t, `{"instructions":"new","input":"next","previous_response_id":"resp_1"}`)
	p.Follow([]chat.Message{chat.Say(chat.User, "first"), chat.Say(chat.Assistant, "second")})
	var got []string
	for _, m := range p.Conversation.Messages {
		got = append(got, m.Text())
	}
	if strings.Join(got, " ") != "new first second next" || strings.Join(p.places, " ") != "instructions previous_response_id previous_response_id input" {
		t.Errorf("%v at %v", got, p.places)
	}
	if said := p.Said(); len(said) != 3 || said[0].Text() != "first" {
		t.Errorf("said %+v", said)
	}
}

func TestTheFieldsOfAResponse(t *testing.T) {
	p := responseOf(t, `{"input":"x","max_output_tokens":5,"store":false,"truncation":"auto","reasoning":{"effort":"none"},"top_logprobs":2,
		"parallel_tool_calls":false,"tools":[{"type":"function","name":"f","description":"F.","parameters":{"type":"object"}},{"type":"function","name":"g"}],
		"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]},
		"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}},"verbosity":"medium"},"parley":{"report":true}}`)
	switch c := p.Conversation; {
	case *p.Params.MaxTokens != 5, p.Store, *p.Params.LogProbs != 2, len(p.Report) > 0:
		t.Errorf("%+v", p.Request)
	case c.Layout.Fit != chat.FitDropOldest, string(c.Layout.Arguments["enable_thinking"]) != "false":
		t.Errorf("layout %+v", c.Layout)
	case c.Choice != chat.ToolChoice{Mode: chat.ToolRequired, Single: true}, len(c.Tools) != 1:
		t.Errorf("choice %+v of %+v", c.Choice, c.Tools)
	case string(c.Tools[0].Raw) != `{"type":"function","function":{"name":"f","description":"F.","parameters":{"type":"object"}}}`:
		t.Errorf("as templates see it: %s", c.Tools[0].Raw)
	case !reflect.DeepEqual(*p.Params.Constraint, llm.Constraint{Kind: llm.ConstrainSchema, Source: `{"type":"object"}`, Field: "text.format.schema"}):
		t.Errorf("constraint %+v", p.Params.Constraint)
	}
}

func TestResponsesThatCannotBe(t *testing.T) {
	for body, field := range map[string]string{
		`{}`:                  "input",
		`{"input":[]}`:        "input",
		`{"input":[{"x":1}]}`: "input[0].type",
		`{"input":[{"type":"item_reference","id":"a"}]}`:                               "input[0].type",
		`{"input":[{"role":"tool","content":"x"}]}`:                                    "input[0].role",
		`{"input":[{"role":"user"}]}`:                                                  "input[0].content",
		`{"input":[{"role":"user","content":[{"type":"input_file"}]}]}`:                "input[0].content[0].type",
		`{"input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}`: "input[0].content[0].file_id",
		`{"input":[{"type":"function_call","name":"f"}]}`:                              "input[0].call_id",
		`{"input":[{"type":"function_call","call_id":"f"}]}`:                           "input[0].name",
		`{"input":[{"type":"function_call_output","output":"f"}]}`:                     "input[0].call_id",
		`{"input":[{"type":"function_call_output","call_id":"f"}]}`:                    "input[0].output",
		`{"input":"x","tools":[{"type":"custom"}]}`:                                    "tools[0].type",
		`{"input":"x","tools":[{"type":"function"}]}`:                                  "tools[0].name",
		`{"input":"x","tool_choice":"required"}`:                                       "tool_choice",
		`{"input":"x","tool_choice":"perhaps"}`:                                        "tool_choice",
		`{"input":"x","tool_choice":{"type":"function","name":"f"}}`:                   "tool_choice.name",
		`{"input":"x","tool_choice":{"type":"mcp"}}`:                                   "tool_choice",
		`{"input":"x","tool_choice":{"type":"allowed_tools","mode":"auto"}}`:           "tool_choice.tools",
		`{"input":"x","text":{"format":{"type":"xml"}}}`:                               "text.format.type",
		`{"input":"x","regex":"a","text":{"format":{"type":"json_object"}}}`:           "text.format.type",
		`{"input":"x","truncation":"some"}`:                                            "truncation",
		`{"input":"x","background":true}`:                                              "background",
		`{"input":"x","conversation":"c"}`:                                             "conversation",
		`{"input":"x","prompt":{"id":"p"}}`:                                            "prompt",
		`{"input":"x","n":2}`:                                                          "n",
		`{"input":"x","top_logprobs":21}`:                                              "top_logprobs",
		`{"input":"x","metadata":[]}`:                                                  "metadata",
	} {
		if _, err := ParseResponse([]byte(body)); err == nil || llm.AsError(err).Field != field {
			t.Errorf("%s: %v, want field %s", body, err, field)
		}
	}
}

// The items that a stream tells one by one are those of the response at its
// end, and those of a response that is not streamed.
func TestAStreamedResponseIsTheWholeOne(t *testing.T) {
	for name, events := range map[string][]chat.Event{
		"all kinds": {
			chat.Accepted{}, chat.ReasoningDelta{Text: "Hm", Tokens: []llm.Token{{ID: 1}}}, chat.ReasoningDelta{Text: "."}, chat.Waiting{},
			chat.TextDelta{Text: "a", Tokens: []llm.Token{{ID: 2, Text: "a"}}}, chat.TextDelta{Text: "b", Tokens: []llm.Token{{ID: 3, Text: "b"}}},
			chat.ToolCallDelta{Index: 0, ID: "c0", Name: "f"}, chat.ToolCallDelta{Index: 1, ID: "c1", Name: "g", Arguments: "{}"},
			chat.ToolCallDelta{Index: 0, Arguments: "{"}, chat.ToolCallDelta{Index: 0, Arguments: "}"},
			chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd, Usage: llm.Usage{PromptTokens: 3, CompletionTokens: 3}}},
		},
		"nothing":                        {chat.Accepted{}, chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd}}},
		"cut off":                        {chat.Accepted{}, chat.TextDelta{Text: "a"}, chat.Done{Finish: llm.Finish{Reason: llm.ReasonLength}}},
		"thoughts":                       {chat.Accepted{}, chat.ReasoningDelta{Text: "Hm"}, chat.Done{Finish: llm.Finish{Reason: llm.ReasonLength}}},
		"a call that is cut off is none": {chat.Accepted{}, chat.ToolCallDelta{ID: "a", Name: "f", Arguments: "{}"}, chat.Done{Finish: llm.Finish{Reason: llm.ReasonLength}}},
	} {
		p := responseOf(t, `{"input":"x","include":["message.output_text.logprobs"]}`)
		head := ResponseHead{ID: "resp_1", Model: "m"}
		s := NewResponseStream(p, func() int64 { return 7 })
		s.Head = head
		var out []byte
		for _, e := range events {
			out = append(out, s.Event(0, e)...)
		}
		out = append(out, s.End(nil)...)
		reply, err := chat.Collect(func(yield func(chat.Event, error) bool) {
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		whole := Response(head, p, reply, nil, 7)
		if !bytes.Equal(whole, s.Body) {
			t.Errorf("%s:\nwhole    %s\nstreamed %s", name, whole, s.Body)
		}
		var last struct {
			Output []json.RawMessage `json:"output"`
		}
		if err := json.Unmarshal(whole, &last); err != nil {
			t.Fatal(err)
		}
		told := map[int]string{}
		for i, line := range strings.Split(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
			kind, data, _ := strings.Cut(line, "\ndata: ")
			var e struct {
				Type     string          `json:"type"`
				Sequence int             `json:"sequence_number"`
				Index    int             `json:"output_index"`
				Item     json.RawMessage `json:"item"`
			}
			if err := json.Unmarshal([]byte(data), &e); err != nil || e.Sequence != i || kind != "event: "+e.Type {
				t.Errorf("%s: event %d is %s (%v)", name, i, line, err)
			}
			if e.Type == "response.output_item.done" {
				told[e.Index] = string(e.Item)
			}
		}
		for i, item := range last.Output {
			if told[i] != string(item) {
				t.Errorf("%s: item %d was told as %s, and is %s", name, i, told[i], item)
			}
		}
		if len(told) != len(last.Output) {
			t.Errorf("%s: %d items were told, and there are %d", name, len(told), len(last.Output))
		}
	}
}

// A call that turns out to be none has been told; it stays, as one that is not
// whole, and what the model wrote follows as text.
func TestABrokenCallOfAStreamIsIncomplete(t *testing.T) {
	s := NewResponseStream(responseOf(t, `{"input":"x"}`), func() int64 { return 0 })
	for _, e := range []chat.Event{chat.Accepted{}, chat.ToolCallDelta{ID: "a", Name: "f", Arguments: "{"}, chat.ToolCallDelta{Broken: true}, chat.TextDelta{Text: "f({"}, chat.Done{}} {
		s.Event(0, e)
	}
	s.End(nil)
	if got := string(s.Body); !strings.Contains(got, `"status":"incomplete","call_id":"a"`) || !strings.Contains(got, `"text":"f({"`) {
		t.Errorf("got %s", got)
	}
}

// TestAResponseTellsTheStopsThatWereAdded, whole and streamed, to whoever wants
// the report.
func TestAResponseTellsTheStopsThatWereAdded(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		q, err := ParseResponse([]byte(`{"input":"hi","parley":` + strconv.FormatBool(wanted) + `}`))
		if err != nil {
			t.Fatal(err)
		}
		accepted, done := chat.Accepted{Stops: []string{"\nAnn:"}}, chat.Done{Finish: llm.Finish{Reason: llm.ReasonEnd}}
		whole := Response(ResponseHead{ID: "resp_1"}, q, chat.Reply{Accepted: accepted, Finish: done.Finish}, nil, 1)
		s := NewResponseStream(q, func() int64 { return 1 })
		s.Event(0, accepted)
		s.Event(0, done)
		for how, body := range map[string]string{"whole": string(whole), "streamed": string(s.End(nil))} {
			if told := strings.Contains(body, `"auto_stops":["\nAnn:"]`); told != wanted {
				t.Errorf("%s, wanted %v: %s", how, wanted, body)
			}
		}
	}
}
