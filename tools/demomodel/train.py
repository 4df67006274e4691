"""Training: tokenizer, then the model; both are functions of the seed. A checkpoint in the cache makes it resumable."""

import os
import pickle
import random
import time

import jax
import jax.numpy as jnp
import numpy as np
import regex

import bpe
import model
import shards
import text

SEED = 7275
BLOCK = 100            # steps that share one pack of rows; checkpoints fall on its ends
SHORT = (12, 256)      # rows and their length in a usual step
LONG = (3, 1024)       # in every eighth step
LONGER = (2, 2048)     # in every eighth step of the last part
DRILLED = 2            # so many blocks at first are half copying drills
DECAY = 0.3            # the rate is constant after the warm-up and falls to zero in this last part


def tokenizer(cache, cfg):
    """The tokenizer of the seed, from the cache or trained on text written now."""
    path = os.path.join(cache, "merges.json")
    if not os.path.exists(path):
        rng = random.Random(SEED)
        parts = [p for _ in range(12000) for p, _ in text.sample(rng)]
        pieces = [x for p in parts for x in regex.split(r"<\|[a-z_]+\|>", p)]
        bpe.Tokenizer(bpe.train(pieces, cfg.vocab)).save(path)
    return bpe.Tokenizer.load(path)


def block(tok, number, steps):
    """The batches of one block of steps, a function of the seed and the block's number."""
    late = number * BLOCK >= steps * (1 - DECAY)
    shape = LONGER if late else LONG
    count = sum(s % 8 == 7 for s in range(number * BLOCK, (number + 1) * BLOCK))
    short = shards.pack(tok, f"{SEED} short {number}", SHORT[0] * (BLOCK - count), SHORT[1], False, 0.3 if number < DRILLED else 0.03)
    long = shards.pack(tok, f"{SEED} long {number}", shape[0] * count, shape[1], True)
    a = b = 0
    for s in range(number * BLOCK, (number + 1) * BLOCK):
        if s % 8 == 7:
            rows, at = long, slice(b, b + shape[0])
            b += shape[0]
        else:
            rows, at = short, slice(a, a + SHORT[0])
            a += SHORT[0]
        yield s, {"tokens": rows["tokens"][at].astype(np.int32), "weights": rows["weights"][at].astype(np.float32),
                  "segments": rows["segments"][at], "positions": rows["positions"][at].astype(np.int32)}


def rate(step, steps):
    return min(1.0, (step + 1) / 100, (steps - step) / (DECAY * steps))


def save(path, p, s):
    with open(path + ".new", "wb") as f:
        pickle.dump(jax.tree.map(np.asarray, (p, s)), f)
    os.replace(path + ".new", path)


def load(path):
    """Weights and optimiser state; the average of the weights is in the state as "ema"."""
    with open(path, "rb") as f:
        return pickle.load(f)


def train(cache, cfg, steps, log):
    os.makedirs(cache, exist_ok=True)
    tok = tokenizer(cache, cfg)
    path = os.path.join(cache, "checkpoint.pickle")
    if os.path.exists(path):
        p, s = jax.tree.map(jnp.asarray, load(path))
    else:
        p = model.init(cfg, SEED)
        s = model.optimiser_state(p)
    first = int(s["step"]) // BLOCK
    step_of = model.make_step(cfg)
    lines = []
    if os.path.exists(log):  # what a broken run logged beyond its checkpoint is dropped
        with open(log) as f:
            lines = [x for x in f if int(x.split()[2]) <= first * BLOCK]
    with open(log, "w") as f:
        f.writelines(lines)
    began, tokens = time.time(), 0
    for number in range(first, steps // BLOCK):
        seen = []
        for at, batch in block(tok, number, steps):
            p, s, figures = step_of(p, s, batch, rate(at, steps))
            seen.append(figures)
            tokens += batch["tokens"].size
            if at % 20 == 19:
                now = np.mean(np.asarray(seen[-20:]), 0)
                line = (f"{time.strftime('%H:%M:%S')} step {at + 1} loss {now[0]:.4f} answers {now[1]:.4f} right {now[2]:.4f} "
                        f"rate {rate(at, steps):.3f} {tokens / (time.time() - began):.0f} tokens/s")
                print(line, flush=True)
                with open(log, "a") as f:
                    f.write(line + "\n")
        save(path, p, s)
