package chatformat_test

import (
	"strings"
	"testing"

	"parley/chatformat"
)

// TestThoughtsAreToldApartInEveryFamily reads replies with the marks that
// models write, where the reply opens its thoughts and where the prompt did.
func TestThoughtsAreToldApartInEveryFamily(t *testing.T) {
	const text = "It is Paris."
	for name, c := range map[string]struct {
		marks         []string // that the template's source has
		opens, output string   // how the prompt ends; what the model writes
	}{
		"DeepSeek R1, Qwen 3":       {[]string{"<think>", "</think>"}, "", "<think>\nHm.\n</think>\n\nIt is Paris."},
		"QwQ, GLM 4.6":              {[]string{"<think>", "</think>"}, "<think>\n", "Hm.\n</think>\n\nIt is Paris."},
		"no thoughts after all":     {[]string{"<think>", "</think>"}, "", "It is Paris."},
		"Magistral":                 {[]string{"[THINK]", "[/THINK]"}, "", "[THINK]Hm.[/THINK]It is Paris."},
		"EXAONE Deep":               {[]string{"<thought>", "</thought>"}, "<thought>\n", "Hm.\n</thought>\n\nIt is Paris."},
		"Seed-OSS":                  {[]string{"<seed:think>", "</seed:think>"}, "", "<seed:think>Hm.</seed:think>It is Paris."},
		"Kimi VL":                   {[]string{"◁think▷", "◁/think▷"}, "", "◁think▷Hm.◁/think▷It is Paris."},
		"Command A Reasoning":       {[]string{"<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"}, "", "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>It is Paris.<|END_RESPONSE|>"},
		"Command A, without":        {[]string{"<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"}, "", "<|START_RESPONSE|>It is Paris.<|END_RESPONSE|>"},
		"Command, already opened":   {[]string{"<|START_TEXT|>", "<|END_TEXT|>"}, "<|START_TEXT|>", "It is Paris.<|END_TEXT|>"},
		"Granite 3.3":               {[]string{"<think>", "</think>", "<response>", "</response>"}, "", "<think>Hm.</think>\n<response>It is Paris.</response>"},
		"Granite 3.2":               {[]string{"Here is my thought process:", "Here is my response:"}, "", "Here is my thought process: Hm.\n\nHere is my response:\n\nIt is Paris."},
		"Hunyuan 3":                 {[]string{"<think:opensource>", "</think:opensource>"}, "", "<think:opensource>Hm.</think:opensource>It is Paris."},
		"Apertus":                   {[]string{"<|inner_prefix|>", "<|inner_suffix|>"}, "", "<|inner_prefix|>Hm.<|inner_suffix|>It is Paris."},
		"Gemma 4":                   {[]string{"<|channel>thought", "<channel|>"}, "", "<|channel>thought\nHm.<channel|>It is Paris."},
		"gpt-oss":                   {[]string{"<|channel|>"}, "", "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>It is Paris."},
		"gpt-oss, twice":            {[]string{"<|channel|>"}, "", "<|channel|>analysis<|message|>H<|end|><|start|>assistant<|channel|>analysis<|message|>m.<|end|><|start|>assistant<|channel|>final<|message|>It is Paris."},
		"gpt-oss, another's header": {[]string{"<|channel|>"}, "<|start|>assistant", "<|channel|>final <|constrain|>json<|message|>It is Paris."},
	} {
		source := "{% for m in messages %}[{{ m.role }}]{{ m.content }}[/]{% endfor %}{% if add_generation_prompt %}[assistant]" + c.opens + "{% endif %}{# " + strings.Join(c.marks, " ") + " #}"
		f, err := chatformat.NewTemplate(name, source, chatformat.SpecialTokens{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Render(hello())
		if err != nil {
			t.Fatal(err)
		}
		text2, thoughts2, _ := read(r.Reply(), c.output, 3)
		text1, thoughts1, _ := read(r.Reply(), c.output, len(c.output))
		want := "Hm."
		if !strings.Contains(c.output, "m.") {
			want = ""
		}
		if text1 != text || thoughts1 != want {
			t.Errorf("%s: thoughts %q, text %q", name, thoughts1, text1)
		}
		if text2 != text1 || thoughts2 != thoughts1 {
			t.Errorf("%s: in pieces thoughts %q, text %q", name, thoughts2, text2)
		}
	}
}
