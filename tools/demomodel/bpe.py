"""Byte-level byte-pair encoding in GPT-2's manner: training, encoding, decoding."""

import collections
import heapq
import json

import regex

# GPT-2's pre-tokenizer; llama.cpp has it under the name "gpt-2".
SPLIT = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END, START, STOP = 0, 1, 2


def byte_spelling():
    """GPT-2's printable character for each of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + extra)
            extra += 1
    return table


SPELL = byte_spelling()


def train(texts, size):
    """Merges (pairs of spelled tokens) that fill a vocabulary of the given size."""
    counts = collections.Counter()
    for text in texts:
        counts.update(SPLIT.findall(text))
    words = [([SPELL[b] for b in w.encode()], c) for w, c in sorted(counts.items())]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, (word, c) in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += c
            where[pair].add(i)
    heap = [(-c, p) for p, c in pairs.items()]
    heapq.heapify(heap)
    merges, seen = [], set(SPELL.values())
    while len(CONTROL) + len(seen) < size:
        c, pair = heapq.heappop(heap)
        if -c != pairs[pair]:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        merges.append(pair)
        joined = pair[0] + pair[1]
        seen.add(joined)
        touched = set()
        for i in sorted(where.pop(pair)):
            word, n = words[i]
            for p in zip(word, word[1:]):
                pairs[p] -= n
            word[:] = merge(word, pair, joined)
            for p in zip(word, word[1:]):
                pairs[p] += n
                where[p].add(i)
                touched.add(p)
        for p in touched:
            heapq.heappush(heap, (-pairs[p], p))
    return merges


def merge(word, pair, joined):
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and word[i] == pair[0] and word[i + 1] == pair[1]:
            out.append(joined)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:
    """Encodes and decodes; ids: control tokens, then the 256 bytes, then the merges in order."""

    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.tokens = CONTROL + [SPELL[b] for b in range(256)]
        known = set(self.tokens)
        for a, b in self.merges:
            if a + b not in known:
                known.add(a + b)
                self.tokens.append(a + b)
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.cache = {}
        self.bytes = {c: b for b, c in SPELL.items()}

    def piece(self, text):
        """Ids of one pre-token."""
        found = self.cache.get(text)
        if found is None:
            word = [SPELL[b] for b in text.encode()]
            while len(word) > 1:
                best = min(zip(word, word[1:]), key=lambda p: self.rank.get(p, 1 << 30))
                if best not in self.rank:
                    break
                word = merge(word, best, best[0] + best[1])
            found = [self.ids[t] for t in word]
            if len(self.cache) < 500_000:
                self.cache[text] = found
        return found

    def encode(self, text):
        """Ids of plain text; control tokens in it are text."""
        return [i for w in SPLIT.findall(text) for i in self.piece(w)]

    def encode_marked(self, text):
        """Ids of text in which the control tokens' spellings stand for the control tokens."""
        out = []
        for part in regex.split(r"(<\|endoftext\|>|<\|im_start\|>|<\|im_end\|>)", text):
            out += [CONTROL.index(part)] if part in CONTROL else self.encode(part)
        return out

    def decode(self, ids):
        out = bytearray()
        for i in ids:
            if i >= len(CONTROL):
                out += bytes(self.bytes[c] for c in self.tokens[i])
            else:
                out += CONTROL[i].encode()
        return out.decode(errors="replace")

    def save(self, path):
        with open(path, "w") as f:
            json.dump(self.merges, f, ensure_ascii=False)

    @classmethod
    def load(cls, path):
        with open(path) as f:
            return cls(json.load(f))
