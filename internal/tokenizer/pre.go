package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// pre is what a name in tokenizer.ggml.pre means.
type pre struct {
	words  splitter
	whole  bool // Vocab.IgnoreMerges
	addBOS bool // unless the file says otherwise
}

var (
	gpt2Digits = passes(digitGroups(1), gpt2)
	llama3     = lineWords{letters: letter, digits: 3, tail: "\r\n"}.splitter()
	qwen2      = lineWords{letters: letter, digits: 1, tail: "\r\n"}.splitter()
	o200k      = lineWords{letters: letter, digits: 3, tail: "\r\n/", foldLetters: true}.splitter()
)

// pres are the names known, with the expressions that the models were trained with.
var pres = func() map[string]pre {
	m := map[string]pre{}
	set := func(p pre, names ...string) {
		for _, n := range names {
			m[n] = p
		}
	}
	set(pre{words: passes(punctuation("$+<=>^~|"), gpt2, digitGroups(0), threeDigits)}, "default", "")
	set(pre{words: gpt2},
		"gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum", "exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling")
	set(pre{words: gpt2Digits},
		"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2")
	set(pre{words: passes(punctuation("$+<=>^~|`"), gpt2, threeDigits)}, "falcon")
	set(pre{words: llama3, whole: true, addBOS: true},
		"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2")
	set(pre{words: passes(llama3, spacesInPowers)}, "jais-2")
	set(pre{words: llama3}, "dbrx", "smaug-bpe", "glm4", "chatglm-bpe")
	set(pre{words: qwen2},
		"qwen2", "deepseek-r1-qwen", "kormo", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2", "bailingmoe", "bailingmoe2", "llada-moe")
	set(pre{words: lineWords{letters: letter, digits: 1}.splitter()}, "seed-coder")
	set(pre{words: lineWords{letters: letter, digits: 1, tail: "\r\n", noEnglish: true}.splitter()}, "ufakzeka")
	set(pre{words: passes(newlineRuns, qwen2)}, "laguna")
	set(pre{words: lineWords{letters: letter | mark, digits: 1, tail: "\r\n"}.splitter()}, "qwen35")
	set(pre{words: passes(digitGroups(3), lineWords{letters: letter, tail: "\r\n"}.splitter()), whole: true}, "minicpm5")
	set(pre{words: o200k}, "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2")
	set(pre{words: lineWords{letters: letter, digits: 3, tail: "\r\n", foldLetters: true, han: true}.splitter()}, "kimi-k2")
	set(pre{words: lineWords{letters: letter, digits: 1, tail: "\r\n/", foldLetters: true, noEnglish: true}.splitter(), whole: true, addBOS: true}, "tekken")
	set(pre{words: passes(
		line,
		spaceThen(func(c *chars, i int) bool { return inRanges(c.r[i], casedLetters) }),
		spaceThen(func(c *chars, i int) bool { return inRanges(c.r[i], wideASCII) }),
		trailing,
		within(hanAndHangul...),
		digitGroups(0),
	)}, "deepseek-llm")
	set(pre{words: passes(
		line,
		spaceThen(func(c *chars, i int) bool { return c.k[i]&letter != 0 }),
		spaceThen(func(c *chars, i int) bool { return c.k[i]&punct != 0 }),
		within(hanAndHangul...),
		digitGroups(1),
	)}, "deepseek-coder")
	set(pre{words: passes(digitGroups(3), within(hanAndKana...), deepseek3)}, "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4")
	set(pre{words: passes(digitsFromEnd, within(eastAsian...), deepseek3)}, "afmoe")
	set(pre{words: severalWords}, "exaone-moe")
	set(pre{words: clauses}, "poro-chat", "bloom", "gpt3-finnish")
	set(pre{words: passes(clauses, digitGroups(1))}, "viking")
	return m
}()

func preOf(name string) (pre, error) {
	p, ok := pres[name]
	if !ok {
		known := slices.Sorted(maps.Keys(pres))
		return pre{}, fmt.Errorf("the pre-tokenizer %q is not supported; supported are %s", name, strings.Join(known[1:], ", "))
	}
	return p, nil
}

// Defaults gives the settings that hold where a model's file is silent, as in the reference: for
// "llama" BOS 1, EOS 2 and UNK 0, a BOS and a space before the text; for "gemma4" a BOS; for "rwkv", whose files
// have not always said it, EOS 0; for "gpt2"
// none of these, but for the pre-tokenizers of Llama 3 and Tekken, which add BOS and ignore merges. A file's own
// tokenizer.ggml.bos_token_id, add_bos_token, add_eos_token, add_space_prefix and so on go before
// them; an id that the vocabulary does not have counts as absent.
func Defaults(model, pre string) Vocab {
	v := Vocab{Model: model, Pre: pre, BOS: -1, EOS: -1, EOT: -1, EOM: -1, UNK: -1, PAD: -1}
	if model == "llama" {
		v.BOS, v.EOS, v.UNK = 1, 2, 0
		v.AddBOS, v.AddSpacePrefix = true, true
		return v
	}
	if model == "gemma4" {
		v.AddBOS = true
		return v
	}
	if model == "rwkv" {
		v.EOS = 0
		return v
	}
	p := pres[pre]
	v.AddBOS, v.IgnoreMerges = p.addBOS, p.whole
	return v
}
