"""Score a corpus run: score.py GOLDEN.jsonl[.gz] PROVENANCE.jsonl[.gz] < candidate.jsonl"""
import collections
import gzip
import json
import sys


def lines(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
        return {(r["t"], r["c"]): r for r in map(json.loads, f)}


golden, marked = lines(sys.argv[1]), lines(sys.argv[2])
candidate = {(r["t"], r["c"]): r for r in map(json.loads, sys.stdin)}
n = collections.Counter()
for key, want in golden.items():
    got = candidate.get(key, {})
    if want["ok"]:
        n["renders"] += 1
        n["identical renders"] += got.get("out") == want["out"]
        if key in marked and got.get("out") == want["out"]:
            user = set()
            for a, b in got.get("user", []):
                user.update(range(a, b))
            n["marked renders"] += 1
            n["with every marked span of user origin"] += all(user.issuperset(range(a, b)) for a, b in marked[key]["user"])
        continue
    kind = "raised" if want["kind"] == "raise" else "other refusals"
    n[kind] += 1
    right = got.get("ok") is False and (want["kind"] != "raise" or got.get("err") == want["err"])
    n["refused alike, " + kind] += right
for what, count in n.items():
    print(f"{count:7d}  {what}")
