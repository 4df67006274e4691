package upstream

import (
	"parley/chatformat"
)

// A chatRoute is how the engines of a kind answer conversations: the endpoint,
// and what is known of how they lay messages out.
type chatRoute struct {
	*endpoint
	words vocabulary

	// can is what the engine is taken to express where neither its template nor
	// its prompts are shown. What of it is wrong is learnt when the engine
	// refuses a conversation.
	can   chatformat.Abilities
	known bool // its makers say so, and it refuses or keeps all else
	cuts  bool // it leaves out what is too long, and says nothing

	oneWord bool    // names of speakers hold no spaces
	repeats bool    // an answer that continues a message begins with that message
	thinks  bool    // it may leave <think> in the text
	demands int     // tokens that are asked for where nobody says how many; 0: the engine needs no number
	prefill prefill // how it continues the assistant's last message

	show showing // shows the prompt of a call; nil: it does not
}

// What kinds of engines can express. Names are told by a field only where it is
// known that the model gets to see it.
var (
	// A template that is not shown, as most are today: only what the engine
	// refuses is repaired.
	canMost = chatformat.Abilities{
		SystemSlot: true, SystemRun: true, SystemLater: true, SameRole: true, AssistantFirst: true, NoUser: true,
		Tools: true, Calls: true, Media: true,
	}
	// One leading system message, and turns as they come.
	canOneSystem = chatformat.Abilities{SystemSlot: true, SameRole: true, AssistantFirst: true, NoUser: true}
)

// The chat routes of all kinds.
var (
	chatOpenAI = openAIRoute(openAIDialect{words: vocabOpenAI, effort: true}, chatRoute{
		can: chatformat.AllAbilities(), known: true, oneWord: true,
	})
	chatParley = openAIRoute(openAIDialect{words: vocabParley, reasoning: "reasoning_content", arguments: true, documents: true,
		layout: true}, chatRoute{
		can: chatformat.AllAbilities(), known: true, prefill: prefillFlags, show: showParley,
	})
	chatLlama = openAIRoute(openAIDialect{words: vocabLlamaCPPChat, reasoning: "reasoning_content", arguments: true, progress: true}, chatRoute{
		can: canMost, prefill: prefillBoth, repeats: true, show: showLlama,
	})
	chatVLLM = openAIRoute(openAIDialect{words: vocabVLLM, reasoning: "reasoning_content", arguments: true, documents: true}, chatRoute{
		can: canMost, prefill: prefillFlags, thinks: true, show: showVLLM,
	})
	chatSGLang = openAIRoute(openAIDialect{words: vocabSGLang, reasoning: "reasoning_content", arguments: true}, chatRoute{
		can: canMost, prefill: prefillFlags, thinks: true,
	})
	// A system message anywhere but at the beginning is a 400, and so are tool
	// calls in the history and pictures outside of user messages.
	chatMLC = openAIRoute(openAIDialect{words: vocabMLC, noTools: true}, chatRoute{
		can:   chatformat.Abilities{SystemSlot: true, SameRole: true, AssistantFirst: true, NoUser: true, UserMedia: true},
		known: true, thinks: true,
	})
	// Most of its named formats keep the first system message only, and count
	// on turns that alternate; tools are ignored by all but two.
	chatLlamaCPPPython = openAIRoute(openAIDialect{words: vocabLlamaCPPPython, noTools: true}, chatRoute{
		can: chatformat.Abilities{SystemSlot: true}, thinks: true,
	})
	// A system message behind a user's at the end would be laid out twice.
	chatTextgen = openAIRoute(openAIDialect{words: vocabTextgen, reasoning: "reasoning_content"}, chatRoute{
		can: chatformat.Abilities{SystemSlot: true, SystemRun: true, SameRole: true, AssistantFirst: true, NoUser: true,
			Tools: true, Calls: true, Media: true},
		cuts: true, prefill: prefillTextgen, thinks: true, show: showTextgen,
	})
	chatKobold = openAIRoute(openAIDialect{words: vocabKoboldChat, uncounted: true}, chatRoute{
		can: chatformat.Abilities{SystemSlot: true, SystemRun: true, SystemLater: true, SameRole: true, AssistantFirst: true, NoUser: true,
			Media: true},
		cuts: true, thinks: true, demands: usualTokens,
	})
	chatLMStudio = openAIRoute(openAIDialect{words: vocabLMStudio}, chatRoute{can: canMost, thinks: true})
	chatLocalAI  = openAIRoute(openAIDialect{words: vocabLocalAI}, chatRoute{can: canMost, thinks: true})
	chatTGI      = openAIRoute(openAIDialect{words: vocabTGIChat}, chatRoute{can: canMost, thinks: true, demands: usualTokens})
	chatSimpleAI = openAIRoute(openAIDialect{path: "/chat/completions", words: vocabSimpleAI, noTools: true, quiet: true}, chatRoute{
		can: canOneSystem, thinks: true, demands: usualTokens,
	})
	// Templates of older models put later system messages before the next user
	// message and lose the last ones.
	chatOllama = &chatRoute{endpoint: ollamaChat, words: vocabOllama,
		can: chatformat.Abilities{SystemSlot: true, SystemRun: true, SameRole: true, AssistantFirst: true, NoUser: true,
			Tools: true, Calls: true, Media: true},
		thinks: true,
	}
	chatAnthropic = &chatRoute{endpoint: anthropicMessages, words: vocabAnthropic,
		can:   chatformat.Abilities{SystemSlot: true, SystemRun: true, Tools: true, Calls: true, Media: true},
		known: true, prefill: prefillAlways,
		demands: anthropicTokens,
	}
)

// openAIRoute is the route of a server that speaks OpenAI's dialect.
func openAIRoute(d openAIDialect, r chatRoute) *chatRoute {
	r.endpoint, r.words = openAIChat(d), d.words
	return &r
}
