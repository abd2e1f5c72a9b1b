"""What both generators share: asking the real transformers classes for their rotary facts."""

import copy
import logging
import warnings

import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING

# model_type known only to remote code: the class that its `architectures` entry names is used.
CLASS_OF = {"kimi_k2": "deepseek_v3"}


class Collector(logging.Handler):
    """Keeps what transformers says while a config is read."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        if "rope" in record.getMessage().lower():
            self.messages.append(record.getMessage())


COLLECTOR = Collector()
_library = transformers.utils.logging.get_logger("transformers")
_library.handlers = [COLLECTOR]
_library.propagate = False
warnings.filterwarnings("ignore")


def said():
    """Messages since the last call, each once, in order."""
    messages, COLLECTOR.messages = list(dict.fromkeys(COLLECTOR.messages)), []
    transformers.utils.logging.warning_once.cache_clear()
    return messages


def read_config(config):
    """The text part of a config.json, as its real configuration class."""
    config = copy.deepcopy(config)
    model_type = config.pop("model_type")
    model_type = CLASS_OF.get(model_type, model_type)
    return CONFIG_MAPPING[model_type].from_dict(config).get_text_config()


def build(text):
    """The real base model on the meta device: no memory, but every module with its numbers."""
    with torch.device("meta"):
        return MODEL_MAPPING[type(text)](text)


def rotary_class(model):
    return type(model.rotary_emb)


def rope_entries(rotary):
    """[(layer type or None, rope type)]: one entry, or one per layer type."""
    if isinstance(rotary.rope_type, dict):
        return [(name, rotary.rope_type[name]) for name in sorted(rotary.rope_type)]
    return [(None, rotary.rope_type)]


def frequencies(text, rotary, layer_type, rope_type, seq_len):
    """(inv_freq, attention factor) of the rotary module; with a length, as recomputed for it."""
    if seq_len is None:
        if layer_type is None:
            return rotary.inv_freq, float(rotary.attention_scaling)
        return getattr(rotary, layer_type + "_inv_freq"), float(
            getattr(rotary, layer_type + "_attention_scaling")
        )
    keywords = {} if layer_type is None else {"layer_type": layer_type}
    inv_freq, factor = ROPE_INIT_FUNCTIONS[rope_type](text, seq_len=seq_len, **keywords)
    return inv_freq, float(factor)


def attention_of(layer):
    return getattr(layer, "self_attn", None) or getattr(layer, "attention", None)


def softmax_multiplier(attention):
    """The module's logit scale over 1/sqrt(query head width)."""
    width = (
        getattr(attention, "qk_head_dim", None)
        or getattr(attention, "head_dim", None)
        or attention.head_size
    )
    return float(attention.scaling) * float(width) ** 0.5
