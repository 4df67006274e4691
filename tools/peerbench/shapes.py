#!/usr/bin/env python3
"""Write models of random weights in the shapes of known ones, with fewer layers where noted, to be measured, not talked to.

usage: shapes.py VOCAB_DIR OUT_DIR [NAME …]

VOCAB_DIR holds ggml-vocab-gpt-2.gguf and ggml-vocab-llama-spm.gguf, whose tokens come first in vocabularies that are
filled up with made-up words. Blocks of the types are random bits under scales that keep activations sane. The types are
those of the files that people download: Q4_K_M, with what stands in where rows are no multiple of 256, and MXFP4 beside
Q8_0 for gpt-oss. Needs numpy and gguf (Python packages).
"""
import os
import sys

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGUFReader, GGUFWriter

rng = np.random.default_rng(1)
POOL = rng.integers(0, 256, 64 << 20, dtype=np.uint8)


def bits(rows, blocks, size):
    """Random blocks; large tensors repeat the same 64 MB, from a place of their own on."""
    n, at = rows * blocks * size, int(rng.integers(0, 1 << 20))
    return np.resize(POOL[at:], n).reshape(rows, blocks, size)


def half(x):
    return np.frombuffer(np.float16(x).tobytes(), np.uint8)


def q4_k(rows, cols, s):
    b = bits(rows, cols // 256, 144)
    b[..., 0:2], b[..., 2:4] = half(s / 147), half(7.5 * s / 147)
    b[..., 4:12], b[..., 12:16] = 32, 0  # scales and minima of 32
    return b


def q5_0(rows, cols, s):
    b = bits(rows, cols // 32, 22)
    b[..., 0:2] = half(s / 9.2)
    return b


def q6_k(rows, cols, s):
    b = bits(rows, cols // 256, 210)
    b[..., 192:208], b[..., 208:210] = 32, half(s / 18.5 / 32)
    return b


def q8_0(rows, cols, s):
    b = bits(rows, cols // 32, 34)
    b[..., 0:2] = half(s / 74)
    return b


def mxfp4(rows, cols, s):
    b = bits(rows, cols // 32, 17)
    b[..., 0] = 127 + round(np.log2(s / 2.9))
    return b


MAKE = {T.Q4_K: q4_k, T.Q5_0: q5_0, T.Q6_K: q6_k, T.Q8_0: q8_0, T.MXFP4: mxfp4}


def kind(cols, better):
    """Q4_K_M's type of a matrix, and of one to which it gives more bits."""
    if cols % 256:
        return T.Q8_0 if better else T.Q5_0
    return T.Q6_K if better else T.Q4_K


def words(w, vocab_dir, vocab, spm):
    first = GGUFReader(os.path.join(vocab_dir, "ggml-vocab-llama-spm.gguf" if spm else "ggml-vocab-gpt-2.gguf"))
    field = first.fields["tokenizer.ggml.tokens"]
    tokens = [bytes(field.parts[i]) for i in field.data][:vocab]
    kinds = [int(first.fields["tokenizer.ggml.token_type"].parts[i][0]) for i in first.fields["tokenizer.ggml.token_type"].data]
    filled = vocab - len(tokens)
    tokens += [b"word%d" % i for i in range(filled)]
    w.add_tokenizer_model("llama" if spm else "gpt2")
    w.add_token_list(tokens)
    w.add_token_types(kinds + [1] * filled)
    if spm:
        scores = first.fields["tokenizer.ggml.scores"]
        w.add_token_scores([float(scores.parts[i][0]) for i in scores.data] + [-1e4] * filled)
        w.add_bos_token_id(1)
        w.add_eos_token_id(2)
    else:
        merges = first.fields["tokenizer.ggml.merges"]
        w.add_tokenizer_pre("gpt-2")
        w.add_token_merges([bytes(merges.parts[i]) for i in merges.data])
        w.add_bos_token_id(50256)
        w.add_eos_token_id(50256)


def write_rwkv7(path, vocab_dir, arch, vocab, dim, layers, head, ffn, ranks):
    w = GGUFWriter(path, arch)

    def matrix(name, rows, cols, t=T.Q4_K):
        w.add_tensor(name, MAKE[t](rows, cols, cols**-0.5).reshape(rows, -1), raw_dtype=t)

    def vector(name, n, value=1.0):
        w.add_tensor(name, np.full(n, value, np.float32))

    def norm(name):
        vector(name + ".weight", dim)
        vector(name + ".bias", dim, 0)

    w.add_name(os.path.basename(path))
    w.add_context_length(1048576)
    w.add_embedding_length(dim)
    w.add_block_count(layers)
    w.add_feed_forward_length(ffn)
    w.add_head_count(0)
    w.add_layer_norm_eps(1e-5)
    w.add_wkv_head_size(head)
    w.add_decay_lora_rank(ranks["w"])
    w.add_iclr_lora_rank(ranks["a"])
    w.add_value_residual_mix_lora_rank(ranks["v"])
    w.add_gate_lora_rank(ranks["g"])
    w.add_file_type(15)
    words(w, vocab_dir, vocab, False)
    matrix("token_embd.weight", vocab, dim)
    matrix("output.weight", vocab, dim, T.Q6_K)
    norm("token_embd_norm")
    norm("output_norm")
    for i in range(layers):
        p = f"blk.{i}."
        norm(p + "attn_norm")
        norm(p + "attn_norm_2")
        for name in ("receptance", "key", "value", "output"):
            matrix(p + f"time_mix_{name}.weight", dim, dim)
        for letter, rank in ranks.items():  # of which the first layer's have the rank of a where v is meant, and all are floats
            rank = ranks["a"] if letter == "v" and i == 0 else rank
            if letter != "g":
                vector(p + f"time_mix_{letter}0.weight", dim, 0)
            for number, shape in (("1", (rank, dim)), ("2", (dim, rank))):
                w.add_tensor(p + f"time_mix_{letter}{number}.weight", (rng.standard_normal(shape) * shape[1] ** -0.5).astype(np.float32))
        w.add_tensor(p + "time_mix_lerp_fused.weight", np.full((6, 1, 1, dim), 0.5, np.float32))
        for name in ("k_k", "k_a", "r_k"):
            vector(p + f"time_mix_{name}.weight", dim, 0.5)
        norm(p + "time_mix_ln")
        vector(p + "channel_mix_lerp_k.weight", dim, 0.5)
        matrix(p + "channel_mix_key.weight", ffn, dim)
        matrix(p + "channel_mix_value.weight", dim, ffn)
    finish(w, path)


def finish(w, path):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(path, os.path.getsize(path))


def write(path, vocab_dir, arch, vocab, dim, layers, heads, kv_heads, head, ffn, tied, base, spm=False, experts=(0, 0, 0), qk_norm=False, post_norms=False, mx=False, window=0, scan=None, shared=0, delta=None, channels=None):
    w = GGUFWriter(path, arch)

    def matrix(name, shape, t):
        cols = shape[-1]
        data = MAKE[t](int(np.prod(shape[:-1])), cols, cols**-0.5)
        w.add_tensor(name, data.reshape(*shape[:-1], -1), raw_dtype=t)

    def vector(name, n, value=1.0):
        w.add_tensor(name, np.full(n, value, np.float32))

    def attention(p, better, attn):
        matrix(p + "attn_q.weight", ((2 if delta else 1) * heads * head, dim), attn(dim, False))
        matrix(p + "attn_k.weight", (kv_heads * head, dim), attn(dim, False))
        matrix(p + "attn_v.weight", (kv_heads * head, dim), attn(dim, better))
        matrix(p + "attn_output.weight", (dim, heads * head), attn(heads * head, False))

    n_experts, used, expert_ffn = experts
    w.add_name(os.path.basename(path))
    w.add_context_length(32768)
    w.add_embedding_length(dim)
    w.add_block_count(layers)
    w.add_feed_forward_length(ffn)
    w.add_head_count(heads)
    hybrid = scan or channels
    w.add_head_count_kv([kv_heads if i in hybrid["attention"] else 0 for i in range(layers)] if hybrid else kv_heads)
    if scan:
        w.add_ssm_conv_kernel(4)
        w.add_ssm_inner_size(scan["inner"])
        w.add_ssm_state_size(scan["state"])
        w.add_ssm_time_step_rank(scan["heads"])
        w.add_ssm_group_count(1)
        w.add_rope_scaling_finetuned(False)
        w.add_logit_scale(1)
        w.add_expert_shared_feed_forward_length(shared)
    if channels:
        w.add_ssm_conv_kernel(4)
        w.add_ssm_inner_size(channels["inner"])
        w.add_ssm_state_size(channels["state"])
        w.add_ssm_time_step_rank(channels["rank"])
    if delta:
        w.add_ssm_conv_kernel(4)
        w.add_ssm_inner_size(delta["heads"] * delta["head"])
        w.add_ssm_state_size(delta["head"])
        w.add_ssm_time_step_rank(delta["heads"])
        w.add_ssm_group_count(delta["key_heads"])
        w.add_full_attention_interval(4)
        w.add_rope_dimension_count(64)
        w.add_rope_dimension_sections([11, 11, 10, 0])
    w.add_key_length(head)
    w.add_value_length(head)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(base)
    w.add_file_type(15)
    if n_experts:
        w.add_expert_count(n_experts)
        w.add_expert_used_count(used)
        w.add_expert_feed_forward_length(expert_ffn)
    if window:
        w.add_sliding_window(window)

    words(w, vocab_dir, vocab, spm)

    matrix("token_embd.weight", (vocab, dim), T.Q8_0 if mx else kind(dim, tied))
    vector("output_norm.weight", dim)
    if not tied:
        matrix("output.weight", (vocab, dim), T.Q8_0 if mx else kind(dim, True))
    for i in range(layers):
        p = f"blk.{i}."
        better = i < layers // 8 or i >= 7 * layers // 8 or (i - layers // 8) % 3 == 2  # as llama.cpp's mixture has it
        attn = (lambda cols, more=False: T.Q8_0) if mx else kind
        vector(p + "attn_norm.weight", dim)
        vector(p + ("post_attention_norm.weight" if mx or delta else "ffn_norm.weight"), dim)
        if scan and i not in scan["attention"]:
            inner, channels, n = scan["inner"], scan["inner"] + 2 * scan["state"], scan["heads"]
            matrix(p + "ssm_in.weight", (inner + channels + n, dim), attn(dim, False))
            w.add_tensor(p + "ssm_conv1d.weight", np.full((channels, 4), 0.5, np.float32))
            vector(p + "ssm_conv1d.bias", channels, 0)
            vector(p + "ssm_dt.bias", n, -2)
            w.add_tensor(p + "ssm_a", np.full((n, 1), -1, np.float32))
            w.add_tensor(p + "ssm_d", np.full((n, 1), 1, np.float32))
            w.add_tensor(p + "ssm_norm.weight", np.full((1, inner), 1, np.float32))
            matrix(p + "ssm_out.weight", (dim, inner), attn(inner, False))
        elif channels and i not in channels["attention"]:
            inner, n, rank = channels["inner"], channels["state"], channels["rank"]
            matrix(p + "ssm_in.weight", (2 * inner, dim), attn(dim, False))
            w.add_tensor(p + "ssm_conv1d.weight", np.full((inner, 4), 0.5, np.float32))
            vector(p + "ssm_conv1d.bias", inner, 0)
            matrix(p + "ssm_x.weight", (rank + 2 * n, inner), attn(inner, False))
            for name, size in (("dt", rank), ("b", n), ("c", n)):
                vector(p + f"ssm_{name}_norm.weight", size)
            matrix(p + "ssm_dt.weight", (inner, rank), attn(rank, False))
            vector(p + "ssm_dt.bias", inner, -2)
            w.add_tensor(p + "ssm_a", np.tile(-np.arange(1, n + 1, dtype=np.float32), (inner, 1)))
            vector(p + "ssm_d", inner)
            matrix(p + "ssm_out.weight", (dim, inner), attn(inner, False))
        elif delta and i % 4 < 3:
            inner, n = delta["heads"] * delta["head"], delta["heads"]
            channels = inner + 2 * delta["key_heads"] * delta["head"]
            matrix(p + "attn_qkv.weight", (channels, dim), attn(dim, False))
            matrix(p + "attn_gate.weight", (inner, dim), attn(dim, False))
            matrix(p + "ssm_beta.weight", (n, dim), T.Q8_0)
            matrix(p + "ssm_alpha.weight", (n, dim), T.Q8_0)
            w.add_tensor(p + "ssm_conv1d.weight", np.full((channels, 4), 0.5, np.float32))
            vector(p + "ssm_dt.bias", n, -2)
            vector(p + "ssm_a", n, -1)
            vector(p + "ssm_norm.weight", delta["head"])
            matrix(p + "ssm_out.weight", (dim, inner), attn(inner, False))
        else:
            attention(p, better, attn)
        if shared:
            matrix(p + "ffn_gate_shexp.weight", (shared, dim), kind(dim, False))
            matrix(p + "ffn_up_shexp.weight", (shared, dim), kind(dim, False))
            matrix(p + "ffn_down_shexp.weight", (dim, shared), kind(shared, better))
        if qk_norm and not (delta and i % 4 < 3):
            vector(p + "attn_q_norm.weight", head)
            vector(p + "attn_k_norm.weight", head)
        if post_norms:
            vector(p + "post_attention_norm.weight", dim)
            vector(p + "post_ffw_norm.weight", dim)
        if mx:
            for name, n in (("attn_q", heads * head), ("attn_k", kv_heads * head), ("attn_v", kv_heads * head), ("attn_output", dim)):
                vector(p + name + ".bias", n, 0.01)
            vector(p + "attn_sinks.weight", heads, 0)
        if not n_experts:
            matrix(p + "ffn_gate.weight", (ffn, dim), kind(dim, False))
            matrix(p + "ffn_up.weight", (ffn, dim), kind(dim, False))
            matrix(p + "ffn_down.weight", (dim, ffn), kind(ffn, better))
            continue
        w.add_tensor(p + "ffn_gate_inp.weight", (rng.standard_normal((n_experts, dim)) * dim**-0.5).astype(np.float32))
        for name, rows, cols, more in (("gate", expert_ffn, dim, False), ("up", expert_ffn, dim, False), ("down", dim, expert_ffn, better)):
            matrix(p + f"ffn_{name}_exps.weight", (n_experts, rows, cols), T.MXFP4 if mx else kind(cols, more))
            if mx:
                w.add_tensor(p + f"ffn_{name}_exps.bias", np.zeros((n_experts, rows), np.float32))
        if mx:
            vector(p + "ffn_gate_inp.bias", n_experts, 0)
    finish(w, path)


SHAPES = {
    # all 16 layers
    "llama-3.2-1b": dict(arch="llama", vocab=128256, dim=2048, layers=16, heads=32, kv_heads=8, head=64, ffn=8192, tied=True, base=5e5),
    # all 28
    "qwen3-0.6b": dict(arch="qwen3", vocab=151936, dim=1024, layers=28, heads=16, kv_heads=8, head=128, ffn=3072, tied=True, base=1e6, qk_norm=True),
    # all 26
    "gemma-3-1b": dict(arch="gemma3", vocab=262144, dim=1152, layers=26, heads=4, kv_heads=1, head=256, ffn=6912, tied=True, base=1e6, spm=True, qk_norm=True, post_norms=True, window=512),
    # 6 of 48
    "qwen3-30b-a3b": dict(arch="qwen3moe", vocab=151936, dim=2048, layers=6, heads=32, kv_heads=4, head=128, ffn=6144, tied=False, base=1e6, qk_norm=True, experts=(128, 8, 768)),
    # all 24
    "qwen3.5-0.8b": dict(arch="qwen35", vocab=248320, dim=1024, layers=24, heads=8, kv_heads=2, head=256, ffn=3584, tied=True, base=1e7, qk_norm=True, delta=dict(heads=16, key_heads=16, head=128)),
    # 10 of 40, the experts as in all
    "granite-4.0-h-tiny": dict(arch="granitehybrid", vocab=100352, dim=1536, layers=10, heads=12, kv_heads=4, head=128, ffn=512, tied=True, base=1e4, experts=(64, 6, 512), shared=1024, scan=dict(attention={5}, inner=3072, state=128, heads=48)),
    # 14 of 28
    "jamba-reasoning-3b": dict(arch="jamba", vocab=65536, dim=2560, layers=14, heads=20, kv_heads=1, head=128, ffn=8192, tied=True, base=1e4, channels=dict(attention={7}, inner=5120, state=16, rank=160)),
    # 16 of 32
    "rwkv7-2.9b": dict(arch="rwkv7", vocab=65536, dim=2560, layers=16, head=64, ffn=10240, ranks=dict(w=96, a=96, v=64, g=320)),
    # 4 of 24
    "gpt-oss-20b": dict(arch="gpt-oss", vocab=201088, dim=2880, layers=4, heads=64, kv_heads=8, head=64, ffn=2880, tied=False, base=1.5e5, experts=(32, 4, 2880), mx=True, window=128),
}

if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for name in sys.argv[3:] or SHAPES:
        shape = SHAPES[name]
        (write_rwkv7 if shape["arch"] == "rwkv7" else write)(os.path.join(sys.argv[2], name + ".gguf"), sys.argv[1], **shape)
