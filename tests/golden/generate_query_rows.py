"""Writes query_rows.json: which rows of its projection each model's code takes for which query head.

Builds a tiny random model of each kind, makes its projection return row numbers instead of products,
and looks at what arrives in the attention as queries. One token at position 0, so that rotation
changes nothing. Run with transformers 5.23.0 and torch 2.15.0 (README.md); the same bytes each time.
"""

import json
import pathlib

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

SMALL = {
    "vocab_size": 16, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 32, "max_position_embeddings": 32, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**SMALL, "num_key_value_heads": 2}
GPT2 = {
    "vocab_size": 16, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 32,
    "bos_token_id": 1, "eos_token_id": 2,
}
KINDS = [
    ("llama", GROUPED),
    ("llama", {**GROUPED, "head_dim": 8}),
    ("qwen2", GROUPED),
    ("gemma", {**GROUPED, "head_dim": 6}),
    ("deepseek_v3", {**SMALL, "q_lora_rank": 6, "kv_lora_rank": 8, "qk_nope_head_dim": 4,
                     "qk_rope_head_dim": 2, "v_head_dim": 5, "n_routed_experts": 4,
                     "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
                     "moe_intermediate_size": 8, "first_k_dense_replace": 2,
                     "num_key_value_heads": 4}),
    ("deepseek_v3", {**SMALL, "q_lora_rank": None, "kv_lora_rank": 8, "qk_nope_head_dim": 4,
                     "qk_rope_head_dim": 2, "v_head_dim": 5, "n_routed_experts": 4,
                     "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
                     "moe_intermediate_size": 8, "first_k_dense_replace": 2,
                     "num_key_value_heads": 4}),
    ("phi3", GROUPED),
    ("gpt_neox", SMALL),
    ("gpt_neox_japanese", SMALL),
    ("bloom", {"vocab_size": 16, "hidden_size": 24, "n_layer": 2, "n_head": 4}),
    ("falcon", {**SMALL, "new_decoder_architecture": True, "num_kv_heads": 2}),
    ("falcon", {**SMALL, "new_decoder_architecture": False, "multi_query": True}),
    ("falcon", {**SMALL, "new_decoder_architecture": False, "multi_query": False}),
    ("gpt2", GPT2),
    ("openai-gpt", GPT2),
    ("gpt_bigcode", {**GPT2, "multi_query": True}),
    ("gpt_bigcode", {**GPT2, "multi_query": False}),
    ("codegen", {**GPT2, "n_embd": 32, "n_head": 8, "rotary_dim": 4, "n_ctx": 32}),
    ("gptj", {**GPT2, "rotary_dim": 4}),
    ("mpt", {"vocab_size": 16, "d_model": 24, "n_layers": 2, "n_heads": 4, "max_seq_len": 32}),
    ("persimmon", {**SMALL, "hidden_size": 32, "qk_layernorm": False}),
    ("modernbert", {**SMALL}),
]
NAMES = ("q_proj", "q_b_proj", "qkv_proj", "query_key_value", "c_attn", "Wqkv")


def scaled_dot_product(seen):
    """Stands in for torch's attention and keeps the queries, (1, heads, 1, head_dim)."""
    original = torch.nn.functional.scaled_dot_product_attention

    def attention(query, *rest, **options):
        seen.append(query.detach().clone())
        return original(query, *rest, **options)

    return attention


def watch(model, seen):
    """Ways in which models come to their logits, all of them watched for queries."""
    undo = []

    def replace(place, name, function):
        undo.append((place, name, getattr(place, name)))
        setattr(place, name, function)

    functional = torch.nn.functional
    replace(functional, "scaled_dot_product_attention", scaled_dot_product(seen))
    for module in model.modules():
        if hasattr(module, "_attn"):  # codegen, gptj, openai-gpt: (query, key, value, ...)
            inner = module._attn

            def attention(query, *rest, inner=inner, **options):
                seen.append(query.detach().clone())
                return inner(query, *rest, **options)

            replace(module, "_attn", attention)
        if type(module).__name__ == "BloomAttention":
            inner_reshape = module._reshape

            def reshape(fused, inner=inner_reshape):
                parts = inner(fused)
                seen.append(parts[0].detach().clone())
                return parts

            replace(module, "_reshape", reshape)
    if model.config.model_type == "mpt":
        inner_matmul = torch.matmul

        def matmul(a, b, inner=inner_matmul):
            if a.dim() == 4:
                seen.append(a.detach().clone())
            return inner(a, b)

        replace(torch, "matmul", matmul)
    return undo


def query_rows(kind, keys):
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **keys)
    config._attn_implementation = "sdpa"
    if kind == "modernbert":
        model = transformers.ModernBertModel(config)
    else:
        try:
            model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        except ValueError:
            model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model.eval()
    name, projection = next(
        (name, module) for name, module in model.named_modules() if name.split(".")[-1] in NAMES
    )
    rows = projection.bias.shape[0] if projection.bias is not None else projection.weight.shape[0]

    def row_numbers(module, inputs, output):
        return torch.arange(rows, dtype=output.dtype).expand(output.shape).contiguous()

    projection.register_forward_hook(row_numbers)
    seen = []
    undo = watch(model, seen)
    with torch.no_grad():
        model(torch.zeros(1, 1, dtype=torch.int64))
    for place, attribute, value in undo:
        setattr(place, attribute, value)
    heads = next(keys[key] for key in ("num_attention_heads", "n_head", "n_heads") if key in keys)
    query = seen[0].reshape(-1)
    width = query.numel() // heads
    return {
        "config": {"model_type": kind, **keys},
        "tensor": name,
        "shape": list(projection.weight.shape),
        "bias": projection.bias is not None,
        "rows": query.reshape(heads, width).round().to(torch.int64).tolist(),
    }


def main():
    records = []
    for kind, keys in KINDS:
        record = query_rows(kind, keys)
        records.append(record)
    lines = ",\n".join(json.dumps(record, sort_keys=True) for record in records)
    path = pathlib.Path(__file__).with_name("query_rows.json")
    path.write_text("[\n" + lines + "\n]\n")


main()
