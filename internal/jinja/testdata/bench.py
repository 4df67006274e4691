#!/usr/bin/env python3
"""Times jinja2 on what BenchmarkCorpus renders, in microseconds.

    go test ./internal/jinja -run XXX -bench Corpus
    python3 internal/jinja/testdata/bench.py ../shared/data/chat-templates
"""
import gzip, json, os, re, sys, time

import reference

corpus = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))
source = open(os.path.join(here, "..", "corpus_test.go"), encoding="utf-8").read()
names = re.findall(r'"([^"]+)"', source.split("var wellKnown = ")[1].split("\n}")[0])
templates = json.load(gzip.open(os.path.join(corpus, "templates.dev.json.gz")))
chat = next(c for c in json.load(open(os.path.join(corpus, "conversations.json"))) if c["id"] == "long")
for name in names:
    t = reference.env.from_string(templates[name + ".jinja"]["template"])
    variables = dict(messages=chat["messages"], tools=None, documents=None, add_generation_prompt=True, bos_token="<s>", eos_token="</s>")
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(200):
            t.render(**variables)
        best = min(best, (time.process_time() - start) / 200)
    print(f"{name}\t{best * 1e6:.0f}")
