package chatformat_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"parley/chatformat"
)

// TestSillyTavernsPolicies compares with what the prompt post-processing of
// that program makes of the same messages (testdata/sillytavern.json: random
// conversations, and [role, content] of each message afterwards, no names of
// user and character being known).
func TestSillyTavernsPolicies(t *testing.T) {
	data, err := os.ReadFile("testdata/sillytavern.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []map[string]json.RawMessage
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	f, err := chatformat.ParseMarkup("lines", []byte(`
stop = []
generation = ""
[system]
prefix = "system:"
suffix = "\u0001"
[user]
prefix = "user:"
suffix = "\u0001"
[assistant]
prefix = "assistant:"
suffix = "\u0001"
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		conversation := readConversation(t, []byte(`{"messages":`+string(c["messages"])+`}`))
		for _, policy := range []string{chatformat.PolicyMerge, chatformat.PolicySemi, chatformat.PolicyStrict, chatformat.PolicySingle} {
			var messages [][2]string
			if err := json.Unmarshal(c[policy], &messages); err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			for _, m := range messages {
				want.WriteString(m[0] + ":" + m[1] + "\x01")
			}
			conversation.Layout.Policy = policy
			r, err := f.Render(conversation)
			if got := r.Prompt.String(); err != nil || got != want.String() {
				t.Errorf("case %d, %s, %s:\n got %q, %v\nwant %q", i, policy, c["messages"], got, err, want.String())
			}
		}
	}
}
