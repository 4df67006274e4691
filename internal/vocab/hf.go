package vocab

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"parley/internal/limits"
	"parley/internal/tokenizer"
	"parley/llm"
)

// HF is the content of the files in which Hugging Face's libraries keep a
// vocabulary. All but the first may be missing.
type HF struct {
	Tokenizer     []byte // tokenizer.json
	Config        []byte // tokenizer_config.json
	SpecialTokens []byte // special_tokens_map.json
	Generation    []byte // generation_config.json
	Model         []byte // config.json
	Template      []byte // chat_template.jinja
}

// FromHF reads such a vocabulary. What the files ask for and cannot be done
// exactly is an *llm.Error with the code Unsupported that names it.
func FromHF(files HF) (*Model, error) {
	var t hfTokenizer
	if err := decode("tokenizer.json", files.Tokenizer, &t); err != nil {
		return nil, err
	}
	var c hfConfig
	var special map[string]json.RawMessage
	var generation, model hfEnds
	for _, x := range []struct {
		name string
		data []byte
		to   any
	}{
		{"tokenizer_config.json", files.Config, &c},
		{"special_tokens_map.json", files.SpecialTokens, &special},
		{"generation_config.json", files.Generation, &generation},
		{"config.json", files.Model, &model},
	} {
		if len(x.data) == 0 {
			continue
		}
		if err := decode(x.name, x.data, x.to); err != nil {
			return nil, err
		}
	}
	r := &hfReader{file: &t, config: &c, special: special}
	v, err := r.vocab()
	if err != nil {
		return nil, err
	}
	r.ends(&v, generation, model)
	template := string(files.Template)
	if template == "" {
		template = c.template()
	}
	return New(v, template)
}

func decode(name string, data []byte, to any) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%s is not UTF-8", name)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s is not as expected: %w", name, err)
	}
	return nil
}

// unsupported is the error for what cannot be done exactly.
func unsupported(format string, args ...any) error {
	return &llm.Error{
		Code:    llm.Unsupported,
		Message: "tokenizer.json: " + fmt.Sprintf(format, args...),
		Hint:    "an engine that runs this model can be sent text instead of token ids",
	}
}

// hfTokenizer is tokenizer.json.
type hfTokenizer struct {
	Added         []hfAdded `json:"added_tokens"`
	Normalizer    *hfStep   `json:"normalizer"`
	PreTokenizer  *hfStep   `json:"pre_tokenizer"`
	PostProcessor *hfStep   `json:"post_processor"`
	Model         hfModel   `json:"model"`
}

type hfModel struct {
	Type          string          `json:"type"`
	Dropout       *float64        `json:"dropout"`
	Unknown       *string         `json:"unk_token"`
	SubwordPrefix string          `json:"continuing_subword_prefix"`
	WordSuffix    string          `json:"end_of_word_suffix"`
	ByteFallback  bool            `json:"byte_fallback"`
	IgnoreMerges  bool            `json:"ignore_merges"`
	Vocab         json.RawMessage `json:"vocab"`
	Merges        json.RawMessage `json:"merges"`
}

