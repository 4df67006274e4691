#!/usr/bin/env python3
"""How long llama.cpp's grammar takes for the tokens that may come next, of 131,072; beside BenchmarkMasks of internal/grammar.

usage: grammar.py BINS VOCABULARIES [ROUNDS]        needs the packages gguf and numpy

BINS is a folder with libllama and its backends (node-llama-cpp ships one), VOCABULARIES one with ggml-vocab-*.gguf.
The tokens, the grammar and the text are those of the benchmark: internal/grammar/testdata/person.gbnf and
person.json. Every candidate goes through llama_sampler_apply, as it does where the token drawn first breaks the
grammar; llama.cpp remembers nothing from one text to the next.
"""
import ctypes as C
import glob
import os
import statistics
import sys
import tempfile
import time

import gguf

bins, vocabularies = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
data = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "internal", "grammar", "testdata")
names = ["deepseek-llm", "falcon", "mpt", "starcoder"]
most = 1 << 17


def alphabet():
    """The characters that stand for bytes in vocabularies of GPT-2's kind."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def tokens():
    seen = {}
    for name in names:
        field = gguf.GGUFReader(os.path.join(vocabularies, f"ggml-vocab-{name}.gguf")).fields["tokenizer.ggml.tokens"]
        for i in field.data:
            text = bytes(field.parts[i]).decode()
            if text not in seen and len(seen) < most:
                seen[text] = len(seen)
    return seen


def vocabulary(path, known):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(known))
    writer.add_token_types([1] * len(known))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


class Blob(C.Structure):
    _fields_ = [("u", C.c_uint32 * 128)]


class Candidate(C.Structure):
    _fields_ = [("id", C.c_int32), ("logit", C.c_float), ("p", C.c_float)]


class Candidates(C.Structure):
    _fields_ = [("data", C.POINTER(Candidate)), ("size", C.c_size_t), ("selected", C.c_int64), ("sorted", C.c_bool)]


def library():
    def load(stem):
        return C.CDLL((glob.glob(f"{bins}/{stem}.v*.so*") or [f"{bins}/{stem}.so"])[0], C.RTLD_GLOBAL)

    load("libggml-base")
    ggml = load("libggml")
    lib = load("libllama")
    lib.llama_model_default_params.restype = Blob
    for name, result, arguments in [
        ("llama_model_load_from_file", C.c_void_p, [C.c_char_p, Blob]),
        ("llama_model_get_vocab", C.c_void_p, [C.c_void_p]),
        ("llama_vocab_n_tokens", C.c_int32, [C.c_void_p]),
        ("llama_sampler_init_grammar", C.c_void_p, [C.c_void_p, C.c_char_p, C.c_char_p]),
        ("llama_sampler_apply", None, [C.c_void_p, C.POINTER(Candidates)]),
        ("llama_sampler_accept", None, [C.c_void_p, C.c_int32]),
        ("llama_sampler_free", None, [C.c_void_p]),
    ]:
        getattr(lib, name).restype, getattr(lib, name).argtypes = result, arguments
    quiet = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(lambda *_: None)
    lib.llama_log_set(quiet, None)
    ggml.ggml_backend_load_all_from_path(bins.encode())
    return lib, quiet


lib, quiet = library()
known = tokens()
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "vocabulary.gguf")
    vocabulary(path, known)
    params = lib.llama_model_default_params()
    params.u[18] |= 1  # vocab_only, the first of the switches (release v0.5.0)
    model = lib.llama_model_load_from_file(path.encode(), params)
if not model:
    sys.exit("the vocabulary cannot be loaded")
vocab = lib.llama_model_get_vocab(model)
size = lib.llama_vocab_n_tokens(vocab)
assert size == len(known)

chars = alphabet()
rest = open(os.path.join(data, "person.json"), encoding="utf-8").read().strip().encode()
text = []
while rest:
    n = min(12, len(rest))
    while "".join(chars[b] for b in rest[:n]) not in known:
        n -= 1
    text.append(known["".join(chars[b] for b in rest[:n])])
    rest = rest[n:]

source = open(os.path.join(data, "person.gbnf"), "rb").read()
array = (Candidate * size)()
took, compiling, allowed = [], [], []
for _ in range(rounds):
    before = time.perf_counter()
    sampler = lib.llama_sampler_init_grammar(vocab, source, b"root")
    compiling.append(time.perf_counter() - before)
    assert sampler, "the grammar is refused"
    for token in text:
        for i in range(size):
            array[i].id, array[i].logit = i, 0
        candidates = Candidates(array, size, -1, False)
        before = time.perf_counter()
        lib.llama_sampler_apply(sampler, C.byref(candidates))
        took.append(time.perf_counter() - before)
        assert array[token].logit == 0, "a token of the text may not come"
        allowed.append(sum(array[i].logit == 0 for i in range(0, size, 97)))
        lib.llama_sampler_accept(sampler, token)
    lib.llama_sampler_free(sampler)

took.sort()
print(f"{len(took)} masks over {size} tokens: median {1e6 * took[len(took) // 2]:.1f} µs, p99 {1e6 * took[len(took) * 99 // 100]:.0f} µs, "
      f"mean {1e6 * statistics.mean(took):.1f} µs; grammar made ready in {1e6 * statistics.median(compiling):.0f} µs")
