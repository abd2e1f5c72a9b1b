"""Writes safetensors/: small files by the format's own writer, and what is in them.

Run with safetensors 0.8.0 and torch 2.15.0 (README.md); the same bytes each time.
"""

import json
import pathlib

import torch
from safetensors import deserialize
from safetensors.torch import save

TYPES = (
    "bool uint8 int8 float8_e5m2 float8_e4m3fn float8_e8m0fnu float8_e4m3fnuz float8_e5m2fnuz "
    "int16 uint16 float16 bfloat16 int32 uint32 float32 complex64 float64 int64 uint64"
).split()


def every_type():
    """One tensor of every element type torch and the format share, its bytes counted up."""
    tensors = {}
    for index, name in enumerate(TYPES):
        dtype = getattr(torch, name)
        count = 3 + index
        size = torch.empty(0, dtype=dtype).element_size()
        values = [0, 1] * count if name == "bool" else range(7 * index, 7 * index + 2 * count * size)
        raw = torch.tensor([value % 256 for value in values], dtype=torch.uint8)
        raw = raw[: 2 * count * size]
        tensors[f"tensor.{name}"] = raw.view(dtype).reshape(2, count)
    return tensors


def floats():
    """Values that each 16-bit type holds, their limits and the rest of what can be special."""
    values = [0.0, -0.0, 1.0, -2.5, 6.103515625e-05, 5.960464477539063e-08, 65504.0, 0.333251953125]
    return {
        "f32": torch.tensor(values + [1.1754943508222875e-38, 1e-45, 3.4028234663852886e38]),
        "f16": torch.tensor(values, dtype=torch.float16).reshape(2, 4),
        "bf16": torch.tensor(values, dtype=torch.bfloat16).reshape(2, 2, 2),
    }


def shapes():
    return {
        "scalar": torch.tensor(4.0),
        "empty": torch.empty(0, 3, dtype=torch.float16),
        "one": torch.tensor([[[[1]]]], dtype=torch.int64),
        "": torch.tensor([7], dtype=torch.uint8),
        "strange \"name\" \\ \u00e9\n": torch.tensor([8, 9], dtype=torch.uint8),
    }


def main():
    folder = pathlib.Path(__file__).parent / "safetensors"
    folder.mkdir(exist_ok=True)
    content = {}
    for name, tensors, metadata in (
        ("every_type", every_type(), None),
        ("floats", floats(), {"format": "pt"}),
        ("shapes", shapes(), {"format": "pt"}),
        ("nothing", {}, None),
    ):
        data = save(tensors, metadata)
        (folder / f"{name}.safetensors").write_bytes(data)
        records = []
        for key, tensor in deserialize(data):
            record = {
                "name": key,
                "dtype": tensor["dtype"],
                "shape": list(tensor["shape"]),
                "bytes": bytes(tensor["data"]).hex(),
            }
            if name == "floats":
                values = tensors[key].reshape(-1).to(torch.float32)
                record["float32_bits"] = [bits & 0xFFFFFFFF for bits in values.view(torch.int32).tolist()]
            records.append(record)
        records.sort(key=lambda record: record["name"])
        content[name] = {"metadata": metadata, "tensors": records}
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True)
    (folder / "content.json").write_text(text + "\n")


main()
