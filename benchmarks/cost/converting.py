"""How long converting takes, beside the export that it begins with."""

from __future__ import annotations

import gc
from functools import cache

import torch
from torch import nn
from torch.export import Dim

import snnconvert
from snnconvert.speed.rounds import Call, Ratio, in_turn

LAYERS, TOKENS = 30, 16


@cache
def language_model() -> nn.Module:
    """Return a Llama of 30 layers, as SmolLM2-135M has them, with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=LAYERS,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        use_cache=False,
    )
    return LlamaForCausalLM(config).eval()


def against_export(rules: str, rounds: int) -> Ratio:
    """Return how long `convert` without verification takes over ``torch.export`` alone."""
    model, ids = language_model(), torch.randint(0, 49152, (2, TOKENS))
    inputs = {"input_ids": ids}

    def export() -> object:
        shapes = {"input_ids": {0: Dim.AUTO}}
        return torch.export.export(model, (), inputs, dynamic_shapes=shapes, strict=False)

    def convert() -> object:
        return snnconvert.convert(model, inputs, rules, verify=False)

    return in_turn(_collected(convert), _collected(export), max(2, rounds // 3))


def _collected(call: Call) -> Call:
    """Return a call with Python's collector on, as it is where one converts: graphs are circles,
    which would otherwise pile up."""

    def run() -> None:
        gc.enable()
        try:
            call()
        finally:
            gc.disable()

    return run
