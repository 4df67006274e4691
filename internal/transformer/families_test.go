package transformer

import (
	"slices"

	"parley/internal/gguf"
)

// Layouts of parts that many architectures have in common.
const (
	ends = `
		/token_embd.weight d v
		/output_norm.weight d
		/output.weight d v
`
	tiedEnds = `
		/token_embd.weight d v
		/output_norm.weight d
`
	attentionPart = `
		attn_norm.weight d
		attn_q.weight d q
		attn_k.weight d k
		attn_v.weight d k
		attn_output.weight q d
`
	gatedPart = `
		ffn_norm.weight d
		ffn_gate.weight d f
		ffn_up.weight d f
		ffn_down.weight f d
`
	expertsPart = `
		ffn_gate_inp.weight d e
		ffn_gate_exps.weight d x e
		ffn_up_exps.weight d x e
		ffn_down_exps.weight x d e
`
)

// moreFamilies are models of other architectures, as small as they can be, each with
// what is its own.
func moreFamilies() []tiny {
	count := func(key string, v uint32) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	number := func(key string, v float32) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	text := func(key, v string) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	of := func(name, architecture, layout string, meta ...gguf.KV) tiny {
		return tiny{name: name, architecture: architecture, layout: layout, meta: meta, matrices: gguf.F32,
			dim: 128, layers: 3, heads: 4, kvHeads: 2, ffn: 192, vocab: 64, context: 512}
	}
	with := func(r tiny, experts, ffn int, more ...gguf.KV) tiny {
		r.experts, r.sizes = experts, map[string]int{"x": ffn}
		r.meta = append(append(r.meta, count("expert_count", uint32(experts))), more...)
		return r
	}
	yarn := []gguf.KV{text("rope.scaling.type", "yarn"), number("rope.scaling.factor", 32), count("rope.scaling.original_context_length", 64)}

	gptOSS := with(of("gpt-oss", "gpt-oss", ends+`
		attn_norm.weight d
		attn_q.weight d q
		attn_q.bias q
		attn_k.weight d k
		attn_k.bias k
		attn_v.weight d k
		attn_v.bias k
		attn_output.weight q d
		attn_output.bias d
		attn_sinks.weight H
		post_attention_norm.weight d
		ffn_gate_inp.bias e
		ffn_gate_exps.bias x e
		ffn_up_exps.bias x e
		ffn_down_exps.bias d e
`+expertsPart, append(yarn, count("attention.key_length", 48), count("attention.value_length", 48), count("rope.dimension_count", 48),
		count("attention.sliding_window", 5), number("rope.freq_base", 150000))...),
		6, 96, count("expert_used_count", 3), count("expert_feed_forward_length", 96))
	gptOSS.headDim = 48
	gptOSSQ := gptOSS // all experts are used: a rounding cannot change which
	gptOSSQ.name, gptOSSQ.experts = "gpt-oss-mxfp4", 3
	gptOSSQ.meta = append(slices.Clone(gptOSS.meta), count("expert_count", 3))
	gptOSSQ.types = map[string]gguf.Type{"ffn_gate_exps.weight": gguf.MXFP4, "ffn_up_exps.weight": gguf.MXFP4, "ffn_down_exps.weight": gguf.MXFP4}

	return []tiny{gptOSS, gptOSSQ}
}
