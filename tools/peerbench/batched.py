#!/usr/bin/env python3
"""The speed of llama.cpp or of a fork of it, by its own llama-batched-bench, in the form that peerbench.py reads.

usage: batched.py LLAMA-BATCHED-BENCH MODEL.gguf PROMPT GENERATE SEQUENCES THREADS [further flags]
"""
import re
import subprocess
import sys

bench, model, prompt, generate, sequences, threads, *more = sys.argv[1:]
cells = (int(prompt) + int(generate) + 16) * int(sequences)
# A fork prints its table where llama.cpp prints its log.
out = subprocess.run(
    [bench, "-m", model, "-c", str(cells), "-b", "2048", "-ub", "512", "-npp", prompt, "-ntg", generate, "-npl", sequences,
     "-t", threads, "-tb", threads, *more],
    check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
).stdout
# |    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s | …
figures = re.findall(r"\|" + r"\s*([\d.]+)\s*\|" * 8, out)[-1]
print(f"prefill({prompt}) {figures[5]} t/s, decode {figures[7]} t/s")
