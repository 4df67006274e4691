#!/usr/bin/env python3
"""Makes a model and a draft model that is right as often as one likes, to measure what a draft gains.

usage: draft.py MODEL.gguf OUT SHARE [LAYERS]        needs the packages gguf and numpy

MODEL is one of llama's architecture in Q8_0 with random weights. OUT/model.gguf is MODEL with the layers from LAYERS (2)
on of less influence, SHARE of what they had, and with probabilities as sure as those of trained models;
OUT/draft.gguf is its first LAYERS. So both cost what models of their sizes cost, and the smaller SHARE, the
more often the draft is right: parley bench --model OUT/model.gguf --draft OUT/draft.gguf --foreseen 0 counts it.
"""
import os
import sys

import gguf
import numpy as np

path, out, share = sys.argv[1], sys.argv[2], float(sys.argv[3])
layers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
SURE = 30  # how much further apart logits are


def write(name, keep, count=None):
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(os.path.join(out, name), "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = field.contents()
        if field.name == "llama.block_count" and count:
            value = count
        kind = field.types[0]
        writer.add_key_value(field.name, value, kind, sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        parts = tensor.name.split(".")
        layer = int(parts[1]) if parts[0] == "blk" else -1
        if not keep(layer):
            continue
        data = tensor.data
        if tensor.name == "output_norm.weight":
            data = data * np.float32(SURE)
        elif layer >= layers and parts[2] in ("attn_output", "ffn_down"):
            assert tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0, tensor.name
            blocks = data.reshape(-1, 34).copy()
            scales = blocks[:, :2].copy().view(np.float16) * np.float16(share)
            blocks[:, :2] = scales.view(np.uint8)
            data = blocks.reshape(data.shape)
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


os.makedirs(out, exist_ok=True)
write("model.gguf", lambda layer: True)
write("draft.gguf", lambda layer: layer < layers, layers)
