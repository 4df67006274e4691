package chatformat

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
