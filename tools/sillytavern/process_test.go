//go:build clients

package sillytavern

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// postProcessing compares what SillyTavern's server makes of messages in each
// mode with what Parley's policy of that name does.
func postProcessing(t *testing.T) {
	conversations := map[string][]object{
		"as the page sends it": conversation(),
		"a greeting alone":     {{"role": "assistant", "content": "Hello."}},
		"only system messages": {{"role": "system", "content": "a"}, {"role": "system", "content": "b"}},
		"names of a group": {
			{"role": "system", "content": "a"}, {"role": "assistant", "name": "Robin", "content": "b"},
			{"role": "assistant", "name": "Kim", "content": "c"}, {"role": "user", "name": "Ann", "content": "d"}},
		"parts": {{"role": "user", "content": []object{{"type": "text", "text": "a"}, {"type": "text", "text": "b"}}}, {"role": "assistant", "content": "c"}},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 25 {
		conversations["random "+strconv.Itoa(i)] = randomConversation(random)
	}
	for _, mode := range []string{"merge", "semi", "strict", "single"} {
		for _, name := range slices.Sorted(maps.Keys(conversations)) {
			t.Run(mode+", "+name, func(t *testing.T) {
				messages := conversations[name]
				processed := read[struct{ Messages []object }](t, ask(t, tavern+chatPath+"/process", object{"type": mode, "messages": messages}))
				theirs := rendered(t, object{"messages": processed.Messages, "parley": object{"policy": "native"}})
				ours := rendered(t, object{"messages": messages, "parley": object{"policy": mode}})
				if ours != theirs {
					t.Errorf("Parley makes of it\n%s\nSillyTavern\n%s", ours, theirs)
				}
			})
		}
	}
}

// randomConversation ends with a user's message, since a policy keeps a reply
// that is to be continued.
func randomConversation(random *rand.Rand) []object {
	var messages []object
	for i := range 1 + random.IntN(9) {
		text := "text " + strconv.Itoa(i)
		m := object{"role": []string{"system", "user", "assistant"}[random.IntN(3)], "content": text}
		switch random.IntN(6) {
		case 0:
			m["name"] = []string{"Ann", "Kim", "example_user", "example_assistant"}[random.IntN(4)]
		case 1:
			m["content"] = []object{{"type": "text", "text": text}, {"type": "text", "text": "more"}}
		}
		messages = append(messages, m)
	}
	return append(messages, object{"role": "user", "content": "the last"})
}

func rendered(t *testing.T, body object) string {
	t.Helper()
	return read[struct{ Text string }](t, ask(t, own+"/parley/v1/render", body)).Text
}
