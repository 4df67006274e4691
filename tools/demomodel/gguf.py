"""Writing the model as GGUF version 3 (weights Q8_0, norms F32) and reading it back."""

import struct

import numpy as np

from bpe import CONTROL, END, STOP
from model import MATRICES

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
ALIGN = 32
TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
DESCRIPTION = ("A small demo model that shows what chat formats and system messages do. Trained from nothing by Parley's tools/demomodel "
               "on conversations that the tool itself writes.")


def metadata(cfg, tok):
    types = [3 if t in CONTROL else 1 for t in tok.tokens]
    return [
        ("general.architecture", STRING, "llama"), ("general.type", STRING, "model"), ("general.name", STRING, "Parley demo"),
        ("general.description", STRING, DESCRIPTION), ("general.license", STRING, "MIT"), ("general.languages", (ARRAY, STRING), ["en"]),
        ("general.file_type", U32, 7), ("general.quantization_version", U32, 2), ("general.sampling.temp", F32, 0.0),
        ("llama.context_length", U32, cfg.context), ("llama.embedding_length", U32, cfg.width), ("llama.block_count", U32, cfg.layers),
        ("llama.feed_forward_length", U32, cfg.hidden), ("llama.attention.head_count", U32, cfg.heads),
        ("llama.attention.head_count_kv", U32, cfg.kv_heads), ("llama.attention.layer_norm_rms_epsilon", F32, cfg.eps),
        ("llama.rope.dimension_count", U32, cfg.head), ("llama.rope.freq_base", F32, cfg.rope_base), ("llama.vocab_size", U32, cfg.vocab),
        ("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "gpt-2"), ("tokenizer.ggml.tokens", (ARRAY, STRING), tok.tokens),
        ("tokenizer.ggml.token_type", (ARRAY, I32), types), ("tokenizer.ggml.merges", (ARRAY, STRING), [f"{a} {b}" for a, b in tok.merges]),
        ("tokenizer.ggml.bos_token_id", U32, END), ("tokenizer.ggml.eos_token_id", U32, STOP), ("tokenizer.ggml.padding_token_id", U32, END),
        ("tokenizer.ggml.add_bos_token", BOOL, False), ("tokenizer.chat_template", STRING, TEMPLATE),
    ]


def _string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def _value(kind, v):
    if isinstance(kind, tuple):
        return struct.pack("<IQ", kind[1], len(v)) + b"".join(_value(kind[1], x) for x in v)
    return {U32: lambda: struct.pack("<I", v), I32: lambda: struct.pack("<i", v), F32: lambda: struct.pack("<f", v),
            BOOL: lambda: struct.pack("<?", v), STRING: lambda: _string(v)}[kind]()


def q8_0(w):
    """Blocks of 32 along a row: a half-precision scale and 32 signed bytes."""
    x = np.asarray(w, np.float32).reshape(-1, 32)
    scale = np.abs(x).max(1, keepdims=True) / 127
    q = np.rint(np.divide(x, scale, out=np.zeros_like(x), where=scale > 0)).astype(np.int8)
    out = np.empty(len(x), np.dtype([("d", "<f2"), ("q", "i1", 32)]))
    out["d"], out["q"] = scale[:, 0], q
    return out.tobytes()


def interleave(w, heads):
    """Rows of q or k from rotary pairs (i, i + half) to GGUF's (2i, 2i+1)."""
    rows, cols = w.shape
    return w.reshape(heads, 2, rows // heads // 2, cols).transpose(0, 2, 1, 3).reshape(rows, cols)


def write(path, cfg, tok, p):
    tensors = []
    for name, w in p.items():
        w = np.asarray(w, np.float32)
        if name.endswith("attn_q"):
            w = interleave(w, cfg.heads)
        elif name.endswith("attn_k"):
            w = interleave(w, cfg.kv_heads)
        quantised = name.endswith((*MATRICES, "token_embd", "output"))
        tensors.append((name + ".weight", w.shape[::-1], 8 if quantised else 0, q8_0(w) if quantised else w.tobytes()))
    keys = metadata(cfg, tok)
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)))
    for k, kind, v in keys:
        out += _string(k) + struct.pack("<I", kind[0] if isinstance(kind, tuple) else kind) + _value(kind, v)
    offset = 0
    for name, shape, kind, data in tensors:
        out += _string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)
        offset += -(-len(data) // ALIGN) * ALIGN
    out += bytes(-len(out) % ALIGN)
    for *_, data in tensors:
        out += data + bytes(-len(data) % ALIGN)
    with open(path, "wb") as f:
        f.write(out)


def read(path):
    """Metadata and the weights as float32 arrays [outputs, inputs]."""
    with open(path, "rb") as f:
        data = f.read()
    at = 4

    def take(form):
        nonlocal at
        v = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return v[0]

    def string():
        nonlocal at
        n = take("Q")
        at += n
        return data[at - n:at].decode()

    def value(kind):
        if kind == STRING:
            return string()
        if kind == ARRAY:
            inner, n = take("I"), take("Q")
            return [value(inner) for _ in range(n)]
        return take({U32: "I", I32: "i", F32: "f", BOOL: "?"}[kind])

    assert data[:4] == b"GGUF" and take("I") == 3
    count, n = take("Q"), take("Q")
    keys = {}
    for _ in range(n):
        k = string()
        keys[k] = value(take("I"))
    infos = []
    for _ in range(count):
        name = string()
        shape = [take("Q") for _ in range(take("I"))]
        infos.append((name, shape[::-1], take("I"), take("Q")))
    start = -(-at // ALIGN) * ALIGN
    weights = {}
    for name, shape, kind, offset in infos:
        size = int(np.prod(shape))
        if kind == 0:
            w = np.frombuffer(data, "<f4", size, start + offset)
        else:
            blocks = np.frombuffer(data, np.dtype([("d", "<f2"), ("q", "i1", 32)]), size // 32, start + offset)
            w = blocks["d"].astype(np.float32)[:, None] * blocks["q"].astype(np.float32)
        weights[name.removesuffix(".weight")] = w.reshape(shape)
    return keys, weights
