"""Computes what samplers make of logits, from their definitions, and writes
engine/testdata/samplers.json, which the engine's draws are compared with. It
shares no code with the engine. Usage: python3 tools/samplers/samplers.py

Sources: temperature, top-k; top-p (Holtzman et al., 2020); min-p (Nguyen et
al., 2024); locally typical sampling (Meister et al., 2023); top-n-sigma (Tang
et al., 2024); mirostat 2 (Basu et al., 2021); the repetition penalty (Keskar
et al., 2019); presence and frequency penalties (OpenAI's API reference); XTC
and DRY (p-e-w, text-generation-webui, 2024); dynamic temperature (kalomaze,
KoboldCpp, 2023). The usual order is llama.cpp's.
"""
import json
import math
import os
import random

VOCABULARY = 24
ENDS = [22]
BREAKER = 7  # the token whose text is DRY's breaker
USUAL = ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"]
CUTS = {"top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc"}


def softmax(logits):
    top = max(logits.values())
    weights = {t: math.exp(x - top) for t, x in logits.items()}
    total = math.fsum(weights.values())
    return {t: w / total for t, w in weights.items()}


def smallest_set(ranked, chances, share):
    """The first of the ranked tokens that have the share together."""
    kept, sum_ = [], 0.0
    for t in ranked:
        kept.append(t)
        sum_ += chances[t]
        if sum_ >= share:
            break
    return kept


def penalties(logits, p, prompt, generated):
    last = prompt + generated
    reach = p.get("RepetitionRange", 64)
    if reach >= 0:
        last = last[len(last) - reach:] if reach else []
    out = dict(logits)
    for t in set(last) & set(out):
        r = p.get("RepetitionPenalty", 1)
        out[t] = out[t] / r if out[t] > 0 else out[t] * r
    for t in set(generated) & set(out):
        out[t] -= p.get("PresencePenalty", 0) + p.get("FrequencyPenalty", 0) * generated.count(t)
    return out


def dry(logits, p, text):
    multiplier, base = p.get("DRYMultiplier", 0), p.get("DRYBase", 1.75)
    allowed, reach = p.get("DRYAllowedLength", 2), p.get("DRYRange", -1)
    if reach >= 0:
        text = text[max(0, len(text) - reach):]
    run = 0  # tokens behind the last breaker
    while run < len(text) and text[-1 - run] != BREAKER:
        run += 1
    out = dict(logits)
    for t in out:
        longest = 0
        for at in range(len(text)):
            if text[at] != t or t == BREAKER:
                continue
            n = 0
            while n < run and n < at and text[at - 1 - n] == text[len(text) - 1 - n]:
                n += 1
            longest = max(longest, n)
        if longest >= allowed and longest > 0:
            out[t] -= multiplier * base ** (longest - allowed)
    return out


def distribution(logits, steps, p, prompt, generated):
    if not steps:
        return softmax(logits)
    step, rest = steps[0], steps[1:]
    go_on = lambda left: distribution(left, rest, p, prompt, generated)
    if p.get("Mirostat") == 2 and step in CUTS:
        return go_on(logits)
    chances = softmax(logits)
    ranked = sorted(logits, key=lambda t: (-logits[t], t))
    best = ranked[0]
    only = lambda kept: go_on({t: logits[t] for t in kept})
    if step == "penalties":
        return go_on(penalties(logits, p, prompt, generated))
    if step == "dry":
        return go_on(dry(logits, p, prompt + generated))
    if step == "top_n_sigma":
        n = p.get("TopNSigma", 0)
        mean = math.fsum(logits.values()) / len(logits)
        sigma = math.sqrt(math.fsum((x - mean) ** 2 for x in logits.values()) / len(logits))
        return only([t for t in ranked if n <= 0 or logits[t] >= logits[best] - n * sigma])
    if step == "top_k":
        return only(ranked[: p.get("TopK") or len(ranked)])
    if step == "typ_p":
        if p.get("TypicalP", 1) >= 1:
            return go_on(logits)
        expected = -math.fsum(c * math.log(c) for c in chances.values())
        typical = sorted(logits, key=lambda t: abs(-math.log(chances[t]) - expected))
        return only(smallest_set(typical, chances, p["TypicalP"]))
    if step == "top_p":
        if p.get("TopP", 1) >= 1:
            return go_on(logits)
        return only(smallest_set(ranked, chances, p["TopP"]))
    if step == "min_p":
        return only([t for t in ranked if chances[t] >= p.get("MinP", 0) * chances[best]])
    if step == "xtc":
        q, threshold = p.get("XTCProbability", 0), p.get("XTCThreshold", 0.1)
        high = [t for t in ranked if chances[t] >= threshold]
        if q == 0 or threshold > 0.5 or len(high) < 2:
            return go_on(logits)
        without, taken = only(ranked), only([t for t in ranked if t not in high[:-1]])
        return {t: (1 - q) * without.get(t, 0) + q * taken.get(t, 0) for t in {*without, *taken}}
    if step == "temperature":
        heat, around = p.get("Temperature", 1), p.get("DynamicTemperatureRange", 0)
        if around > 0 and len(logits) > 1:
            doubt = -math.fsum(c * math.log(c) for c in chances.values()) / math.log(len(logits))
            low = max(0.0, heat - around)
            heat = low + (heat + around - low) * doubt ** p.get("DynamicTemperatureExponent", 1)
        if heat == 0:
            return only([best])
        return go_on({t: x / heat for t, x in logits.items()})
    raise ValueError(step)


