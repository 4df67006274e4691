package chatformat

import "parley/chat"

// abilities are what a format can express as it is sent. What it can is left
// untouched; only what it cannot is repaired. They belong to the format, not
// to a request, so that the beginning of a growing conversation is always laid
// out in the same way.
type abilities struct {
	systemSlot     bool // one leading system message
	systemRun      bool // several leading system messages
	systemLater    bool // system messages at any later place
	sameRole       bool // users, or assistants, several times in a row
	assistantFirst bool // no user before the first assistant
	noUser         bool // no user at all
	developer      bool // developer messages, told apart from system ones
	tools          bool // results of tools as messages of their own
	calls          bool // an assistant's tool calls
	names          bool // names of speakers
	media          bool // pictures and sound
}

// abilitiesOf names what a format can express of conversations like this one.
func abilitiesOf(f Format, c chat.Conversation) map[string]bool {
	var can abilities
	switch f := f.(type) {
	case *Markup:
		can = f.abilities
	case *Template:
		can = f.abilities(axisOf(c))
	default:
		return nil
	}
	return map[string]bool{
		"system":             can.systemSlot,
		"several_systems":    can.systemRun,
		"later_systems":      can.systemLater,
		"same_role_in_a_row": can.sameRole,
		"assistant_first":    can.assistantFirst,
		"no_user":            can.noUser,
		"developer":          can.developer,
		"tool_results":       can.tools,
		"tool_calls":         can.calls,
		"names":              can.names,
		"media":              can.media,
	}
}
