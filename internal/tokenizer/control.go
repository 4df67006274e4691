package tokenizer

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// class says where a token may arise.
type class uint8

const (
	free    class = iota // anywhere
	byteRaw              // "<0x0A>": only for a byte that no token covers, never from these six characters
	reply                // a mark of replies: matched in spans with Control or Marks
	control              // matched in spans with Control
)

// endTexts end a reply wherever a vocabulary has them, as in the reference.
var endTexts = []string{
	"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
	"<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>",
	"<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
	// What fills and separates files: not part of any reply.
	"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]",
	"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>",
}

// controlTexts are control tokens whatever type a file gives them: files are mistyped often enough.
// Besides these, whatever looks like <|…|> or <｜…｜> counts.
var controlTexts = []string{
	"<s>", "<unk>", "<pad>", "<bos>", "[BOS]", "<sep>", "<cls>", "<mask>",
	"<start_of_turn>", "<|turn>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<tool_response|>", "<|channel>", "<channel|>",
	"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
	"[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]",
	"[IMG]", "[IMG_BREAK]", "[IMG_END]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<start_of_image>", "<end_of_image>",
	"]~!b[", "]~b]", "<extra_id_0>", "<extra_id_1>", "[SEP]", "[CLS]", "[MASK]",
	"<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim-prefix>", "<fim-middle>", "<fim-suffix>",
	"<PRE>", "<MID>", "<SUF>", "▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>",
}

// looksControl reports whether a text is written as control tokens are.
func looksControl(s string) bool {
	if slices.Contains(controlTexts, s) {
		return true
	}
	for _, bar := range []string{"|", "｜"} {
		inner, ok := strings.CutPrefix(s, "<"+bar)
		if !ok {
			continue
		}
		inner, ok = strings.CutSuffix(inner, bar+">")
		if ok && inner != "" && !strings.ContainsFunc(inner, unicode.IsSpace) {
			return true
		}
	}
	return false
}

// speaks reports whether a token's text may say what it is for. With HF a token that is not added is
// a word: <s> is one where a vocabulary was made of web pages.
func (v *Vocab) speaks(id int) bool { return v.HF == nil || v.typeOf(id) != Normal }

// ends finds the tokens that end a reply: those that the file names, and those known by their text.
func ends(v *Vocab, ids map[string]int32) map[int32]bool {
	set := map[int32]bool{}
	has := func(text string) bool {
		_, ok := ids[text]
		return ok
	}
	for _, s := range endTexts {
		if id, ok := ids[s]; ok && v.speaks(int(id)) {
			set[id] = true
		}
	}
	for _, id := range append([]int{v.EOS, v.EOT, v.EOM}, v.Ends...) {
		if id >= 0 {
			set[int32(id)] = true
		}
	}
	// Where messages end with <|end|> and replies with others, <|end|> is within a reply.
	if has("<|end|>") && (has("<|return|>") && (has("<|call|>") || has("<|calls|>")) || has("<|flush|>") && (has("<|call|>") || has("<|calls|>"))) {
		delete(set, ids["<|end|>"])
	}
	if has("<|tool_response>") && has("</s>") {
		delete(set, ids["</s>"]) // there it is the HTML tag
	}
	return set
}

// classify decides for each token where it may arise.
func (t *Tokenizer) classify() []class {
	v := &t.v
	c := make([]class, len(v.Tokens))
	named := map[int]bool{v.BOS: true, v.EOS: true, v.EOT: true, v.EOM: true, v.PAD: true}
	for id, text := range v.Tokens {
		typ := v.typeOf(id)
		switch {
		case v.Model == "gpt2" && len(t.pieces[id]) == 1:
			// One byte. Without it, text could not be written; a file that calls it control is wrong.
		case typ == Control, typ == Unknown:
			c[id] = control
		case typ == Byte:
			c[id] = byteRaw
		case strings.TrimSpace(t.pieces[id]) == "":
			// White space is text, even where a file names it as the end of replies, as RWKV's do with an empty line.
		case utf8.RuneCountInString(text) < 2:
			// A letter that a file wrongly names as its end of text.
		case t.ends[int32(id)], named[id], v.speaks(id) && looksControl(text):
			c[id] = control
		}
	}
	return c
}

// WithMarks returns a tokenizer for a chat format that uses further strings as its own marks. Those
// that are one token of the vocabulary arise only by provenance from then on: turn marks only in
// spans with Control, reply marks (<think>, <tool_call>) also in spans with Marks. That is so even
// if the file calls them user-defined or normal: in other text such a token is never matched, and
// merges that would build it are not made, so the text comes out as smaller tokens. A mark that is
// a plain word of the vocabulary is left alone, or nobody could write that word. What ends a
// reply never becomes a reply mark.
//
// The vocabulary is shared; making a tokenizer for a format takes about a millisecond, so keep it.
func (t *Tokenizer) WithMarks(turn, replies []string) *Tokenizer {
	n := *t
	n.class = slices.Clone(t.class)
	for _, s := range replies {
		if id, ok := t.mark(s); ok && !t.ends[id] {
			n.class[id] = reply
		}
	}
	for _, s := range turn {
		if id, ok := t.mark(s); ok {
			n.class[id] = control
		}
	}
	n.buildTries()
	return &n
}

// mark finds the token of a mark.
func (t *Tokenizer) mark(s string) (int32, bool) {
	id, ok := t.ids[s]
	if !ok || t.class[id] == byteRaw || t.v.Model == "gpt2" && len(t.pieces[id]) == 1 {
		return 0, false
	}
	if t.v.typeOf(int(id)) == Normal && t.class[id] == free {
		first, last := s[0], s[len(s)-1]
		bracketed := strings.IndexByte("<[{", first) >= 0 && strings.IndexByte(">]}", last) >= 0
		if len(s) < 3 || !bracketed {
			return 0, false
		}
	}
	return id, true
}

// buildTries collects the tokens that are matched before the rest is split up.
func (t *Tokenizer) buildTries() {
	t.special, t.late = newTrie(), newTrie()
	late := map[int]bool{}
	if t.v.HF != nil {
		for _, id := range t.v.HF.Late {
			late[id] = true
		}
	}
	for id, text := range t.v.Tokens {
		if c := t.class[id]; c != control && c != reply && t.v.typeOf(id) != UserDefined {
			continue
		}
		if late[id] {
			t.late.add(text, int32(id))
		} else {
			t.special.add(text, int32(id))
		}
	}
	if t.v.Model == "rwkv" && t.class[0] == control {
		t.special.add(rwkvEnd, 0)
	}
	t.special.link()
	t.late.link()
}

// Marks returns the texts of all tokens that arise only by provenance, in order of their ids: for
// those who check text for them.
func (t *Tokenizer) Marks() []string {
	found := map[int]string{}
	for id, c := range t.class {
		if c == control || c == reply {
			found[id] = t.v.Tokens[id]
		}
	}
	texts := make([]string, 0, len(found))
	for _, id := range slices.Sorted(maps.Keys(found)) {
		texts = append(texts, found[id])
	}
	return texts
}
