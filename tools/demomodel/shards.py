"""Token shards: conversations encoded, weighed and packed into rows of a fixed length."""

import random

import numpy as np
import regex

import text
from bpe import CONTROL, SPLIT, START

SPELLED = {c: i for i, c in enumerate(CONTROL)}


def encode(tok, parts):
    """Ids and loss weights of (text, weight) parts, tokenised as one string between control tokens."""
    whole = "".join(p for p, _ in parts)
    edges, at = [], 0
    for p, w in parts:
        at += len(p)
        edges.append((at, w))
    ids, weights, at, e = [], [], 0, 0

    def take(new, length):
        nonlocal at, e
        ids.extend(new)
        while edges[e][0] <= at:  # the weight of the part in which the piece begins
            e += 1
        weights.extend([edges[e][1]] * len(new))
        at += length

    for chunk in regex.split(r"(<\|endoftext\|>|<\|im_start\|>|<\|im_end\|>)", whole):
        if chunk in SPELLED:
            take([SPELLED[chunk]], len(chunk))
        else:
            for piece in SPLIT.findall(chunk):
                take(tok.piece(piece), len(piece))
    return ids, weights


def positions(rng, ids, context, gaps):
    """Consecutive positions; with gaps, jumps before some messages so that far distances are seen in short rows."""
    n = len(ids)
    pos = np.arange(n)
    if gaps and rng.random() < 0.15:
        starts = [i for i, t in enumerate(ids) if t == START and i] or [n // 2]
        room = context - n
        for i in rng.sample(starts, min(len(starts), rng.randint(1, 2))):
            jump = rng.randint(0, room)
            room -= jump
            pos[i:] += jump
    return pos


def pack(tok, seed, rows, length, long, drills=0.03, context=4096):
    """Arrays tokens, weights, segments, positions of shape [rows, length]."""
    rng = random.Random(seed)
    out = {"tokens": np.zeros((rows, length), np.uint16), "weights": np.zeros((rows, length), np.float16),
           "segments": np.zeros((rows, length), np.uint8), "positions": np.zeros((rows, length), np.uint16)}
    open_rows, done, free = [], 0, 0
    while done < rows:
        ids, weights = encode(tok, text.sample(rng, long and rng.random() < 0.8, drills))
        if len(ids) > length:
            if not long:
                continue
            ids, weights = ids[:length], weights[:length]
        fits = [r for r in open_rows if r[1] + len(ids) <= length]
        if fits:
            row = min(fits, key=lambda r: length - r[1])
        else:
            if len(open_rows) >= 24 or free >= rows:
                full = max(open_rows, key=lambda r: r[1])
                open_rows.remove(full)
                done += 1
            if free >= rows:
                continue
            row = [free, 0, 0]
            free += 1
            open_rows.append(row)
        r, at, seg = row
        n = len(ids)
        out["tokens"][r, at:at + n] = ids
        out["weights"][r, at:at + n] = weights
        out["segments"][r, at:at + n] = seg + 1
        out["positions"][r, at:at + n] = positions(rng, ids, context, not long)
        row[1] += n
        row[2] += 1
    return out
