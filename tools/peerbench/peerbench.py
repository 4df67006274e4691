#!/usr/bin/env python3
"""Parley beside llama.cpp on the same models, in one run, turn by turn; prints a table in Markdown.

usage: peerbench.py PARLEY LLAMACPP MODEL.gguf [MODEL.gguf …] [-p 256] [-n 48] [-c 1,4] [-t 2] [-r 3]

PARLEY is our binary. LLAMACPP is a command in one string that takes MODEL PROMPT GENERATE SEQUENCES THREADS and
prints "prefill(N) X t/s, decode Y t/s": for instance a script that calls llama.cpp's library directly. The two take
turns, so that a machine whose speed drifts is unfair to neither; each figure is the best of the rounds, each ratio
the median of the rounds' ratios. The ceiling is what reading the weights once for each step allows.
"""
import argparse
import json
import os
import re
import shlex
import statistics
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("parley")
parser.add_argument("llamacpp")
parser.add_argument("models", nargs="+")
parser.add_argument("-p", type=int, default=256, help="tokens of the prompt")
parser.add_argument("-n", type=int, default=48, help="tokens to generate")
parser.add_argument("-c", default="1", help="sequences at a time, one number or several")
parser.add_argument("-t", type=int, default=2, help="threads")
parser.add_argument("-r", type=int, default=3, help="rounds")
args = parser.parse_args()


def ours(model, sequences):
    out = subprocess.run(
        [args.parley, "bench", "--model", model, "--json", "-p", str(args.p), "-n", str(args.n), "-c", str(sequences),
         "--contexts", "0", "--turns", "0", "--threads", str(args.t)],
        check=True, capture_output=True, text=True,
    ).stdout
    return json.loads(out)


def theirs(model, sequences):
    out = subprocess.run(
        shlex.split(args.llamacpp) + [model, str(args.p), str(args.n), str(sequences), str(args.t)],
        check=True, capture_output=True, text=True,
    ).stdout
    prefill, decode = re.search(r"prefill\(\d+\) ([\d.]+) t/s, decode ([\d.]+) t/s", out).groups()
    return float(prefill), float(decode)


print("| model | type | sequences | decode ceiling | Parley decode | llama.cpp decode | ratio | Parley prefill | llama.cpp prefill | ratio |")
print("|---|---|---|---|---|---|---|---|---|---|")
for model in args.models:
    for sequences in [int(n) for n in args.c.split(",")]:
        a, b = [], []
        for _ in range(args.r):
            a.append(ours(model, sequences))
            b.append(theirs(model, sequences))
        decode = statistics.median(x["decode_tps"] / y[1] for x, y in zip(a, b))
        prefill = statistics.median(x["prefill_tps"] / y[0] for x, y in zip(a, b))
        print(
            f"| {os.path.basename(model)} | {a[0]['type']} | {sequences} | {sequences * max(x['decode_ceiling_tps'] for x in a):.1f} "
            f"| {max(x['decode_tps'] for x in a):.1f} | {max(y[1] for y in b):.1f} | {decode:.2f} "
            f"| {max(x['prefill_tps'] for x in a):.1f} | {max(y[0] for y in b):.1f} | {prefill:.2f} |",
            flush=True,
        )
print(f"\n{args.p} tokens of prompt, {args.n} generated, {args.t} threads, kernels {a[0]['kernels']}, {args.r} rounds")
