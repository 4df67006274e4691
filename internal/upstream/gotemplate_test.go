package upstream

import (
	"strings"
	"testing"

	"parley/chat"
	"parley/chatformat"
)

func TestOllamasTemplatesAreLaidOutAsItDoes(t *testing.T) {
	list := []chat.Message{say(chat.System, "S1"), say(chat.System, "S2"), say(chat.User, "U1"), say(chat.User, "U2"), say(chat.Assistant, "A"), say(chat.User, "U3")}
	tests := []struct{ name, template, want string }{
		{"over all messages", "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>", "<system>S1\n\nS2<user>U1\n\nU2<assistant>A<user>U3<assistant>"},
		{"the system text apart", "{{ .System }}|{{ range .Messages }}{{ if ne .Role \"system\" }}<{{ .Role }}>{{ .Content }}{{ end }}{{ end }}", "S1\n\nS2|<user>U1\n\nU2<assistant>A<user>U3"},
		{"turn by turn", "{{ if .System }}[S]{{ .System }}{{ end }}{{ if .Prompt }}[U]{{ .Prompt }}{{ end }}[A]{{ .Response }}", "[S]S1\n\nS2[U]U1\n\nU2[A]A[U]U3[A]"},
		{"with Ollama's functions", "{{ json .Messages }}{{ currentDate | len }}{{ if .Tools }}{{ toTypeScriptType .Tools }}{{ end }}", "10"},
	}
	for _, test := range tests {
		got, err := layOutInGo(test.template, list)
		if err != nil || !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestATemplateThatEndsWithTheReplyContinuesIt(t *testing.T) {
	for template, want := range map[string]bool{
		"{{ range .Messages }}<{{ .Role }}>{{ .Content }}</>{{ end }}<assistant>":                                                            false,
		"{{ range $i, $m := .Messages }}<{{ .Role }}>{{ .Content }}{{ if lt (len (slice $.Messages $i)) 2 }}{{ else }}</>{{ end }}{{ end }}": true,
		"[U]{{ .Prompt }}[A]{{ .Response }}</>": true,
		"{{ .Prompt }}":                         false,
	} {
		if got := continuesInGo(template); got != want {
			t.Errorf("%s: %v", template, got)
		}
	}
}

func TestAStrangersTemplateEnds(t *testing.T) {
	for _, template := range []string{
		"{{ range 1000000000 }}{{ end }}.Messages",
		"{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}",
		`{{ define "a" }}{{ template "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`,
		"{{ range 9000 }}" + strings.Repeat("x", 1000) + "{{ end }}",
		"{{ nothing }}", "{{ range", "{{ .Messages.Foo }}", `{{ slice "a" 5 }}`,
	} {
		if _, err := layOutInGo(template, []chat.Message{say(chat.User, "U")}); err == nil {
			t.Errorf("%.60s is laid out", template)
		}
	}
}

func FuzzOllamasTemplates(f *testing.F) {
	f.Add("{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>")
	f.Add("{{ if .System }}[S]{{ .System }}{{ end }}{{ if .Prompt }}[U]{{ .Prompt }}{{ end }}[A]{{ .Response }}")
	f.Fuzz(func(t *testing.T, template string) {
		chatformat.Probe(func(list []chat.Message) (string, error) { return layOutInGo(template, list) })
		continuesInGo(template)
	})
}
