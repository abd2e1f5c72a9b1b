"""Draws plausible random configs, asks the real transformers classes, and writes hf_random.json.

usage: python generate_hf_random.py   (seeded; versions of transformers and torch: README.md)
"""

import json
import pathlib
import random

import numpy
import torch

import hf_support as hf

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = 240
SEED = 20260711

# Classes whose own code reads partial_rotary_factor for rope_type "default"; the others ignore it
# there, so there it is drawn only for these.
PARTIAL = ["phi", "stablelm", "glm", "nemotron", "persimmon"]
PLAIN = ["llama", "mistral", "qwen2", "qwen3", "olmo2", "starcoder2", "internlm3", "granite"]
OWN_THETA = ["cohere", "gpt_oss", "helium", "mixtral", "smollm3"]  # not 10000 when it is absent
TYPES = [
    "default",
    "linear",
    "dynamic",
    "yarn",
    "longrope",
    "llama3",
    "proportional",
    "nested",
    "old_gemma3",
    "mla",
]
WEIGHTS = [34, 26, 28, 48, 26, 24, 16, 22, 8, 8]


def pick(rng, *choices):
    return rng.choice(choices)


def number(rng, value):
    """The same number as JSON integer or float, at random, where it is whole."""
    return int(value) if value == int(value) and rng.random() < 0.5 else float(value)


def sizes(rng):
    """Head width given, null or derived; layers few, so that the model is quick to build."""
    head_dim = pick(rng, 16, 32, 48, 64, 64, 80, 96, 128, 128)
    heads = pick(rng, 2, 4, 8, 12)
    config = {
        "hidden_size": head_dim * heads,
        "num_attention_heads": heads,
        "num_key_value_heads": pick(rng, 1, heads),
        "num_hidden_layers": 2,
    }
    form = pick(rng, "derived", "given", "other")
    if form == "given":
        config["head_dim"] = head_dim
    elif form == "other":  # a width that hidden_size / heads does not give
        head_dim = pick(rng, 32, 64, 96, 128)
        config["head_dim"] = head_dim
    config["max_position_embeddings"] = pick(rng, 2048, 4096, 8192, 32768, 40960, 131072, 262144)
    return config, head_dim


def theta(rng):
    value = pick(
        rng,
        1e4,
        1e4,
        5e5,
        1e6,
        5e6,
        1e7,
        150000,
        8e6,
        283461213.0,
        5e7,
        round(rng.uniform(2e3, 2e5), 3),
    )
    return number(rng, value)


def partial(rng):
    return pick(rng, 0.25, 0.4, 0.5, 0.75, 0.75, 1.0, 0.33, 0.3)


