package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"parley/internal/gguf"
	"parley/internal/tokenizer"
)

// A tiny is the recipe of a small model with random weights and a vocabulary
// that spells ASCII: one token for each character, some words, and marks.
type tiny struct {
	meta   []gguf.KV                     // instead of or beyond the usual
	change func(*gguf.TensorSource) bool // false drops the tensor
	spm    bool                          // the vocabulary is SentencePiece-style

	scanned   bool // Mamba-2 is in its place, as in Granite 4
	delta     bool // Gated DeltaNet is, as in Qwen 3.5
	convolved bool // a short convolution is in place of attention in the first layer, as in LFM2
	chunked   int  // it sees chunks of so many, as in Llama 4
	windowed  int  // the first layer sees so many tokens, as in Cohere's Command R7B; 0: all
}

const (
	tinyDim, tinyLayers, tinyHeads, tinyKV, tinyFFN = 64, 2, 4, 2, 128
	tinyContext                                     = 512
)

type entry struct {
	text string
	typ  tokenizer.TokenType
}

func (m tiny) vocabulary() (list []entry) {
	space := "Ġ"
	if m.spm {
		space = "▁"
		list = append(list, entry{"<unk>", tokenizer.Unknown})
	}
	list = append(list, entry{"<s>", tokenizer.Control}, entry{"<|im_start|>", tokenizer.Control},
		entry{"<|im_end|>", tokenizer.Control}, entry{"<think>", tokenizer.Control}, entry{"</think>", tokenizer.UserDefined})
	for c := '!'; c <= '~'; c++ {
		list = append(list, entry{string(c), tokenizer.Normal})
	}
	list = append(list, entry{space, tokenizer.Normal})
	for _, w := range []string{"he", "the", space + "a", space + "the", "er", "in"} {
		list = append(list, entry{w, tokenizer.Normal})
	}
	if m.spm {
		list = append(list, entry{space + "t", tokenizer.Normal}, entry{space + "th", tokenizer.Normal})
		for b := range 256 {
			list = append(list, entry{fmt.Sprintf("<0x%02X>", b), tokenizer.Byte})
		}
	} else {
		list = append(list, entry{"Ċ", tokenizer.Normal}, entry{"th", tokenizer.Normal})
	}
	return list
}

