package server

import "parley/llm"

// filling is the prompt that asks a model for what belongs between two texts.
func filling(t Target, before, after llm.Prompt, files ...llm.Prompt) (llm.Prompt, error) {
	if d, ok := t.Model.(llm.Describer); ok {
		if f := d.Describe().Infill; f != nil {
			return f.Prompt(before, after, files...), nil
		}
	}
	return llm.Prompt{}, cannot(t, "be asked to fill a gap in a text", "serve a model whose vocabulary has tokens for that, or put the text that follows into the prompt")
}