def mirostat(chances, p):
    """The first draw: the bound is twice tau."""
    if p.get("Mirostat") != 2:
        return chances
    best = max(chances, key=lambda t: (chances[t], -t))
    kept = {t: c for t, c in chances.items() if t == best or -math.log2(c) <= 2 * p.get("MirostatTau", 5)}
    total = math.fsum(kept.values())
    return {t: c / total for t, c in kept.items()}


# Each group has cases of its own, before those that choose from all.
GROUPS = [
    ["Temperature"], ["TopK"], ["TopP"], ["MinP"], ["TypicalP"], ["TopNSigma"], ["DynamicTemperatureRange", "DynamicTemperatureExponent"],
    ["XTCProbability", "XTCThreshold"], ["RepetitionPenalty", "RepetitionRange"], ["PresencePenalty", "FrequencyPenalty"],
    ["DRYMultiplier", "DRYBase", "DRYAllowedLength", "DRYRange"], ["MirostatTau"],
]


def case(r, i):
    logits = [round(r.gauss(0, 1.8), 3) for _ in range(VOCABULARY)]
    prompt = [r.randrange(8) for _ in range(r.randrange(30))]
    generated = [r.randrange(12) for _ in range(r.randrange(10))]
    if r.random() < 0.5:
        generated += prompt[:3]
    choose = {
        "Temperature": lambda: r.choice([0, 0.4, 0.8, 1.3, 2.5]), "TopK": lambda: r.choice([0, 1, 3, 8, 100]),
        "TopP": lambda: round(r.uniform(0.2, 0.99), 3), "MinP": lambda: round(r.uniform(0.01, 0.5), 3),
        "TypicalP": lambda: round(r.uniform(0.2, 0.95), 3), "TopNSigma": lambda: round(r.uniform(0.3, 2.5), 3),
        "DynamicTemperatureRange": lambda: r.choice([0.2, 0.6, 2.0]), "DynamicTemperatureExponent": lambda: r.choice([0.5, 1, 2]),
        "XTCProbability": lambda: r.choice([0.3, 0.7, 1]), "XTCThreshold": lambda: r.choice([0.04, 0.1, 0.2]),
        "RepetitionPenalty": lambda: r.choice([0.8, 1.1, 1.5]), "RepetitionRange": lambda: r.choice([-1, 0, 4, 64]),
        "PresencePenalty": lambda: r.choice([-0.5, 0.3, 1.5]), "FrequencyPenalty": lambda: r.choice([-0.3, 0.2, 0.9]),
        "DRYMultiplier": lambda: r.choice([0.4, 1.0]), "DRYBase": lambda: r.choice([1.2, 1.75]),
        "DRYAllowedLength": lambda: r.choice([1, 2, 3]), "DRYRange": lambda: r.choice([-1, 6, 20]),
        "MirostatTau": lambda: r.choice([0.5, 1.0, 1.6]),
    }
    alone = GROUPS[i // 6] if i < 6 * len(GROUPS) else None
    p = {name: value() for name, value in choose.items() if (name in alone if alone else r.random() < 0.25)}
    if "MirostatTau" in p:
        p["Mirostat"] = 2
    if alone is None and r.random() < 0.4:
        p["Samplers"] = r.sample(USUAL, r.randrange(len(USUAL) + 1))
    if r.random() < 0.3:
        p["LogitBias"] = {str(r.randrange(VOCABULARY)): r.choice([-2, 1.5, -1000]) for _ in range(2)}
    p["IgnoreEOS"] = r.random() < 0.3

    left = {t: x + p.get("LogitBias", {}).get(str(t), 0) for t, x in enumerate(logits)}
    gone = {t for t in left if p.get("LogitBias", {}).get(str(t), 0) <= -1000 or p["IgnoreEOS"] and t in ENDS}
    steps = p.get("Samplers", USUAL)
    first = 0  # what is forbidden is taken away behind the penalties that come first
    while first < len(steps) and steps[first] in ("penalties", "dry"):
        left = penalties(left, p, prompt, generated) if steps[first] == "penalties" else dry(left, p, prompt + generated)
        first += 1
    left = {t: x for t, x in left.items() if t not in gone}
    chances = mirostat(distribution(left, steps[first:], p, prompt, generated), p)
    if len(chances) < 3 and (i % 8 or alone):
        return None  # little can be wrong with it
    return {
        "logits": logits, "prompt": prompt, "generated": generated, "params": p,
        "chances": {str(t): round(c, 6) for t, c in sorted(chances.items()) if c > 0},
    }


def main():
    r = random.Random(20)
    cases = [c for c in (case(r, i) for i in range(190)) if c]
    path = os.path.join(os.path.dirname(__file__), "../../engine/testdata/samplers.json")
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")


main()
