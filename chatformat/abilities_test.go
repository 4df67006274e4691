package chatformat_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
	"parley/llm"
)

// mlc are the abilities of an engine that takes one leading system message and
// refuses all others, and pictures of the user alone.
var mlc = chatformat.Abilities{SystemSlot: true, SameRole: true, AssistantFirst: true, NoUser: true, UserMedia: true}

// The request that ends in a 400 on an engine with one place for a system
// message: as the front end sends it, with a greeting, users in a row and a
// note at the end.
func frontEnd() chat.Conversation {
	return chat.Conversation{Messages: []chat.Message{
		chat.Say(chat.System, "Write one reply."), chat.Say(chat.System, "Sensei teaches."), chat.Say(chat.System, "[Start a new Chat]"),
		chat.Say(chat.Assistant, "Hello world!"), chat.Say(chat.User, "Hi"), chat.Say(chat.User, "Hi again"),
		chat.Say(chat.System, "System note: stay in character."),
	}}
}

func lines(c chat.Conversation) string {
	var b strings.Builder
	for _, m := range c.Messages {
		fmt.Fprintf(&b, "%s:", m.Role)
		if m.Name != "" {
			fmt.Fprintf(&b, "(%s)", m.Name)
		}
		for _, p := range m.Parts {
			if p.Media != nil {
				fmt.Fprintf(&b, " <%s>", p.Media.MIME)
			} else {
				fmt.Fprintf(&b, " %q", p.Text)
			}
		}
		for _, call := range m.ToolCalls {
			fmt.Fprintf(&b, " %s(%s)", call.Name, call.Arguments)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestNormaliseChangesOnlyWhatCannotBeTaken(t *testing.T) {
	everything := chatformat.AllAbilities()
	alternating := chatformat.Abilities{SystemSlot: true}
	tests := []struct {
		name   string
		can    chatformat.Abilities
		change func(*chat.Conversation)
		want   string
		header string
	}{
		{"nothing where everything is taken", everything, nil, lines(frontEnd()), ""},
		{"one system message, at the front", mlc, nil, `
system: "Write one reply.\n\nSensei teaches.\n\n[Start a new Chat]"
assistant: "Hello world!"
user: "Hi"
user: "Hi again"
user: "System note: stay in character."
`, "repaired=system_merged, repaired=system_merged, repaired=system_to_user"},
		{"turns that alternate, a user first", alternating, nil, `
system: "Write one reply.\n\nSensei teaches.\n\n[Start a new Chat]"
user: "Let's get started."
assistant: "Hello world!"
user: "Hi\n\nHi again\n\nSystem note: stay in character."
`, "repaired=system_merged, repaired=system_merged, repaired=system_to_user, repaired=neighbours_merged, repaired=neighbours_merged, repaired=placeholder"},
		{"no place for a system message", chatformat.Abilities{AssistantFirst: true}, nil, `
user: "Write one reply.\n\nSensei teaches.\n\n[Start a new Chat]"
assistant: "Hello world!"
user: "Hi\n\nHi again\n\nSystem note: stay in character."
`, ""},
		{"the policy hoist_all, as the engine's makers would have it", mlc, func(c *chat.Conversation) { c.Layout.Policy = chatformat.PolicyHoistAll }, `
system: "Write one reply.\n\nSensei teaches.\n\n[Start a new Chat]\n\nSystem note: stay in character."
assistant: "Hello world!"
user: "Hi"
user: "Hi again"
`, ""},
		{"the policy native repairs nothing", mlc, func(c *chat.Conversation) { c.Layout.Policy = chatformat.PolicyNative }, lines(frontEnd()), ""},
		{"a note around a later system message", mlc, func(c *chat.Conversation) {
			c.Layout.Note = "[Note: {text}]"
			c.Messages = c.Messages[4:]
		}, `
user: "Hi"
user: "Hi again"
user: "[Note: System note: stay in character.]"
`, "repaired=system_to_user"},
		{"names stay where they are taken", everything, func(c *chat.Conversation) { c.Messages = c.Messages[4:5]; c.Messages[0].Name = "Ann" }, `
user:(Ann) "Hi"
`, ""},
		{"names go before the text where they are not", mlc, func(c *chat.Conversation) { c.Messages = c.Messages[4:5]; c.Messages[0].Name = "Ann" }, `
user: "Ann: Hi"
`, "repaired=names_prefixed"},
		{"placement is carried out", everything, func(c *chat.Conversation) {
			c.Messages = c.Messages[4:]
			c.Messages[2].Placement = chat.PlaceHead
		}, `
system: "System note: stay in character."
user: "Hi"
user: "Hi again"
`, ""},
		{"pictures of the user stay where they are taken", mlc, func(c *chat.Conversation) {
			c.Messages = []chat.Message{{Role: chat.User, Parts: []chat.Part{{Text: "a"}, {Text: "b"}, {Media: &llm.Media{MIME: "image/png"}}, {Text: "c"}}}}
		}, `
user: "ab" <image/png> "c"
`, ""},
		{"pictures elsewhere become a placeholder by policy", mlc, func(c *chat.Conversation) {
			c.Layout.Media = chat.MediaPlaceholder
			c.Messages = []chat.Message{{Role: chat.Assistant, Parts: []chat.Part{{Media: &llm.Media{MIME: "image/png"}}}}}
		}, `
assistant: "[image]"
`, "media_placeholder=messages[0].content[0]"},
		{"tool calls become text where there is no place for them", mlc, func(c *chat.Conversation) {
			c.Messages = []chat.Message{chat.Say(chat.User, "Look."),
				{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "1", Name: "look", Arguments: "{}"}}},
				{Role: chat.Tool, ToolCallID: "1", Parts: []chat.Part{{Text: "a cat"}}}}
		}, `
user: "Look."
assistant: "[tool call: look {}]"
user: "[tool result: look]\na cat"
`, "repaired=tools_as_text, repaired=tools_as_text"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := frontEnd()
			if test.change != nil {
				test.change(&c)
			}
			before := fmt.Sprintf("%#v", c)
			got, report, err := chatformat.Normalise(c, test.can)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimPrefix(test.want, "\n"); lines(got) != want {
				t.Errorf("got\n%swant\n%s", lines(got), want)
			}
			if test.header != "" && report.Header() != test.header {
				t.Errorf("the report is %q, want %q", report.Header(), test.header)
			}
			if fmt.Sprintf("%#v", c) != before {
				t.Error("the conversation was changed")
			}
			again, report, err := chatformat.Normalise(got, test.can)
			if test.name == "the policy native repairs nothing" {
				return
			}
			if err != nil || len(report) > 0 || !reflect.DeepEqual(lines(again), lines(got)) {
				t.Errorf("what is normalised is changed again: %v, %v\n%s", report, err, lines(again))
			}
		})
	}
}

