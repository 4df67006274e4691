package wire

import (
	"parley/internal/limits"
	"parley/internal/roleplay"
)

// Roleplay reads how a talk with a character is laid out, in
// text-generation-webui's spellings of all ages. What a mode does not use is
// reported.
func (o *Object) Roleplay(usual roleplay.Mode) roleplay.Setting {
	s := roleplay.Setting{Mode: roleplay.Mode(o.Bounded("mode", limits.NameBytes))}
	if s.Mode == "" {
		s.Mode = usual
	}
	if !s.Mode.Valid() {
		o.Invalid("mode", "%q is none of chat, chat-instruct, instruct", Short(string(s.Mode)))
	}
	given := func(use bool, names ...string) string {
		text := o.Text(names...)
		if !use && text != "" {
			o.Ignore(names[0])
			return ""
		}
		return text
	}
	acts := s.Mode != roleplay.Instruct
	if s.Character = given(acts, "character"); s.Character == "None" {
		s.Character = ""
	}
	s.User = given(acts, "user_name", "name1", "your_name")
	s.Bot = given(acts, "bot_name", "name2")
	for _, name := range []string{s.User, s.Bot} {
		if err := limits.NameBytes.CheckInt(len(name)); err != nil {
			o.Invalid("name", "%v", err)
		}
	}
	s.Context = given(acts, "context")
	s.Greeting = given(acts, "greeting")
	s.Bio = given(acts, "user_bio")
	s.Command = given(s.Mode == roleplay.ChatInstruct, "chat_instruct_command", "chat-instruct_command")
	s.Template = given(s.Mode == roleplay.Chat, "chat_template_str")
	s.FormatTemplate = given(s.Mode != roleplay.Chat, "instruction_template_str")
	if name := given(s.Mode != roleplay.Chat && s.FormatTemplate == "", "instruction_template"); name != "" && name != "None" {
		var known bool
		if s.Format, known = roleplay.FormatNamed(name); !known {
			o.Ignore("instruction_template")
		}
	}
	for _, t := range []string{s.Template, s.FormatTemplate} {
		if err := limits.TemplateBytes.CheckInt(len(t)); err != nil && t != "" {
			o.Invalid("chat_template_str", "%v", err)
		}
	}
	return s
}