// An hfAdded is a token that is matched before the rest is split up.
type hfAdded struct {
	ID         *int   `json:"id"` // in tokenizer.json only
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LeftStrip  bool   `json:"lstrip"`
	RightStrip bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// hfConfig is tokenizer_config.json.
type hfConfig struct {
	Class          string             `json:"tokenizer_class"`
	Added          map[string]hfAdded `json:"added_tokens_decoder"`
	AddBOS         *bool              `json:"add_bos_token"`
	AddEOS         *bool              `json:"add_eos_token"`
	AddPrefixSpace *bool              `json:"add_prefix_space"`
	BOS            json.RawMessage    `json:"bos_token"`
	EOS            json.RawMessage    `json:"eos_token"`
	PAD            json.RawMessage    `json:"pad_token"`
	Template       json.RawMessage    `json:"chat_template"`
}

// template is the chat template: a text, or of several with names the one
// called "default", or the only one.
func (c *hfConfig) template() string {
	var text string
	if len(c.Template) == 0 || json.Unmarshal(c.Template, &text) == nil {
		return text
	}
	var list []struct{ Name, Template string }
	if json.Unmarshal(c.Template, &list) != nil {
		return ""
	}
	for _, t := range list {
		if t.Name == "default" || len(list) == 1 {
			return t.Template
		}
	}
	return ""
}

// hfEnds is what generation_config.json and config.json say of the end of a
// reply: one id, or several.
type hfEnds struct {
	EOS json.RawMessage `json:"eos_token_id"`
}

func (e hfEnds) ids() (ids []int) {
	var one int
	if json.Unmarshal(e.EOS, &ids) != nil && json.Unmarshal(e.EOS, &one) == nil {
		return []int{one}
	}
	return ids
}

// An hfReader makes a vocabulary of the files.
type hfReader struct {
	file    *hfTokenizer
	config  *hfConfig
	special map[string]json.RawMessage

	model map[string]int // what stands in model.vocab
	added map[int]hfAdded
	trim  []int // of these, those that take the white space behind them
}

func (r *hfReader) vocab() (v tokenizer.Vocab, err error) {
	m := &r.file.Model
	switch {
	case m.Type != "BPE":
		return v, unsupported("the model is of the type %q, and only BPE can be read", m.Type)
	case m.Dropout != nil && *m.Dropout != 0:
		return v, unsupported("model.dropout is set: the same text would give other tokens every time")
	case m.SubwordPrefix != "" || m.WordSuffix != "":
		return v, unsupported("model.continuing_subword_prefix and end_of_word_suffix are not understood")
	}
	v = tokenizer.Defaults("gpt2", "")
	v.AddBOS, v.IgnoreMerges = false, m.IgnoreMerges
	v.HF = &tokenizer.HF{}
	if err := r.steps(&v); err != nil {
		return v, err
	}
	if err := r.tokens(&v); err != nil {
		return v, err
	}
	if v.Merges, err = r.merges(&v); err != nil {
		return v, err
	}
	for id, a := range r.added {
		if !a.Normalized {
			continue
		}
		if !r.plain(a.Content, &v) {
			return v, unsupported("the added token %q is to be matched in normalised text, which changes it", a.Content)
		}
		v.HF.Late = append(v.HF.Late, id)
	}
	slices.Sort(v.HF.Late)
	v.TrimAfter = r.trim
	r.names(&v)
	return v, r.around(&v)
}

// tokens fills in the texts and types of the tokens.
func (r *hfReader) tokens(v *tokenizer.Vocab) error {
	if err := json.Unmarshal(r.file.Model.Vocab, &r.model); err != nil {
		return fmt.Errorf("tokenizer.json: model.vocab is not as expected: %w", err)
	}
	byID := make(map[int]string, len(r.model))
	for text, id := range r.model {
		if other, ok := byID[id]; ok {
			return fmt.Errorf("tokenizer.json: the tokens %q and %q both have the id %d", min(text, other), max(text, other), id)
		}
		byID[id] = text
	}
	if err := r.add(byID); err != nil {
		return err
	}
	most := -1
	for id := range byID {
		if id < 0 {
			return fmt.Errorf("tokenizer.json: the token %q has the id %d", byID[id], id)
		}
		most = max(most, id)
	}
	if err := limits.VocabularyGaps.CheckInt(most + 1 - len(byID)); err != nil {
		return fmt.Errorf("tokenizer.json: of the ids up to %d many have no token: %w", most, err)
	}
	v.Tokens = make([]string, most+1)
	v.Types = make([]tokenizer.TokenType, most+1)
	for id := range v.Tokens {
		text, ok := byID[id]
		v.Tokens[id] = text
		a, added := r.added[id]
		switch {
		case !ok:
			v.Types[id] = tokenizer.Unused
		case text == "":
			return fmt.Errorf("tokenizer.json: token %d is empty", id)
		case added && a.Special:
			v.Types[id] = tokenizer.Control
		case added:
			v.Types[id] = tokenizer.UserDefined
		default:
			v.Types[id] = tokenizer.Normal
		}
	}
	if v.Model == "llama" {
		for b := range 256 {
			id, ok := r.model[fmt.Sprintf("<0x%02X>", b)]
			if ok {
				v.Types[id] = tokenizer.Byte
			} else if _, ok := r.model[string(rune(b))]; !ok || b >= utf8.RuneSelf {
				return unsupported("the vocabulary has no token for byte %d", b)
			}
		}
	}
	if name := r.file.Model.Unknown; name != nil {
		if id, ok := r.model[*name]; ok {
			v.UNK = id
			if v.Model == "llama" {
				v.Types[id] = tokenizer.Unknown
			}
		}
	}
	return nil
}

// add collects the added tokens: of tokenizer.json, with what
// tokenizer_config.json says otherwise.
func (r *hfReader) add(byID map[int]string) error {
	r.added = map[int]hfAdded{}
	var order []int
	for _, a := range r.file.Added {
		if a.ID == nil {
			return fmt.Errorf("tokenizer.json: the added token %q has no id", a.Content)
		}
		r.added[*a.ID] = a
		order = append(order, *a.ID)
	}
	var more []int
	for key, a := range r.config.Added {
		id, err := strconv.Atoi(key)
		if err != nil {
			return fmt.Errorf("tokenizer_config.json: added_tokens_decoder has the id %q", key)
		}
		if _, ok := r.added[id]; !ok {
			more = append(more, id)
		}
		r.added[id] = a
	}
	slices.Sort(more)
	// The reference numbers added tokens itself, from the size of the model's
	// vocabulary on, whatever stands there.
	next := len(r.model)
	for _, id := range append(order, more...) {
		if _, ok := r.model[r.added[id].Content]; ok {
			continue
		}
		if id != next {
			return unsupported("the added token %q has the id %d, and the reference gives it %d", r.added[id].Content, id, next)
		}
		next++
	}
	ids := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(r.added)) {
		a := r.added[id]
		if other, ok := ids[a.Content]; ok {
			return fmt.Errorf("tokenizer.json: the added token %q has the ids %d and %d", a.Content, other, id)
		}
		ids[a.Content] = id
		switch text, ok := byID[id]; {
		case a.Content == "":
			return fmt.Errorf("tokenizer.json: the added token %d is empty", id)
		case ok && text != a.Content:
			return fmt.Errorf("tokenizer.json: token %d is both %q and %q", id, text, a.Content)
		case a.LeftStrip:
			return unsupported("the added token %q takes the white space before it (lstrip)", a.Content)
		case a.SingleWord:
			return unsupported("the added token %q is matched as a word of its own only (single_word)", a.Content)
		}
		if known, ok := r.model[a.Content]; ok && known != id {
			return fmt.Errorf("tokenizer.json: the added token %q has the ids %d and %d", a.Content, known, id)
		}
		byID[id] = a.Content
		if a.RightStrip {
			r.trim = append(r.trim, id)
		}
	}
	return nil
}