def extra(rng, kind, head_dim, config):
    """The keys of one rope type, its name and theta apart."""
    longest = config["max_position_embeddings"]
    factor = pick(rng, 2, 4, 8, 16, 40, 1, 1.5, 3.7)
    keys = {"factor": number(rng, factor)}
    if kind == "yarn":
        if rng.random() < 0.8:
            keys["original_max_position_embeddings"] = pick(
                rng, 2048, 4096, 8192, max(512, longest // 4)
            )
        if rng.random() < 0.5:
            keys["beta_fast"], keys["beta_slow"] = pick(
                rng, (32, 1), (32.0, 1.0), (64, 2), (4.0, 1), (16, 0.5), (1.0, 1.0)
            )
        elif rng.random() < 0.2:
            keys["beta_fast"] = pick(rng, None, 0, 24)
        if rng.random() < 0.4:
            keys["truncate"] = pick(rng, True, False, False)
        if rng.random() < 0.35:
            keys["mscale"] = pick(rng, 1.0, 0.707, 1, 0, 1.3)
            if rng.random() < 0.8:
                keys["mscale_all_dim"] = pick(rng, 1.0, 0.707, 0.5, 0, 1)
        if rng.random() < 0.2:
            keys["attention_factor"] = pick(rng, 1.0, 1.25, 0.9, 1, None)
        if rng.random() < 0.08:
            keys["factor"] = None
    elif kind == "longrope":
        if rng.random() < 0.6:
            del keys["factor"]
        if rng.random() < 0.2:
            keys["attention_factor"] = pick(rng, 1.0, 1.1902380714238083, None)
    elif kind == "llama3":
        low = pick(rng, 1.0, 1, 2.0)
        keys["low_freq_factor"] = low
        keys["high_freq_factor"] = pick(rng, 4.0, 4, 8.0, low)
        if rng.random() < 0.85:
            keys["original_max_position_embeddings"] = pick(rng, 1024, 2048, 8192)
    elif kind == "proportional":
        if rng.random() < 0.6:
            del keys["factor"]
    elif kind == "default":
        keys = {}
    return keys


def lists(rng, keys, pairs):
    """Two factor lists that rise, as published ones do."""
    short = sorted(round(rng.uniform(1.0, 2.8), rng.choice([2, 6])) for _ in range(pairs))
    long = sorted(round(rng.uniform(1.0, 65.0), rng.choice([2, 6])) for _ in range(pairs))
    keys["short_factor"] = [1.0] * pairs if rng.random() < 0.3 else short
    keys["long_factor"] = [1 if i == 0 else v for i, v in enumerate(long)]


def spell(rng, config, kind, keys, base, share):
    """Put the keys where old and new files put them."""
    new = rng.random() < 0.5
    block = dict(keys)
    if kind != "default" or rng.random() < 0.5:
        name = "rope_type" if new else pick(rng, "type", "rope_type")
        block = {name: kind, **block}
        if rng.random() < 0.08:
            block = {"rope_type": kind, "type": kind, **keys}
    if base is not None:
        if new and rng.random() < 0.8:
            block["rope_theta"] = base
            if rng.random() < 0.1:
                config["rope_theta"] = 12345.0  # a stale value: the block wins
        else:
            config["rope_theta"] = base
    if share is not None:
        if new and rng.random() < 0.6:
            block["partial_rotary_factor"] = share
        else:
            config["partial_rotary_factor"] = share
    if block:
        config["rope_parameters" if new else "rope_scaling"] = block
    elif rng.random() < 0.5:
        config["rope_scaling"] = None


def draw(rng, kind):
    """(config, lengths, flags)"""
    config, head_dim = sizes(rng)
    flags = []
    if kind == "old_gemma3":
        config.update(
            model_type="gemma3_text",
            head_dim=head_dim,
            num_hidden_layers=6,
            query_pre_attn_scalar=pick(rng, 168, 256, head_dim),
        )
        if rng.random() < 0.7:
            config["rope_theta"] = theta(rng)
        if rng.random() < 0.7:
            config["rope_local_base_freq"] = number(rng, pick(rng, 10000, 20000))
        config["rope_scaling"] = pick(
            rng, None, {"rope_type": "linear", "factor": 8.0}, {"rope_type": "linear", "factor": 4}
        )
        config["sliding_window"], config["sliding_window_pattern"] = 512, pick(rng, 2, 3, 6)
        return config, [None], flags
    if kind == "nested":
        model_type = pick(rng, "gemma3_text", "gemma3_text", "gemma4_text", "olmo3")
        layers = pick(rng, 2, 4, 6)
        config.update(
            model_type=model_type, head_dim=head_dim, num_hidden_layers=layers, sliding_window=512
        )
        config["layer_types"] = [
            pick(rng, "sliding_attention", "full_attention") for _ in range(layers - 2)
        ] + ["sliding_attention", "full_attention"]
        if model_type == "gemma4_text":
            config["global_head_dim"] = pick(rng, head_dim, 2 * head_dim, 128)
        blocks = {}
        for layer_type in ("full_attention", "sliding_attention"):
            inner = (
                "default"
                if layer_type == "sliding_attention"
                else pick(rng, "default", "linear", "yarn", "llama3", "proportional")
            )
            keys = extra(rng, inner, head_dim, config)
            keys.pop(
                "truncate", None
            )  # transformers reads it from the outer object only; left out here
            blocks[layer_type] = {"rope_type": inner, **keys, "rope_theta": theta(rng)}
            if inner == "proportional":
                blocks[layer_type]["partial_rotary_factor"] = pick(rng, 0.25, 0.5, 1.0)
        config["rope_parameters"] = blocks
        return config, [None], flags
    if kind == "mla":
        config.update(
            model_type=pick(rng, "deepseek_v2", "deepseek_v3"),
            hidden_size=64,
            num_attention_heads=4,
            num_key_value_heads=4,
            qk_rope_head_dim=pick(rng, 32, 64),
            qk_nope_head_dim=pick(rng, 64, 128),
        )
        config.pop("head_dim", None)
        keys = extra(rng, "yarn", config["qk_rope_head_dim"], config)
        if keys["factor"] is None:
            keys["factor"] = 40
        keys["mscale"] = keys["mscale_all_dim"] = pick(rng, 1.0, 0.707, 1)
        spell(rng, config, "yarn", keys, theta(rng), None)
        return config, [None], flags

    share = partial(rng) if rng.random() < 0.35 else None
    if kind == "default":
        model_type = rng.choice(PARTIAL if share is not None or rng.random() < 0.3 else PLAIN)
    elif kind == "longrope":
        model_type = pick(rng, "phi3", "phi3", "llama", "qwen2")
    else:
        model_type = rng.choice(PLAIN + PARTIAL)
    config["model_type"] = model_type
    if model_type in ("phi3", "phi", "stablelm", "persimmon"):  # width always hidden_size / heads
        config.pop("head_dim", None)
        head_dim = config["hidden_size"] // config["num_attention_heads"]
    if "head_dim" not in config and model_type in ("qwen3", "internlm3", "glm"):
        config["head_dim"] = head_dim
    if model_type in ("llama", "mistral") and "head_dim" not in config and rng.random() < 0.3:
        config["head_dim"] = None

    base = theta(rng) if rng.random() < 0.85 else None
    if base is None and rng.random() < 0.5 and kind in ("default", "linear", "yarn"):
        model_type = config["model_type"] = rng.choice(OWN_THETA)
        share = None
        config["head_dim"] = head_dim
        if model_type == "cohere":
            del config["head_dim"]
            head_dim = config["hidden_size"] // config["num_attention_heads"]
        flags.append("class_default_theta")

    keys = extra(rng, kind, head_dim, config)
    usual = {"phi": 0.5, "stablelm": 0.25, "glm": 0.5, "nemotron": 0.5, "persimmon": 0.5}
    rotary = int(head_dim * (usual.get(model_type, 1.0) if share is None else share))
    if rotary % 2 and kind != "proportional":
        flags.append("odd_rotary_dim")
    if kind == "longrope":
        lists(rng, keys, (rotary + 1) // 2)
        if model_type == "phi3":
            config["original_max_position_embeddings"] = pick(rng, 2048, 4096, 8192)
        elif rng.random() < 0.6:
            keys["original_max_position_embeddings"] = pick(rng, 2048, 4096)
        else:
            config["original_max_position_embeddings"] = pick(rng, 2048, 4096)
    elif kind in ("yarn", "llama3") and rng.random() < 0.12:
        config["original_max_position_embeddings"] = pick(rng, 1024, 4096)
    spell(rng, config, kind, keys, base, share)

    longest = config["max_position_embeddings"]
    seq_lens = [None]
    if kind == "dynamic":
        seq_lens = [pick(rng, None, longest // 2, longest, longest + 1, 2 * longest, 8 * longest)]
    elif kind == "longrope":
        original = {**keys, **config}["original_max_position_embeddings"]
        seq_lens = [pick(rng, None, original, original + 1, longest)]
    elif rng.random() < 0.1:
        seq_lens = [2 * longest]  # no effect on these types
    return config, seq_lens, flags


def short(values):
    """Shortest decimal that reads back as the same float32."""
    array = values.to(torch.float32).numpy()
    assert numpy.isfinite(array).all()
    return [float(str(v)) for v in array]


def measure(config, seq_len):
    text = hf.read_config(config)
    model = hf.build(text)
    rotary = hf.rotary_class(model)(text)
    types = getattr(text, "layer_types", None)
    for layer_type, rope_type in hf.rope_entries(rotary):
        length = seq_len if rope_type in ("dynamic", "longrope") else None
        inv_freq, factor = hf.frequencies(text, rotary, layer_type, rope_type, length)
        index = types.index(layer_type) if layer_type is not None else 0
        multiplier = hf.softmax_multiplier(hf.attention_of(model.layers[index]))
        yield layer_type, rope_type, inv_freq, factor, multiplier


BROKEN = {
    "unknown type": {"rope_scaling": {"rope_type": "cubic", "factor": 2.0}},
    "linear without factor": {"rope_scaling": {"type": "linear"}},
    "dynamic without factor": {"rope_scaling": {"type": "dynamic"}},
    "yarn without factor": {
        "rope_scaling": {"type": "yarn", "original_max_position_embeddings": 2048}
    },
    "llama3 without low_freq_factor": {
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0}
    },
    "longrope without long_factor": {
        "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 32}
    },
    "longrope list too short": {
        "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 31, "long_factor": [2.0] * 32}
    },
    "factor is a string": {"rope_scaling": {"type": "linear", "factor": "2"}},
    "theta is null": {"rope_theta": None},
    "theta is a string": {"rope_theta": "10000"},
    "rope_scaling is a string": {"rope_scaling": "linear"},
    "rope_scaling is a list": {"rope_scaling": [2.0]},
    "odd head": {"head_dim": 63},
    "yarn with an odd rotary width": {
        "rope_scaling": {"type": "yarn", "factor": 2.0, "partial_rotary_factor": 0.33}
    },
    "linear with null factor": {"rope_scaling": {"type": "linear", "factor": None}},
}


def main():
    rng = random.Random(SEED)
    cases, refused, drawn = [], [], 0
    while len({case["name"] for case in cases}) < CONFIGS:
        kind = rng.choices(TYPES, WEIGHTS)[0]
        config, seq_lens, flags = draw(rng, kind)
        name = f"random-{drawn:03d}"
        drawn += 1
        try:
            for seq_len in seq_lens:
                for layer_type, rope_type, inv_freq, factor, multiplier in measure(config, seq_len):
                    cases.append(
                        {
                            "name": name,
                            "config": config,
                            "seq_len": seq_len,
                            "layer_type": layer_type,
                            "rope_type": rope_type,
                            "inv_freq": short(inv_freq),
                            "attention_factor": factor,
                            "softmax_multiplier": multiplier,
                            "flags": flags,
                        }
                    )
        except Exception as error:  # whatever the library raises is the finding
            refused.append({"name": name, "config": config, "exception": type(error).__name__})
    llama = {
        "model_type": "llama",
        "hidden_size": 512,
        "num_attention_heads": 8,
        "num_hidden_layers": 2,
        "max_position_embeddings": 4096,
    }
    for name, change in BROKEN.items():
        config = {**llama, **change}
        try:
            list(measure(config, None))
        except Exception as error:
            refused.append({"name": name, "config": config, "exception": type(error).__name__})
        else:
            raise AssertionError(name + " was accepted")
    rows = [json.dumps(c, allow_nan=False, separators=(",", ":")) for c in cases]
    bad = [json.dumps(c, allow_nan=False, separators=(",", ":")) for c in refused]
    (HERE / "hf_random.json").write_text(
        '{"seed":%d,"configs":%d,\n"cases":[\n%s\n],\n"refused":[\n%s\n]}\n'
        % (SEED, CONFIGS, ",\n".join(rows), ",\n".join(bad))
    )
    print(
        len({c["name"] for c in cases}), "configs,", len(cases), "cases;", len(refused), "refused"
    )


if __name__ == "__main__":
    main()
