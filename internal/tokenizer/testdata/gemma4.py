"""Makes gemma4.json: a random vocabulary of the kind of Gemma 4's, texts, and the ids that llama.cpp gives them.

usage: gemma4.py BINS ORACLE > gemma4.json     with numpy and gguf; BINS and ORACLE (llamacpp_oracle.py) as for internal/transformer/testdata
"""
import json, random, subprocess, sys, tempfile
import gguf, numpy as np

bins, oracle = sys.argv[1:3]
rand = random.Random(4)
tokens = ['<pad>', '<eos>', '<bos>', '<unk>', '<|turn>', '<turn|>', '<|"|>'] + [f'<0x{b:02X}>' for b in range(256)]
types = [3, 3, 3, 3, 3, 3, 4] + [6] * 256
merges = []
def add(s):
    if s not in tokens: tokens.append(s); types.append(1)
letters = list('abcd.\n\n▁▁é日')
for c in letters: add(c)
while len(merges) < 260:
    # line ends among themselves, with others (which has no effect), and the rest
    of = [t for t in tokens[263:] if len(t) < 5]
    l, r = rand.choice(of), rand.choice(of)
    if f'{l} {r}' in merges or rand.random() < 0.6 and ('\n' in l) != ('\n' in r): continue
    merges.append(f'{l} {r}'); add(l + r)
for n in (2, 3, 7): add('\n' * n)

texts = ['', ' ', '\n', '\n\n\n\n\n\n\n', 'a', ' a', 'a\n\nb', '▁ ▁', 'x', 'aé日\u200d😀b', '<eos>ab', '<0x0A>', '\r\n', '\n' * 12 + 'a']
for _ in range(300): texts.append(''.join(rand.choice(['a', 'b', 'c', 'd', '.', ' ', '\n', 'é', '日', 'ab', '  ', '\n\n', 'z', '<turn|>']) for _ in range(rand.randrange(1, 40))))

with tempfile.TemporaryDirectory() as d:
    w = gguf.GGUFWriter(f'{d}/m.gguf', 'llama')
    w.add_context_length(64); w.add_embedding_length(32); w.add_block_count(1); w.add_feed_forward_length(32)
    w.add_head_count(1); w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model('gemma4'); w.add_token_list(tokens); w.add_token_types(types); w.add_token_merges(merges)
    w.add_token_scores([0.0] * len(tokens)); w.add_bos_token_id(2); w.add_eos_token_id(1); w.add_unk_token_id(3); w.add_pad_token_id(0)
    w.add_add_space_prefix(False)
    z = lambda *s: np.zeros(s, np.float32)
    for name, t in {'token_embd': z(len(tokens), 32), 'output_norm': z(32), 'blk.0.attn_norm': z(32), 'blk.0.ffn_norm': z(32), **{'blk.0.' + n: z(32, 32) for n in
            ('attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down')}}.items(): w.add_tensor(name + '.weight', t)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
    out = subprocess.run([sys.executable, oracle, bins, f'{d}/m.gguf', 'tokenize'], input='\n'.join(map(json.dumps, texts)) + '\n', capture_output=True, text=True, check=True).stdout
json.dump({'tokens': tokens, 'types': types, 'merges': merges, 'texts': texts, 'ids': [json.loads(l) for l in out.splitlines()]}, sys.stdout, ensure_ascii=False, separators=(',', ':'))
print()