// merges gives the merges as pairs in one string, in whichever of the two
// notations they stand.
func (r *hfReader) merges(v *tokenizer.Vocab) (merges []string, err error) {
	var pairs [][]string
	if data := r.file.Model.Merges; len(data) > 0 && json.Unmarshal(data, &merges) != nil {
		if err := json.Unmarshal(data, &pairs); err != nil {
			return nil, fmt.Errorf("tokenizer.json: model.merges is not as expected: %w", err)
		}
		merges = make([]string, len(pairs))
		for i, p := range pairs {
			if len(p) != 2 || strings.Contains(p[0]+p[1], " ") {
				return nil, unsupported("merge %d, %q, is not a pair of texts without spaces", i, p)
			}
			merges[i] = p[0] + " " + p[1]
		}
	}
	for i, s := range merges {
		left, right, ok := strings.Cut(s, " ")
		_, ok1 := r.model[left]
		_, ok2 := r.model[right]
		whole, ok3 := r.model[left+right]
		if !ok || !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("tokenizer.json: merge %d, %q, is not a pair of tokens that make a token", i, s)
		}
		if v.Types[whole] == tokenizer.Byte || v.Types[r.model[left]] == tokenizer.Byte || v.Types[r.model[right]] == tokenizer.Byte {
			return nil, unsupported("merge %d, %q, is of bytes", i, s)
		}
	}
	return merges, nil
}

