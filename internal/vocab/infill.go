package vocab

import "parley/llm"

// infillTexts are the tokens of the families of models that fill gaps:
// StarCoder and Granite, Qwen, DeepSeek, Code Llama, GLM, and older spellings.
// The last is the one before a file.
var infillTexts = [][4]string{
	{"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>"},
	{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>"},
	{"<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<file-sep>"},
	{"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", ""},
	{"▁<PRE>", "▁<SUF>", "▁<MID>", ""},
	{"<PRE>", "<SUF>", "<MID>", ""},
	{"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", ""},
}

// Infill is how the model is asked to fill a gap: by the tokens that its file
// names, or else by those that models are known for; nil: by none.
func (m *Model) Infill() *llm.Infill {
	ids := m.gap
	for _, texts := range infillTexts {
		if ids[0] > 0 && ids[1] > 0 && ids[2] > 0 {
			break
		}
		for i, text := range texts {
			ids[i] = -1
			if id, ok := m.ID(text); ok && text != "" {
				ids[i] = id
			}
		}
	}
	if ids[0] <= 0 || ids[1] <= 0 || ids[2] <= 0 {
		return nil
	}
	f := &llm.Infill{Prefix: ids[:1:1], Suffix: ids[1:2:2], Middle: ids[2:3:3]}
	if ids[3] > 0 {
		f.File = ids[3:4:4]
	}
	if m.AddBOS() {
		f.BOS = []int{m.BOS()}
	}
	return f
}
