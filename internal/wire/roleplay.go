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
	given := func(most *limits.Limit, use bool, names ...string) string {
		text := o.Text(names...)
		if err := most.CheckInt(len(text)); err != nil && text != "" {
			o.Invalid(names[0], "%v", err)
		}
		if !use && text != "" {
			o.Ignore(names[0])
			return ""
		}
		return text
	}
	acts := s.Mode != roleplay.Instruct
	if s.Character = given(limits.NameBytes, acts, "character"); s.Character == "None" {
		s.Character = ""
	}
	s.User = given(limits.NameBytes, acts, "user_name", "name1", "your_name")
	s.Bot = given(limits.NameBytes, acts, "bot_name", "name2")
	s.Context = given(limits.BodyBytes, acts, "context")
	s.Greeting = given(limits.BodyBytes, acts, "greeting")
	s.Bio = given(limits.BodyBytes, acts, "user_bio")
	s.Command = given(limits.BodyBytes, s.Mode == roleplay.ChatInstruct, "chat_instruct_command", "chat-instruct_command")
	s.Template = given(limits.TemplateBytes, s.Mode == roleplay.Chat, "chat_template_str")
	s.FormatTemplate = given(limits.TemplateBytes, s.Mode != roleplay.Chat, "instruction_template_str")
	if name := given(limits.NameBytes, s.Mode != roleplay.Chat && s.FormatTemplate == "", "instruction_template"); name != "" && name != "None" {
		var known bool
		if s.Format, known = roleplay.FormatNamed(name); !known {
			o.Ignore("instruction_template")
		}
	}
	return s
}
