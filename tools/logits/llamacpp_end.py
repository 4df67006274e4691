"""What llama.cpp computes at the end of a long sequence of tokens, as JSON: the logits of the last ones. It is read in pieces.

usage: llamacpp_end.py BINS MODEL.gguf logits 1,15043,3186,…        {"vocab": n, "logits": [[…] for each of the last 12]}
BINS is a folder with libllama and its backends, as node-llama-cpp ships them.
"""
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent.parent / "peerbench"))
from llamacpp import library, opened

PIECE, LAST = 512, 12
bins, path, _, ids = sys.argv[1:5]
ids = [int(x) for x in ids.split(",")]
llama = library(bins)
model, context = opened(llama, path, len(ids) + 8, 1, "f16", 2, flash_attention=False)
size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
batch = llama.llama_batch_init(PIECE, 0, 1)
rows = []
for start in range(0, len(ids), PIECE):
    piece = ids[start:start + PIECE]
    batch.n_tokens = len(piece)
    for i, token in enumerate(piece):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, start + i, 1, 1
        batch.seq_id[i][0] = 0
    assert llama.llama_decode(context, batch) == 0
    rows += [[round(x, 5) for x in llama.llama_get_logits_ith(context, i)[:size]] for i in range(len(piece))]
    rows = rows[-LAST:]
print(json.dumps({"vocab": size, "logits": rows}))
