package server

import "parley/llm"

// raw is a prompt that a client has laid out itself, as this server takes it.
// By default whoever sends one writes the format, and control tokens match in
// it. With Options.PlainPrompts it is text, whatever it says, and token ids,
// which could be those of control tokens, are refused.
func (s *Server) raw(p llm.Prompt) (llm.Prompt, error) {
	if !s.options.PlainPrompts {
		return p, nil
	}
	plain := p
	plain.Segments = make([]llm.Segment, len(p.Segments))
	for i, segment := range p.Segments {
		if len(segment.Tokens) > 0 {
			return p, &llm.Error{Code: llm.Forbidden, Field: "prompt", Message: "this server takes no token ids, which could be those of control tokens",
				Hint: "send text; or start it without --plain-prompts"}
		}
		segment.Control = false
		plain.Segments[i] = segment
	}
	return plain, nil
}

// raws is raw for several.
func (s *Server) raws(all []llm.Prompt) (out []llm.Prompt, err error) {
	out = make([]llm.Prompt, len(all))
	for i, p := range all {
		if out[i], err = s.raw(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}
