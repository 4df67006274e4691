package session

import (
	"context"
	"hash/maphash"
	"sync"

	"parley/chat"
	"parley/internal/limits"
	"parley/internal/scene"
	"parley/llm"
)

// counts remembers how many tokens texts have, so that a turn counts what is
// new and not all of a talk again.
type counts struct {
	mu   sync.Mutex
	seen map[counted]int
}

// counted is a text in the eyes of a model.
type counted struct {
	model string
	sum   uint64
	bytes int
}

func (c *counts) get(k counted) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.seen[k]
	return n, ok
}

func (c *counts) put(k counted, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= limits.CountedTexts.Int() {
		c.seen = map[counted]int{}
	}
	c.seen[k] = n
}

// A counter counts a model's tokens for one scene.
type counter struct {
	s     *Sessions
	ctx   context.Context
	model Answerer
	begin int             // tokens that the model reads before any prompt
	notes map[string]bool // of types of files: whether a note stands in their place
	err   error           // why it cannot
}

func (s *Sessions) counter(ctx context.Context, model Answerer) *counter {
	c := &counter{s: s, ctx: ctx, model: model}
	c.begin, c.err = c.tokens(llm.Prompt{})
	return c
}

func (c *counter) count(text string) int {
	if text == "" || c.err != nil {
		return 0
	}
	k := counted{c.model.Model, maphash.String(c.s.seed, text), len(text)}
	n, ok := c.s.counts.get(k)
	if ok {
		return n
	}
	if n, c.err = c.tokens(llm.Prompt{Segments: []llm.Segment{{Text: text}}}); c.err == nil {
		n = max(0, n-c.begin)
		c.s.counts.put(k, n)
	}
	return n
}

func (c *counter) tokens(p llm.Prompt) (int, error) {
	tokens, err := c.model.Tokenizer.Tokenize(c.ctx, p)
	return len(tokens), err
}

// perMessage is how many tokens the model's chat format puts around a message.
func (c *counter) perMessage() int {
	const usual = 6
	renderer, ok := c.model.Responder.(chat.Renderer)
	if !ok {
		return usual
	}
	said := []chat.Message{chat.Say(chat.User, "x"), chat.Say(chat.Assistant, "x"), chat.Say(chat.User, "x")}
	var sizes [2]int
	for i, messages := range [][]chat.Message{said[:1], said} {
		rendered, err := renderer.Render(c.ctx, chat.Conversation{Messages: messages})
		if err == nil {
			sizes[i], err = c.tokens(rendered.Prompt)
		}
		if err != nil {
			return usual
		}
	}
	return max(0, (sizes[1]-sizes[0]+1)/2-c.count("x"))
}

// tools is how many tokens the list of tools has, which stands beside the scene.
func (c *counter) tools(t Tools, kind Kind, style scene.Style) int {
	offered := scene.Composed{Conversation: chat.Conversation{Messages: []chat.Message{chat.Say(chat.User, "x")}}}
	if err := t.offer(&offered, kind, style); err != nil || len(offered.Conversation.Tools) == 0 {
		return 0
	}
	bare := offered.Conversation
	bare.Tools, bare.Choice = nil, chat.ToolChoice{}
	if renderer, ok := c.model.Responder.(chat.Renderer); ok {
		with, err := renderer.Render(c.ctx, offered.Conversation)
		without, err2 := renderer.Render(c.ctx, bare)
		if err == nil && err2 == nil {
			n, err := c.tokens(with.Prompt)
			m, err2 := c.tokens(without.Prompt)
			if err == nil && err2 == nil {
				return max(0, n-m)
			}
		}
	}
	return c.count(string(t.List))
}

// room is how many tokens a prompt may have where the model says how many it
// reads at once, beside those of a reply; 0 if it does not say.
func room(info llm.Info, params llm.Params) int {
	if info.Context <= 0 {
		return 0
	}
	reply := max(info.Context/4, 1)
	if m := params.MaxTokens; m != nil && *m > 0 {
		reply = min(*m, reply)
	}
	return info.Context - reply
}

// fitted composes a scene as the model counts its tokens. What has no room is
// left out by the scene, where the session lets it, since a chat format knows
// of messages only.
func (s *Sessions) fitted(ctx context.Context, sc scene.Scene, tools Tools, files attachedFiles, v Settings, r *Reply, model Answerer) (scene.Composed, error) {
	if model.Tokenizer == nil {
		return scene.Compose(sc)
	}
	c := s.counter(ctx, model)
	plain := sc
	sc.Count = c.count
	if len(files) > 0 {
		for i := range sc.Messages {
			for _, p := range sc.Messages[i].Parts {
				if p.Media != nil {
					sc.Messages[i].Attached += c.attached(files[p.Media], v.Media)
				}
			}
		}
	}
	if sc.Lore.Budget == 0 {
		sc.Lore.Budget = r.Budget / 4
	}
	if v.Fit != chat.FitRefuse && r.Budget > 0 {
		sc.Budget = max(r.Budget-c.tools(tools, r.Kind, sc.Style), 1)
		if sc.PerMessage = 2; sc.Style == scene.Turns {
			sc.PerMessage = c.perMessage()
		}
	}
	composed, err := scene.Compose(sc)
	if c.err != nil { // the engine says what fits
		composed, err = scene.Compose(plain)
		composed.Report.Notes.Add("not_counted", "", "the model could not count tokens: those of the prompt's parts are guessed")
	}
	return composed, err
}
