"""The exported file run in NumPy: an independent, plain forward pass in float32 on the dequantised weights."""

import numpy as np

import gguf
from bpe import END, STOP, Tokenizer


class Reference:
    """A loaded model file with greedy generation."""

    def __init__(self, path):
        self.keys, self.w = gguf.read(path)
        k = self.keys
        self.layers, self.width = k["llama.block_count"], k["llama.embedding_length"]
        self.heads, self.kv = k["llama.attention.head_count"], k["llama.attention.head_count_kv"]
        self.head = self.width // self.heads
        self.eps = k["llama.attention.layer_norm_rms_epsilon"]
        self.context = k["llama.context_length"]
        angle = np.arange(self.context)[:, None] * k["llama.rope.freq_base"] ** (-np.arange(0, self.head, 2) / self.head)
        self.cos, self.sin = np.cos(angle).astype(np.float32)[:, None], np.sin(angle).astype(np.float32)[:, None]
        self.tok = Tokenizer(m.split(" ") for m in k["tokenizer.ggml.merges"])
        assert self.tok.tokens == k["tokenizer.ggml.tokens"]

    def norm(self, x, w):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * w

    def rotate(self, x, at):
        a, b = x[..., 0::2], x[..., 1::2]
        cos, sin = self.cos[at:at + len(x)], self.sin[at:at + len(x)]
        out = np.empty_like(x)
        out[..., 0::2], out[..., 1::2] = a * cos - b * sin, a * sin + b * cos
        return out

    def forward(self, ids, cache, every=False):
        """Logits after the last of the ids (after each of them with every); cache: a list that grows by what was seen."""
        w, n = self.w, len(ids)
        if not cache:
            cache.extend([None] * self.layers)
        at = 0 if cache[0] is None else len(cache[0][0])
        x = w["token_embd"][ids]
        for i in range(self.layers):
            b = f"blk.{i}."
            h = self.norm(x, w[b + "attn_norm"])
            q = self.rotate((h @ w[b + "attn_q"].T).reshape(n, self.heads, self.head), at)
            k = self.rotate((h @ w[b + "attn_k"].T).reshape(n, self.kv, self.head), at)
            v = (h @ w[b + "attn_v"].T).reshape(n, self.kv, self.head)
            if cache[i] is not None:
                k, v = np.concatenate((cache[i][0], k)), np.concatenate((cache[i][1], v))
            cache[i] = (k, v)
            seen = np.arange(len(k))[None] <= at + np.arange(n)[:, None]
            o = np.empty((n, self.heads, self.head), np.float32)
            for j in range(self.heads):
                g = j * self.kv // self.heads
                s = np.where(seen, q[:, j] @ k[:, g].T / self.head ** 0.5, -np.inf)
                s = np.exp(s - s.max(-1, keepdims=True))
                o[:, j] = (s / s.sum(-1, keepdims=True)) @ v[:, g]
            x = x + o.reshape(n, -1) @ w[b + "attn_output"].T
            h = self.norm(x, w[b + "ffn_norm"])
            gate = h @ w[b + "ffn_gate"].T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ w[b + "ffn_up"].T)) @ w[b + "ffn_down"].T
        x = self.norm(x if every else x[-1:], w["output_norm"])
        logits = x @ w["output"].T
        return logits if every else logits[0]

    def complete(self, prompt, limit=160, stop=None):
        """The greedy text after a prompt, and the smallest gap between the first and the second choice on the way."""
        cache, out, gap = [], [], np.inf
        logits = self.forward(self.tok.encode_marked(prompt), cache)
        while len(out) < limit:
            second, first = np.partition(logits, -2)[-2:]
            gap = min(gap, float(first - second))
            best = int(np.argmax(logits))
            if best in (STOP, END):
                break
            out.append(best)
            if stop and stop in self.tok.decode(out):
                break
            logits = self.forward([best], cache)
        return self.tok.decode(out), gap
