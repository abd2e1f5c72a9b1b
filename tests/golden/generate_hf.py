"""Runs examples/models/*.json through the real transformers classes, writes hf_models.json.

usage: python generate_hf.py   (the versions of transformers and torch used are in README.md)
"""

import json
import pathlib
import sys

import torch

import hf_support as hf

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "examples" / "models"
POSITIONS = [0, 1, 4095, 4096, 8191, 8192, 16383, 16384, 100000, 262143, 1048575]


def lengths(config, rope_type):
    """Lengths at which a length-dependent schedule changes; null is "at initialisation"."""
    longest = config.max_position_embeddings
    if rope_type == "dynamic":
        return [None, longest, longest + 1, 2 * longest]
    if rope_type == "longrope":
        original = config.rope_parameters["original_max_position_embeddings"]
        return [None, original, original + 1, longest, 2 * longest]
    return [None]


def has_rope(model_type, attention, layer_type):
    """Whether a layer's forward pass rotates, from the attributes its own code branches on."""
    if hasattr(attention, "use_rope"):
        return bool(attention.use_rope)
    if model_type == "exaone4":
        return attention.sliding_window is None or bool(attention.is_sliding)
    return layer_type != "linear_attention"


def per_layer(text, model):
    """One entry per layer; the softmax multiplier is null where there is no softmax."""
    rows = []
    types = getattr(text, "layer_types", None)
    for index, layer in enumerate(model.layers):
        attention = hf.attention_of(layer)
        kind = types[index] if types else None
        mask, width = "full", None
        if kind == "sliding_attention" or (
            kind is None and getattr(text, "sliding_window", None) is not None
        ):
            mask, width = "sliding", text.sliding_window
        elif kind == "chunked_attention":
            mask, width = "chunked", text.attention_chunk_size
        elif kind == "linear_attention":
            mask = "none"
        rows.append(
            {
                "type": kind,
                "rotated": attention is not None and has_rope(text.model_type, attention, kind),
                "mask": mask,
                "width": width,
                "softmax_multiplier": (
                    None if attention is None else hf.softmax_multiplier(attention)
                ),
            }
        )
    return rows


def position_scale(text, model):
    """The query factor by position: the values of the function the attention calls, or, where the
    code has it inline (Llama 4), its numbers."""
    module = sys.modules[type(model).__module__]
    if hasattr(module, "get_llama_4_attn_scale"):
        rope = text.rope_parameters
        values = module.get_llama_4_attn_scale(
            torch.tensor([POSITIONS]),
            rope["llama_4_scaling_beta"],
            rope["original_max_position_embeddings"],
        )
        return {
            "law": "ministral",
            "beta": rope["llama_4_scaling_beta"],
            "original_length": rope["original_max_position_embeddings"],
            "positions": POSITIONS,
            "values": values.flatten().tolist(),
        }
    attention = hf.attention_of(model.layers[0])
    if getattr(attention, "attn_temperature_tuning", None):
        return {
            "law": "llama4",
            "attn_scale": float(attention.attn_scale),
            "floor_scale": float(attention.floor_scale),
            "applies_to": "layers without rope",
        }
    return None


def main():
    records = []
    for path in sorted(MODELS.glob("*.json")):
        config = json.loads(path.read_text())
        hf.said()
        text = hf.read_config(config)
        model = hf.build(text)
        rotary = hf.rotary_class(model)(text)
        messages = hf.said()
        layers = per_layer(text, model)
        first = True
        for layer_type, rope_type in hf.rope_entries(rotary):
            for seq_len in lengths(text, rope_type):
                inv_freq, factor = hf.frequencies(text, rotary, layer_type, rope_type, seq_len)
                multipliers = {
                    row["softmax_multiplier"]
                    for row in layers
                    if row["softmax_multiplier"] is not None and layer_type in (None, row["type"])
                }
                assert len(multipliers) == 1, (path.name, multipliers)
                records.append(
                    {
                        "name": path.stem,
                        "config": config,
                        "seq_len": seq_len,
                        "layer_type": layer_type,
                        "rope_type": rope_type,
                        "inv_freq": [float(x) for x in inv_freq.tolist()],
                        "attention_factor": factor,
                        "softmax_multiplier": multipliers.pop(),
                        "warnings": messages,
                        "position_scale": position_scale(text, model) if first else None,
                        "layers": layers if first else None,
                    }
                )
                first = False
    lines = ",\n".join(" " + json.dumps(record, allow_nan=False) for record in records)
    (HERE / "hf_models.json").write_text("[\n" + lines + "\n]\n")
    print(len(records), "records of", len({r["name"] for r in records}), "models")


if __name__ == "__main__":
    main()
