package transformer

import (
	"maps"
	"slices"
	"strings"

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

	centred := number("attention.layer_norm_epsilon", 1e-5)
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

	const llama = ends + attentionPart + gatedPart
	phi3 := func(name string, original uint32) tiny {
		r := of(name, "phi3", ends+`
			/rope_factors_long.weight 16
			/rope_factors_short.weight 16
			attn_norm.weight d
			attn_qkv.weight d q+k+k
			attn_output.weight q d
			ffn_norm.weight d
			ffn_up.weight d f+f
			ffn_down.weight f d
		`, text("rope.scaling.type", "longrope"), number("rope.scaling.attn_factor", 1.19), count("rope.scaling.original_context_length", original),
			count("rope.dimension_count", 32))
		r.heads, r.kvHeads = 2, 1
		return r
	}
	phi3Long, phi3Short := phi3("phi3-long", 128), phi3("phi3-short", 4096)
	qwen3 := of("qwen3-yarn", "qwen3", llama+`
		attn_q_norm.weight h
		attn_k_norm.weight h
	`, yarn...)
	mistral3 := of("mistral3", "mistral3", llama, number("attention.temperature_scale", 0.1), text("rope.scaling.type", "yarn"), number("rope.scaling.factor", 16),
		count("rope.scaling.original_context_length", 3), number("rope.scaling.yarn_log_multiplier", 1), number("rope.scaling.yarn_beta_fast", 16),
		number("rope.scaling.yarn_beta_slow", 2))
	cohere := func(name, architecture, more string, layers int, meta ...gguf.KV) tiny {
		r := of(name, architecture, tiedEnds+attentionPart+more+`
			ffn_gate.weight d f
			ffn_up.weight d f
			ffn_down.weight f d
		`, append(meta, centred, number("logit_scale", 0.0625))...)
		r.layers = layers
		return r
	}
	commandRPlus := cohere("command-r-plus", "command-r", "attn_q_norm.weight h H\nattn_k_norm.weight h K\n", 64)
	commandRPlus.dim, commandRPlus.ffn = 32, 32

	const (
		sharedPart = `
			ffn_gate_shexp.weight d s
			ffn_up_shexp.weight d s
			ffn_down_shexp.weight s d
		`
		qkNorms = `
			attn_q_norm.weight h
			attn_k_norm.weight h
		`
		qkvBiases = `
			attn_q.bias q
			attn_k.bias k
			attn_v.bias k
		`
		biasedEnds = ends + `
			/output_norm.bias d
		`
		biasedNorms = `
			attn_norm.bias d
			ffn_norm.bias d
		`
		ungatedPart = `
			ffn_up.weight d f
			ffn_down.weight f d
		`
		ungatedBiases = `
			ffn_up.bias f
			ffn_down.bias d
		`
	)
	used, norms := count("expert_used_count", 2), gguf.KV{Key: "llama.expert_weights_norm", Value: gguf.ValueOf(true)}
	inner := count("expert_feed_forward_length", 96)
	mixture := func(name, architecture, layout string, meta ...gguf.KV) tiny {
		r := with(of(name, architecture, ends+attentionPart+"ffn_norm.weight d\n"+layout, append(meta, used)...), 6, 96)
		r.sizes["s"] = 160
		return r
	}
	// The first layer has no experts.
	lead := func(name, architecture, layout string, meta ...gguf.KV) tiny {
		r := mixture(name, architecture, "", append(meta, count("leading_dense_block_count", 1), inner, count("expert_shared_count", 2))...)
		r.layout = layout + `
			first:ffn_gate.weight d f
			first:ffn_up.weight d f
			first:ffn_down.weight f d
			rest:ffn_gate_inp.weight d e
			rest:ffn_gate_exps.weight d x e
			rest:ffn_up_exps.weight d x e
			rest:ffn_down_exps.weight x d e
			rest:ffn_gate_shexp.weight d x+x
			rest:ffn_up_shexp.weight d x+x
			rest:ffn_down_shexp.weight x+x d
		`
		return r
	}
	allHeads := func(r tiny) tiny { // have keys of their own
		r.kvHeads = r.heads
		return r
	}
	const leadAttention = ends + attentionPart + "ffn_norm.weight d\n"
	const latentPart = ends + `
		attn_norm.weight d
		attn_kv_a_mqa.weight d r+t
		attn_kv_a_norm.weight r
		attn_output.weight H*w d
		ffn_norm.weight d
	`
	latentSizes := map[string]int{"x": 96, "r": 64, "t": 16, "p": 32, "w": 48, "a": 80}
	latentMeta := []gguf.KV{count("attention.kv_lora_rank", 64), count("rope.dimension_count", 16), text("rope.scaling.type", "yarn"), number("rope.scaling.factor", 40),
		count("rope.scaling.original_context_length", 64)}
	deepseek2 := lead("deepseek2", "deepseek2", latentPart+`
		attn_q_a.weight d a
		attn_q_a_norm.weight a
		attn_q_b.weight a H*p+H*t
		attn_k_b.weight p r H
		attn_v_b.weight r w H
		rest:exp_probs_b.bias e
	`, append(latentMeta, count("attention.q_lora_rank", 80), count("attention.key_length", 80), count("attention.value_length", 64), count("attention.key_length_mla", 48),
		count("attention.value_length_mla", 48), count("attention.head_count_kv", 1), norms, count("expert_gating_func", 2), number("expert_weights_scale", 2.5),
		count("expert_group_count", 3), count("expert_group_used_count", 2), number("rope.scaling.yarn_log_multiplier", 0.1))...)
	deepseek2.sizes = latentSizes
	deepseek2Lite := lead("deepseek2-lite", "deepseek2", latentPart+`
		attn_q.weight d H*p+H*t
		attn_kv_b.weight r H*p+H*w
	`, append(latentMeta, count("attention.q_lora_rank", 0), count("attention.key_length", 48), count("attention.value_length", 48), count("attention.head_count_kv", 4),
		number("rope.scaling.yarn_log_multiplier", 0.0707))...)
	deepseek2Lite.sizes, deepseek2Lite.layers = latentSizes, 2

	glm4moe := lead("glm4moe", "glm4moe", ends+attentionPart+qkvBiases+qkNorms+`
		post_attention_norm.weight d
		rest:exp_probs_b.bias e
	`, norms, number("expert_weights_scale", 1.5), count("rope.dimension_count", 16))
	// The first and the fifth layer see all, and are not rotated. llama.cpp knows windows of 4096 tokens alone.
	smallThinker := mixture("smallthinker", "smallthinker", expertsPart, inner, count("feed_forward_length", 96), count("expert_gating_func", 2), count("attention.sliding_window", 4096))
	smallThinker.layers = 5
	smallThinkerQ := mixture("smallthinker-q8_0", "smallthinker", expertsPart, inner, count("feed_forward_length", 96), count("expert_gating_func", 1))
	smallThinkerQ.matrices, smallThinkerQ.experts = gguf.Q8_0, 2 // all are used: a rounding cannot change which
	smallThinkerQ.meta = append(smallThinkerQ.meta, count("expert_count", 2))
	floats := func(key string, v ...float32) gguf.KV { return gguf.KV{Key: key, Value: gguf.ArrayOf(v)} }
	apertus := of("apertus", "apertus", ends+attentionPart+qkNorms+ungatedPart+"ffn_norm.weight d\n/rope_freqs.weight 16", floats("xielu.alpha_p", 0.8, -0.3, 2), floats("xielu.alpha_n", 0.5, 1.5, -2),
		floats("xielu.beta", 0.5, 0.25, 1), floats("xielu.eps", -1e-6, -1e-6, -0.5))
	apertusQ := apertus
	apertusQ.name, apertusQ.matrices = "apertus-q8_0", gguf.Q8_0
	apertusQ.meta = []gguf.KV{{Key: "xielu.alpha_p", Value: gguf.ValueOf(float32(0.8))}, {Key: "xielu.alpha_n", Value: gguf.ValueOf(float32(0.8))},
		{Key: "xielu.beta", Value: gguf.ValueOf(float32(0.5))}, {Key: "xielu.eps", Value: gguf.ValueOf(float32(-1e-6))}}
	// Where attention sees all, in the fourth layer, it is not rotated.
	afmoe := lead("afmoe", "afmoe", ends+attentionPart+qkNorms+`
		attn_gate.weight d q
		post_attention_norm.weight d
		ffn_norm.weight d
		post_ffw_norm.weight d
		rest:exp_probs_b.bias e
	`, norms, number("expert_weights_scale", 2.826), count("expert_gating_func", 2), count("attention.sliding_window", 5))
	afmoe.layers = 4
	afmoeQ := afmoe // all experts are used: a rounding cannot change which
	afmoeQ.name, afmoeQ.matrices, afmoeQ.experts = "afmoe-q8_0", gguf.Q8_0, 2
	afmoeQ.meta = append(slices.Clone(afmoe.meta), count("expert_count", 2))
	exaoneMoE := lead("exaone-moe", "exaone-moe", ends+attentionPart+qkNorms+"ffn_norm.weight d\nrest:exp_probs_b.bias e", norms,
		number("expert_weights_scale", 2.5), count("expert_gating_func", 2), count("attention.sliding_window", 5), count("expert_shared_feed_forward_length", 192))
	exaoneMoE.layers = 4
	// The first layer sees all, and has one head of keys; the others have sinks. Values are narrower than keys.
	mimo := func(name, layout string, meta ...gguf.KV) tiny {
		r := mixture(name, "mimo2", "", append(meta, inner, count("attention.key_length", 48), count("attention.value_length", 32), count("rope.dimension_count", 16),
			count("attention.sliding_window", 5), number("rope.freq_base", 5e6), number("rope.freq_base_swa", 1e4),
			gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{false, true, true})})...)
		r.layout = ends + layout + `
			attn_norm.weight d
			ffn_norm.weight d
			attn_output.weight H*32 d
			first:ffn_gate.weight d f
			first:ffn_up.weight d f
			first:ffn_down.weight f d
			rest:attn_sinks.weight H
			rest:ffn_gate_inp.weight d e
			rest:exp_probs_b.bias e
			rest:ffn_gate_exps.weight d x e
			rest:ffn_up_exps.weight d x e
			rest:ffn_down_exps.weight x d e
		`
		r.headDim = 48
		return r
	}
	mimo2 := mimo("mimo2", `
		attn_q.weight d q
		first:attn_k.weight d 48
		first:attn_v.weight d 32
		rest:attn_k.weight d k
		rest:attn_v.weight d K*32
	`, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{1, 2, 2})})
	mimo2Fused := mimo("mimo2-fused", "attn_qkv.weight d q+k+K*32\n", number("attention.value_scale", 0.612))
	// The fourth layer sees all, has fewer heads, of which half as much is rotated, and no gates; the last two have limits.
	step35 := mixture("step35", "step35", "", inner, norms, number("expert_weights_scale", 3), count("expert_shared_feed_forward_length", 160), count("attention.key_length", 32), count("attention.value_length", 32),
		count("rope.dimension_count", 32), count("attention.sliding_window", 5), number("rope.freq_base", 5e6), number("rope.freq_base_swa", 1e4),
		gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{true, false, true, false})}, gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]int32{6, 4, 6, 4})},
		gguf.KV{Key: "llama.swiglu_clamp_exp", Value: gguf.ArrayOf([]float32{0, 0, 0.3, 0.2})}, gguf.KV{Key: "llama.swiglu_clamp_shexp", Value: gguf.ArrayOf([]float32{0.3, 0, 0, 0.2})})
	step35.layers, step35.headDim = 4, 32
	step35.layout = ends + qkNorms + `
		/rope_freqs.weight 16
		attn_norm.weight d
		even:attn_q.weight d 6*h
		even:attn_output.weight 6*h d
		even:attn_gate.weight d 6
		odd:attn_q.weight d 4*h
		odd:attn_output.weight 4*h d
		attn_k.weight d k
		attn_v.weight d k
		ffn_norm.weight d
		first:ffn_gate.weight d f
		first:ffn_up.weight d f
		first:ffn_down.weight f d
		rest:ffn_gate_inp.weight d e
		rest:exp_probs_b.bias e
		rest:ffn_gate_exps.weight d x e
		rest:ffn_up_exps.weight d x e
		rest:ffn_down_exps.weight x d e
		rest:ffn_gate_shexp.weight d s
		rest:ffn_up_shexp.weight d s
		rest:ffn_down_shexp.weight s d
	`
	dbrx := mixture("dbrx", "dbrx", "", centred, number("attention.clamp_kqv", 1.5), count("feed_forward_length", 96))
	dbrx.layout = ends + expertsPart + `
		attn_norm.weight d
		attn_qkv.weight d q+k+k
		attn_output.weight q d
		attn_output_norm.weight d
	`
	// Where attention sees a window, YaRN has no say.
	olmo3 := of("olmo3", "olmo2", strings.ReplaceAll(llama, "attn_norm.weight", "post_attention_norm.weight")+"attn_q_norm.weight q\nattn_k_norm.weight k\n", count("attention.sliding_window", 5), number("rope.freq_base", 500000),
		text("rope.scaling.type", "yarn"), number("rope.scaling.factor", 8), count("rope.scaling.original_context_length", 64), number("rope.scaling.attn_factor", 1.2))
	olmo3.layout = strings.ReplaceAll(olmo3.layout, "ffn_norm.weight", "post_ffw_norm.weight")
	olmo3.layers = 4
	olmo3Plain := olmo3
	olmo3Plain.name = "olmo3-plain"
	olmo3Plain.meta = append(slices.Clone(olmo3.meta), text("rope.scaling.type", "none"), number("rope.scaling.attn_factor", 1))
	solarOpen := mixture("solar-open", "glm4moe", expertsPart+"post_attention_norm.weight d\nexp_probs_b.bias e\n"+strings.ReplaceAll(sharedPart, " s", " x"), inner, norms, count("expert_shared_count", 1),
		count("expert_gating_func", 2), number("expert_weights_scale", 1), count("rope.dimension_count", 32), count("leading_dense_block_count", 0), text("rope.scaling.type", "yarn"), number("rope.scaling.factor", 2),
		count("rope.scaling.original_context_length", 64))
	solarOpen.layout = strings.ReplaceAll(solarOpen.layout, "ffn_norm.weight d\n", "")
	// The last block guesses, has no experts, and no part in lists.
	exaoneGuessing := exaoneMoE
	exaoneGuessing.name, exaoneGuessing.layers = "exaone-moe-nextn", 5
	exaoneGuessing.layout = `
		last:ffn_gate.weight d f
		last:ffn_up.weight d f
		last:ffn_down.weight f d
		last:nextn.eh_proj.weight d+d d
		last:nextn.enorm.weight d
		last:nextn.hnorm.weight d
	`
	for line := range strings.Lines(exaoneMoE.layout) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "rest:"); ok {
			line = "odd:" + rest + "\nthird:" + rest + "\n"
		}
		exaoneGuessing.layout += line
	}
	exaoneGuessing.meta = append(slices.Clone(exaoneMoE.meta), count("nextn_predict_layers", 1),
		gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{true, true, true, false})})
	guessing := glm4moe // the last block has no part in the next token
	guessing.name, guessing.layers = "glm4moe-nextn", 4
	guessing.layout += `
		last:nextn.eh_proj.weight d+d d
		last:nextn.enorm.weight d
		last:nextn.hnorm.weight d
	`
	guessing.meta = append(slices.Clone(glm4moe.meta), count("nextn_predict_layers", 1))
	exaone4 := of("exaone4", "exaone4", tiedEnds+qkNorms+`
		attn_q.weight d q
		attn_k.weight d k
		attn_v.weight d k
		attn_output.weight q d
		post_attention_norm.weight d
		ffn_gate.weight d f
		ffn_up.weight d f
		ffn_down.weight f d
		post_ffw_norm.weight d
	`, count("attention.sliding_window", 5))
	exaone4.layers, exaone4.dim, exaone4.ffn = 64, 32, 32
	baichuan := of("baichuan", "baichuan", llama)
	baichuan.layers, baichuan.dim, baichuan.ffn = 32, 64, 64
	baichuan13 := baichuan // six heads: slopes of four, and two of those of eight
	baichuan13.name, baichuan13.layers, baichuan13.dim, baichuan13.heads, baichuan13.kvHeads = "baichuan-13b", 40, 96, 6, 6
	// Layers are not so strong that roundings of the first ones decide.
	baichuan13.numbers = map[string][2]float64{"attn_norm.weight": {0.5, 0.3}, "ffn_norm.weight": {0.5, 0.3}}
	// As GPT-2 has it: all with biases.
	gptLike := func(name, architecture, more string, meta ...gguf.KV) tiny {
		return of(name, architecture, biasedEnds+biasedNorms+ungatedPart+ungatedBiases+`
			attn_norm.weight d
			attn_qkv.weight d q+k+k
			attn_qkv.bias q+k+k
			attn_output.weight q d
			attn_output.bias d
			ffn_norm.weight d
		`+more, append(meta, centred)...)
	}
	bloom := gptLike("bloom", "bloom", `
		/token_embd_norm.weight d
		/token_embd_norm.bias d
	`)
	bloom.dim, bloom.heads, bloom.kvHeads = 112, 7, 7
	jais := gptLike("jais", "jais", `
		ffn_gate.weight d f
		ffn_gate.bias f
	`, number("attention.max_alibi_bias", 6))
	mpt := of("mpt", "mpt", tiedEnds+ungatedPart+`
		attn_norm.weight d
		attn_qkv.weight d q+k+k
		attn_output.weight q d
		ffn_norm.weight d
	`, centred, number("attention.max_alibi_bias", 8), number("attention.clamp_kqv", 1.5))
	mptLearned := gptLike("mpt-learned", "mpt", `
		/position_embd.weight d c
	`, number("attention.max_alibi_bias", 0), number("attention.clamp_kqv", 1.5))
	gpt2 := gptLike("gpt2", "gpt2", "/position_embd.weight d c")
	gpt2.layout = strings.Replace(gpt2.layout, "/output.weight d v", "", 1)
	starcoder := gptLike("starcoder", "starcoder", "/position_embd.weight d c")
	starcoder.kvHeads = 1
	starcoderQ := starcoder
	starcoderQ.name, starcoderQ.matrices = "starcoder-q8_0", gguf.Q8_0
	for _, r := range []*tiny{&jais, &mpt, &mptLearned, &gpt2} {
		r.kvHeads = r.heads
	}
	refact := of("refact", "refact", llama)
	refact.kvHeads = 1
	refactQ := refact
	refactQ.name, refactQ.matrices = "refact-q8_0", gguf.Q8_0
	codeshell := gptLike("codeshell", "codeshell", "")
	codeshellOut := codeshell // the output is the embedding, too
	codeshellOut.name, codeshellOut.layout = "codeshell-output", strings.Replace(codeshell.layout, "/token_embd.weight d v", "", 1)
	// Layers become wider, as OpenELM's do.
	openELM := of("openelm", "openelm", tiedEnds+qkNorms+`
		attn_norm.weight d
		ffn_norm.weight d
		first:attn_qkv.weight d 3*h+1*h+1*h
		first:attn_output.weight 3*h d
		first:ffn_gate.weight d 96
		first:ffn_up.weight d 96
		first:ffn_down.weight 96 d
		second:attn_qkv.weight d 4*h+2*h+2*h
		second:attn_output.weight 4*h d
		second:ffn_gate.weight d 128
		second:ffn_up.weight d 128
		second:ffn_down.weight 128 d
		last:attn_qkv.weight d 6*h+2*h+2*h
		last:attn_output.weight 6*h d
		last:ffn_gate.weight d 192
		last:ffn_up.weight d 192
		last:ffn_down.weight 192 d
	`, count("attention.key_length", 32), count("attention.value_length", 32), count("rope.dimension_count", 32),
		gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]uint32{3, 4, 6})}, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]uint32{1, 2, 2})},
		gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]uint32{96, 128, 192})})
	// A layer like any other, one with a matrix in place of attention, one of a feed-forward part alone, one of nothing.
	deci := of("deci", "deci", ends+`
		/rope_freqs.weight 16
		first:attn_norm.weight d
		first:attn_q.weight d q
		first:attn_k.weight d k
		first:attn_v.weight d k
		first:attn_output.weight q d
		first:ffn_norm.weight d
		first:ffn_gate.weight d f
		first:ffn_up.weight d f
		first:ffn_down.weight f d
		second:attn_norm.weight d
		second:attn_output.weight d d
		second:ffn_norm.weight d
		second:ffn_gate.weight d 96
		second:ffn_up.weight d 96
		second:ffn_down.weight 96 d
		third:ffn_norm.weight d
		third:ffn_gate.weight d 128
		third:ffn_up.weight d 128
		third:ffn_down.weight 128 d
		last:attn_norm.weight d
		last:attn_q.weight d q
		last:attn_k.weight d h
		last:attn_v.weight d h
		last:attn_output.weight q d
		last:ffn_norm.weight d
		last:ffn_gate.weight d f
		last:ffn_up.weight d f
		last:ffn_down.weight f d
	`, gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]uint32{4, 4, 0, 0, 4})}, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]uint32{2, 0, 0, 0, 1})},
		gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]uint32{192, 96, 128, 0, 192})})
	deci.layers = 5
	deciQ := deci
	deciQ.name, deciQ.matrices = "deci-q8_0", gguf.Q8_0
	// Each matrix has a number that its products are multiplied by.
	const bitnetPart = tiedEnds + attentionPart + gatedPart + `
		attn_sub_norm.weight q
		ffn_sub_norm.weight f
	`
	bitnet, bitnetQ := of("bitnet", "bitnet", bitnetPart), of("bitnet-q8_0", "bitnet", bitnetPart)
	bitnet.numbers = map[string][2]float64{}
	for i, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"} {
		bitnet.layout += name + ".scale 1\n"
		bitnet.numbers[name+".scale"] = [2]float64{[]float64{2, 0.4, 0.02, 0.7, 3, 0.002, 0.5}[i], 0.001}
	}
	bitnetQ.matrices = gguf.Q8_0
	plamo := of("plamo", "plamo", ends+attentionPart+`
		ffn_gate.weight d f
		ffn_up.weight d f
		ffn_down.weight f d
	`)
	parallelResidual := func(name string, so bool) tiny {
		return of(name, "gptneox", biasedEnds+biasedNorms+ungatedPart+ungatedBiases+`
			attn_norm.weight d
			attn_qkv.weight d q+k+k
			attn_qkv.bias q+k+k
			attn_output.weight q d
			attn_output.bias d
			ffn_norm.weight d
		`, centred, gguf.KV{Key: "llama.use_parallel_residual", Value: gguf.ValueOf(so)}, count("attention.head_count_kv", 2), count("rope.dimension_count", 8))
	}
	falcon := func(name, more string) tiny {
		return of(name, "falcon", biasedEnds+ungatedPart+more+`
			attn_norm.weight d
			attn_norm.bias d
			attn_qkv.weight d q+k+k
			attn_output.weight q d
		`, centred)
	}
	gemma4 := func(name, layout string, meta ...gguf.KV) tiny {
		r := of(name, "gemma4", tiedEnds+`
			/rope_freqs.weight 24
			attn_norm.weight d
			post_attention_norm.weight d
			ffn_norm.weight d
			post_ffw_norm.weight d
			ffn_gate.weight d f
			ffn_up.weight d f
			ffn_down.weight f d
			even:attn_q.weight d H*32
			even:attn_q_norm.weight 32
			even:attn_output.weight H*32 d
			odd:attn_q.weight d H*48
			odd:attn_q_norm.weight 48
			odd:attn_output.weight H*48 d
		`+layout, append(meta, count("attention.sliding_window", 5), number("rope.freq_base", 1e6), number("final_logit_softcapping", 5),
			count("attention.key_length", 48), count("attention.value_length", 48), count("rope.dimension_count", 48),
			count("attention.key_length_swa", 32), count("attention.value_length_swa", 32), count("rope.dimension_count_swa", 32),
			gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{true, false, true, false})})...)
		r.layers = 4
		return r
	}
	gemma4E := gemma4("gemma4", `
		/per_layer_token_embd.weight p*4 v
		/per_layer_model_proj.weight d p*4
		/per_layer_proj_norm.weight p
		inp_gate.weight d p
		proj.weight p d
		post_norm.weight d
		layer_output_scale.weight 1
		first:attn_k.weight d K*32
		first:attn_v.weight d K*32
		first:attn_k_norm.weight 32
		second:attn_k.weight d K*48
		second:attn_v.weight d K*48
		second:attn_k_norm.weight 48
	`, count("attention.shared_kv_layers", 2), count("embedding_length_per_layer_input", 24))
	gemma4E.sizes = map[string]int{"p": 24}
	gemma4A := with(gemma4("gemma4-experts", `
		even:attn_k.weight d K*32
		even:attn_v.weight d K*32
		even:attn_k_norm.weight 32
		odd:attn_k.weight d K*48
		odd:attn_k_norm.weight 48
		ffn_gate_inp.weight d e
		ffn_gate_inp.scale d
		ffn_gate_up_exps.weight d x+x e
		ffn_down_exps.weight x d e
		ffn_down_exps.scale e
		pre_ffw_norm_2.weight d
		post_ffw_norm_1.weight d
		post_ffw_norm_2.weight d
	`, count("embedding_length_per_layer_input", 0)), 6, 96, used, inner)
	// llama.cpp has some sizes of its own: ten layers are sparse, twenty have keys and values,
	// there are four streams, and the layers' embeddings are of 256, the path beside attention of 64.
	windows := make([]bool, 25)
	for i := range windows {
		windows[i] = i%5 < 4
	}
	gemma3n := of("gemma3n", "gemma3n", tiedEnds+attentionPart+gatedPart+`
		attn_q_norm.weight h
		attn_k_norm.weight h
		post_attention_norm.weight d
		post_ffw_norm.weight d
		/altup_proj.weight d d s-1
		/altup_unembd_proj.weight d d s-1
		/per_layer_token_embd.weight p*l v
		/per_layer_model_proj.weight d p*l
		/per_layer_proj_norm.weight p
		altup_router.weight d s
		altup_router_norm.weight d
		altup_predict_coef.weight s s*s
		altup_correct_coef.weight s s
		altup_correct_scale.weight d
		laurel_l.weight d r
		laurel_r.weight r d
		laurel_post_norm.weight d
		inp_gate.weight d p
		proj.weight p d
		post_norm.weight d
	`, count("attention.sliding_window", 5), number("rope.freq_base", 1e6), count("embedding_length_per_layer_input", 256), count("altup.num_inputs", 4), count("altup.active_idx", 0),
		number("attention.shared_kv_layers", 5), gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf(windows)})
	gemma3n.layers, gemma3n.dim, gemma3n.heads, gemma3n.ffn = len(windows), 64, 2, 96
	gemma3n.kvHeads = 1
	gemma3n.sizes = map[string]int{"p": 256, "l": 25, "r": 64, "s": 4, "s-1": 3}
	// Routers say something, and layers are not so strong that roundings of the first ones decide.
	gemma3n.numbers = map[string][2]float64{"altup_router.weight": {0, 12}, "altup_predict_coef.weight": {0, 0.15}, "altup_correct_coef.weight": {0, 0.3},
		"post_attention_norm.weight": {0.3, 0.3}, "post_ffw_norm.weight": {0.3, 0.3}}
	gemma3nQ := gemma3n
	gemma3nQ.name, gemma3nQ.matrices, gemma3nQ.layers = "gemma3n-q8_0", gguf.Q8_0, 5 // as few as can see all once
	gemma3nQ.sizes = map[string]int{"p": 256, "l": 5, "r": 64, "s": 4, "s-1": 3}
	gemma3nQ.meta = append(slices.Clone(gemma3n.meta), count("attention.shared_kv_layers", 0), gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf(windows[:5])})
	gemma3nQ.types = map[string]gguf.Type{"altup_proj.weight": gguf.F16, "altup_unembd_proj.weight": gguf.F16, "laurel_l.weight": gguf.F16, "laurel_r.weight": gguf.F16}
	// Attention is in the second layer, or in the odd ones; all others have a short convolution.
	convolved := func(name, architecture string, kvHeads []int32, taps int, layout string, meta ...gguf.KV) tiny {
		r := of(name, architecture, `
			/token_embd.weight d v
			/token_embd_norm.weight d
			attn_norm.weight d
			odd:attn_q.weight d q
			odd:attn_k.weight d k
			odd:attn_v.weight d k
			odd:attn_output.weight q d
			odd:attn_q_norm.weight h
			odd:attn_k_norm.weight h
			even:shortconv.in_proj.weight d d+d+d
			even:shortconv.conv.weight l d
			even:shortconv.out_proj.weight d d
		`+layout, append(meta, count("shortconv.l_cache", uint32(taps)), number("rope.freq_base", 1e6),
			gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf(kvHeads)})...)
		r.layers, r.sizes = len(kvHeads), map[string]int{"l": taps}
		r.types = map[string]gguf.Type{"shortconv.conv.weight": gguf.F32}
		return r
	}
	lfm2 := convolved("lfm2", "lfm2", []int32{0, 2, 0}, 3, gatedPart)
	lfm2Four := convolved("lfm2-four-taps", "lfm2", []int32{0, 2}, 4, gatedPart)
	lfm2Q := convolved("lfm2-q8_0", "lfm2", []int32{0, 2, 0}, 3, gatedPart)
	lfm2Q.matrices = gguf.Q8_0
	lfm2moe := with(convolved("lfm2moe", "lfm2moe", []int32{0, 2, 0, 2}, 3, `
		ffn_norm.weight d
		first:ffn_gate.weight d f
		first:ffn_up.weight d f
		first:ffn_down.weight f d
		rest:ffn_gate_inp.weight d e
		rest:ffn_gate_exps.weight d x e
		rest:ffn_up_exps.weight d x e
		rest:ffn_down_exps.weight x d e
		rest:exp_probs_b.bias e
	`, count("leading_dense_block_count", 1)), 6, 96, used, inner, count("expert_gating_func", 2))
	lfm2moe.sizes["l"] = 3
	// Mamba-2 in the even layers: eight heads in two groups, of 32 elements, with rows of 24.
	scanned := func(name string, experts bool, kvHeads []int32, rotates bool) tiny {
		layout := tiedEnds + `
			attn_norm.weight d
			odd:attn_q.weight d q
			odd:attn_k.weight d k
			odd:attn_v.weight d k
			odd:attn_output.weight q d
			even:ssm_in.weight d 256+256+2*2*24+8
			even:ssm_conv1d.weight l 256+2*2*24
			even:ssm_conv1d.bias 256+2*2*24
			even:ssm_dt.bias 8
			even:ssm_a 1 8
			even:ssm_d 1 8
			even:ssm_norm.weight 128 2
			even:ssm_out.weight 256 d
		` + gatedPart
		if experts {
			layout = strings.ReplaceAll(layout, gatedPart, "ffn_norm.weight d"+expertsPart+sharedPart)
		}
		r := of(name, "granitehybrid", layout,
			count("ssm.conv_kernel", 4), count("ssm.inner_size", 256), count("ssm.state_size", 24), count("ssm.time_step_rank", 8), count("ssm.group_count", 2),
			gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf(kvHeads)}, gguf.KV{Key: "llama.rope.scaling.finetuned", Value: gguf.ValueOf(rotates)},
			number("embedding_scale", 12), number("residual_scale", 0.22), number("attention.scale", 0.02), number("logit_scale", 8))
		if experts {
			r = with(r, 6, 96, used, count("feed_forward_length", 96), count("expert_shared_feed_forward_length", 160))
		}
		if r.sizes == nil {
			r.sizes = map[string]int{}
		}
		r.layers, r.sizes["s"], r.sizes["l"] = len(kvHeads), 160, 4
		r.types = map[string]gguf.Type{"ssm_conv1d.weight": gguf.F32, "ssm_a": gguf.F32, "ssm_d": gguf.F32, "ssm_norm.weight": gguf.F32}
		return r
	}
	hybrid, hybridMoE, hybridQ := scanned("granitehybrid", false, []int32{0, 2, 0}, true), scanned("granitehybrid-experts", true, []int32{0, 2, 0, 2}, false), scanned("granitehybrid-q8_0", false, []int32{0, 2, 0}, false)
	hybridQ.matrices = gguf.Q8_0
	mamba2 := hybrid
	mamba2.name, mamba2.architecture, mamba2.layers = "mamba2", "mamba2", 3
	mamba2.layout = ends
	for line := range strings.Lines(hybrid.layout) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "even:"); ok {
			mamba2.layout += name + "\n"
		}
	}
	mamba2.layout += "attn_norm.weight d\n"
	mamba2.meta = append(slices.Clone(hybrid.meta), count("attention.head_count", 0), count("attention.head_count_kv", 0), count("feed_forward_length", 0))
	// Mamba 1: more channels than a thread takes at a time, and some in half a block.
	channels := func(name, architecture, where, layout string, inner, state, rank int, meta ...gguf.KV) tiny {
		for line := range strings.Lines(`
			ssm_in.weight d i+i
			ssm_conv1d.weight l i
			ssm_conv1d.bias i
			ssm_x.weight i r+s+s
			ssm_dt.weight r i
			ssm_dt.bias i
			ssm_a s i
			ssm_d i
			ssm_out.weight i d
		`) {
			if line = strings.TrimSpace(line); line != "" {
				layout += where + line + "\n"
			}
		}
		r := of(name, architecture, layout, append(meta, count("ssm.conv_kernel", 4), count("ssm.inner_size", uint32(inner)),
			count("ssm.state_size", uint32(state)), count("ssm.time_step_rank", uint32(rank)))...)
		r.dim, r.sizes = inner/2, map[string]int{"i": inner, "s": state, "r": rank, "l": 4}
		r.types = map[string]gguf.Type{"ssm_conv1d.weight": gguf.F32, "ssm_a": gguf.F32}
		return r
	}
	noHeads := []gguf.KV{count("attention.head_count", 0), count("attention.head_count_kv", 0), count("feed_forward_length", 0)}
	mamba := channels("mamba", "mamba", "", ends+"attn_norm.weight d\n", 336, 16, 24, noHeads...)
	falconMamba := channels("mamba-norms", "mamba", "", tiedEnds+"attn_norm.weight d\n", 144, 7, 9, append(noHeads, gguf.KV{Key: "llama.ssm.dt_b_c_rms", Value: gguf.ValueOf(true)})...)
	// Attention in every third layer, experts in every second one, where there are some.
	const jambaPart = tiedEnds + `
		attn_norm.weight d
		third:attn_q.weight d q
		third:attn_k.weight d k
		third:attn_v.weight d k
		third:attn_output.weight q d
		delta:ssm_dt_norm.weight r
		delta:ssm_b_norm.weight s
		delta:ssm_c_norm.weight s
	`
	jambaOf := func(name, layout string, kvHeads []int32, experts, used int) tiny {
		r := channels(name, "jamba", "delta:", jambaPart+layout, 256, 16, 32, count("expert_count", uint32(experts)), count("expert_used_count", uint32(used)),
			gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf(kvHeads)})
		r.layers, r.experts = len(kvHeads), experts
		return r
	}
	jamba, jambaQ := jambaOf("jamba", gatedPart, []int32{0, 0, 2}, 1, 1), jambaOf("jamba-q8_0", gatedPart, []int32{0, 0, 2}, 1, 1)
	jambaQ.matrices = gguf.Q8_0
	jambaMoE := jambaOf("jamba-experts", `
		ffn_norm.weight d
		even:ffn_gate.weight d f
		even:ffn_up.weight d f
		even:ffn_down.weight f d
		odd:ffn_gate_inp.weight d e
		odd:ffn_gate_exps.weight d f e
		odd:ffn_up_exps.weight d f e
		odd:ffn_down_exps.weight f d e
	`, []int32{0, 0, 2, 0, 0, 2}, 6, 2)
	mambaTensors := func(where string) (layout string) {
		for line := range strings.Lines(hybrid.layout) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "even:ssm"); ok {
				layout += where + "ssm" + name + "\n"
			}
		}
		return layout
	}
	ssm := []gguf.KV{count("ssm.conv_kernel", 4), count("ssm.inner_size", 256), count("ssm.state_size", 24), count("ssm.time_step_rank", 8), count("ssm.group_count", 2)}
	besides := func(name, layout string) tiny {
		r := of(name, "falcon-h1", layout, append(slices.Clone(ssm), count("rope.dimension_count", 48), count("attention.key_length", 48), count("attention.value_length", 48), number("rope.freq_base", 1e11))...)
		r.headDim, r.sizes, r.types = 48, map[string]int{"l": 4}, hybrid.types
		return r
	}
	falconH1 := besides("falcon-h1-norm", strings.ReplaceAll(llama, "ffn_norm.weight", "ffn_norm")+mambaTensors(""))
	var plain string
	for line := range strings.Lines(falconH1.layout) {
		if !strings.Contains(line, "ssm_norm") {
			plain += line
		}
	}
	// One layer of each kind.
	split := func(name, architecture, feedForward string, meta ...gguf.KV) tiny {
		meta = append(meta, number("attention.layer_norm_epsilon", 1e-5)) // llama.cpp wants it, and does not use it
		r := of(name, architecture, ends+mambaTensors("first:")+`
			attn_norm.weight d
			third:attn_q.weight d q
			third:attn_k.weight d k
			third:attn_v.weight d k
			third:attn_output.weight q d
		`+feedForward, append(append(slices.Clone(ssm), meta...), gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, 0, 2})})...)
		r.sizes, r.types = map[string]int{"l": 4}, hybrid.types
		return r
	}
	nemotronH := split("nemotron_h", "nemotron_h", `
		second:ffn_up.weight d f
		second:ffn_down.weight f d
	`, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{0, 192, 0})})
	nemotronMoE := with(split("nemotron_h_moe", "nemotron_h_moe", `
		second:ffn_gate_inp.weight d e
		second:exp_probs_b.bias e
		second:ffn_up_exps.weight d x e
		second:ffn_down_exps.weight x d e
		second:ffn_up_shexp.weight d s
		second:ffn_down_shexp.weight s d
	`, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{0, 96, 0})}), 6, 96, used, inner, count("expert_shared_feed_forward_length", 160), count("expert_shared_count", 1),
		norms, number("expert_weights_scale", 2.5), count("expert_group_count", 1), count("expert_group_used_count", 1))
	nemotronMoE.sizes["l"], nemotronMoE.sizes["s"] = 4, 160
	nemotronLatent := nemotronMoE // as Nemotron 3 Super has it
	nemotronLatent.name, nemotronLatent.sizes = "nemotron_h_moe-latent", maps.Clone(nemotronMoE.sizes)
	nemotronLatent.sizes["n"] = 64
	nemotronLatent.layout = strings.NewReplacer("ffn_up_exps.weight d x e", "ffn_up_exps.weight n x e", "ffn_down_exps.weight x d e", "ffn_down_exps.weight x n e").Replace(nemotronMoE.layout) + `
		second:ffn_latent_down.weight d n
		second:ffn_latent_up.weight n d
	`
	nemotronLatent.meta = append(slices.Clone(nemotronMoE.meta), count("moe_latent_size", 64))
	nemotronLatentQ := nemotronLatent // all experts are used: a rounding cannot change which
	nemotronLatentQ.name, nemotronLatentQ.matrices, nemotronLatentQ.experts = "nemotron_h_moe-latent-q8_0", gguf.Q8_0, 2
	nemotronLatentQ.meta = append(slices.Clone(nemotronLatent.meta), count("expert_count", 2))

	// Gated DeltaNet in the first two layers: four heads of 32, of which two share keys.
	deltaNet := func(name, architecture, in, feedForward string, meta ...gguf.KV) tiny {
		r := of(name, architecture, ends+`
			attn_norm.weight d
			post_attention_norm.weight d
			third:attn_q.weight d q+q
			third:attn_k.weight d k
			third:attn_v.weight d k
			third:attn_output.weight q d
			third:attn_q_norm.weight h
			third:attn_k_norm.weight h
			delta:ssm_conv1d.weight l 128+128
			delta:ssm_dt.bias 4
			delta:ssm_a 4
			delta:ssm_norm.weight 32
			delta:ssm_out.weight 128 d
		`+in+feedForward, append(meta, count("ssm.conv_kernel", 4), count("ssm.inner_size", 128), count("ssm.state_size", 32), count("ssm.time_step_rank", 4),
			count("ssm.group_count", 2), count("full_attention_interval", 3), count("attention.key_length", 48), count("attention.value_length", 48), count("rope.dimension_count", 32))...)
		r.headDim, r.sizes = 48, map[string]int{"l": 4}
		r.types = map[string]gguf.Type{"ssm_conv1d.weight": gguf.F32, "ssm_a": gguf.F32, "ssm_dt.bias": gguf.F32}
		return r
	}
	const (
		deltaIn = `
			delta:attn_qkv.weight d 128+128
			delta:attn_gate.weight d 128
			delta:ssm_beta.weight d 4
			delta:ssm_alpha.weight d 4
		`
		deltaNextIn = `
			delta:attn_qkv.weight d 128+128
			delta:attn_gate.weight d 128
			delta:ssm_ba.weight d 8
		`
		deltaFirstIn = `
			delta:ssm_in.weight d 128+128+128
			delta:ssm_ba.weight d 8
		`
		sharedGated = sharedPart + "ffn_gate_inp_shexp.weight d\n"
	)
	sections := gguf.KV{Key: "llama.rope.dimension_sections", Value: gguf.ArrayOf([]int32{4, 6, 6, 0})}
	sections35 := gguf.KV{Key: "llama.rope.dimension_sections", Value: gguf.ArrayOf([]int32{6, 5, 5, 0})}

	qwen35 := deltaNet("qwen35", "qwen35", deltaIn, gatedPart[strings.Index(gatedPart, "\n\t\tffn_gate"):], sections35)
	qwen35Q := qwen35
	qwen35Q.name, qwen35Q.matrices = "qwen35-q8_0", gguf.Q8_0
	deltaExperts := func(name, architecture, in string, meta ...gguf.KV) tiny {
		r := with(deltaNet(name, architecture, in, expertsPart+sharedGated, meta...), 6, 96, used, inner, count("expert_shared_feed_forward_length", 160))
		r.sizes["l"], r.sizes["s"] = 4, 160
		return r
	}
	qwen35moe := deltaExperts("qwen35moe", "qwen35moe", deltaIn, sections35, text("feed_forward_length", ""))
	// The last block guesses, and is one of attention; files may list which layers have none.
	deltaGuessing := func(r tiny, name string, meta ...gguf.KV) tiny {
		r.name, r.layers = name, 6
		r.layout += `
			last:nextn.eh_proj.weight d+d d
			last:nextn.enorm.weight d
			last:nextn.hnorm.weight d
		`
		r.meta = append(slices.Clone(r.meta), append(meta, count("nextn_predict_layers", 1))...)
		return r
	}
	qwen35Next := deltaGuessing(qwen35, "qwen35-nextn")
	qwen35Listed := deltaGuessing(qwen35moe, "qwen35moe-nextn", text("full_attention_interval", absent),
		gguf.KV{Key: "llama.attention.recurrent_layers", Value: gguf.ArrayOf([]bool{true, true, false, true, true, false})})
	qwen35Listed.layout = strings.Replace(strings.Replace(qwen35Listed.layout, "ffn_gate_exps.weight d x e", "ffn_gate_up_exps.weight d x+x e", 1), "ffn_up_exps.weight d x e", "", 1)

	// Kimi Delta Attention in the first two layers, then latent attention; the first has no experts.
	kimi := func(name string, head uint32) tiny {
		r := lead(name, "kimi-linear", ends+`
			attn_norm.weight d
			delta:attn_q.weight d H*n
			delta:attn_k.weight d H*n
			delta:attn_v.weight d H*n
			delta:ssm_conv1d_q.weight l 1 H*n 1
			delta:ssm_conv1d_k.weight l 1 H*n
			delta:ssm_conv1d_v.weight l 1 H*n
			delta:ssm_f_a.weight d n
			delta:ssm_f_b.weight n H*n
			delta:ssm_dt.bias H*n
			delta:ssm_a 1 H
			delta:ssm_beta.weight d H
			delta:ssm_g_a.weight d n
			delta:ssm_g_b.weight n H*n
			delta:ssm_norm.weight n
			delta:attn_output.weight H*n d
			third:attn_q.weight d H*p+H*t
			third:attn_kv_a_mqa.weight d r+t
			third:attn_kv_a_norm.weight r
			third:attn_output.weight H*w d
			ffn_norm.weight d
			third:attn_k_b.weight p r H
			third:attn_v_b.weight r w H
			rest:exp_probs_b.bias e
		`, count("kda.head_dim", head), count("ssm.conv_kernel", 4), count("attention.kv_lora_rank", 64), count("rope.dimension_count", 16),
			count("attention.key_length_mla", 48), count("attention.value_length_mla", 48), count("expert_gating_func", 2), number("expert_weights_scale", 2.446),
			count("attention.key_length", 80), gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, 0, 1})})
		r.sizes, r.types = maps.Clone(latentSizes), map[string]gguf.Type{"ssm_a": gguf.F32}
		r.sizes["l"], r.sizes["n"] = 4, int(head)
		for _, part := range []string{"q", "k", "v"} {
			r.types["ssm_conv1d_"+part+".weight"] = gguf.F32
		}
		return r
	}
	kimiLinear, kimiQ := kimi("kimi-linear", 24), kimi("kimi-linear-q8_0", 32)
	kimiQ.matrices, kimiQ.experts = gguf.Q8_0, 2
	kimiQ.meta = append(kimiQ.meta, count("expert_count", 2))

	// Experts in all layers, of which the last sees all, as Scout has it; and as Maverick has it, in
	// every second, and 128, so that queries and keys are not normalised.
	llama4 := mixture("llama4", "llama4", expertsPart+strings.ReplaceAll(sharedPart, " s", " x"), inner,
		count("interleave_moe_layer_step", 1), number("rope.freq_base", 500000))
	llama4.layers = 4
	llama4.meta = append(llama4.meta, count("expert_used_count", 1))
	maverick := llama4
	maverick.name, maverick.dim, maverick.experts = "llama4-dense-too", 64, 128
	maverick.layout = ends + attentionPart + `
		/rope_freqs.weight 8
		ffn_norm.weight d
		even:ffn_gate.weight d f
		even:ffn_up.weight d f
		even:ffn_down.weight f d
		odd:ffn_gate_inp.weight d e
		odd:ffn_gate_exps.weight d x e
		odd:ffn_up_exps.weight d x e
		odd:ffn_down_exps.weight x d e
		odd:ffn_gate_shexp.weight d x
		odd:ffn_up_shexp.weight d x
		odd:ffn_down_shexp.weight x d
	`
	maverick.sizes = map[string]int{"x": 24}
	maverick.meta = append(slices.Clone(llama4.meta), count("interleave_moe_layer_step", 2), count("expert_count", 128), count("expert_feed_forward_length", 24))
	llama4Q := llama4 // all experts are used: a rounding cannot change which
	llama4Q.name, llama4Q.matrices, llama4Q.experts = "llama4-q8_0", gguf.Q8_0, 2
	llama4Q.meta = append(slices.Clone(llama4.meta), count("expert_count", 2), count("expert_used_count", 2))

	// RWKV; ranks are of the short rows that decays, rates, values of the first layer, and gates are made of.
	const (
		rwkvPart = biasedEnds + `
			/token_embd_norm.weight d
			/token_embd_norm.bias d
			attn_norm.weight d
			attn_norm.bias d
			attn_norm_2.weight d
			attn_norm_2.bias d
			time_mix_receptance.weight d d
			time_mix_key.weight d d
			time_mix_value.weight d d
			time_mix_output.weight d d
			time_mix_ln.weight d
			time_mix_ln.bias d
			channel_mix_lerp_k.weight d 1 1
			channel_mix_key.weight d f
			channel_mix_value.weight f d
		`
		rwkv7Part = `
			time_mix_w0.weight d
			time_mix_w1.weight d w
			time_mix_w2.weight w d
			time_mix_a0.weight d
			time_mix_a1.weight d a
			time_mix_a2.weight a d
			time_mix_v0.weight d
			first:time_mix_v1.weight d a
			first:time_mix_v2.weight a d
			rest:time_mix_v1.weight d r
			rest:time_mix_v2.weight r d
			time_mix_k_k.weight d
			time_mix_k_a.weight d
			time_mix_r_k.weight d
		`
		rwkv7Gate = `
			time_mix_g1.weight d g
			time_mix_g2.weight g d
			time_mix_lerp_fused.weight d 1 1 6
		`
		rwkv6Part = `
			time_mix_lerp_x.weight d 1 1
			time_mix_w1.weight d 5*m
			time_mix_w2.weight m d 5
			time_mix_decay.weight d
			time_mix_decay_w1.weight d w
			time_mix_decay_w2.weight w d
			time_mix_gate.weight d d
		`
		rwkv6Fused = `
			time_mix_lerp_fused.weight d 1 1 5
		`
		channelReceptance = `
			time_mix_first.weight h H
			channel_mix_lerp_r.weight d 1 1
			channel_mix_receptance.weight d d
		`
		mixedQwen = ends + gatedPart + `
			attn_norm.weight d
			time_mix_receptance.weight d d
			time_mix_key.weight d k
			time_mix_value.weight d k
			time_mix_output.weight d d
		`
	)
	mixesTime := func(r tiny, heads, kvHeads, head, shifts int) tiny {
		r.dim, r.heads, r.kvHeads, r.headDim = heads*head, heads, kvHeads, head
		r.sizes = map[string]int{"w": 24, "a": 20, "r": 12, "g": 40, "m": 16}
		r.meta = append([]gguf.KV{count("wkv.head_size", uint32(head)), count("token_shift_count", uint32(shifts)), count("attention.head_count", 0), count("attention.head_count_kv", 0),
			count("attention.decay_lora_rank", 24), count("attention.iclr_lora_rank", 20), count("attention.value_residual_mix_lora_rank", 12), count("attention.gate_lora_rank", 40),
			count("time_mix_extra_dim", 16), count("time_decay_extra_dim", 24)}, r.meta...)
		r.numbers = map[string][2]float64{"time_mix_ln.weight": {1, 0.5}, "channel_mix_lerp_k.weight": {0.5, 0.5}, "channel_mix_lerp_r.weight": {0.5, 0.5},
			"time_mix_w0.weight": {-1, 3}, "time_mix_a0.weight": {0, 2}, "time_mix_v0.weight": {0, 2}, "time_mix_k_k.weight": {1, 0.5}, "time_mix_k_a.weight": {1, 0.5}, "time_mix_r_k.weight": {0, 0.5},
			"time_mix_decay.weight": {-1, 1.5}, "time_mix_first.weight": {0, 0.5}}
		for _, which := range []string{"fused", "x", "w", "k", "v", "r", "g"} {
			r.numbers["time_mix_lerp_"+which+".weight"] = [2]float64{0.5, 0.5}
		}
		r.types = map[string]gguf.Type{}
		for _, name := range []string{"w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2", "decay_w1", "decay_w2"} {
			r.types["time_mix_"+name+".weight"] = gguf.F32
		}
		return r
	}
	rwkv6 := mixesTime(of("rwkv6", "rwkv6", rwkvPart+rwkv6Part+rwkv6Fused+channelReceptance, centred), 3, 3, 64, 2)
	rwkv6Q := rwkv6
	rwkv6Q.name, rwkv6Q.matrices, rwkv6Q.layers = "rwkv6-q8_0", gguf.Q8_0, 2
	rwkv6First := mixesTime(of("rwkv6-first", "rwkv6", rwkvPart+rwkv6Part+channelReceptance, centred, count("rescale_every_n_layers", 2)), 2, 2, 64, 2)
	for _, which := range []string{"w", "k", "v", "r", "g"} { // each by itself
		rwkv6First.layout += "time_mix_lerp_" + which + ".weight d 1 1\n"
	}
	rwkv6First.numbers["time_mix_value.weight"] = [2]float64{0, 0.0005} // so that what norms of heads add to a variance counts
	rwkv7 := mixesTime(of("rwkv7", "rwkv7", rwkvPart+rwkv7Part+rwkv7Gate, centred), 3, 3, 64, 2)
	rwkv7Q := mixesTime(of("rwkv7-q8_0", "rwkv7", rwkvPart+rwkv7Part+rwkv7Gate, centred), 2, 2, 64, 2)
	rwkv7Q.matrices = gguf.Q8_0
	// In models that were Qwen 2.5: without a gate and a norm, and with them.
	arwkv7 := mixesTime(of("arwkv7", "arwkv7", mixedQwen+rwkv7Part+"time_mix_lerp_fused.weight d 1 1 5"), 3, 3, 64, 1)
	arwkv7Gated := mixesTime(of("arwkv7-gated", "arwkv7", mixedQwen+rwkv7Part+rwkv7Gate+"time_mix_ln.weight d\ntime_mix_ln.bias d\n"), 2, 2, 64, 1)
	rwkv6Qwen2 := mixesTime(of("rwkv6qwen2", "rwkv6qwen2", mixedQwen+rwkv6Part+rwkv6Fused+`
		time_mix_receptance.bias d
		time_mix_key.bias k
		time_mix_value.bias k
	`, count("attention.head_count_kv", 2)), 4, 2, 64, 1)

	return []tiny{
		rwkv6, rwkv6Q, rwkv6First, rwkv7, rwkv7Q, arwkv7, arwkv7Gated, rwkv6Qwen2, kimiLinear, kimiQ, llama4, maverick, llama4Q, falconH1, besides("falcon-h1", plain), nemotronH, nemotronMoE, nemotronLatent, nemotronLatentQ,
		qwen35, qwen35Q, qwen35Next, qwen35moe, qwen35Listed, deltaExperts("qwen3next", "qwen3next", deltaNextIn), deltaExperts("qwen3next-first", "qwen3next", deltaFirstIn),
		mamba, falconMamba, jamba, jambaQ, jambaMoE, mamba2, hybrid, hybridMoE, hybridQ, lfm2, lfm2Four, lfm2Q, lfm2moe,
		gemma3n, gemma3nQ, gemma4E, gemma4A, gptOSS, gptOSSQ, of("llama-yarn", "llama", llama, yarn...), qwen3, phi3Long, phi3Short, mistral3,
		cohere("command-r", "command-r", "", 2), commandRPlus,
		cohere("cohere2", "cohere2", "", 4, count("attention.sliding_window", 5)),
		mixture("qwen2moe", "qwen2moe", expertsPart+qkvBiases+sharedPart+"ffn_gate_inp_shexp.weight d", inner, count("expert_shared_feed_forward_length", 160)),
		mixture("granitemoe", "granitemoe", expertsPart+sharedPart, count("feed_forward_length", 96), count("expert_shared_feed_forward_length", 160),
			number("embedding_scale", 12), number("residual_scale", 0.22), number("attention.scale", 0.02), number("logit_scale", 8)),
		dbrx, solarOpen, olmo3, olmo3Plain, step35, mimo2, mimo2Fused, exaoneMoE, exaoneGuessing, apertus, apertusQ, afmoe, afmoeQ, smallThinker, smallThinkerQ, deepseek2, deepseek2Lite, lead("deepseek", "deepseek", leadAttention), glm4moe, guessing,
		allHeads(mixture("olmoe", "olmoe", expertsPart+`
			attn_q_norm.weight q
			attn_k_norm.weight k
		`, count("feed_forward_length", 96))),
		lead("bailingmoe2", "bailingmoe2", strings.NewReplacer("attn_q.weight d q", "attn_qkv.weight d q+k+k", "attn_k.weight d k", "", "attn_v.weight d k", "").Replace(leadAttention)+
			qkNorms+"rest:exp_probs_b.bias e", norms, count("expert_gating_func", 2), number("expert_weights_scale", 2.5), count("expert_group_count", 2), count("expert_group_used_count", 1)),
		allHeads(lead("dots1", "dots1", leadAttention+qkNorms+"rest:exp_probs_b.bias e", norms, count("expert_gating_func", 2))),
		lead("ernie4_5-moe", "ernie4_5-moe", leadAttention+"rest:exp_probs_b.bias e", count("expert_shared_feed_forward_length", 192), count("interleave_moe_layer_step", 1)),
		mixture("hunyuan-moe", "hunyuan-moe", expertsPart+sharedPart+qkNorms, inner, count("feed_forward_length", 96), count("expert_shared_feed_forward_length", 160)),
		mixture("minimax-m2", "minimax-m2", expertsPart+`
			attn_q_norm.weight q
			attn_k_norm.weight k
			exp_probs_b.bias e
		`, inner, count("feed_forward_length", 96), count("expert_gating_func", 2), count("rope.dimension_count", 16)),
		mixture("phimoe", "phimoe", expertsPart+biasedNorms+qkvBiases+`
			/output_norm.bias d
			/output.bias v
			attn_output.bias d
		`, count("feed_forward_length", 96)),
		mixture("bailingmoe", "bailingmoe", expertsPart+strings.ReplaceAll(sharedPart, " s", " x+x"), norms, inner, count("expert_shared_count", 2)),
		of("qwen2vl", "qwen2vl", llama+qkvBiases, sections), of("qwen3vl", "qwen3vl", llama+qkNorms, sections),
		mixture("qwen3vlmoe", "qwen3vlmoe", expertsPart+qkNorms, inner, sections),
		of("glm4-sections", "glm4", strings.ReplaceAll(strings.ReplaceAll(llama, "ffn_gate.weight d f", ""), "ffn_up.weight d f", "ffn_up.weight d f+f")+qkvBiases+`
			post_attention_norm.weight d
			post_ffw_norm.weight d
		`, sections),
		of("chatglm", "chatglm", strings.ReplaceAll(strings.ReplaceAll(llama, "ffn_gate.weight d f", ""), "ffn_up.weight d f", "ffn_up.weight d f+f")+qkvBiases, count("rope.dimension_count", 16)),
		of("olmo", "olmo", `
			/token_embd.weight d v
			attn_q.weight d q
			attn_k.weight d k
			attn_v.weight d k
			attn_output.weight q d
			ffn_gate.weight d f
			ffn_up.weight d f
			ffn_down.weight f d
		`, centred, number("attention.clamp_kqv", 1.5)),
		of("starcoder2", "starcoder2", biasedEnds+attentionPart+biasedNorms+qkvBiases+ungatedPart+ungatedBiases+"attn_output.bias d\nffn_norm.weight d", centred),
		of("stablelm", "stablelm", biasedEnds+attentionPart+biasedNorms+gatedPart, centred, count("rope.dimension_count", 8)),
		of("stablelm-parallel", "stablelm", biasedEnds+attentionPart+`
			attn_norm.bias d
			attn_q_norm.weight h H
			attn_k_norm.weight h K
			ffn_gate.weight d f
			ffn_up.weight d f
			ffn_down.weight f d
		`, centred, count("rope.dimension_count", 8)),
		of("phi2", "phi2", biasedEnds+attentionPart+qkvBiases+ungatedPart+ungatedBiases+`
			/output.bias v
			attn_norm.bias d
			attn_output.bias d
		`, centred, count("rope.dimension_count", 8)),
		parallelResidual("gptneox", true), parallelResidual("gptneox-sequential", false),
		falcon("falcon", ""), falcon("falcon-two-norms", "attn_norm_2.weight d\nattn_norm_2.bias d\n"),
		baichuan, baichuan13, bloom, jais, mpt, mptLearned, refact, refactQ, gpt2, starcoder, starcoderQ, codeshell, codeshellOut, openELM, deci, deciQ, bitnet, bitnetQ, plamo,
		of("maincoder", "maincoder", llama+qkNorms),
		of("jais2", "jais2", biasedEnds+attentionPart+biasedNorms+qkvBiases+ungatedPart+ungatedBiases+"attn_output.bias d\nffn_norm.weight d", centred),
		of("internlm2", "internlm2", llama), of("xverse", "xverse", llama),
		of("orion", "orion", biasedEnds+attentionPart+biasedNorms+gatedPart, centred),
		of("minicpm", "minicpm", llama, number("embedding_scale", 12), number("residual_scale", 0.25), number("logit_scale", 9)),
		of("nemotron", "nemotron", biasedEnds+attentionPart+biasedNorms+ungatedPart+"ffn_norm.weight d", centred, count("rope.dimension_count", 16)),
		of("arcee", "arcee", ends+attentionPart+ungatedPart+"ffn_norm.weight d"),
		of("exaone", "exaone", llama+"/rope_freqs.weight 16"), exaone4,
		of("ernie4_5", "ernie4_5", llama), of("hunyuan-dense", "hunyuan-dense", llama+qkNorms, number("rope.scaling.alpha", 1000)),
		of("seed_oss", "seed_oss", strings.ReplaceAll(llama, "ffn_norm", "post_attention_norm")+qkvBiases),
	}
}