func (m tiny) file(tb testing.TB) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, m.metadata(), m.tensors()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func (m tiny) metadata() []gguf.KV {
	var tokens []string
	var types []int32
	var scores []float32
	for i, e := range m.vocabulary() {
		tokens, types, scores = append(tokens, e.text), append(types, int32(e.typ)), append(scores, -float32(i))
	}
	number := func(n int) gguf.Value { return gguf.ValueOf(uint32(n)) }
	id := func(text string) gguf.Value { return number(slices.Index(tokens, text)) }
	meta := []gguf.KV{
		{Key: "general.architecture", Value: gguf.ValueOf("llama")},
		{Key: "general.name", Value: gguf.ValueOf("Tiny")},
		{Key: "llama.context_length", Value: number(tinyContext)},
		{Key: "llama.embedding_length", Value: number(tinyDim)},
		{Key: "llama.block_count", Value: number(tinyLayers)},
		{Key: "llama.feed_forward_length", Value: number(tinyFFN)},
		{Key: "llama.attention.head_count", Value: number(tinyHeads)},
		{Key: "llama.attention.head_count_kv", Value: number(tinyKV)},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: gguf.ValueOf(float32(1e-5))},
		{Key: "tokenizer.ggml.tokens", Value: gguf.ArrayOf(tokens)},
		{Key: "tokenizer.ggml.token_type", Value: gguf.ArrayOf(types)},
		{Key: "tokenizer.ggml.bos_token_id", Value: id("<s>")},
		{Key: "tokenizer.ggml.eos_token_id", Value: id("<|im_end|>")},
		{Key: "tokenizer.ggml.add_bos_token", Value: gguf.ValueOf(true)},
	}
	if m.spm {
		meta = append(meta, gguf.KV{Key: "tokenizer.ggml.model", Value: gguf.ValueOf("llama")},
			gguf.KV{Key: "tokenizer.ggml.scores", Value: gguf.ArrayOf(scores)})
	} else {
		meta = append(meta, gguf.KV{Key: "tokenizer.ggml.model", Value: gguf.ValueOf("gpt2")},
			gguf.KV{Key: "tokenizer.ggml.pre", Value: gguf.ValueOf("gpt-2")},
			gguf.KV{Key: "tokenizer.ggml.merges", Value: gguf.ArrayOf([]string{"h e", "t he", "Ġ a", "Ġ the", "e r", "i n", "t h"})})
	}
	for _, kv := range m.meta {
		if i := slices.IndexFunc(meta, func(have gguf.KV) bool { return have.Key == kv.Key }); i >= 0 {
			meta[i] = kv
		} else {
			meta = append(meta, kv)
		}
	}
	if m.convolved {
		meta[0].Value = gguf.ValueOf("lfm2")
		meta = append(meta, gguf.KV{Key: "llama.shortconv.l_cache", Value: number(3)})
		for i := range meta {
			if name, ok := strings.CutPrefix(meta[i].Key, "llama."); ok {
				meta[i].Key = "lfm2." + name
			}
			if meta[i].Key == "lfm2.attention.head_count_kv" {
				meta[i].Value = gguf.ArrayOf([]int32{0, tinyKV})
			}
		}
	}
	if m.chunked > 0 {
		meta[0].Value = gguf.ValueOf("llama4")
		meta = append(meta, gguf.KV{Key: "llama.attention.chunk_size", Value: number(m.chunked)},
			gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{true, false})})
		for i := range meta {
			if name, ok := strings.CutPrefix(meta[i].Key, "llama."); ok {
				meta[i].Key = "llama4." + name
			}
		}
	}
	if m.windowed > 0 {
		meta[0].Value = gguf.ValueOf("cohere2")
		meta = append(meta, gguf.KV{Key: "llama.attention.sliding_window", Value: number(m.windowed)},
			gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{true, false})},
			gguf.KV{Key: "llama.attention.layer_norm_epsilon", Value: gguf.ValueOf(float32(1e-5))})
		for i := range meta {
			if name, ok := strings.CutPrefix(meta[i].Key, "llama."); ok {
				meta[i].Key = "cohere2." + name
			}
		}
	}
	if m.scanned {
		meta[0].Value = gguf.ValueOf("granitehybrid")
		for i, key := range []string{"conv_kernel", "inner_size", "state_size", "time_step_rank", "group_count"} {
			meta = append(meta, gguf.KV{Key: "llama.ssm." + key, Value: number([]int{4, 2 * tinyDim, 16, 8, 2}[i])})
		}
		meta = append(meta, gguf.KV{Key: "llama.logit_scale", Value: gguf.ValueOf(float32(1))})
		for i := range meta {
			if name, ok := strings.CutPrefix(meta[i].Key, "llama."); ok {
				meta[i].Key = "granitehybrid." + name
			}
			if meta[i].Key == "granitehybrid.attention.head_count_kv" {
				meta[i].Value = gguf.ArrayOf([]int32{0, tinyKV})
			}
		}
	}
	if m.delta {
		meta[0].Value = gguf.ValueOf("qwen35")
		for i, key := range []string{"conv_kernel", "inner_size", "state_size", "time_step_rank", "group_count"} {
			meta = append(meta, gguf.KV{Key: "llama.ssm." + key, Value: number([]int{4, 2 * tinyDim, 2 * tinyDim / 4, 4, 2}[i])})
		}
		meta = append(meta, gguf.KV{Key: "llama.full_attention_interval", Value: number(tinyLayers)})
		for i := range meta {
			if name, ok := strings.CutPrefix(meta[i].Key, "llama."); ok {
				meta[i].Key = "qwen35." + name
			}
		}
	}
	return meta
}

