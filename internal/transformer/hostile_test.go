package transformer

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"parley/internal/gguf"
)

func meta[T gguf.Scalar](key string, v T) []gguf.KV {
	return []gguf.KV{{Key: key, Value: gguf.ValueOf(v)}}
}

// absent is a value that tiny takes as: leave the key out.
const absent = ""

func without(tensor string) func(string, *gguf.TensorSource) bool {
	return func(name string, _ *gguf.TensorSource) bool { return name != tensor }
}

func reshaped(tensor string, shape ...uint64) func(string, *gguf.TensorSource) bool {
	return func(name string, s *gguf.TensorSource) bool {
		if name == tensor {
			n := uint64(1)
			for _, d := range shape {
				n *= d
			}
			s.Shape, s.Data = shape, bytes.NewReader(make([]byte, n*4))
		}
		return true
	}
}

func renamed(tensor, as string, shape ...uint64) func(string, *gguf.TensorSource) bool {
	change := reshaped(tensor, shape...)
	return func(name string, s *gguf.TensorSource) bool {
		if name == tensor {
			s.Name = as
		}
		return change(name, s)
	}
}

func retyped(tensor string, t gguf.Type) func(string, *gguf.TensorSource) bool {
	return func(name string, s *gguf.TensorSource) bool {
		if name == tensor {
			s.Type = t
			s.Data = bytes.NewReader(make([]byte, s.Shape[0]*s.Shape[1]/t.BlockSize()*t.BlockBytes()))
		}
		return true
	}
}

func TestHostileModelsAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name   string
		meta   []gguf.KV
		change func(string, *gguf.TensorSource) bool
		want   string // in the error
	}{
		{"no architecture", meta("general.architecture", absent), nil, "general.architecture is missing"},
		{"architecture of another type", meta("general.architecture", uint32(3)), nil, "general.architecture"},
		{"unknown architecture", meta("general.architecture", "novel"), nil, `"novel", which is not supported; supported: afmoe, `},
		{"no layers", meta("llama.block_count", uint32(0)), nil, "llama.block_count is 0"},
		{"layers missing", meta("llama.block_count", absent), nil, "llama.block_count is missing"},
		{"more layers than tensors", meta("llama.block_count", uint32(1<<20)), nil, "llama.block_count is 1048576, but"},
		{"one layer too many", meta("llama.block_count", uint32(3)), nil, "blk.2.attn_norm.weight is missing"},
		{"one layer too few", meta("llama.block_count", uint32(1)), nil, "blk.1."},
		{"huge number of layers", meta("llama.block_count", uint64(math.MaxUint64)), nil, "llama.block_count"},
		{"negative layers", meta("llama.block_count", int32(-1)), nil, "llama.block_count"},
		{"no width", meta("llama.embedding_length", uint32(0)), nil, "llama.embedding_length is 0"},
		{"huge width", meta("llama.embedding_length", uint64(1<<62)), nil, "llama.embedding_length"},
		{"another width", meta("llama.embedding_length", uint32(512)), nil, "token_embd.weight has shape [256 256]"},
		{"no context", meta("llama.context_length", uint32(0)), nil, "llama.context_length is 0"},
		{"huge context", meta("llama.context_length", uint32(1<<30)), nil, "llama.context_length"},
		{"no heads", meta("llama.attention.head_count", uint32(0)), nil, "llama.attention.head_count is 0"},
		{"heads that divide nothing", meta("llama.attention.head_count", uint32(3)), nil, "llama.attention."},
		{"huge number of heads", meta("llama.attention.head_count", uint32(math.MaxUint32)), nil, "llama.attention.head_count"},
		{"more heads than width", meta("llama.attention.head_count", uint32(1<<20)), nil, "llama.attention."},
		{"no key heads", meta("llama.attention.head_count_kv", uint32(0)), nil, "llama.attention.head_count_kv is 0"},
		{"key heads that do not divide", meta("llama.attention.head_count_kv", uint32(3)), nil, "does not divide the 4 heads"},
		{"key heads as a short array", []gguf.KV{{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{2})}}, nil, "has 1 elements, but there are 2 layers"},
		{"key heads with a zero", []gguf.KV{{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{2, 0})}}, nil, "head_count_kv [1] is 0"},
		{"key length that does not fit", meta("llama.attention.key_length", uint32(32)), nil, "blk.0.attn_q.weight has shape [256 256]"},
		{"huge key length", meta("llama.attention.key_length", uint64(1<<40)), nil, "llama.attention.key_length"},
		{"epsilon missing", meta("llama.attention.layer_norm_rms_epsilon", absent), nil, "layer_norm_rms_epsilon is missing"},
		{"epsilon NaN", meta("llama.attention.layer_norm_rms_epsilon", float32(math.NaN())), nil, "layer_norm_rms_epsilon is NaN"},
		{"epsilon zero", meta("llama.attention.layer_norm_rms_epsilon", float32(0)), nil, "layer_norm_rms_epsilon is 0"},
		{"frequency base infinite", meta("llama.rope.freq_base", float32(math.Inf(1))), nil, "llama.rope.freq_base is +Inf"},
		{"frequency base negative", meta("llama.rope.freq_base", float32(-1)), nil, "llama.rope.freq_base is -1"},
		{"scaling of another kind", meta("llama.rope.scaling.type", "dynamic"), nil, `"dynamic", which is not supported; supported: none, linear, yarn`},
		{"scaling factor NaN", meta("llama.rope.scaling.factor", float32(math.NaN())), nil, "llama.rope.scaling.factor is NaN"},
		{"odd rotation", meta("llama.rope.dimension_count", uint32(63)), nil, "rope.dimension_count is 63"},
		{"rotation wider than a head", meta("llama.rope.dimension_count", uint32(128)), nil, "rope.dimension_count is 128"},
		{"no feed-forward", meta("llama.feed_forward_length", uint32(0)), nil, "llama.feed_forward_length is 0"},
		{"another feed-forward", meta("llama.feed_forward_length", uint32(256)), nil, "blk.0.ffn_gate.weight has shape [256 512]"},
		{"experts", meta("llama.expert_count", uint32(8)), nil, "llama.expert_used_count is missing"},

		{"embedding missing", nil, without("token_embd.weight"), "token_embd.weight is missing"},
		{"norm missing", nil, without("blk.1.ffn_norm.weight"), "blk.1.ffn_norm.weight is missing"},
		{"matrix missing", nil, without("blk.0.attn_k.weight"), "blk.0.attn_k.weight is missing"},
		{"embedding with one dimension", nil, reshaped("token_embd.weight", 256), "token_embd.weight has shape [256]"},
		{"embedding with three", nil, reshaped("token_embd.weight", 256, 2, 2), "token_embd.weight has shape [256 2 2]"},
		{"output of another vocabulary", nil, reshaped("output.weight", 256, 255), "output.weight has shape [256 255]"},
		{"norm of another width", nil, reshaped("output_norm.weight", 255), "output_norm.weight has shape [255]"},
		{"matrix turned", nil, reshaped("blk.0.ffn_down.weight", 256, 512), "blk.0.ffn_down.weight has shape [256 512]"},
		{"matrix with a third dimension", nil, reshaped("blk.0.ffn_down.weight", 512, 128, 2), "blk.0.ffn_down.weight has shape [512 128 2]"},
		{"unknown quantisation", nil, retyped("blk.1.ffn_up.weight", gguf.TQ2_0), "blk.1.ffn_up.weight is stored as TQ2_0, which is not supported; supported: F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, Q4_1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := recipe(c.name, gguf.F32)
			r.meta, r.change = c.meta, c.change
			f, err := gguf.Parse(r.file(t))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(f, Options{})
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestHostileTensorsAreRefusedByName(t *testing.T) {
	extra := recipe("extra", gguf.F32)
	extra.ropeFreqs = true
	extra.change = reshaped("rope_freqs.weight", 16)
	zero := recipe("zero", gguf.F32)
	zero.ropeFreqs = true
	zero.change = reshaped("rope_freqs.weight", 32) // all zero
	unknown := recipe("unknown", gguf.F32)
	unknown.biases = true
	unknown.change = func(name string, s *gguf.TensorSource) bool {
		s.Name = strings.Replace(s.Name, "attn_q.bias", "attn_sinks", 1)
		return true
	}
	for want, r := range map[string]tiny{
		"rope_freqs.weight has shape [16]":        extra,
		"rope_freqs.weight: element 0 is 0":       zero,
		"attn_sinks is not one that this program": unknown,
	} {
		f, err := gguf.Parse(r.file(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(f, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestHostileFamiliesAreRefusedByName(t *testing.T) {
	count := func(key string, v uint32) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	number := func(key string, v float32) gguf.KV { return gguf.KV{Key: "llama." + key, Value: gguf.ValueOf(v)} }
	pattern := func(v ...bool) gguf.KV {
		return gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf(v)}
	}
	named := func(name string) tiny {
		for _, r := range recipes {
			if r.name == name {
				return r
			}
		}
		panic("no recipe " + name)
	}
	with := func(name string, change func(string, *gguf.TensorSource) bool, more ...gguf.KV) tiny {
		r := named(name)
		r.layers, r.vocab = 2, 32
		if r.layout != "" {
			r.dim, r.ffn = min(r.dim, 128), min(r.ffn, 192)
		}
		r.change, r.meta = change, append(slices.Clone(r.meta), more...)
		return r
	}
	of4 := func(name string, change func(string, *gguf.TensorSource) bool, more ...gguf.KV) tiny {
		r := named(name)
		r.change, r.meta = change, append(slices.Clone(r.meta), more...)
		return r
	}
	streams := func(change func(string, *gguf.TensorSource) bool, more ...gguf.KV) tiny {
		r := fewStreams()
		r.change, r.meta = change, append(r.meta, more...)
		return r
	}
	sparse := func(v ...float32) gguf.KV {
		return gguf.KV{Key: "llama.activation_sparsity_scale", Value: gguf.ArrayOf(v)}
	}
	scaled := func(name string, s *gguf.TensorSource) bool { // in place of keys that nobody needs
		if name == "blk.4.attn_k.weight" {
			s.Name, s.Shape, s.Data = "blk.4.layer_output_scale.weight", []uint64{1}, bytes.NewReader(make([]byte, 4))
		}
		return true
	}
	for _, c := range []struct {
		model tiny
		want  string
	}{
		{with("mixtral", nil, count("expert_used_count", 7)), "llama.expert_used_count is 7 of 6 experts"},
		{with("mixtral", nil, count("expert_used_count", 0)), "llama.expert_used_count is 0"},
		{with("mixtral", nil, count("expert_count", 1<<24)), "ffn_gate_inp.weight has shape [256 6]"},
		{with("mixtral", without("blk.1.ffn_up_exps.weight")), "blk.1.ffn_up_exps.weight is missing"},
		{with("mixtral", reshaped("blk.0.ffn_down_exps.weight", 256, 256, 5)), "blk.0.ffn_down_exps.weight has shape [256 256 5]"},
		{with("qwen2", nil, count("expert_count", 8)), "qwen2.expert_count is 8: mixtures of experts are not supported in this architecture"},
		{with("qwen3", reshaped("blk.0.attn_q_norm.weight", 64)), "blk.0.attn_q_norm.weight has shape [64]"},
		{with("gemma2", without("blk.1.post_ffw_norm.weight")), "blk.1.post_ffw_norm.weight is missing"},
		{with("gemma2", nil, gguf.KV{Key: "llama.attn_logit_softcapping", Value: gguf.ValueOf(float32(-1))}), "gemma2.attn_logit_softcapping is -1"},
		{with("phi3", reshaped("blk.0.attn_qkv.weight", 256, 513)), "blk.0.attn_qkv.weight has shape [256 513]"},
		{with("phi3", reshaped("blk.1.ffn_up.weight", 256, 512)), "blk.1.ffn_up.weight has shape [256 512]"},
		{with("granite", nil, gguf.KV{Key: "llama.logit_scale", Value: gguf.ValueOf(float32(0))}), "granite.logit_scale is 0"},
		{with("gpt-oss", without("blk.1.attn_sinks.weight")), "blk.1.attn_sinks.weight is missing"},
		{with("gpt-oss", reshaped("blk.0.attn_sinks.weight", 5)), "blk.0.attn_sinks.weight has shape [5]"},
		{with("gpt-oss", reshaped("blk.0.ffn_up_exps.bias", 96, 5)), "blk.0.ffn_up_exps.bias has shape [96 5]"},
		{with("gpt-oss", nil, pattern(true)), "sliding_window_pattern has 1 elements, but there are 2 layers"},
		{with("gpt-oss", nil, gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]string{"a", "b"})}), "gpt-oss.attention.sliding_window_pattern"},
		{with("gpt-oss", nil, number("rope.freq_base", 1)), "gpt-oss.rope.freq_base is 1: more than 1 is needed for YaRN"},
		{with("gpt-oss", nil, number("rope.scaling.yarn_beta_fast", 0)), "gpt-oss.rope.scaling.yarn_beta_fast is 0"},
		{with("gpt-oss", nil, count("rope.scaling.original_context_length", 0)), "gpt-oss.rope.scaling.original_context_length is 0"},
		{with("gpt-oss", nil, count("expert_gating_func", 4)), "gpt-oss.expert_gating_func is 4, which is not supported"},
		{with("gpt-oss", nil, number("expert_weights_scale", float32(math.Inf(1)))), "gpt-oss.expert_weights_scale is +Inf"},
		{with("phi3-long", reshaped("rope_factors_long.weight", 15)), "rope_factors_long.weight has shape [15]"},
		{with("phi3-long", nil, number("rope.scaling.attn_factor", 0)), "phi3.rope.scaling.attn_factor is 0"},
		{with("mistral3", nil, count("attention.temperature_length", 0)), "mistral3.attention.temperature_length is 0"},
		{with("command-r", nil, number("attention.layer_norm_epsilon", 0)), "command-r.attention.layer_norm_epsilon is 0"},
		{with("qwen2moe", without("blk.0.ffn_down_shexp.weight")), "blk.0.ffn_down_shexp.weight is missing"},
		{with("bailingmoe", nil, count("expert_shared_count", 1<<20)), "bailingmoe.expert_shared_count is 1048576"},
		{with("deepseek2", nil, count("attention.kv_lora_rank", 0)), "deepseek2.attention.kv_lora_rank is 0"},
		{with("deepseek2", nil, count("rope.dimension_count", 48)), "deepseek2.rope.dimension_count is 48 of a head's 48"},
		{with("deepseek2", nil, count("rope.dimension_count", 15)), "deepseek2.rope.dimension_count is 15, but has to be even"},
		{with("deepseek2", nil, count("attention.value_length_mla", 0)), "deepseek2.attention.value_length_mla is 0"},
		{with("deepseek2", nil, count("attention.q_lora_rank", 0)), "blk.0.attn_q.weight is missing"},
		{with("deepseek2", reshaped("blk.1.attn_k_b.weight", 64, 32, 4)), "blk.1.attn_k_b.weight has shape [64 32 4]"},
		{with("deepseek2", without("blk.0.attn_v_b.weight")), "blk.0.attn_v_b.weight is missing"},
		{with("deepseek2-lite", reshaped("blk.0.attn_kv_b.weight", 64, 319)), "blk.0.attn_kv_b.weight has shape [64 319]"},
		{with("deepseek2", nil, count("expert_group_count", 4)), "deepseek2.expert_group_count is 4 for 6 experts"},
		{with("deepseek2", nil, count("expert_group_count", 6)), "deepseek2.expert_group_count is 6 for 6 experts"},
		{with("deepseek2", nil, count("expert_group_used_count", 4)), "deepseek2.expert_group_used_count is 4 of 3"},
		{with("deepseek2", nil, count("expert_group_used_count", 1), count("expert_used_count", 3)), "deepseek2.expert_group_used_count is 1 of 3 groups of 2"},
		{with("deepseek2", nil, count("nextn_predict_layers", 2)), "deepseek2.nextn_predict_layers is 2 of 2 layers"},
		{with("falcon-two-norms", without("blk.1.attn_norm.weight")), "blk.1.attn_norm.bias is not one"},
		{with("qwen3vl", nil, gguf.KV{Key: "llama.rope.dimension_sections", Value: gguf.ArrayOf([]int32{4, 4, 4, 4})}), "qwen3vl.rope.dimension_sections has a fourth section"},
		{with("ernie4_5-moe", nil, count("interleave_moe_layer_step", 0)), "ernie4_5-moe.interleave_moe_layer_step is 0"},
		{of4("lfm2", nil, count("shortconv.l_cache", 1)), "lfm2.shortconv.l_cache is 1: from 2 to 16"},
		{of4("lfm2", nil, count("shortconv.l_cache", 17)), "lfm2.shortconv.l_cache is 17"},
		{of4("lfm2", nil, gguf.KV{Key: "llama.shortconv.l_cache", Value: gguf.ValueOf(absent)}), "lfm2.shortconv.l_cache is missing"},
		{of4("lfm2", nil, count("shortconv.l_cache", 4)), "blk.0.shortconv.conv.weight has shape [3 128]"},
		{of4("lfm2", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, -1, 0})}), "head_count_kv [1] is -1: from 0"},
		{of4("lfm2", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, 3, 0})}), "is 3, which does not divide"},
		{of4("lfm2", nil, count("attention.head_count_kv", 0)), "lfm2.attention.head_count_kv is 0"},
		{of4("lfm2", nil, count("attention.head_count_kv", 2)), "blk.0.attn_q"},
		{of4("lfm2", nil, count("attention.sliding_window", 5)), "lfm2.attention.sliding_window is 5, which is not supported"},
		{of4("lfm2", without("blk.2.shortconv.out_proj.weight")), "blk.2.shortconv.out_proj.weight is missing"},
		{of4("lfm2", reshaped("blk.0.shortconv.in_proj.weight", 128, 128)), "blk.0.shortconv.in_proj.weight has shape [128 128]"},
		{of4("granitehybrid", nil, count("ssm.conv_kernel", 1)), "granitehybrid.ssm.conv_kernel is 1: from 2 to 16"},
		{of4("granitehybrid", nil, count("ssm.conv_kernel", 5)), "blk.0.ssm_conv1d.weight has shape [4 352]"},
		{of4("granitehybrid", nil, count("ssm.inner_size", 1<<24)), "granitehybrid.ssm.inner_size is 16777216"},
		{of4("granitehybrid", nil, count("ssm.inner_size", 512)), "blk.0.ssm_in.weight has shape [128 616]"},
		{of4("granitehybrid", nil, count("ssm.state_size", 1025)), "granitehybrid.ssm.state_size is 1025: up to 1024"},
		{of4("granitehybrid", nil, count("ssm.state_size", 0)), "granitehybrid.ssm.state_size is 0"},
		{of4("granitehybrid", nil, count("ssm.time_step_rank", 7)), "granitehybrid.ssm.time_step_rank is 7 heads, which do not divide"},
		{of4("granitehybrid", nil, count("ssm.time_step_rank", 0)), "granitehybrid.ssm.time_step_rank is 0"},
		{of4("granitehybrid", nil, count("ssm.group_count", 3)), "granitehybrid.ssm.group_count is 3, which does not divide the 8 heads"},
		{of4("granitehybrid", nil, count("attention.sliding_window", 5)), "granitehybrid.attention.sliding_window is not supported"},
		{of4("granitehybrid", without("blk.2.ssm_a")), "blk.2.ssm_a is missing"},
		{of4("granitehybrid", reshaped("blk.0.ssm_d", 8)), "blk.0.ssm_d has shape [8]"},
		{of4("granitehybrid", reshaped("blk.0.ssm_norm.weight", 256, 2)), "blk.0.ssm_norm.weight has shape [256 2]"},
		{of4("mamba2", nil, count("ssm.group_count", 1<<20)), "mamba2.ssm.group_count is 1048576"},
		{of4("mamba2", without("blk.1.ssm_out.weight")), "blk.1.ssm_out.weight is missing"},
		{of4("mamba", nil, count("ssm.conv_kernel", 1)), "mamba.ssm.conv_kernel is 1: from 2 to 16"},
		{of4("mamba", nil, count("ssm.state_size", 1025)), "mamba.ssm.state_size is 1025: up to 1024"},
		{of4("mamba", nil, count("ssm.state_size", 0)), "mamba.ssm.state_size is 0"},
		{of4("mamba", nil, count("ssm.time_step_rank", 0)), "mamba.ssm.time_step_rank is 0"},
		{of4("mamba", nil, count("ssm.time_step_rank", 337)), "mamba.ssm.time_step_rank is 337, more than ssm.inner_size 336"},
		{of4("mamba", nil, count("ssm.time_step_rank", 1<<25)), "mamba.ssm.time_step_rank"},
		{of4("mamba", nil, count("ssm.time_step_rank", 8)), "blk.0.ssm_x.weight has shape [336 56]"},
		{of4("mamba", nil, count("ssm.inner_size", 1<<24)), "mamba.ssm.inner_size is 16777216, twice"},
		{of4("mamba", nil, count("ssm.inner_size", 0)), "mamba.ssm.inner_size is 0"},
		{of4("mamba", nil, count("ssm.inner_size", 128)), "blk.0.ssm_in.weight has shape [168 672]"},
		{of4("mamba", nil, gguf.KV{Key: "llama.ssm.dt_b_c_rms", Value: gguf.ValueOf("yes")}), "mamba.ssm.dt_b_c_rms"},
		{of4("mamba", nil, count("attention.sliding_window", 5)), "mamba.attention.sliding_window is not supported"},
		{of4("mamba", nil, count("expert_count", 2)), "mamba.expert_count is 2: mixtures of experts are not supported"},
		{of4("mamba", without("blk.1.ssm_x.weight")), "blk.1.ssm_x.weight is missing"},
		{of4("mamba", without("blk.1.ssm_dt.bias")), "blk.1.ssm_dt.bias is missing"},
		{of4("mamba", without("blk.1.ssm_d")), "blk.1.ssm_d is missing"},
		{of4("mamba", reshaped("blk.0.ssm_a", 1, 336)), "blk.0.ssm_a has shape [1 336]"},
		{of4("mamba", reshaped("blk.0.ssm_dt.weight", 24, 335)), "blk.0.ssm_dt.weight has shape [24 335]"},
		{of4("mamba", reshaped("blk.0.ssm_conv1d.weight", 4, 337)), "blk.0.ssm_conv1d.weight has shape [4 337]"},
		{of4("jamba", without("blk.0.ssm_dt_norm.weight")), "blk.0.ssm_dt_norm.weight is missing"},
		{of4("jamba", without("blk.1.ssm_b_norm.weight")), "blk.1.ssm_b_norm.weight is missing"},
		{of4("jamba", reshaped("blk.0.ssm_c_norm.weight", 15)), "blk.0.ssm_c_norm.weight has shape [15]"},
		{of4("jamba", nil, count("attention.head_count_kv", 2)), "blk.0.attn_q.weight is missing"},
		{of4("jamba", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, 0, 0})}), "blk.2.ssm_in.weight is missing"},
		{of4("jamba", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, 0, 3})}), "is 3, which does not divide"},
		{of4("jamba-experts", nil, count("expert_used_count", 7)), "jamba.expert_used_count is 7 of 6"},
		{of4("jamba-experts", without("blk.1.ffn_gate_inp.weight")), "blk.1.ffn_gate.weight is missing"},
		{of4("jamba-experts", reshaped("blk.1.ffn_gate_inp.weight", 128, 5)), "blk.1.ffn_gate_inp.weight has shape [128 5]"},
		{of4("jamba-experts", nil, count("expert_count", 0)), "blk.1.ffn_gate.weight is missing"},
		{of4("falcon-h1", nil, count("ssm.time_step_rank", 7)), "falcon-h1.ssm.time_step_rank is 7 heads, which do not divide"},
		{of4("falcon-h1", without("blk.1.ssm_conv1d.bias")), "blk.1.ssm_conv1d.bias is missing"},
		{of4("falcon-h1", without("blk.1.ffn_norm")), "blk.1.ffn_norm.weight is missing"},
		{of4("falcon-h1-norm", reshaped("blk.0.ssm_norm.weight", 256, 1)), "blk.0.ssm_norm.weight has shape [256 1]"},
		{of4("nemotron_h", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{0, 192, 192})}), "nemotron_h.feed_forward_length [2] is 192 in a layer that has attention"},
		{of4("nemotron_h", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{0, -1, 0})}), "nemotron_h.feed_forward_length [1] is -1: from 0"},
		{of4("nemotron_h", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{0, 0, 0})}), "blk.1.ssm_in.weight is missing"},
		{of4("nemotron_h_moe", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, 2, 2})}), "nemotron_h_moe.feed_forward_length [1] is 96"},
		{of4("nemotron_h_moe", without("blk.1.ffn_down_exps.weight")), "blk.1.ffn_down_exps.weight is missing"},
		{of4("nemotron_h_moe-latent", without("blk.1.ffn_latent_down.weight")), "blk.1.ffn_latent_down.weight is missing"},
		{of4("nemotron_h_moe-latent", without("blk.1.ffn_latent_up.weight")), "blk.1.ffn_latent_up.weight is missing"},
		{of4("nemotron_h_moe-latent", nil, count("moe_latent_size", 0)), "blk.1.ffn_up_exps.weight has shape [64 96 6]"},
		{of4("nemotron_h_moe-latent", nil, count("moe_latent_size", 128)), "blk.1.ffn_latent_down.weight has shape [128 64]"},
		{of4("nemotron_h_moe-latent", nil, count("moe_latent_size", 1<<25)), "nemotron_h_moe.moe_latent_size"},
		{of4("qwen35", nil, count("ssm.conv_kernel", 17)), "qwen35.ssm.conv_kernel is 17: from 2 to 16"},
		{of4("qwen35", nil, count("ssm.state_size", 1025)), "qwen35.ssm.state_size is 1025: up to 1024"},
		{of4("qwen35", nil, count("ssm.inner_size", 127)), "qwen35.ssm.inner_size is 127, but there are 4 heads of 32"},
		{of4("qwen35", nil, count("ssm.group_count", 3)), "qwen35.ssm.group_count is 3, which does not divide the 4 heads"},
		{of4("qwen35", nil, count("ssm.group_count", 0)), "qwen35.ssm.group_count is 0"},
		{of4("qwen35", nil, count("ssm.group_count", 1)), "blk.0.attn_qkv.weight has shape [128 256]"},
		{of4("qwen35", nil, count("ssm.state_size", 1024), count("ssm.time_step_rank", 1<<23), count("ssm.inner_size", 1<<24)), "qwen35.ssm.inner_size is 16777216, but there are"},
		{of4("qwen35", nil, count("full_attention_interval", 2)), "blk.1.attn_q"},
		{of4("qwen35", nil, count("attention.value_length", 32)), "qwen35.attention.value_length is 32, but has to be that of keys, 48"},
		{of4("qwen35", nil, gguf.KV{Key: "llama.attention.recurrent_layers", Value: gguf.ArrayOf([]bool{true})}), "qwen35.attention.recurrent_layers has 1 elements"},
		{of4("qwen35", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ValueOf(absent)}), "qwen35.feed_forward_length is missing"},
		{of4("qwen35", without("blk.0.ssm_beta.weight")), "blk.0.ssm_beta.weight is missing"},
		{of4("qwen35", reshaped("blk.1.ssm_a", 8)), "blk.1.ssm_a has shape [8]"},
		{of4("qwen3next-first", reshaped("blk.0.ssm_in.weight", 128, 383)), "blk.0.ssm_in.weight has shape [128 383]"},
		{of4("qwen35moe", nil, gguf.KV{Key: "llama.expert_feed_forward_length", Value: gguf.ValueOf(absent)}), "qwen35moe.expert_feed_forward_length is 0"},
		{of4("gemma4", nil, count("attention.shared_kv_layers", 4)), "gemma4.attention.shared_kv_layers is 4 of 4 layers"},
		{of4("gemma4", nil, count("attention.shared_kv_layers", 1)), "gemma4.attention.shared_kv_layers is 1: layer 2 has"},
		{of4("gemma4", nil, count("attention.key_length_swa", 0)), "gemma4.attention.key_length_swa is 0"},
		{of4("gemma4", nil, count("rope.dimension_count_swa", 34)), "gemma4.rope.dimension_count is 34"},
		{of4("gemma4", reshaped("per_layer_token_embd.weight", 96, 63)), "per_layer_token_embd.weight has shape [96 63]"},
		{of4("gemma4", reshaped("blk.0.layer_output_scale.weight", 2)), "blk.0.layer_output_scale.weight has shape [2]"},
		{of4("gemma4-experts", reshaped("blk.1.ffn_gate_up_exps.weight", 128, 191, 6)), "blk.1.ffn_gate_up_exps.weight has shape [128 191 6]"},
		{of4("gemma4-experts", without("blk.3.ffn_gate_inp.scale")), "blk.3.ffn_gate_inp.scale is missing"},
		{streams(nil, count("altup.num_inputs", 0)), "gemma3n.altup.num_inputs is 0"},
		{streams(nil, count("altup.num_inputs", 1)), "gemma3n.altup.num_inputs is 1: from 2 to 16"},
		{streams(nil, count("altup.num_inputs", 17)), "gemma3n.altup.num_inputs is 17: from 2 to 16"},
		{streams(nil, count("altup.num_inputs", 1<<24)), "gemma3n.altup.num_inputs is 16777216: from 2"},
		{streams(nil, count("altup.num_inputs", 4)), "altup_proj.weight has shape [64 64 2]"},
		{streams(nil, count("altup.active_idx", 3)), "gemma3n.altup.active_idx is 3 of 3 streams"},
		{streams(nil, count("embedding_length_per_layer_input", 0)), "gemma3n.embedding_length_per_layer_input is 0"},
		{streams(nil, number("attention.shared_kv_layers", 1.5)), "gemma3n.attention.shared_kv_layers is 1.5, which is no whole number"},
		{streams(nil, number("attention.shared_kv_layers", 1e30)), "gemma3n.attention.shared_kv_layers is 1.0000000150474662e+30: from 0 to"},
		{streams(nil, number("attention.shared_kv_layers", float32(math.NaN()))), "gemma3n.attention.shared_kv_layers is NaN"},
		{streams(nil, count("attention.shared_kv_layers", 4)), "gemma3n.attention.shared_kv_layers is 4 of 5 layers"},
		{streams(nil, count("attention.shared_kv_layers", 6)), "gemma3n.attention.shared_kv_layers is 6 of 5 layers"},
		{streams(nil, count("attention.shared_kv_layers", 1)), "gemma3n.attention.shared_kv_layers is 1: layer 3 has"},
		{streams(nil, sparse(1, 2)), "gemma3n.activation_sparsity_scale has 2 elements, but there are 5 layers"},
		{streams(nil, sparse(1, 2, 3, float32(math.NaN()), 5)), "gemma3n.activation_sparsity_scale [3] is NaN: from -100"},
		{streams(nil, sparse(1, float32(math.Inf(1)), 3, 4, 5)), "gemma3n.activation_sparsity_scale [1] is +Inf"},
		{streams(nil, gguf.KV{Key: "llama.activation_sparsity_scale", Value: gguf.ArrayOf([]string{"a"})}), "gemma3n.activation_sparsity_scale"},
		{streams(without("altup_unembd_proj.weight")), "altup_unembd_proj.weight is missing"},
		{streams(without("blk.4.altup_router_norm.weight")), "blk.4.altup_router_norm.weight is missing"},
		{streams(without("blk.1.laurel_l.weight")), "blk.1.laurel_l.weight is missing"},
		{streams(without("blk.1.laurel_r.weight")), "blk.1.laurel_r.weight is missing"},
		{streams(without("blk.2.inp_gate.weight")), "blk.2.inp_gate.weight is missing"},
		{streams(reshaped("altup_proj.weight", 64, 63, 2)), "altup_proj.weight has shape [64 63 2]"},
		{streams(reshaped("blk.0.altup_router.weight", 64, 4)), "blk.0.altup_router.weight has shape [64 4]"},
		{streams(reshaped("blk.0.altup_predict_coef.weight", 9, 3)), "blk.0.altup_predict_coef.weight has shape [9 3]"},
		{streams(reshaped("blk.0.altup_correct_coef.weight", 3, 4)), "blk.0.altup_correct_coef.weight has shape [3 4]"},
		{streams(reshaped("blk.0.altup_correct_scale.weight", 63)), "blk.0.altup_correct_scale.weight has shape [63]"},
		{streams(reshaped("blk.3.laurel_l.weight", 64)), "blk.3.laurel_l.weight has shape [64], not [64 rank]"},
		{streams(reshaped("blk.3.laurel_r.weight", 25, 64)), "blk.3.laurel_r.weight has shape [25 64]"},
		{streams(scaled), "blk.4.layer_output_scale.weight is not one that this program knows of architecture gemma3n"},
		{of4("kimi-linear", nil, count("kda.head_dim", 0)), "kimi-linear.kda.head_dim is 0"},
		{of4("kimi-linear", nil, count("kda.head_dim", 1025)), "kimi-linear.kda.head_dim is 1025: up to 1024"},
		{of4("kimi-linear", nil, count("attention.head_count", 1<<20)), "kimi-linear.kda.head_dim is 24, with 1048576 heads"},
		{of4("kimi-linear", nil, gguf.KV{Key: "llama.kda.head_dim", Value: gguf.ValueOf(absent)}), "kimi-linear.kda.head_dim is missing"},
		{of4("kimi-linear", nil, count("ssm.conv_kernel", 1)), "kimi-linear.ssm.conv_kernel is 1: from 2 to 16"},
		{of4("kimi-linear", nil, count("attention.head_count_kv", 1)), "blk.0.attn_q.weight has shape [128 96]"},
		{of4("kimi-linear", nil, gguf.KV{Key: "llama.attention.value_length_mla", Value: gguf.ValueOf(absent)}), "kimi-linear.attention.value_length_mla is missing"},
		{of4("kimi-linear", without("blk.1.ssm_f_b.weight")), "blk.1.ssm_f_b.weight is missing"},
		{of4("kimi-linear", without("blk.0.ssm_conv1d_k.weight")), "blk.0.ssm_conv1d_k.weight is missing"},
		{of4("kimi-linear", reshaped("blk.0.ssm_conv1d_v.weight", 4, 1, 95)), "blk.0.ssm_conv1d_v.weight has shape [4 1 95]"},
		{of4("kimi-linear", reshaped("blk.0.ssm_dt.bias", 4)), "blk.0.ssm_dt.bias has shape [4]"},
		{of4("kimi-linear", reshaped("blk.1.ssm_a", 8)), "blk.1.ssm_a has shape [8]"},
		{of4("kimi-linear", reshaped("blk.2.attn_k_b.weight", 64, 32, 4)), "blk.2.attn_k_b.weight has shape [64 32 4]"},
		{of4("llama4", nil, count("attention.sliding_window", 0)), "llama4.attention.sliding_window is 0"},
		{of4("llama4", nil, count("attention.chunk_size", 0)), "llama4.attention.chunk_size is 0"},
		{of4("llama4", nil, count("attention.chunk_size", 1<<30)), "llama4.attention.chunk_size"},
		{of4("llama4", nil, count("attention.temperature_length", 0)), "llama4.attention.temperature_length is 0"},
		{of4("llama4", nil, count("use_qk_norm", 2)), "llama4.use_qk_norm"},
		{of4("llama4", nil, count("interleave_moe_layer_step", 0)), "llama4.interleave_moe_layer_step is 0"},
		{of4("llama4", without("blk.3.ffn_up_shexp.weight")), "blk.3.ffn_up_shexp.weight is missing"},
		{of4("llama4", reshaped("blk.0.ffn_gate_inp.weight", 128, 5)), "blk.0.ffn_gate_inp.weight has shape [128 5]"},
		{of4("llama4-dense-too", reshaped("blk.1.ffn_down_shexp.weight", 64, 24)), "blk.1.ffn_down_shexp.weight has shape [64 24]"},
		{of4("rwkv7", nil, count("wkv.head_size", 0)), "rwkv7.wkv.head_size is 0"},
		{of4("rwkv7", nil, count("wkv.head_size", 1025)), "rwkv7.wkv.head_size is 1025: up to 1024"},
		{of4("rwkv7", nil, count("wkv.head_size", 40)), "rwkv7.wkv.head_size is 40, which does not divide the width of 192"},
		{of4("rwkv7", nil, gguf.KV{Key: "llama.wkv.head_size", Value: gguf.ValueOf(absent)}), "rwkv7.wkv.head_size is missing"},
		{of4("rwkv7", nil, count("token_shift_count", 1)), "rwkv7.token_shift_count is 1, but has to be 2"},
		{of4("arwkv7", nil, gguf.KV{Key: "llama.token_shift_count", Value: gguf.ValueOf(absent)}), "arwkv7.token_shift_count is 2, but has to be 1"},
		{of4("rwkv7", nil, gguf.KV{Key: "llama.attention.decay_lora_rank", Value: gguf.ValueOf(absent)}), "rwkv7.attention.decay_lora_rank is missing"},
		{of4("rwkv7", nil, count("attention.iclr_lora_rank", 21)), "blk.0.time_mix_a1.weight has shape [192 20]"},
		{of4("rwkv7", nil, count("attention.gate_lora_rank", 0)), "rwkv7.attention.gate_lora_rank is 0"},
		{of4("rwkv7", nil, count("feed_forward_length", 0)), "rwkv7.feed_forward_length is 0"},
		{of4("rwkv7", without("token_embd_norm.weight")), "token_embd_norm.weight is missing"},
		{of4("rwkv7", without("blk.2.attn_norm_2.weight")), "blk.2.attn_norm_2.weight is missing"},
		{of4("rwkv7", without("blk.1.time_mix_v1.weight")), "blk.1.time_mix_v1.weight is missing"},
		{of4("rwkv7", without("blk.1.time_mix_g2.weight")), "blk.1.time_mix_g2.weight is missing"},
		{of4("rwkv7", without("blk.1.time_mix_ln.weight")), "blk.1.time_mix_ln.weight is missing"},
		{of4("rwkv7", reshaped("blk.1.time_mix_lerp_fused.weight", 192, 1, 1, 5)), "blk.1.time_mix_lerp_fused.weight has shape [192 1 1 5]"},
		{of4("rwkv7", reshaped("blk.0.time_mix_r_k.weight", 191)), "blk.0.time_mix_r_k.weight has shape [191]"},
		{of4("rwkv7", without("blk.0.channel_mix_value.weight")), "blk.0.channel_mix_value.weight is missing"},
		{of4("arwkv7", reshaped("blk.2.time_mix_lerp_fused.weight", 192, 1, 1, 4)), "blk.2.time_mix_lerp_fused.weight has shape [192 1 1 4]"},
		{of4("arwkv7-gated", nil, count("attention.gate_lora_rank", 0)), "blk.0.time_mix_g1.weight has shape [128 40]"},
		{of4("rwkv6", nil, gguf.KV{Key: "llama.time_mix_extra_dim", Value: gguf.ValueOf(absent)}), "rwkv6.time_mix_extra_dim is missing"},
		{of4("rwkv6", nil, count("time_decay_extra_dim", 0)), "rwkv6.time_decay_extra_dim is 0"},
		{of4("rwkv6", without("blk.1.time_mix_lerp_fused.weight")), "blk.1.time_mix_lerp_w.weight is missing"},
		{of4("rwkv6-first", without("blk.1.time_mix_lerp_g.weight")), "blk.1.time_mix_lerp_g.weight is missing"},
		{of4("rwkv6", reshaped("blk.1.time_mix_w2.weight", 16, 192, 4)), "blk.1.time_mix_w2.weight has shape [16 192 4]"},
		{of4("rwkv6", without("blk.0.time_mix_first.weight")), "blk.0.time_mix_first.weight is missing"},
		{of4("rwkv6", without("blk.2.channel_mix_receptance.weight")), "blk.2.channel_mix_receptance.weight is missing"},
		{of4("rwkv6qwen2", nil, count("attention.head_count_kv", 3)), "rwkv6qwen2.attention.head_count_kv is 3, which does not divide the 4 heads"},
		{of4("rwkv6qwen2", nil, count("attention.head_count_kv", 1)), "blk.0.time_mix_key.weight has shape [256 128]"},
		{of4("rwkv6qwen2", without("blk.0.time_mix_lerp_fused.weight")), "blk.0.time_mix_lerp_fused.weight is missing"},
		{of4("afmoe", without("blk.1.attn_gate.weight")), "blk.1.attn_gate.weight is missing"},
		{of4("afmoe", reshaped("blk.0.attn_gate.weight", 128, 4)), "blk.0.attn_gate.weight has shape [128 4]"},
		{of4("afmoe", without("blk.3.post_ffw_norm.weight")), "blk.3.post_ffw_norm.weight is missing"},
		{of4("afmoe", nil, count("expert_shared_count", 0)), "blk.1.ffn_gate_shexp.weight is not one"},
		{of4("smallthinker", without("blk.2.ffn_gate_inp.weight")), "blk.2.ffn_gate_inp.weight is missing"},
		{of4("smallthinker", nil, count("expert_count", 0)), "blk.0.ffn_gate.weight is missing"},
		{of4("smallthinker", nil, pattern(true)), "smallthinker.attention.sliding_window_pattern has 1 elements"},
		{of4("apertus", nil, meta("xielu.alpha_p", absent)...), "xielu.alpha_p is missing"},
		{of4("apertus", nil, meta("xielu.alpha_n", float32(math.NaN()))...), "xielu.alpha_n is NaN"},
		{of4("apertus", nil, meta("xielu.alpha_n", "much")...), "xielu.alpha_n"},
		{of4("apertus", nil, meta("xielu.eps", float32(0.5))...), "xielu.eps is 0.5: from -1 to 0"},
		{of4("apertus", nil, gguf.KV{Key: "xielu.beta", Value: gguf.ArrayOf([]float32{1, 2})}), "xielu.beta has 2 elements, but there are 3 layers"},
		{of4("apertus", nil, gguf.KV{Key: "xielu.beta", Value: gguf.ArrayOf([]float32{1, float32(math.Inf(1)), 1})}), "xielu.beta [1] is +Inf"},
		{of4("apertus", nil, gguf.KV{Key: "xielu.beta", Value: gguf.ArrayOf([]string{"a"})}), "xielu.beta"},
		{of4("apertus", without("blk.2.attn_q_norm.weight")), "blk.2.attn_q_norm.weight is missing"},
		{of4("exaone-moe-nextn", nil, gguf.KV{Key: "llama.attention.sliding_window_pattern", Value: gguf.ArrayOf([]bool{true, true, false})}), "sliding_window_pattern has 3 elements, but there are 5 layers"},
		{of4("exaone-moe", without("blk.3.ffn_down_shexp.weight")), "blk.3.ffn_down_shexp.weight is missing"},
		{of4("exaone-moe", nil, count("attention.sliding_window_pattern", 1<<25)), "exaone-moe.attention.sliding_window_pattern"},
		{of4("mimo2", nil, number("attention.value_scale", 0)), "mimo2.attention.value_scale is 0"},
		{of4("mimo2", reshaped("blk.1.attn_sinks.weight", 5)), "blk.1.attn_sinks.weight has shape [5]"},
		{of4("mimo2", without("blk.1.ffn_gate_inp.weight")), "blk.1.ffn_gate.weight is missing"},
		{of4("mimo2", nil, count("attention.value_length", 48)), "blk.0.attn_v.weight has shape [128 32]"},
		{of4("mimo2-fused", reshaped("blk.0.attn_qkv.weight", 128, 351)), "blk.0.attn_qkv.weight has shape [128 351]"},
		{of4("step35", reshaped("blk.0.attn_gate.weight", 128, 5)), "blk.0.attn_gate.weight has shape [128 5]"},
		{of4("step35", reshaped("rope_freqs.weight", 8)), "rope_freqs.weight has shape [8]"},
		{of4("step35", nil, count("rope.dimension_count", 30)), "step35.rope.dimension_count is 15, but has to be even"},
		{of4("step35", nil, gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]int32{6, 4, 6, 0})}), "step35.attention.head_count [3] is 0"},
		{of4("step35", nil, gguf.KV{Key: "llama.swiglu_clamp_exp", Value: gguf.ArrayOf([]float32{0, 0, -1, 0})}), "step35.swiglu_clamp_exp [2] is -1: from 0"},
		{of4("step35", nil, gguf.KV{Key: "llama.swiglu_clamp_shexp", Value: gguf.ArrayOf([]float32{0, 0, 0})}), "step35.swiglu_clamp_shexp has 3 elements, but there are 4 layers"},
		{of4("step35", without("blk.2.ffn_up_shexp.weight")), "blk.2.ffn_up_shexp.weight is missing"},
		{of4("dbrx", without("blk.1.attn_output_norm.weight")), "blk.1.attn_output_norm.weight is missing"},
		{of4("dbrx", nil, number("attention.clamp_kqv", -1)), "dbrx.attention.clamp_kqv is -1"},
		{of4("mpt", nil, number("attention.max_alibi_bias", float32(math.Inf(1)))), "mpt.attention.max_alibi_bias is +Inf"},
		{of4("mpt", nil, number("attention.clamp_kqv", -1)), "mpt.attention.clamp_kqv is -1"},
		{of4("mpt-learned", reshaped("position_embd.weight", 128, 511)), "position_embd.weight has shape [128 511]"},
		{of4("bloom", without("token_embd_norm.weight")), "token_embd_norm.weight is missing"},
		{of4("bloom", reshaped("token_embd_norm.bias", 111)), "token_embd_norm.bias has shape [111]"},
		{of4("gpt2", without("position_embd.weight")), "position_embd.weight is missing"},
		{of4("gpt2", nil, count("context_length", 513)), "position_embd.weight has shape [128 512]"},
		{of4("starcoder", reshaped("position_embd.weight", 127, 512)), "position_embd.weight has shape [127 512]"},
		{of4("codeshell-output", without("output.weight")), "output.weight is missing"},
		{of4("codeshell-output", reshaped("output.weight", 127, 64)), "output.weight has shape [127 64]"},
		{of4("openelm", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]uint32{1, 3, 2})}), "openelm.attention.head_count_kv is 3, which does not divide the 4 heads"},
		{of4("openelm", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]uint32{96, 0, 192})}), "openelm.feed_forward_length [1] is 0"},
		{of4("openelm", nil, gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]uint32{3, 6, 6})}), "blk.1.attn_qkv.weight has shape [128 256]"},
		{of4("plamo", without("blk.2.attn_norm.weight")), "blk.2.attn_norm.weight is missing"},
		{of4("jais2", without("blk.1.ffn_up.weight")), "blk.1.ffn_up.weight is missing"},
		{of4("deci", nil, gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]int32{4, 4, 0, 0, 0})}), "deci.attention.head_count [4] is 0, but there are 1 heads of keys and values"},
		{of4("deci", nil, gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]int32{4, 4, 0, 0, -1})}), "deci.attention.head_count [4] is -1: from 0"},
		{of4("deci", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{3, 0, 0, 0, 1})}), "is 3, which does not divide the 4 heads"},
		{of4("deci", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{0, 96, 128, 0, 192})}), "deci.feed_forward_length [0] is 0 in a layer that has attention, which is not supported"},
		{of4("deci", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{192, 0, 128, 0, 192})}), "deci.feed_forward_length [1] is 0 in a layer that has a matrix in place of attention, which is not supported"},
		{of4("deci", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ArrayOf([]int32{192, 96, 128, 32, 192})}), "blk.3.ffn_norm.weight is missing"},
		{of4("deci", without("blk.1.attn_output.weight")), "blk.1.attn_output.weight is missing"},
		{of4("deci", reshaped("blk.1.attn_output.weight", 128, 127)), "blk.1.attn_output.weight has shape [128 127]"},
		{of4("deci", nil, gguf.KV{Key: "llama.attention.head_count_kv", Value: gguf.ArrayOf([]int32{0, 0, 0, 0, 0})}), "deci.attention.head_count_kv is 0 in all layers"},
		{of4("deci", nil, count("attention.head_count", 0)), "deci.attention.head_count is 0"},
		{of4("bitnet", without("blk.1.attn_sub_norm.weight")), "blk.1.attn_sub_norm.weight is missing"},
		{of4("bitnet", reshaped("blk.0.ffn_sub_norm.weight", 128)), "blk.0.ffn_sub_norm.weight has shape [128]"},
		{of4("bitnet", reshaped("blk.2.ffn_up.scale", 2)), "blk.2.ffn_up.scale has shape [2]"},
		{of4("bitnet", reshaped("blk.2.ffn_gate.scale", 1)), "blk.2.ffn_gate.scale is 0: from 1e-09"},
		{of4("bitnet", renamed("blk.1.attn_v.scale", "blk.1.attn_v.bias", 64)), "blk.1.attn_v.bias is not supported in this architecture"},
		{of4("refact", nil, gguf.KV{Key: "llama.feed_forward_length", Value: gguf.ValueOf(absent)}), "refact.feed_forward_length is missing"},
		{of4("baichuan-13b", nil, number("attention.max_alibi_bias", -1)), "baichuan.attention.max_alibi_bias is -1"},
		{of4("baichuan-13b", nil, number("attention.max_alibi_bias", float32(math.NaN()))), "baichuan.attention.max_alibi_bias is NaN"},
		{of4("baichuan-13b", nil, gguf.KV{Key: "llama.attention.max_alibi_bias", Value: gguf.ValueOf("8")}), "baichuan.attention.max_alibi_bias"},
		{with("olmo2", nil, gguf.KV{Key: "llama.attention.head_count", Value: gguf.ArrayOf([]uint32{4, 8})}), "in layer 1 and 64 in the first"},
	} {
		f, err := gguf.Parse(c.model.file(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(f, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// Lists of layers may leave out the blocks that guess, or not.
func TestListsMayLeaveOutWhatGuesses(t *testing.T) {
	r := recipeOf("apertus")
	r.meta = append(append(slices.Clone(r.meta), meta("llama.nextn_predict_layers", uint32(1))...), gguf.KV{Key: "xielu.beta", Value: gguf.ArrayOf([]float32{1, 2})})
	m := r.load(t, 1)
	if rows := forward(t, m, Step{m.NewKV(), []int32{0, 1, 2}, All}); len(m.layers) != 2 || len(rows) != 3 {
		t.Errorf("%d layers, %d rows", len(m.layers), len(rows))
	}
}

// FuzzLoad changes bytes anywhere in a small file of one of some families: an error
// or a model that computes, never a panic.
func FuzzLoad(f *testing.F) {
	var files [][]byte
	for _, architecture := range []string{"", "gemma3", "olmo2", "phi3", "qwen3moe"} {
		r := tiny{name: "fuzz", dim: 32, layers: 1, heads: 4, kvHeads: 2, ffn: 32, vocab: 32, context: 64, matrices: gguf.F16, architecture: architecture}
		if architecture == "qwen3moe" {
			r.experts = 3
			r.meta = append(meta("llama.expert_count", uint32(3)), meta("llama.expert_used_count", uint32(2))...)
		}
		files = append(files, r.file(f))
	}
	for _, r := range recipes {
		switch r.name {
		case "gpt-oss", "deepseek2", "deepseek2-lite", "falcon-two-norms", "stablelm-parallel", "gemma4", "lfm2", "granitehybrid", "qwen35", "qwen3next-first", "falcon-h1", "nemotron_h_moe", "mamba-norms", "jamba-experts", "llama4", "kimi-linear", "afmoe", "smallthinker", "apertus", "mimo2", "step35", "nemotron_h_moe-latent", "mpt-learned", "refact", "deci", "bitnet":
			r.dim, r.ffn, r.vocab, r.matrices = 32, 32, 32, gguf.F16
			if !slices.Contains([]string{"gemma4", "lfm2", "granitehybrid", "qwen35", "nemotron_h_moe", "jamba-experts", "llama4", "kimi-linear", "apertus", "nemotron_h_moe-latent", "mimo2", "step35", "afmoe", "deci"}, r.name) {
				r.layers = 2
			}
			files = append(files, r.file(f))
		}
	}
	for _, r := range otherHeads() {
		r.dim, r.ffn, r.vocab, r.headDim, r.matrices = 8*r.heads, 32, 32, 8, gguf.F16
		r.meta = append(r.meta, meta("llama.wkv.head_size", uint32(8))...)
		files = append(files, r.file(f))
	}
	few := fewStreams()
	few.dim, few.ffn, few.vocab, few.matrices = 32, 32, 32, gguf.F16
	files = append(files, few.file(f))
	f.Add(uint8(0), uint32(30), []byte{1})
	f.Add(uint8(0), uint32(400), []byte{0xff, 0xff, 0xff, 0xff})
	for i, data := range files {
		f.Add(uint8(i), uint32(len(data)-100), []byte{0, 0x7c, 0, 0x7e}) // infinity and NaN among the weights
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint32, change []byte) {
		b := bytes.Clone(files[int(which)%len(files)])
		copy(b[int(at)%len(b):], change)
		file, err := gguf.Parse(b)
		if err != nil {
			return
		}
		m, err := Load(file, Options{Threads: 1})
		if err != nil {
			return
		}
		defer m.Close()
		if m.config.Dim > 1<<10 || m.config.Context < 3 {
			return
		}
		if _, err := m.Forward([]Step{{m.NewKV(), []int32{0, 1, 2}, All}}); err != nil && m.config.Vocab >= 3 {
			t.Fatal(err)
		}
	})
}
