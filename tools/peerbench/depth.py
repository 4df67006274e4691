#!/usr/bin/env python3
"""Parley beside llama.cpp behind long contexts, turn by turn; prints a table in Markdown.

usage: depth.py PARLEY BINS MODEL.gguf CONTEXT,CONTEXT… [-n 16] [-c 1] [-k f16] [-t 2] [--json FILE]

BINS is a folder with llama.cpp's libllama and its backends (node-llama-cpp ships one), or - for Parley alone; the model is one whose layers all
see everything, such as llama. Neither reads the whole context, since what keys and values are does not change how
long they take: parley bench fills its cache with copies, and llama.cpp is given the state of 256 tokens as often
as it takes to make up the context. Both read the last 256 tokens and generate behind them, c sequences at a time, with
keys and values stored as k says; llama.cpp with flash attention, which is what it chooses.
"""
import argparse
import ctypes as C
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

from llamacpp import TYPES, library, opened

READ = 256  # tokens, as parley bench


def repeated(state, cells):
    """The state of a sequence of so many tokens: that of fewer, again and again."""
    head = 8  # a mark, and zeros
    streams, count = struct.unpack_from("<II", state, head)
    at = head + 8 + count * 12
    transposed, layers = struct.unpack_from("<II", state, at)
    assert not transposed, "values lie across"
    out = [state[:head], struct.pack("<II", streams, cells)]
    out += [struct.pack("<iII", position, 1, 0) for position in range(cells)]
    out += [struct.pack("<II", transposed, layers)]
    at += 8
    for _ in range(2 * layers):  # all keys, then all values
        _, row = struct.unpack_from("<iQ", state, at)
        out.append(state[at : at + 12])
        at += 12
        rows = state[at : at + row * count]
        at += row * count
        out += [rows] * (cells // count) + [rows[: cells % count * row]]
    rest = state[at:]
    assert rest == bytes(4 * (streams - 1)), f"{len(rest)} bytes are left"  # the caches of other sequences are empty
    return b"".join(out + [rest])


def theirs(bins, path, contexts, generate, sequences, kind, threads):
    llama = library(bins)
    # Sequences have equal shares of the context, in rows of 256.
    cells = (contexts[-1] + generate + 256 + 255) // 256 * 256 * sequences
    context = opened(llama, path, cells, sequences, kind, threads)[1]
    batch = llama.llama_batch_init(2048, 0, 1)

    def put(items):
        batch.n_tokens = len(items)
        for i, (token, position, sequence, wanted) in enumerate(items):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, wanted
        assert llama.llama_decode(context, batch) == 0
        llama.llama_get_logits_ith(context, -1)

    def prompt(start, sequence):
        put([(1000 + i * 7919 % 20000, start + i, sequence, i == READ - 1) for i in range(READ)])

    memory = llama.llama_get_memory(context)
    put([(1000, 0, 0, 1)])  # weights are paged in
    llama.llama_memory_clear(memory, True)
    prompt(0, 0)
    size = llama.llama_state_seq_get_size(context, 0)
    state = C.create_string_buffer(size)
    assert llama.llama_state_seq_get_data(context, state, size, 0) == size
    for n in contexts:
        llama.llama_memory_clear(memory, True)
        if n > READ:
            whole = repeated(state.raw, n - READ)
            for s in range(sequences):
                assert llama.llama_state_seq_set_data(context, whole, len(whole), s) == len(whole)
            del whole
        begun = time.perf_counter()
        prompt(n - READ, 0)
        read = time.perf_counter() - begun
        if sequences > 1:
            whole = repeated(state.raw, n)
            for s in range(1, sequences):
                assert llama.llama_state_seq_set_data(context, whole, len(whole), s) == len(whole)
            del whole
        put([(1500, n, s, 1) for s in range(sequences)])
        begun = time.perf_counter()
        for g in range(generate):
            put([(1500 + 13 * g, n + 1 + g, s, 1) for s in range(sequences)])
        took = time.perf_counter() - begun
        print(json.dumps({"context": n, "prefill_tps": READ / read, "decode_tps": generate * sequences / took}), flush=True)


def ours(parley, path, contexts, generate, sequences, kind, threads):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write('[engine]\ncache = "8GB"\n')
        config.flush()
        out = subprocess.run(
            [parley, "bench", "--config", config.name, "--model", path, "--json", "-p", "16", "-n", str(generate), "-c", str(sequences),
             "--contexts", ",".join(map(str, contexts)), "--behind", str(sequences), "--ctx", str(contexts[-1] + generate),
             "--turns", "0", "--kv-cache", kind, "--threads", str(threads)],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout
    return json.loads(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parley", help="our binary")
    parser.add_argument("bins")
    parser.add_argument("model")
    parser.add_argument("contexts", help="in rising order")
    parser.add_argument("-n", type=int, default=16, help="tokens to generate")
    parser.add_argument("-c", type=int, default=1, help="sequences at a time")
    parser.add_argument("-k", default="f16", choices=list(TYPES), help="how keys and values are stored")
    parser.add_argument("-t", type=int, default=2, help="threads")
    parser.add_argument("--json", help="a file for what parley bench said")
    args = parser.parse_args()
    contexts = [int(n) for n in args.contexts.split(",")]
    if args.parley == "-":  # a process of its own for llama.cpp
        theirs(args.bins, args.model, contexts, args.n, args.c, args.k, args.t)
        return
    a = ours(args.parley, args.model, contexts, args.n, args.c, args.k, args.t)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(a, f)
    b = [{}] * len(contexts)
    if args.bins != "-":
        out = subprocess.run([sys.executable, __file__, "-"] + sys.argv[2:], check=True, stdout=subprocess.PIPE, text=True).stdout
        b = [json.loads(line) for line in out.splitlines()]

    def beside(x, y):
        return f"{y:.1f} | {x / y:.2f}" if y else "– | –"

    print("| model | keys, values | streams | context | ceiling | Parley decode | llama.cpp decode | ratio | cache GB/s | Parley prompt | llama.cpp prompt | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for x, y in zip(a["contexts"], b):
        assert x["context"] == y.get("context", x["context"])
        print(
            f"| {os.path.basename(args.model)} | {args.k} | {args.c} | {x['context']} | {x['decode_ceiling_tps']:.1f} | {x['decode_tps']:.1f} "
            f"| {beside(x['decode_tps'], y.get('decode_tps'))} | {x.get('cache_gbps', 0):.1f} | {x['prefill_tps']:.1f} "
            f"| {beside(x['prefill_tps'], y.get('prefill_tps'))} |"
        )
    print(f"\nmemory {a['read_gbps']:.1f} GB/s, {args.n} tokens generated, {args.t} threads, kernels {a['kernels']}")


main()
