//go:build clients

package sillytavern

import (
	"maps"
	"slices"
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

func rendered(t *testing.T, body object) string {
	t.Helper()
	return read[struct{ Text string }](t, ask(t, own+"/parley/v1/render", body)).Text
}