// Whatever the policy and whatever can be taken, the words of all messages are
// there. Their order is that of the client unless the policy moves messages.
func TestNormaliseLosesNothingUnderAnyPolicy(t *testing.T) {
	moving := map[string]bool{chatformat.PolicyHoistAll: true, chatformat.PolicyHoistTrailing: true}
	for _, policy := range chatformat.Policies() {
		if policy == chatformat.PolicyError {
			continue
		}
		for _, rung := range chatformat.Ladder(policy, chatformat.AllAbilities()) {
			c := frontEnd()
			c.Layout.Policy = rung.Policy
			got, _, err := chatformat.Normalise(c, rung.Abilities)
			if err != nil {
				t.Fatal(err)
			}
			text, at := lines(got), 0
			for _, m := range frontEnd().Messages {
				i := strings.Index(text, m.Text())
				if i < 0 || i < at && !moving[policy] {
					t.Errorf("%s, %q: %q is lost or moved in\n%s", policy, rung.Note, m.Text(), text)
				}
				at = i
			}
		}
	}
}

func TestNormaliseRefusesUnderThePolicyError(t *testing.T) {
	c := frontEnd()
	c.Layout.Policy = chatformat.PolicyError
	_, _, err := chatformat.Normalise(c, mlc)
	if e := llm.AsError(err); err == nil || e.Code != llm.Unreadable {
		t.Errorf("got %v", err)
	}
}

func TestProbeFindsWhatAFunctionLosesOrMoves(t *testing.T) {
	marked := func(m chat.Message) string {
		return "<" + string(m.Role) + ">" + m.Text() + "</" + string(m.Role) + ">"
	}
	tests := []struct {
		name string
		lay  func([]chat.Message) (string, error)
		want chatformat.Abilities
	}{
		{"all in place", func(list []chat.Message) (text string, err error) {
			for _, m := range list {
				text += marked(m)
			}
			return text, nil
		}, chatformat.Abilities{SystemSlot: true, SystemRun: true, SystemLater: true, SameRole: true, AssistantFirst: true, NoUser: true}},
		{"only the last system message counts, in front", func(list []chat.Message) (text string, err error) {
			system := ""
			for _, m := range list {
				if m.Role == chat.System {
					system = marked(m)
				} else {
					text += marked(m)
				}
			}
			return system + text, nil
		}, chatformat.Abilities{SystemSlot: true, SameRole: true, AssistantFirst: true, NoUser: true}},
		{"later system messages are welded to the user's", func(list []chat.Message) (text string, err error) {
			welded := ""
			for i, m := range list {
				if m.Role == chat.System && i > 0 {
					welded += m.Text() + "\n"
					continue
				}
				m.Parts = []chat.Part{{Text: welded + m.Text()}}
				text, welded = text+marked(m), ""
			}
			return text + welded, nil
		}, chatformat.Abilities{SystemSlot: true, SystemRun: true, SameRole: true, AssistantFirst: true, NoUser: true}},
		{"roles must alternate", func(list []chat.Message) (text string, err error) {
			for i, m := range list {
				if m.Role == chat.System || (m.Role == chat.User) != (i%2 == 0) {
					return "", errors.New("conversation roles must alternate")
				}
				text += marked(m)
			}
			return text, nil
		}, chatformat.Abilities{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := chatformat.Probe(test.lay)
			if err != nil || got != test.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
	if _, err := chatformat.Probe(func([]chat.Message) (string, error) { return "{{ .Prompt }}", nil }); err == nil {
		t.Error("a function that shows nothing has abilities")
	}
}
