"""Makes Parley's built-in model. See README.md.

usage: demomodel.py [--cache DIR] data|tokenizer|train|export|eval|story
"""

import argparse
import os
import random
import sys

# Memory that a step gives back is kept for the next one: handing it to the system and faulting it in again costs more
# than the arithmetic.
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_TOP_PAD_": "500000000"}
HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("what", choices=["data", "tokenizer", "train", "export", "eval", "story"])
    a.add_argument("--cache", default=os.path.join(HERE, "../../.cache/demomodel"), help="where the tokenizer and the checkpoint are kept")
    a.add_argument("--steps", type=int, default=3100, help="training steps in all")
    a.add_argument("--out", default=os.path.join(HERE, "../../internal/demo/demo.gguf"), help="the model file that export writes and eval reads")
    a.add_argument("--cases", type=int, default=40, help="eval: cases of each skill")
    a.add_argument("--count", type=int, default=10, help="data: how many samples to print")
    args = a.parse_args()
    if args.what == "train" and not KEEP.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP)
    os.makedirs(args.cache, exist_ok=True)
    import model
    import text
    import train
    cfg = model.Config()
    if args.what == "data":
        rng = random.Random(train.SEED)
        for _ in range(args.count):
            print("".join(p for p, _ in text.sample(rng)), "\n" + "-" * 60)
    elif args.what == "tokenizer":
        print(len(train.tokenizer(args.cache, cfg).tokens), "tokens")
    elif args.what == "train":
        train.train(args.cache, cfg, args.steps, os.path.join(HERE, "training.log"))
    elif args.what == "export":
        import gguf
        _, state = train.load(os.path.join(args.cache, "checkpoint.pickle"))
        gguf.write(args.out, cfg, train.tokenizer(args.cache, cfg), state["ema"])
    elif args.what == "story":
        import evaluate
        import reference
        evaluate.story(reference.Reference(args.out), os.path.join(os.path.dirname(args.out), "testdata", "story.jsonl"))
    elif args.what == "eval":
        import evaluate
        import reference
        ref = reference.Reference(args.out)
        named = evaluate.run_named(ref)
        for c in named:
            print("right" if c["right"] else "WRONG", c["name"], repr(c["answer"]), round(c["gap"], 2))
        table, wrong = evaluate.run(ref, args.cases)
        evaluate.report(os.path.join(HERE, "EVALUATION.md"), table, args.cases, named)
        with open(os.path.join(args.cache, "wrong.txt"), "w") as f:
            for case in wrong:
                f.write(f"--- {case['skill']}\n{case['prompt']}\n>>> {case['answer']}\n")


if __name__ == "__main__":
    main()
