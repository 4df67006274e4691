"""What llama.cpp computes with keys and values in Q8_0, as JSON: the logits of a sequence of tokens, with flash attention,
without which it does not store values so, and without the rotation by which it loses a little less where heads allow it.

usage: llamacpp_q8_0.py BINS MODEL.gguf logits 1,15043,3186        {"vocab": n, "logits": [[…] per token]}
BINS is a folder with libllama and its backends, as node-llama-cpp ships them.
"""
import json
import os
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent / "peerbench"))
from llamacpp import library, opened

os.environ["LLAMA_ATTN_ROT_DISABLE"] = "1"
bins, path, _, ids = sys.argv[1:5]
ids = [int(x) for x in ids.split(",")]
llama = library(bins)
model, context = opened(llama, path, max(512, len(ids) + 8), 1, "q8_0", 2)
size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
batch = llama.llama_batch_init(len(ids), 0, 1)
batch.n_tokens = len(ids)
for i, token in enumerate(ids):
    batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
    batch.seq_id[i][0] = 0
assert llama.llama_decode(context, batch) == 0
rows = [[round(x, 5) for x in llama.llama_get_logits_ith(context, i)[:size]] for i in range(len(ids))]
print(json.dumps({"vocab": size, "logits": rows}))
