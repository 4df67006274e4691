"""The model in JAX: llama's architecture as GGUF names it, with its own output matrix.

While training, the rotary pairs are (i, i + head/2), which a vector unit likes; the export reorders the rows of q and k
to GGUF's pairs (2i, 2i+1). Gathers are written so that their gradients are matrix products: scatters crawl on a CPU.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Config:
    vocab: int = 2048
    width: int = 256
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 384
    context: int = 4096
    rope_base: float = 50000.0
    eps: float = 1e-5

    @property
    def head(self):
        return self.width // self.heads


MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def init(cfg, seed):
    """Weights as GGUF holds them: a matrix is [outputs, inputs]."""
    rng = np.random.default_rng(seed)
    kv = cfg.kv_heads * cfg.head

    def matrix(rows, cols):
        return jnp.asarray(rng.normal(0, cols ** -0.5, (rows, cols)), jnp.float32)

    p = {"token_embd": jnp.asarray(rng.normal(0, 1.0, (cfg.vocab, cfg.width)), jnp.float32), "output_norm": jnp.ones(cfg.width)}
    for i in range(cfg.layers):
        p[f"blk.{i}.attn_norm"] = jnp.ones(cfg.width)
        p[f"blk.{i}.ffn_norm"] = jnp.ones(cfg.width)
        p[f"blk.{i}.attn_q"] = matrix(cfg.width, cfg.width)
        p[f"blk.{i}.attn_k"] = matrix(kv, cfg.width)
        p[f"blk.{i}.attn_v"] = matrix(kv, cfg.width)
        p[f"blk.{i}.attn_output"] = jnp.zeros((cfg.width, cfg.width))
        p[f"blk.{i}.ffn_gate"] = matrix(cfg.hidden, cfg.width)
        p[f"blk.{i}.ffn_up"] = matrix(cfg.hidden, cfg.width)
        p[f"blk.{i}.ffn_down"] = jnp.zeros((cfg.width, cfg.hidden))
    return scaffold(p, cfg, rng)


def scaffold(p, cfg, rng):
    """Lays a first path for copying into random weights, which training then shapes as it likes.

    Found by gradient alone, the pair of heads that copies takes most of a short training. So one dimension of the
    embedding is a constant; from it, block 0's first head looks one token back and its second two (rotary phases), and they
    leave what they saw beside the token's own embedding. In blocks 1 and 2 a head looks for a place whose predecessor
    is the current token and writes that place's token (Olsson et al., "In-context learning and induction heads").
    """
    p = {k: np.array(w) for k, w in p.items()}
    d, half, w = cfg.head, cfg.head // 2, cfg.width
    freq = cfg.rope_base ** (-np.arange(half) * 2.0 / d)
    table = p["token_embd"]
    table[:, 0] = 3.0
    p["output"] = 0.05 * table                       # at first a token's output is its embedding
    p["output"][:, 0] = 0.0
    level = 3.0 / np.sqrt((table ** 2).mean())     # of the constant after the norm
    scale = np.sqrt((table[:, 1:] ** 2).mean())

    def project(rows):
        q, _ = np.linalg.qr(rng.normal(size=(w - 1, rows)))
        return np.concatenate((np.zeros((1, rows)), q)).T.astype(np.float32)  # orthonormal rows that leave the constant out

    sharp = np.where(np.arange(half) < 14, np.sqrt(5.5 * d ** 0.5) / level, 0.0)
    p["blk.0.attn_k"][:d] *= 0.1
    p["blk.0.attn_k"][:half, 0] = sharp
    seen = project(d)                                # block 0: what of a token is carried on
    p["blk.0.attn_v"][:d] = seen
    places = [project(d), project(d)]
    for head in (0, 1):
        rows = slice(head * d, (head + 1) * d)
        p["blk.0.attn_q"][rows] *= 0.1
        p["blk.0.attn_q"][rows, 0] = np.concatenate((sharp * np.cos(freq * (head + 1)), -sharp * np.sin(freq * (head + 1))))
        p["blk.0.attn_output"][:, rows] = places[head].T * scale * 2
    slow = np.arange(14, half)                       # rotary pairs slow enough to compare what is far apart
    dims = np.concatenate((slow, slow + half))
    for block in (1, 2):
        for group in range(cfg.kv_heads):
            head = group * (cfg.heads // cfg.kv_heads)
            q, k, v = f"blk.{block}.attn_q", f"blk.{block}.attn_k", f"blk.{block}.attn_v"
            p[q][head * d:(head + 1) * d] *= 0.1
            p[k][group * d:(group + 1) * d] *= 0.1
            p[q][head * d + dims] += 3.0 * seen[:len(dims)]
            p[k][group * d + dims] += 3.0 * places[0][:len(dims)]
            out = project(d)
            p[v][group * d:(group + 1) * d] = out
            p[f"blk.{block}.attn_output"][:, head * d:(head + 1) * d] = out.T * scale * 6
    return {k: jnp.asarray(x, jnp.float32) for k, x in p.items()}


def norm(x, weight, eps):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + eps) * weight


def rotate(x, cos, sin):
    """x: [batch, time, heads, head]; cos and sin: [batch, time, 1, head/2]."""
    a, b = jnp.split(x, 2, -1)
    return jnp.concatenate((a * cos - b * sin, a * sin + b * cos), -1)


@jax.custom_vjp
def embed(table, tokens):
    return table[tokens]


def _embed_back(saved, g):
    table, tokens = saved
    hot = (tokens.reshape(-1)[:, None] == jnp.arange(table.shape[0])).astype(g.dtype)
    return hot.T @ g.reshape(-1, g.shape[-1]), None


embed.defvjp(lambda table, tokens: (table[tokens], (table, tokens)), _embed_back)


def forward(p, cfg, tokens, segments, positions):
    """Final hidden states [batch, time, width]; a token sees its own segment up to itself."""
    b, t = tokens.shape
    x = embed(p["token_embd"], tokens)
    freq = cfg.rope_base ** (-jnp.arange(0, cfg.head, 2) / cfg.head)
    angle = positions[..., None, None].astype(jnp.float32) * freq
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    order = jnp.arange(t)
    mask = (segments[:, :, None] == segments[:, None, :]) & (order[:, None] >= order[None, :])
    bias = jnp.where(mask, 0.0, -1e9)[:, None, None]
    group = cfg.heads // cfg.kv_heads
    for i in range(cfg.layers):
        w = lambda n: p[f"blk.{i}.{n}"]
        h = norm(x, w("attn_norm"), cfg.eps)
        q = rotate((h @ w("attn_q").T).reshape(b, t, cfg.heads, cfg.head), cos, sin)
        k = rotate((h @ w("attn_k").T).reshape(b, t, cfg.kv_heads, cfg.head), cos, sin)
        v = (h @ w("attn_v").T).reshape(b, t, cfg.kv_heads, cfg.head)
        q = q.reshape(b, t, cfg.kv_heads, group, cfg.head).transpose(0, 2, 3, 1, 4).reshape(b, cfg.kv_heads, group * t, cfg.head)
        k, v = k.transpose(0, 2, 1, 3), v.transpose(0, 2, 1, 3)
        s = (jnp.matmul(q * cfg.head ** -0.5, k.transpose(0, 1, 3, 2)).reshape(b, cfg.kv_heads, group, t, t) + bias)
        a = jax.nn.softmax(s, -1).reshape(b, cfg.kv_heads, group * t, t)
        o = jnp.matmul(a, v).reshape(b, cfg.kv_heads, group, t, cfg.head).transpose(0, 3, 1, 2, 4).reshape(b, t, cfg.width)
        x = x + o @ w("attn_output").T
        h = norm(x, w("ffn_norm"), cfg.eps)
        x = x + (jax.nn.silu(h @ w("ffn_gate").T) * (h @ w("ffn_up").T)) @ w("ffn_down").T
    return norm(x, p["output_norm"], cfg.eps)


def loss(p, cfg, batch):
    """Weighted cross entropy, and the share of fully weighted tokens that are predicted right."""
    tokens = batch["tokens"].astype(jnp.int32)
    h = forward(p, cfg, tokens[:, :-1], batch["segments"][:, :-1], batch["positions"][:, :-1])
    logits = h @ p["output"].T
    target = tokens[:, 1:]
    weight = batch["weights"][:, 1:] * (batch["segments"][:, 1:] == batch["segments"][:, :-1])
    ce = jax.nn.logsumexp(logits, -1) - jnp.sum(jnp.where(target[..., None] == jnp.arange(cfg.vocab), logits, 0.0), -1)
    sure = weight > 0.5
    right = jnp.sum(sure * (jnp.argmax(logits, -1) == target)) / jnp.maximum(jnp.sum(sure), 1)
    answer = jnp.sum(sure * ce) / jnp.maximum(jnp.sum(sure), 1)
    return jnp.sum(weight * ce) / jnp.sum(weight), (answer, right)


def orthogonal(g):
    """Newton-Schulz iterations toward the nearest matrix with singular values of one (Jordan's Muon coefficients)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[0] > g.shape[1]
    x = g.T if tall else g
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        y = x @ x.T
        x = a * x + (b * y + c * (y @ y)) @ x
    return x.T if tall else x


def optimiser_state(p):
    return {"m": jax.tree.map(jnp.zeros_like, p),
            "v": {k: jnp.zeros_like(w) for k, w in p.items() if not k.endswith(MATRICES)},
            "ema": jax.tree.map(lambda w: w + 0, p), "step": jnp.zeros((), jnp.int32)}


def update(p, s, grads, rate):
    """One step: Muon for the matrices, Adam for embeddings and norms; rate is 0 to 1, the schedule's height."""
    size = jnp.sqrt(sum(jnp.sum(g * g) for g in grads.values()))
    clip = jnp.minimum(1.0, 1.0 / (size + 1e-9))
    step = s["step"] + 1
    m, v, new = {}, {}, {}
    for k, w in p.items():
        g = grads[k] * clip
        if k in s["v"]:
            m[k] = 0.9 * s["m"][k] + 0.1 * g
            v[k] = 0.95 * s["v"][k] + 0.05 * g * g
            move = m[k] / (1 - 0.9 ** step) / (jnp.sqrt(v[k] / (1 - 0.95 ** step)) + 1e-8)
            new[k] = w - rate * (0.01 if k == "token_embd" else 0.003) * move
        else:
            m[k] = 0.95 * s["m"][k] + g
            move = orthogonal(g + 0.95 * m[k]) * max(1.0, w.shape[0] / w.shape[1]) ** 0.5
            new[k] = w * (1 - rate * 0.0005) - rate * 0.01 * move
    decay = jnp.minimum(0.98, step / (step + 20.0))
    ema = {k: decay * s["ema"][k] + (1 - decay) * new[k] for k in p}
    return new, {"m": m, "v": v, "ema": ema, "step": step}


def make_step(cfg):
    def step(p, s, batch, rate):
        (value, (answer, right)), grads = jax.value_and_grad(loss, has_aux=True)(p, cfg, batch)
        p, s = update(p, s, grads, rate)
        return p, s, jnp.stack((value, answer, right))
    return jax.jit(step, donate_argnums=(0, 1))
