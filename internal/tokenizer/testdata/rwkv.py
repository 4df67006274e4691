"""Makes rwkv.json: a random vocabulary of the kind of RWKV's, texts, and the ids that llama.cpp gives them.

usage: rwkv.py BINS ORACLE > rwkv.json     with numpy and gguf; BINS and ORACLE (llamacpp_oracle.py) as for internal/transformer/testdata
"""
import json, random, subprocess, sys, tempfile
import gguf, numpy as np

bins, oracle = sys.argv[1:3]
rand = random.Random(6)
written = lambda b: repr(b)[2:-1]  # as the converter of models writes tokens
tokens, types = ['<s>'], [3]
def add(b):
    if written(b) not in tokens: tokens.append(written(b)); types.append(1)
for b in range(256): add(bytes([b]))
parts = [*'abcd.\n\n\t\r \'"\\é日', '\u00a0', '😀', 'User', 'Assistant', ':', '\n\n', '\\x41', '  ', '<s']
# Words of some parts, so that many have a beginning that is none; and parts of characters.
while len(tokens) < 700:
    b = ''.join(rand.choice(parts) for _ in range(rand.randrange(2, 7))).encode()
    add(b[rand.randrange(2):] if rand.random() < 0.3 else b)
add(b'\n\n'); add(b' ' * 40); add(b'a' * 128)

texts = ['', ' ', '\n\n', '\n\n\n', 'User: a\n\nAssistant: b', '\\n', '\\x41A\\', "'\"'", 'a' * 300, ' ' * 100, '日\u200d😀é\x00\x7f', '\r\n\t', '<s']
for _ in range(300): texts.append(''.join(rand.choice(parts + ['z', 'Z', '\\', 'ab', 'ñ', '\x1b']) for _ in range(rand.randrange(1, 60))))

with tempfile.TemporaryDirectory() as d:
    w = gguf.GGUFWriter(f'{d}/m.gguf', 'llama')
    w.add_context_length(64); w.add_embedding_length(32); w.add_block_count(1); w.add_feed_forward_length(32)
    w.add_head_count(1); w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model('rwkv'); w.add_token_list(tokens); w.add_token_types(types)
    w.add_bos_token_id(0); w.add_eos_token_id(0); w.add_eot_token_id(tokens.index('\\n\\n'))
    z = lambda *s: np.zeros(s, np.float32)
    for name, t in {'token_embd': z(len(tokens), 32), 'output_norm': z(32), 'blk.0.attn_norm': z(32), 'blk.0.ffn_norm': z(32), **{'blk.0.' + n: z(32, 32) for n in
            ('attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down')}}.items(): w.add_tensor(name + '.weight', t)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    out = subprocess.run([sys.executable, oracle, bins, f'{d}/m.gguf', 'tokenize'], input='\n'.join(map(json.dumps, texts)) + '\n', capture_output=True, text=True, check=True).stdout
json.dump({'tokens': tokens, 'types': types, 'texts': texts, 'ids': [json.loads(l) for l in out.splitlines()]}, sys.stdout, ensure_ascii=False, separators=(',', ':'))
print()
