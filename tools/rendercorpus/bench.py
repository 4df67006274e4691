"""The renders of bench_test.go with Python's jinja2: bench.py TEMPLATES.json.gz"""
import datetime
import gzip
import json
import pathlib
import re
import statistics
import sys
import time

from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

source = (pathlib.Path(__file__).parent / "bench_test.go").read_text("utf-8")
names = re.findall(r'"([^"]+)"', source.split("var wellKnown = []string{")[1].split("}")[0])
with gzip.open(sys.argv[1], "rt", encoding="utf-8") as f:
    templates = json.load(f)
text = "Message number {} of a talk about bread, wine and the weather."
talk = [{"role": ("user", "assistant")[i % 2], "content": text.format(i)} for i in range(29)]


def fail(message):
    raise ValueError(message)


for name in names:
    t = templates[name + ".jinja"]
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.globals.update(raise_exception=fail, strftime_now=lambda f: datetime.datetime.now().strftime(f))
    compiled = env.from_string(t["template"])
    tokens = {k: v for k, v in t["special_tokens"].items() if v is not None}
    times = []
    for _ in range(300):
        begin = time.perf_counter()
        compiled.render(messages=talk, tools=None, documents=None, add_generation_prompt=True, **tokens)
        times.append(time.perf_counter() - begin)
    print(f"{statistics.median(times) * 1e6:8.1f} µs  {name}")
