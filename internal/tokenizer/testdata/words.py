"""Write words.jsonl: how the published regular expressions of pre-tokenizers cut some texts, as Python's regex module sees it.

usage: pip install regex; python words.py > words.jsonl
The hand-written scanners in words.go are compared with it. Each list is applied in turn, to the words of the one before.
"""
import json, random, regex
ENGLISH = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
def lines(words, digits, tail=r"[\r\n]*"): return words + r"|\p{N}" + digits + r"| ?[^\s\p{L}\p{N}]+" + tail + r"|\s*[\r\n]+|\s+(?!\S)|\s+"
def cased(after, up=UP, low=LOW): return r"[^\r\n\p{L}\p{N}]?" + up + "*" + low + "+" + after + r"|[^\r\n\p{L}\p{N}]?" + up + "+" + low + "*" + after
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
PRES = {
    "default": [r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    "gpt-2": [GPT2],
    "starcoder": [r"\p{N}", GPT2],
    "falcon": [r"[\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"],
    "llama-bpe": [lines(ENGLISH + "|" + WORD, "{1,3}")],
    "qwen2": [lines(ENGLISH + "|" + WORD, "")],
    "qwen35": [ENGLISH + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "seed-coder": [lines(ENGLISH + "|" + WORD, "", "")],
    "ufakzeka": [lines(WORD, "")],
    "laguna": [r"[^\n]+|\n+", lines(ENGLISH + "|" + WORD, "")],
    "minicpm5": [r"\p{N}{1,3}", lines(ENGLISH + "|" + WORD, "+")],
    "gpt-4o": [lines(cased("(?:" + ENGLISH + ")?"), "{1,3}", "[\r\n/]*")],
    "tekken": [lines(cased(""), "", "[\r\n/]*")],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥\u3040-\u309f\u30a0-\u30ff]+",
                    r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "bloom": [r" ?[^(\s|.,!?…。，、।۔،)]+"],
    "viking": [r" ?[^(\s|.,!?…。，、।۔،)]+", r"\p{N}"],
    "kimi-k2": [r"(?V1)\p{Han}+|" + lines(cased("(?:" + ENGLISH + ")?", "[" + UP + r"--\p{Han}]", "[" + LOW + r"--\p{Han}]"), "{1,3}")],
    "afmoe": [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
              "[一-鿿㐀-䶿豈-﫿\u3040-ゟ゠-ヿ･-ﾟ⼀-\u2fdfเ-\u0e7f\u0e80-\u0effក-\u17ffက-႟ꩠ-ꩿꧠ-\ua9ff가-\ud7afᄀ-ᇿ]+",
              r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "exaone-moe": [ENGLISH + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
}
PARTS = list("aAbzZéÉßDžʰ中日あアकि\u0301\u093f한١٣0123456789  \t\n\r\u00a0\u3000.,!?'’-_/~^$+<=>|`()[]{}€😀\u200d…。KⅧ") + \
    ["'s", "'S", "'ll", "'RE", "'d", " ", "  ", "\n\n", "\r\n", " \n", "word", "Word", "WORD", "2024"]
OTHERS = {"kimi-k2": list("〇々⺀豈"), "afmoe": ["เ", "๚", "ໝ", "ក", "၊", "ꩠ", "ᄀ", "⼀", "豈", "㐀", "ｱ", "1234567", "89012", "345678"],
          "exaone-moe": [" a", " Word", " 한", " I'm", " we're", "\n"]} # beyond the parts of all
def cut(expressions, text):
    words = [text]
    for e in expressions:
        finer = []
        for w in words:
            at = 0
            for m in regex.finditer(e, w):
                finer += [w[at:m.start()], m.group()]
                at = m.end()
            finer.append(w[at:])
        words = [w for w in finer if w]
    return words
rng = random.Random(7)
for name, expressions in PRES.items():
    for _ in range(24):
        text = "".join(rng.choice(PARTS + OTHERS.get(name, [])) for _ in range(rng.randrange(20, 60)))
        print(json.dumps({"pre": name, "words": cut(expressions, text)}, ensure_ascii=False))
