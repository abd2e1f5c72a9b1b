"""Cosine and sine tables of real rotary modules at sampled positions, writes float32_tables.json.

usage: python generate_float32_tables.py   (the versions of transformers and torch used are in README.md)
"""

import json
import pathlib
import random

import torch
import transformers

import hf_support as hf

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "examples" / "models"
NAMES = ["llama-2-7b", "llama-3.1-8b", "qwen2.5-7b", "yarn-llama-2-7b-64k", "gpt-oss-20b"]
LAST = 131072


def positions():
    """The ends, the powers of two and their neighbours, and some between."""
    chosen = {0, 1, 2, 3, LAST - 1, LAST}
    chosen |= {(1 << k) + d for k in (7, 12, 15, 16) for d in (-1, 0)}
    draw = random.Random(3)
    while len(chosen) < 20:
        chosen.add(draw.randrange(LAST))
    return sorted(chosen)


def bits(tensor):
    """float32 values as their 32-bit words."""
    return tensor.contiguous().view(torch.int32).flatten().tolist()


def run(rotary, where):
    """(angles, cos, sin): the module's own forward pass; the angles are what it takes the cosine of."""
    seen = []
    cosine = torch.Tensor.cos

    def spy(tensor, *arguments, **keywords):
        seen.append(tensor.clone())
        return cosine(tensor, *arguments, **keywords)

    torch.Tensor.cos = spy
    try:
        ids = torch.tensor([where], dtype=torch.int64)
        cos, sin = rotary(torch.zeros(1, dtype=torch.float32), ids)
    finally:
        torch.Tensor.cos = cosine
    assert len(seen) == 1 and cos.dtype == torch.float32
    return seen[0][0], cos[0], sin[0]


def record(name):
    config = json.loads((MODELS / f"{name}.json").read_text())
    text = hf.read_config(config.get("config", config))
    rotary = hf.rotary_class(hf.build(text))(text)
    where = positions()
    angles, cos, sin = run(rotary, where)
    pairs = rotary.inv_freq.numel()
    return {
        "name": name,
        "class": type(rotary).__name__,
        "pairs": pairs,
        "attention_factor": float(rotary.attention_scaling),
        "inv_freq": bits(rotary.inv_freq),
        "positions": where,
        "angle": bits(angles[:, :pairs]),
        "cos": bits(cos[:, :pairs]),
        "sin": bits(sin[:, :pairs]),
    }


def main():
    records = [record(name) for name in NAMES]
    result = {
        "transformers": transformers.__version__,
        "torch": torch.__version__.split("+")[0],
        "records": records,
    }
    path = HERE / "float32_tables.json"
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    for entry in records:
        print(entry["name"], entry["class"], entry["pairs"], entry["attention_factor"])


if __name__ == "__main__":
    main()
