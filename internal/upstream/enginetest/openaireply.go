package enginetest

import (
	"maps"
	"strings"
	"time"

	"parley/llm"
)

// An openAIReply writes one answer.
type openAIReply struct {
	o    *openAI
	d    *dialect
	x    *exchange
	chat bool
	id   string
	asks bool // for logprobs

	before string // what the answer repeats of the conversation

	thinking bool
}

func (r *openAIReply) head(object string) map[string]any {
	return map[string]any{"id": r.id, "object": object, "created": time.Now().Unix(), "model": r.x.e.o.Name}
}

func (r *openAIReply) usage(s step) map[string]any {
	return map[string]any{
		"prompt_tokens": s.prompt, "completion_tokens": s.generated, "total_tokens": s.prompt + s.generated,
		"prompt_tokens_details": map[string]any{"cached_tokens": s.cached},
	}
}

func finishWord(f *llm.Finish) string {
	if f.Reason == llm.ReasonLength {
		return "length"
	}
	return "stop"
}

func (r *openAIReply) whole(j job) error {
	var text, thoughts strings.Builder
	text.WriteString(r.before)
	var tokens []llm.Token
	var last step
	err := r.x.generate(j, func(s step) error {
		last = s
		tokens = append(tokens, s.tokens...)
		t, thought := r.split(s.text)
		text.WriteString(t)
		thoughts.WriteString(thought)
		return nil
	})
	if err != nil {
		return err
	}
	choice := map[string]any{"index": 0, "finish_reason": finishWord(last.end), "logprobs": nil}
	if r.d.mute {
		choice["finish_reason"] = ""
	}
	if r.asks {
		choice["logprobs"] = r.logprobs(tokens)
	}
	object := "text_completion"
	if r.chat {
		object = "chat.completion"
		m := map[string]any{"role": "assistant", "content": text.String()}
		if thoughts.Len() > 0 {
			m[r.o.reasoning] = thoughts.String()
		}
		choice["message"] = m
	} else {
		choice["text"] = text.String()
	}
	v := r.head(object)
	v["choices"] = []any{choice}
	v["usage"] = r.usage(last)
	if r.o.style.mark != nil {
		last.tokens = tokens
		r.o.style.mark(last, v, r.x)
	}
	writeJSON(r.x.w, 200, v)
	return nil
}

// split takes thoughts out of the text, for engines that do: the marks come as
// pieces of their own.
func (r *openAIReply) split(text string) (said, thought string) {
	if r.o.reasoning == "" || !r.chat {
		return text, ""
	}
	switch {
	case text == "<think>":
		r.thinking = true
	case text == "</think>":
		r.thinking = false
	case r.thinking:
		return "", text
	default:
		return text, ""
	}
	return "", ""
}

func (r *openAIReply) stream(j job) error {
	style := r.o.style
	s := r.x.events()
	if style.eol != "" {
		s.eol = style.eol
	}
	defer s.end()
	ping := time.Duration(0)
	if style.pings {
		ping = r.x.e.o.Ping
	}
	var last step
	err := r.x.generate(j, func(now step) error {
		last = now
		if !r.x.begun {
			s.begin(ping)
			if r.chat && style.role == roleFirst {
				first := any("")
				if style.noText {
					first = nil
				}
				if err := r.chunk(s, now, map[string]any{"role": "assistant", "content": first}, nil); err != nil {
					return err
				}
			}
		}
		now.text, r.before = r.before+now.text, ""
		return r.say(s, now)
	})
	if err != nil && !(r.d.interrupts && r.x.aborted()) {
		return err
	}
	if r.counts() && (style.usage == usageAsked || style.usage == usageChoices && r.chat) {
		v := r.head(r.object())
		v["choices"] = []any{}
		v["usage"] = r.usage(last)
		if err := s.data(v); err != nil {
			return err
		}
	}
	if style.done == "" {
		return s.raw("data: [DONE]" + s.eol + s.eol)
	}
	return s.raw(style.done)
}

// counts reports whether the stream is to tell the usage.
func (r *openAIReply) counts() bool {
	options, _ := r.x.req.Fields["stream_options"].(map[string]any)
	return options["include_usage"] == true
}

func (r *openAIReply) object() string {
	if r.chat {
		return "chat.completion.chunk"
	}
	return "text_completion"
}

// say writes the chunks of one step.
func (r *openAIReply) say(s *stream, now step) error {
	text, thought := r.split(now.text)
	delta := map[string]any{}
	switch {
	case thought != "":
		delta[r.o.reasoning] = thought
	case text != "":
		delta["content"] = text
	}
	if now.waiting != nil && r.o.style.mark != nil {
		return r.chunk(s, now, delta, nil)
	}
	ends := now.end != nil
	if len(delta) > 0 || len(now.tokens) > 0 && !r.chat || ends && r.o.style.joined {
		end := (*llm.Finish)(nil)
		if ends && r.o.style.joined {
			end = now.end
		}
		if err := r.chunk(s, now, delta, end); err != nil {
			return err
		}
	}
	if ends && !r.o.style.joined {
		now.tokens = nil
		return r.chunk(s, now, map[string]any{}, now.end)
	}
	return nil
}

func (r *openAIReply) chunk(s *stream, now step, delta map[string]any, end *llm.Finish) error {
	v := r.head(r.object())
	choice := map[string]any{"index": 0, "finish_reason": nil, "logprobs": nil}
	if r.o.style.null {
		choice["finish_reason"] = "null"
	}
	if end != nil {
		choice["finish_reason"] = finishWord(end)
	}
	if r.d.mute {
		choice["finish_reason"] = ""
	}
	if r.asks && len(now.tokens) > 0 {
		choice["logprobs"] = r.logprobs(now.tokens)
	}
	if r.chat {
		delta = maps.Clone(delta)
		if r.o.style.role == roleEach {
			delta["role"] = "assistant"
			if delta["content"] == nil {
				delta["content"] = ""
			}
		}
		choice["delta"] = delta
	} else {
		content, _ := delta["content"].(string)
		choice["text"] = content
	}
	v["choices"] = []any{choice}
	if r.o.style.nullUse {
		v["usage"] = nil
	}
	if end != nil && r.o.style.usage == usageChoices && !r.chat && r.counts() {
		v["usage"] = r.usage(now)
	}
	if r.o.style.mark != nil {
		now.end = end
		r.o.style.mark(now, v, r.x)
	}
	return s.data(v)
}

func (r *openAIReply) logprobs(tokens []llm.Token) any {
	if r.chat || r.o.style.chatted {
		var content []any
		for _, t := range tokens {
			var top []any
			for _, p := range t.Top {
				top = append(top, map[string]any{"id": p.ID, "token": p.Text, "logprob": p.LogProb, "bytes": bytesOf(p.Text)})
			}
			content = append(content, map[string]any{"id": t.ID, "token": t.Text, "logprob": t.LogProb, "bytes": bytesOf(t.Text), "top_logprobs": top})
		}
		return map[string]any{"content": content}
	}
	var words, probs, tops, offsets []any
	at := len(r.x.req.Prompt)
	for _, t := range tokens {
		top := map[string]float64{}
		for _, p := range t.Top {
			top[p.Text] = p.LogProb
		}
		words, probs, tops, offsets = append(words, t.Text), append(probs, t.LogProb), append(tops, top), append(offsets, at)
		at += len(t.Text)
	}
	return map[string]any{"tokens": words, "token_logprobs": probs, "top_logprobs": tops, "text_offset": offsets}
}

func bytesOf(s string) []int {
	var list []int
	for i := range len(s) {
		list = append(list, int(s[i]))
	}
	return list
}
