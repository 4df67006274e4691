"""Makes small tokenizers of every kind that is read, and what Hugging Face's
tokenizers make of texts with them: internal/vocab/testdata.

    pip install tokenizers==0.23.3
    python tools/hftokenizers/make.py

The vocabularies are trained on this repository's own documents, and the result
depends on nothing else. It is written with ASCII escapes, so that no editor
changes what is compared.
"""

import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "internal" / "vocab" / "testdata"
SIZE = 420

ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
BLANKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD = r"[^\r\n\p{L}\p{N}]?"


def lines(digits):
    return rf"{ENGLISH}|{LEAD}\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{BLANKS}"


def marks():
    return rf"{ENGLISH}|{LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{BLANKS}"


def cased(english, digits):
    return rf"{LEAD}{UPPER}*{LOWER}+{english}|{LEAD}{UPPER}+{LOWER}*{english}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{BLANKS}"


DEEPSEEK3 = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|""" + BLANKS,
]


def split(*expressions, behavior="isolated", invert=False):
    steps = [pre_tokenizers.Split(Regex(x), behavior, invert) for x in expressions]
    return pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(*before):
    return pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])


# By name: what cuts text, what is done to it first, a word that is a token is
# that token.
BYTES = {
    "gpt2": (pre_tokenizers.ByteLevel(add_prefix_space=False), None, False),
    "starcoder": (byte_level(pre_tokenizers.Digits(individual_digits=True)), None, False),
    "falcon": (
        pre_tokenizers.Sequence([
            pre_tokenizers.Punctuation("contiguous"),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]), None, False,
    ),
    "llama3": (split(lines(r"\p{N}{1,3}")), None, True),
    "qwen2": (split(lines(r"\p{N}")), normalizers.NFC(), False),
    "qwen35": (split(marks()), normalizers.NFC(), False),
    "o200k": (split(cased(ENGLISH + "?", r"\p{N}{1,3}"), behavior="removed", invert=True), None, True),
    "tekken": (split(cased("", r"\p{N}")), None, True),
    "deepseek3": (split(*DEEPSEEK3), normalizers.Sequence([]), False),
    "deepseek-coder": (
        split(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"), None, False,
    ),
    "bloom": (split(" ?[^(\\s|[.,!?…。，、।۔،])]+"), None, False),
}

MERGE = [normalizers.Replace(" ", "▁")]
SPACES = {
    "llama2": (normalizers.Sequence([normalizers.Prepend("▁"), *MERGE]), None),
    "gemma": (normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous")),
    "mistral": (None, pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)),
    "metaspace": (None, pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False)),
}


def corpus(*more):
    for name in ("README.md", "ARCHITECTURE.md", "RATIONALE.md", "docs/formats.md"):
        yield from (ROOT / name).read_text(encoding="utf-8").splitlines(keepends=True)
    yield from ["Grüße aus Köln, naïve café. ", "Привет, мир! ", "你好，世界。", "こんにちは世界", "नमस्ते दुनिया ", "12345 67 890 ", "ſtill muſt ", *more] * 20


# What is put together to texts: where expressions, marks and bytes meet.
FRAGMENTS = [
    "'s", "'S", "'ſ", "'ll", "'LL", "'re", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\u0085",
    "a", "Z", "ß", "é", "e\u0301", "가", "\u1100\u1161", "漢", "你好", "あ", "ア", "Привет", "नमस्ते", "ไทย",
    "1", "12", "1234", "12345678", "٣", "½", "²", "Ⅷ", ".", "!?", "...", "<", ">", "|", "<|", "|>", "$", "^", "`", "~", "=", "/", "\\", "//",
    "\u200b", "\u200d", "\ufeff", "😀", "👨‍👩‍👧", "🏽", "ﬁ", "\u212b", "\u0338", "ǅ", "ʰ", "ª", "_", "-", "—", "▁", "▁▁", "<0x0A>", "[INST]",
    "</s>", "<s>", "<unk>", "the", " the", "Hello", " world", "don't", "CamelCase", "HTTPServer", "parley serve", "\u0000", "\u0001", "\x1c",
    "<think>", "</think>", "<|im_start|>", "<|im_end|>", "<|end|>", "<|end|> \n", "'ſt", "::>>=>", "<late>", "<lat\u00e9>", "<late\u0301>",
]


def texts():
    r = random.Random(20)
    yield from ["", "Hello, world!", " leading", "trailing ", "The server answers.\n\n  It stops.\n"]
    for n in range(240):
        yield "".join(r.choice(FRAGMENTS) for _ in range(2 + n % 9))


def to_json(t):
    return json.loads(t.to_str())


def token(i, content, special, normalized=False, rstrip=False):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": rstrip, "normalized": normalized, "special": special}


def bytes_tokenizer(pre, normalizer, whole):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    if normalizer is not None:
        t.normalizer = normalizer
    t.train_from_iterator(corpus("<s> </s> "), trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    d = to_json(t)
    d["model"]["ignore_merges"] = whole
    n = len(d["model"]["vocab"])
    d["added_tokens"] = [
        token(n, "<|im_start|>", True), token(n + 1, "<|im_end|>", True), token(n + 2, "<think>", False), token(n + 3, "</think>", False),
        token(n + 4, "<|end|>", True, rstrip=True), token(n + 5, "<lat\u00e9>", False, normalized=True),
        token(n + 6, "::>", False), token(n + 7, ">>=>", False),
    ]
    d["decoder"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if whole:
        d["post_processor"] = {"type": "Sequence", "processors": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            template("<|im_start|>", n),
        ]}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>" if whole else None, "eos_token": {"content": "<|im_end|>"}}
    return d, config


def template(name, i):
    return {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]}},
    }


def spaces_tokenizer(normalizer, pre):
    # Trained as words with a mark before them; the result is applied to whole
    # texts, as models of SentencePiece's are.
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(Regex("▁*[^▁]+"), "isolated")
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=SIZE, show_progress=False))
    trained = to_json(t)["model"]
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    words = sorted(trained["vocab"], key=trained["vocab"].get)
    vocab = {w: i for i, w in enumerate(first + words)}
    n = len(vocab)
    d = to_json(Tokenizer(models.BPE()))
    if normalizer is not None:
        d["normalizer"] = json.loads(_with(normalizer=normalizer))["normalizer"]
    if pre is not None:
        d["pre_tokenizer"] = json.loads(_with(pre=pre))["pre_tokenizer"]
    d["model"] = {
        "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
        "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab,
        "merges": [m if isinstance(m, list) else m.split(" ") for m in trained["merges"]],
    }
    d["added_tokens"] = [
        token(0, "<unk>", True), token(1, "<s>", True), token(2, "</s>", True), token(n, "<|im_start|>", True), token(n + 1, "<|im_end|>", True),
        token(n + 2, "<think>", False), token(n + 3, "</think>", False), token(n + 4, "<|end|>", True, rstrip=True),
        token(n + 5, "::>", False), token(n + 6, ">>=>", False),
    ]
    if not (normalizer is not None and isinstance(normalizer, normalizers.Sequence)):
        d["added_tokens"].append(token(n + 7, "<late>", False, normalized=True))
    d["post_processor"] = template("<s>", 1)
    config = {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return d, config


def _with(normalizer=None, pre=None):
    t = Tokenizer(models.BPE())
    if normalizer is not None:
        t.normalizer = normalizer
    if pre is not None:
        t.pre_tokenizer = pre
    return t.to_str()


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="ascii")


def main():
    all_texts = list(texts())
    made = {name: bytes_tokenizer(*args) for name, args in BYTES.items()}
    made |= {name: spaces_tokenizer(*args) for name, args in SPACES.items()}
    for name, (tokenizer, config) in made.items():
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "tokenizer.json", tokenizer)
        write(folder / "tokenizer_config.json", config)
        t = Tokenizer.from_str(json.dumps(tokenizer))
        write(folder / "ids.json", [t.encode(x, add_special_tokens=False).ids for x in all_texts])
        print(f"{name}: {t.get_vocab_size()} tokens")
    write(OUT / "texts.json", all_texts)


if __name__ == "__main__":
    main()
