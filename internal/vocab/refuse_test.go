package vocab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/demo"
	"parley/internal/limits"
	"parley/llm"
)

// changed is a tokenizer of testdata with values of its JSON set: the key is a
// path with dots.
func changed(t testing.TB, name string, values map[string]string) HF {
	t.Helper()
	var file map[string]any
	readJSON(t, &file, name, "tokenizer.json")
	for path, text := range values {
		keys := strings.Split(path, ".")
		at := file
		for _, key := range keys[:len(keys)-1] {
			at = at[key].(map[string]any)
		}
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		at[keys[len(keys)-1]] = value
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return HF{Tokenizer: data}
}

func TestWhatCannotBeDoneExactlyIsRefusedByName(t *testing.T) {
	added := func(more string) string {
		return `[{"id":420,"content":"<|x|>","special":true` + more + `}]`
	}
	for _, c := range []struct{ base, key, value, want string }{
		{"gpt2", "model.type", `"Unigram"`, `"Unigram"`},
		{"gpt2", "model.type", `"WordPiece"`, `"WordPiece"`},
		{"gpt2", "model.dropout", `0.1`, "model.dropout"},
		{"gpt2", "model.continuing_subword_prefix", `"##"`, "continuing_subword_prefix"},
		{"gpt2", "model.end_of_word_suffix", `"</w>"`, "end_of_word_suffix"},
		{"gpt2", "normalizer", `{"type":"NFKC"}`, `"NFKC"`},
		{"gpt2", "normalizer", `{"type":"Sequence","normalizers":[{"type":"Lowercase"}]}`, `"Lowercase"`},
		{"gpt2", "pre_tokenizer", `{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}`, "add_prefix_space"},
		{"gpt2", "pre_tokenizer", `{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}`, "nothing cuts"},
		{"gpt2", "pre_tokenizer", `{"type":"Whitespace"}`, "ByteLevel"},
		{"llama3", "pre_tokenizer.pretokenizers", `[{"type":"Split","pattern":{"Regex":"x+"},"behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":false}]`, `"x+"`},
		{"llama3", "pre_tokenizer.pretokenizers", `[{"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Removed","invert":true},{"type":"ByteLevel","add_prefix_space":false}]`, `"Removed"`},
		{"llama3", "pre_tokenizer.pretokenizers", `[{"type":"ByteLevel","add_prefix_space":false},{"type":"Digits"}]`, "after ByteLevel"},
		{"gpt2", "added_tokens", added(`,"lstrip":true`), "lstrip"},
		{"gpt2", "added_tokens", added(`,"single_word":true`), "single_word"},
		{"gpt2", "added_tokens", `[{"id":430,"content":"<|x|>"}]`, "the reference gives it 420"},
		{"qwen2", "added_tokens", `[{"id":420,"content":"e\u0301","normalized":true}]`, "normalised text"},
		{"llama2", "added_tokens", fmt.Sprintf(`[{"id":%d,"content":"<|x|>","normalized":true}]`, words(t, "llama2")), "normalised text"},
		{"gpt2", "post_processor", `{"type":"BertProcessing"}`, `"BertProcessing"`},
		{"llama2", "post_processor.single", `[{"SpecialToken":{"id":"<s>"}},{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]`, "2 tokens are put before"},
		{"llama2", "model.byte_fallback", `false`, "byte_fallback"},
		{"llama2", "model.ignore_merges", `true`, "ignore_merges"},
		{"llama2", "normalizer", `{"type":"Precompiled"}`, `"Precompiled"`},
		{"llama2", "normalizer", `null`, "▁"},
		{"mistral", "pre_tokenizer.split", `true`, "split"},
		{"mistral", "pre_tokenizer.prepend_scheme", `"sometimes"`, `"sometimes"`},
		{"llama2", "model.merges", `[["<0x41>","<0x42>"]]`, "not a pair of tokens"},
		{"llama2", "model.merges", `[["a b","c"]]`, "without spaces"},
	} {
		t.Run(c.key+" "+c.value, func(t *testing.T) {
			_, err := FromHF(changed(t, c.base, map[string]string{c.key: c.value}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q in it", err, c.want)
			}
			if e, ok := errors.AsType[*llm.Error](err); ok && (e.Code != llm.Unsupported || e.Hint == "") {
				t.Errorf("code %q, hint %q", e.Code, e.Hint)
			}
		})
	}
}

func TestWrongFilesAreErrors(t *testing.T) {
	nested := strings.Repeat(`{"type":"Sequence","normalizers":[`, 20_000) + strings.Repeat(`]}`, 20_000)
	for want, f := range map[string]HF{
		"not as expected":     {Tokenizer: []byte(`{`)},
		"not UTF-8":           {Tokenizer: []byte("{\"model\":{\"type\":\"\xff\"}}")},
		"exceeded max depth":  {Tokenizer: []byte(`{"normalizer":` + nested + `}`)},
		"model.vocab":         changed(t, "gpt2", map[string]string{"model.vocab": `[["a",1]]`}),
		"both have the id 1":  changed(t, "gpt2", map[string]string{"model.vocab": `{"a":1,"b":1}`, "added_tokens": `[]`}),
		"has the id -1":       changed(t, "gpt2", map[string]string{"model.vocab": `{"a":-1}`, "added_tokens": `[]`}),
		"vocabulary_gaps":     changed(t, "gpt2", map[string]string{"model.vocab": `{"a":2000000000}`, "added_tokens": `[]`}),
		"token for byte":      changed(t, "gpt2", map[string]string{"model.vocab": `{"a":0}`, "added_tokens": `[]`, "model.merges": `[]`}),
		"no token for byte 0": changed(t, "llama2", map[string]string{"model.vocab": `{"a":0}`, "added_tokens": `[]`, "model.merges": `[]`}),
		"merge 0":             changed(t, "gpt2", map[string]string{"model.merges": `["a"]`}),
		"merge 0, \"! !\"":    changed(t, "gpt2", map[string]string{"model.merges": `[["!","!"]]`}),
		"model.merges":        changed(t, "gpt2", map[string]string{"model.merges": `{"a":1}`}),
		"is empty":            changed(t, "gpt2", map[string]string{"added_tokens": `[{"id":420,"content":""}]`}),
		"has no id":           changed(t, "gpt2", map[string]string{"added_tokens": `[{"content":"x"}]`}),
		"is both":             changed(t, "gpt2", map[string]string{"added_tokens": `[{"id":5,"content":"a"}]`}),
		"has the ids":         changed(t, "gpt2", map[string]string{"added_tokens": `[{"id":420,"content":"a"}]`}),
	} {
		if _, err := FromHF(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

func TestTheFilesBesideSayWhatIsAddedAndWhatEnds(t *testing.T) {
	base := changed(t, "llama2", nil)
	base.Config = []byte(`{"tokenizer_class":"LlamaTokenizerFast","add_bos_token":true,"add_eos_token":false,"bos_token":"<s>","eos_token":{"content":"</s>"},
		"chat_template":[{"name":"tool","template":"T"},{"name":"default","template":"D"}]}`)
	m, err := FromHF(base)
	if err != nil {
		t.Fatal(err)
	}
	if m.BOS() != 1 || m.EOS() != 2 || !m.AddBOS() || m.AddEOS() || m.ChatTemplate != "D" {
		t.Errorf("BOS %d, EOS %d, added %t %t, template %q", m.BOS(), m.EOS(), m.AddBOS(), m.AddEOS(), m.ChatTemplate)
	}
	end, _ := m.ID("<|im_start|>")
	other := base
	other.Config = []byte(`{"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"chat_template":"C"}`)
	other.SpecialTokens = []byte(`{"eos_token":"</s>"}`)
	other.Generation = fmt.Appendf(nil, `{"eos_token_id":[2,%d,99999]}`, end)
	other.Model = []byte(`{"eos_token_id":0}`)
	other.Template = []byte("J")
	if m, err = FromHF(other); err != nil {
		t.Fatal(err)
	}
	if m.AddBOS() || m.EOS() != 2 || !m.IsEOG(end) || m.IsEOG(0) || m.ChatTemplate != "J" {
		t.Errorf("BOS added %t, EOS %d, ends %v, template %q", m.AddBOS(), m.EOS(), m.Ends(), m.ChatTemplate)
	}
	other.Config = []byte(`{"added_tokens_decoder":{"0":{"content":"<unk>","lstrip":true,"special":true}}}`)
	if _, err := FromHF(other); err == nil || !strings.Contains(err.Error(), "lstrip") {
		t.Errorf("tokenizer_config.json was not heard: %v", err)
	}
	other.Config = []byte(`{"add_prefix_space":false}`)
	if _, err := FromHF(other); err == nil || !strings.Contains(err.Error(), "add_prefix_space") {
		t.Errorf("tokenizer_config.json was not heard: %v", err)
	}
}

func TestAFolderIsReadByWhatLiesInIt(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "neither a tokenizer.json nor one GGUF") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.gguf"), demo.Model(), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.ChatTemplate == "" || m.Size() < 256 {
		t.Errorf("%d tokens, template %q", m.Size(), m.ChatTemplate)
	}
	if err := os.Mkdir(filepath.Join(dir, "tokenizer.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder in the place of the file: %v", err)
	}
	big := filepath.Join(t.TempDir(), "tokenizer.json")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(limits.TokenizerFileBytes.Int64() + 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := Open(big); err == nil || !strings.Contains(err.Error(), "tokenizer_file_bytes") {
		t.Errorf("a file over the limit: %v", err)
	}
}

// FuzzFromHF puts foreign parts into a file that is whole. The parts are small,
// so that they change often.
func FuzzFromHF(f *testing.F) {
	bases := map[bool]json.RawMessage{}
	for spaces, name := range map[bool]string{false: "gpt2", true: "llama2"} {
		var file hfTokenizer
		readJSON(f, &file, name, "tokenizer.json")
		bases[spaces] = file.Model.Vocab
	}
	added := `[{"id":420,"content":"<|im_end|>","special":true,"rstrip":true},{"id":421,"content":"<x>","normalized":true}]`
	split := `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false}]}`
	f.Add(false, `{"type":"NFC"}`, split, added, `["t h","th e"]`, `null`, `{"bos_token":"<x>"}`, `{"eos_token_id":[1,2]}`, "the <|im_end|> e\u0301 123")
	f.Add(true, `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`, `null`, `[]`, `[["t","h"]]`,
		`{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[1]}}}`,
		`{"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"added_tokens_decoder":{"0":{"content":"<unk>"}}}`, `{"eos_token_id":2}`, " the ▁<s>")
	f.Add(true, `null`, `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}`, `[]`, `[]`, `null`, `{}`, `{}`, "a")
	f.Fuzz(func(t *testing.T, spaces bool, normalizer, pre, added, merges, post, config, generation, text string) {
		file := fmt.Appendf(nil, `{"normalizer":%s,"pre_tokenizer":%s,"added_tokens":%s,"post_processor":%s,"model":{"type":"BPE","byte_fallback":%t,"merges":%s,"vocab":%s}}`,
			normalizer, pre, added, post, spaces, merges, bases[spaces])
		m, err := FromHF(HF{Tokenizer: file, Config: []byte(config), Generation: []byte(generation)})
		if err != nil {
			return
		}
		tokens, err := m.Tokenize(t.Context(), llm.Prompt{Segments: []llm.Segment{{Text: text, Control: true}, {Text: text}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range tokens {
			if x.ID < 0 || x.ID >= m.Size() || x.Control && x.Segment == 1 {
				t.Fatalf("%+v", x)
			}
		}
	})
}
