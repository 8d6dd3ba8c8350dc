"""Reference values for a model of real size: what transformers computes in float32 and in bfloat16.

Reads a GGUF file whose tensors are F32 or BF16 (such as `personaprobe model synth` writes), gives its weights to
transformers' Qwen2ForCausalLM, and writes the logits after the last token of random prompts and the hidden states of
that token at four layers, in both precisions, to a safetensors file. The test TestNativeAgainstTransformers compares.

    python3 scripts/transformers_reference.py MODEL.gguf REFERENCE.safetensors
"""
import json
import struct
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

LAYERS, PROMPTS = (10, 15, 20, 25), 32


def read_gguf(path):
    """The metadata and the tensors, as memory maps of their raw bytes."""
    f = open(path, "rb")
    scalar = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def number(kind):
        size = struct.calcsize("<" + scalar[kind])
        return struct.unpack("<" + scalar[kind], f.read(size))[0]

    def value(kind):
        if kind == 8:
            return f.read(number(10))
        if kind == 9:
            inner, n = number(4), number(10)
            return [value(inner) for _ in range(n)]
        return number(kind)

    assert f.read(4) == b"GGUF"
    number(4)
    n_tensors, n_pairs = number(10), number(10)
    meta = {}
    for _ in range(n_pairs):
        key = f.read(number(10)).decode()
        meta[key] = value(number(4))
    infos = []
    for _ in range(n_tensors):
        name = f.read(number(10)).decode()
        shape = [number(10) for _ in range(number(4))]
        infos.append((name, shape[::-1], number(4), number(10)))
    align = meta.get("general.alignment", 32)
    start = (f.tell() + align - 1) // align * align
    raw = np.memmap(path, np.uint8, "r")
    return meta, {n: (s, k, raw[start + o:]) for n, s, k, o in infos}


def tensor(info):
    shape, kind, raw = info
    n = int(np.prod(shape))
    if kind == 0:
        return torch.from_numpy(np.frombuffer(raw[:4 * n], np.float32).copy()).reshape(shape)
    assert kind == 30, f"ggml type {kind}"
    return torch.from_numpy(np.frombuffer(raw[:2 * n], np.int16).copy()).view(torch.bfloat16).reshape(shape)


NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def hf_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output.weight":
        return "lm_head.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{kind}"


def load(path, dtype):
    meta, tensors = read_gguf(path)
    m = {k.split(".", 1)[1]: v for k, v in meta.items() if k.startswith("qwen2.")}
    config = Qwen2Config(
        vocab_size=tensors["token_embd.weight"][0][0], hidden_size=m["embedding_length"],
        intermediate_size=m["feed_forward_length"], num_hidden_layers=m["block_count"],
        num_attention_heads=m["attention.head_count"], num_key_value_heads=m["attention.head_count_kv"],
        rms_norm_eps=m["attention.layer_norm_rms_epsilon"], rope_theta=m["rope.freq_base"],
        max_position_embeddings=4096, tie_word_embeddings="output.weight" not in tensors)
    config.rope_parameters = {"rope_type": "default", "rope_theta": float(m["rope.freq_base"])}
    with torch.device("meta"):
        model = Qwen2ForCausalLM(config)
    model = model.to(dtype).to_empty(device="cuda").eval()
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to("cuda")  # its buffer is no weight
    state = model.state_dict()
    for name, info in tensors.items():
        state[hf_name(name)].copy_(tensor(info))
    return model


@torch.no_grad()
def main(path, out):
    generator = torch.Generator().manual_seed(7)
    prompts = [torch.randint(100, 150000, (20 + 3 * i,), generator=generator) for i in range(PROMPTS)]
    result = {}
    for label, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        model = load(path, dtype)
        logits, states = [], []
        for p in prompts:
            o = model(p[None].cuda(), output_hidden_states=True, use_cache=False)
            logits.append(o.logits[0, -1].float().cpu())
            states.append(torch.stack([o.hidden_states[l + 1][0, -1].float().cpu() for l in LAYERS]))
        result[f"logits/{label}"] = torch.stack(logits)
        result[f"states/{label}"] = torch.stack(states)  # (prompts, layers, hidden)
        del model
        torch.cuda.empty_cache()
    save_file(result, out, metadata={"tokens": json.dumps([p.tolist() for p in prompts]), "layers": json.dumps(LAYERS)})


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = False
    main(*sys.argv[1:])
