#!/usr/bin/env python3
"""Parley beside other engines on the same models, in one run, turn by turn; prints a table in Markdown.

usage: peerbench.py PARLEY MODEL.gguf [MODEL.gguf …] [--peer NAME=COMMAND …] [-p 256] [-n 48] [-c 1,4] [-t 2] [-r 3]

PARLEY is our binary. COMMAND is one string that takes MODEL PROMPT GENERATE SEQUENCES THREADS and prints
"prefill(N) X t/s, decode Y t/s": for instance a script that calls llama.cpp's library directly, or
"python3 batched.py …/llama-batched-bench" of this folder. All take turns, so that a machine whose speed drifts is unfair
to none; each figure is the median of the rounds, and so is each ratio, which is taken within a round. The ceilings are
those that parley bench measures in the same process: what reading the weights once for each step allows, by how fast
memory was read between the steps, and what the instructions for multiplying bytes allow. In brackets is the share of
them that was reached.
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
parser.add_argument("models", nargs="+")
parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
parser.add_argument("-p", type=int, default=256, help="tokens of the prompt")
parser.add_argument("-n", type=int, default=48, help="tokens to generate")
parser.add_argument("-c", default="1", help="sequences at a time, one number or several")
parser.add_argument("-t", type=int, default=2, help="threads")
parser.add_argument("-r", type=int, default=3, help="rounds")
args = parser.parse_args()
peers = dict(peer.split("=", 1) for peer in args.peer)


def ours(model, sequences):
    out = subprocess.run(
        [args.parley, "bench", "--model", model, "--json", "-p", str(args.p), "-n", str(args.n), "-c", str(sequences),
         "--contexts", "0", "--turns", "0", "--threads", str(args.t)],
        check=True, capture_output=True, text=True,
    ).stdout
    mine = json.loads(out)
    mine["decode_ceiling_tps"] = mine["sequences"][0]["decode_ceiling_tps"]
    return mine


def theirs(command, model, sequences):
    out = subprocess.run(
        shlex.split(command) + [model, str(args.p), str(args.n), str(sequences), str(args.t)],
        check=True, capture_output=True, text=True,
    ).stdout
    prefill, decode = re.search(r"prefill\(\d+\) ([\d.]+) t/s, decode ([\d.]+) t/s", out).groups()
    return {"prefill_tps": float(prefill), "decode_tps": float(decode)}


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


names = list(peers)
head = ["model", "type", "sequences"]
for what in "decode", "prefill":
    head += [f"{what} ceiling", f"Parley {what}"] + [cell for name in names for cell in (name, "ratio")]
row(*head)
row(*["---"] * len(head))
for model in args.models:
    for sequences in [int(n) for n in args.c.split(",")]:
        rounds = []
        for _ in range(args.r):
            mine = ours(model, sequences)
            rounds.append((mine, [theirs(peers[name], model, sequences) for name in names]))
        cells = [os.path.basename(model), mine["type"], sequences]
        for what in "decode", "prefill":
            speed, most = what + "_tps", what + "_ceiling_tps"

            def median(of):
                return statistics.median(of(mine, others) for mine, others in rounds)

            share = median(lambda mine, _: mine[speed] / mine[most])
            cells += [f"{median(lambda mine, _: mine[most]):.1f}", f"{median(lambda mine, _: mine[speed]):.1f} ({share:.0%})"]
            for i in range(len(names)):
                cells.append(f"{median(lambda _, others: others[i][speed]):.1f}")
                cells.append(f"{median(lambda mine, others: mine[speed] / others[i][speed]):.2f}")
        row(*cells)
print(f"\n{args.p} tokens of prompt, {args.n} generated, {args.t} threads, kernels {mine['kernels']}, {args.r} rounds")
