"""llama.cpp's library, called directly, as far as the programs here need it. Its structs are not declared: their
layout changes from release to release, so fields are found by what the defaults are.
"""
import ctypes as C
import glob

TYPES = {"f16": 1, "q8_0": 8}


class Blob(C.Structure):  # structs by value travel in memory: larger than the real ones does no harm
    _fields_ = [("u", C.c_uint32 * 128)]


class Batch(C.Structure):
    _fields_ = [
        ("n_tokens", C.c_int32), ("token", C.POINTER(C.c_int32)), ("embd", C.c_void_p), ("pos", C.POINTER(C.c_int32)),
        ("n_seq_id", C.POINTER(C.c_int32)), ("seq_id", C.POINTER(C.POINTER(C.c_int32))), ("logits", C.POINTER(C.c_int8)),
    ]


def library(bins):
    """The library in a folder of libllama and its backends, as node-llama-cpp ships them; it says nothing."""
    def load(stem):
        return C.CDLL((glob.glob(f"{bins}/{stem}.v*.so*") or [f"{bins}/{stem}.so"])[0], C.RTLD_GLOBAL)

    load("libggml-base")
    ggml, llama = load("libggml"), load("libllama")
    global quiet
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
    llama.llama_get_memory.restype = C.c_void_p
    llama.llama_get_memory.argtypes = [C.c_void_p]
    llama.llama_memory_clear.argtypes = [C.c_void_p, C.c_bool]
    llama.llama_state_seq_get_size.restype = C.c_size_t
    llama.llama_state_seq_get_size.argtypes = [C.c_void_p, C.c_int32]
    for f in llama.llama_state_seq_get_data, llama.llama_state_seq_set_data:
        f.restype = C.c_size_t
        f.argtypes = [C.c_void_p, C.c_char_p, C.c_size_t, C.c_int32]
    return llama


def opened(llama, path, cells, sequences, kind, threads, flash_attention=True):
    """A model and a context for so many tokens of so many sequences, with flash attention or without, and keys and values of a kind of TYPES."""
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    assert model, "cannot load"
    params = llama.llama_context_default_params()
    u = params.u
    assert (u[0], u[1], u[2], u[3]) == (512, 2048, 512, 1), list(u[:12])
    at = next(i for i in range(4, 12) if u[i] == u[i + 1] and 1 <= u[i] <= 64)  # n_threads, n_threads_batch
    flash = next(i for i in range(at + 2, 24) if u[i] == 0xFFFFFFFF) + 3  # behind three enumerations that are -1, too
    types = next(i for i in range(flash + 8, 40) if u[i] == u[i + 1] == TYPES["f16"])
    u[0], u[1], u[3] = cells, 2048, sequences
    u[at] = u[at + 1] = threads
    u[flash] = int(flash_attention)
    u[types] = u[types + 1] = TYPES[kind]
    context = llama.llama_init_from_model(model, params)
    assert context, "cannot make a context"
    return model, context