// names finds the tokens that begin, end and fill a text.
func (r *hfReader) names(v *tokenizer.Vocab) {
	for _, x := range []struct {
		key   string
		value json.RawMessage
		to    *int
	}{{"bos_token", r.config.BOS, &v.BOS}, {"eos_token", r.config.EOS, &v.EOS}, {"pad_token", r.config.PAD, &v.PAD}} {
		text, err := tokenText(x.value)
		if err != nil || text == "" {
			text, _ = tokenText(r.special[x.key])
		}
		if text == "" {
			continue
		}
		id := slices.Index(v.Tokens, text)
		if id < 0 {
			continue
		}
		*x.to = id
		if v.Types[id] == tokenizer.Normal { // named there, it is an added token
			v.Types[id] = tokenizer.Control
		}
	}
}

// tokenText is the text of a token that is written as a text or an object.
func tokenText(data json.RawMessage) (string, error) {
	if len(data) == 0 {
		return "", nil
	}
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text, nil
	}
	var a hfAdded
	err := json.Unmarshal(data, &a)
	return a.Content, err
}

// ends fills in what ends a reply: what generation_config.json says, or else
// config.json. Ids that the vocabulary does not have count as absent.
func (r *hfReader) ends(v *tokenizer.Vocab, generation, model hfEnds) {
	ids := generation.ids()
	if len(ids) == 0 {
		ids = model.ids()
	}
	for _, id := range ids {
		if id < 0 || id >= len(v.Tokens) {
			continue
		}
		if v.EOS < 0 {
			v.EOS = id
		}
		v.Ends = append(v.Ends, id)
	}
}

// rewriting are the classes of tokenizers that put add_bos_token and
// add_eos_token in the place of what tokenizer.json adds.
var rewriting = []string{"Llama", "CodeLlama", "Gemma", "Cohere"}

// around finds which tokens are put around a text.
func (r *hfReader) around(v *tokenizer.Vocab) error {
	before, after, err := r.file.PostProcessor.adds()
	if err != nil {
		return err
	}
	for _, x := range []struct {
		ids  []int
		id   *int
		add  *bool
		name string
	}{{before, &v.BOS, &v.AddBOS, "before"}, {after, &v.EOS, &v.AddEOS, "after"}} {
		if len(x.ids) > 1 {
			return unsupported("%d tokens are put %s a text, and one is possible", len(x.ids), x.name)
		}
		if len(x.ids) == 1 {
			if x.ids[0] < 0 || x.ids[0] >= len(v.Tokens) {
				return errors.New("tokenizer.json: the post_processor adds a token that the vocabulary does not have")
			}
			*x.id, *x.add = x.ids[0], true
		}
	}
	class := strings.TrimSuffix(strings.TrimSuffix(r.config.Class, "Fast"), "Tokenizer")
	if slices.Contains(rewriting, class) {
		if add := r.config.AddBOS; add != nil {
			v.AddBOS = *add && v.BOS >= 0
		}
		if add := r.config.AddEOS; add != nil {
			v.AddEOS = *add && v.EOS >= 0
		}
	}
	return nil
}
