"""What llama.cpp computes with keys and values in Q8_0, as JSON: the logits of a sequence of tokens, with flash attention,
without which it does not store values so, and without the rotation by which it loses a little less where heads allow it.

usage: llamacpp_q8_0.py BINS MODEL.gguf logits 1,15043,3186        {"vocab": n, "logits": [[…] per token]}
BINS is a folder with libllama and its backends, as node-llama-cpp ships them.
"""
import ctypes as C
import glob
import json
import os
import sys

os.environ["LLAMA_ATTN_ROT_DISABLE"] = "1"
bins, path, _, ids = sys.argv[1:5]
ids = [int(x) for x in ids.split(",")]
F16, Q8_0 = 1, 8


class Blob(C.Structure):  # structs by value travel in memory: larger than the real ones does no harm
    _fields_ = [("u", C.c_uint32 * 128)]


class Batch(C.Structure):
    _fields_ = [
        ("n_tokens", C.c_int32), ("token", C.POINTER(C.c_int32)), ("embd", C.c_void_p), ("pos", C.POINTER(C.c_int32)),
        ("n_seq_id", C.POINTER(C.c_int32)), ("seq_id", C.POINTER(C.POINTER(C.c_int32))), ("logits", C.POINTER(C.c_int8)),
    ]


def load(stem):
    return C.CDLL((glob.glob(f"{bins}/{stem}.v*.so*") or [f"{bins}/{stem}.so"])[0], C.RTLD_GLOBAL)


load("libggml-base")
ggml, llama = load("libggml"), load("libllama")
quiet = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(lambda level, text, user: None)
llama.llama_log_set(quiet, None)
ggml.ggml_backend_load_all_from_path(bins.encode())
for f in llama.llama_model_default_params, llama.llama_context_default_params:
    f.restype = Blob
llama.llama_model_load_from_file.restype = C.c_void_p
llama.llama_model_load_from_file.argtypes = [C.c_char_p, Blob]
llama.llama_init_from_model.restype = C.c_void_p
llama.llama_init_from_model.argtypes = [C.c_void_p, Blob]
llama.llama_decode.argtypes = [C.c_void_p, Batch]
llama.llama_batch_init.restype = Batch
llama.llama_get_logits_ith.restype = C.POINTER(C.c_float)
llama.llama_get_logits_ith.argtypes = [C.c_void_p, C.c_int32]
llama.llama_model_get_vocab.restype = C.c_void_p
llama.llama_model_get_vocab.argtypes = [C.c_void_p]
llama.llama_vocab_n_tokens.argtypes = [C.c_void_p]
model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
assert model, "cannot load"
size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
params = llama.llama_context_default_params()
u = params.u
assert (u[0], u[1], u[2], u[3]) == (512, 2048, 512, 1), list(u[:12])
at = next(i for i in range(4, 12) if u[i] == u[i + 1] and 1 <= u[i] <= 64)  # n_threads, n_threads_batch
flash = next(i for i in range(at + 2, 24) if u[i] == 0xFFFFFFFF) + 3  # behind three enumerations that are -1, too
types = next(i for i in range(flash + 8, 40) if u[i] == u[i + 1] == F16)
u[0], u[flash] = max(512, len(ids) + 8), 1
u[at] = u[at + 1] = 2
u[types] = u[types + 1] = Q8_0
context = llama.llama_init_from_model(model, params)
assert context, "cannot make a context"
batch = llama.llama_batch_init(len(ids), 0, 1)
batch.n_tokens = len(ids)
for i, token in enumerate(ids):
    batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
    batch.seq_id[i][0] = 0
assert llama.llama_decode(context, batch) == 0
rows = [[round(x, 5) for x in llama.llama_get_logits_ith(context, i)[:size]] for i in range(len(ids))]
print(json.dumps({"vocab": size, "logits": rows}))
