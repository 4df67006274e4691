package wire

import (
	"testing"

	"parley/internal/roleplay"
)

func TestSettingsInTheirSpellings(t *testing.T) {
	for body, c := range map[string]struct {
		want    roleplay.Setting
		ignored int
	}{
		`{"mode":"chat","character":"Ada","user_name":"Tom","bot_name":"Bob","context":"c","greeting":"g","user_bio":"b","chat_template_str":"t"}`: {roleplay.Setting{
			Mode: roleplay.Chat, Character: "Ada", User: "Tom", Bot: "Bob", Context: "c", Greeting: "g", Bio: "b", Template: "t"}, 0},
		`{"mode":"chat","character":"None","name1":"Tom","your_name":"Tim","name2":"Bob"}`: {roleplay.Setting{Mode: roleplay.Chat, User: "Tom", Bot: "Bob"}, 1},
		`{"mode":"chat-instruct","your_name":"Tim","chat-instruct_command":"x","instruction_template":"Vicuna-v1.1"}`: {roleplay.Setting{
			Mode: roleplay.ChatInstruct, User: "Tim", Command: "x", Format: "vicuna"}, 0},
		`{"instruction_template":"Galactica","instruction_template_str":null,"character":"Ada","context":""}`: {roleplay.Setting{Mode: roleplay.Instruct}, 2},
		`{"instruction_template":"None","instruction_template_str":"j"}`:                                      {roleplay.Setting{Mode: roleplay.Instruct, FormatTemplate: "j"}, 1},
		`{"mode":null}`: {roleplay.Setting{Mode: roleplay.Instruct}, 0},
	} {
		v, err := Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		r := &Reader{}
		if got := r.Object("", v).Roleplay(roleplay.Instruct); r.Err != nil || got != c.want || len(r.Report) != c.ignored {
			t.Errorf("%s: got %+v, %v, %v", body, got, r.Report, r.Err)
		}
	}
}