func (m tiny) tensors() (list []gguf.TensorSource) {
	r := rand.New(rand.NewPCG(20, 26))
	add := func(name string, mean, spread float64, shape ...uint64) {
		n := uint64(1)
		for _, d := range shape {
			n *= d
		}
		var b []byte
		for range n {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(mean+spread*r.NormFloat64())))
		}
		t := gguf.TensorSource{Name: name, Type: gguf.F32, Shape: shape, Data: bytes.NewReader(b)}
		if m.change == nil || m.change(&t) {
			list = append(list, t)
		}
	}
	const kv = tinyDim / tinyHeads * tinyKV
	vocab := uint64(len(m.vocabulary()))
	add("token_embd.weight", 0, 1, tinyDim, vocab)
	if m.convolved {
		add("token_embd_norm.weight", 1, 0.1, tinyDim)
	} else {
		add("output_norm.weight", 1, 0.1, tinyDim)
	}
	if m.windowed == 0 {
		add("output.weight", 0, 0.6, tinyDim, vocab)
	}
	for i := range tinyLayers {
		p := fmt.Sprintf("blk.%d.", i)
		add(p+"attn_norm.weight", 1, 0.1, tinyDim)
		switch {
		case m.delta:
			add(p+"post_attention_norm.weight", 1, 0.1, tinyDim)
		case m.windowed == 0:
			add(p+"ffn_norm.weight", 1, 0.1, tinyDim)
		}
		if m.scanned && i == 0 {
			const inner, channels, heads = 2 * tinyDim, 2*tinyDim + 2*2*16, 8
			add(p+"ssm_in.weight", 0, 0.2, tinyDim, inner+channels+heads)
			add(p+"ssm_conv1d.weight", 0, 0.6, 4, channels)
			add(p+"ssm_conv1d.bias", 0, 0.2, channels)
			add(p+"ssm_dt.bias", -2, 0.5, heads)
			add(p+"ssm_a", -0.3, 0.05, 1, heads)
			add(p+"ssm_d", 1, 0.2, 1, heads)
			add(p+"ssm_norm.weight", 1, 0.1, inner/2, 2)
			add(p+"ssm_out.weight", 0, 0.2, inner, tinyDim)
		} else if m.delta && i == 0 {
			const inner, channels, heads, head = 2 * tinyDim, 4 * tinyDim, 4, 2 * tinyDim / 4
			add(p+"attn_qkv.weight", 0, 0.2, tinyDim, channels)
			add(p+"attn_gate.weight", 0, 0.2, tinyDim, inner)
			add(p+"ssm_beta.weight", 0, 0.2, tinyDim, heads)
			add(p+"ssm_alpha.weight", 0, 0.2, tinyDim, heads)
			add(p+"ssm_conv1d.weight", 0, 0.6, 4, channels)
			add(p+"ssm_dt.bias", -2, 0.5, heads)
			add(p+"ssm_a", -0.3, 0.05, heads)
			add(p+"ssm_norm.weight", 1, 0.1, head)
			add(p+"ssm_out.weight", 0, 0.2, inner, tinyDim)
		} else if m.convolved && i == 0 {
			add(p+"shortconv.in_proj.weight", 0, 0.2, tinyDim, 3*tinyDim)
			add(p+"shortconv.conv.weight", 0, 0.6, 3, tinyDim)
			add(p+"shortconv.out_proj.weight", 0, 0.4, tinyDim, tinyDim)
		} else {
			queries := uint64(tinyDim)
			if m.delta { // and their gates
				queries *= 2
			}
			add(p+"attn_q.weight", 0, 0.2, tinyDim, queries)
			add(p+"attn_k.weight", 0, 0.2, tinyDim, kv)
			add(p+"attn_v.weight", 0, 0.2, tinyDim, kv)
			add(p+"attn_output.weight", 0, 0.2, tinyDim, tinyDim)
		}
		if (m.convolved || m.delta) && i > 0 {
			add(p+"attn_q_norm.weight", 1, 0.1, tinyDim/tinyHeads)
			add(p+"attn_k_norm.weight", 1, 0.1, tinyDim/tinyHeads)
		}
		add(p+"ffn_gate.weight", 0, 0.2, tinyDim, tinyFFN)
		add(p+"ffn_up.weight", 0, 0.2, tinyDim, tinyFFN)
		add(p+"ffn_down.weight", 0, 0.2, tinyFFN, tinyDim)
	}
	return list
}

func (m tiny) open(tb testing.TB, o Options) *Engine {
	tb.Helper()
	e, err := OpenBytes(m.file(tb), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { e.Close() })
	return e
}
