"""Which example inputs a tiny Hugging Face model gets."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from snnconvert.sources.hf_tiny import special_inputs
from snnconvert.sources.hf_tiny.makers import MAKERS, Context

# A model with one of these generates text, and accepts text without any image or sound
# (transformers 5.24 calls past_key_values cache).
_GENERATIVE = frozenset({"past_key_values", "cache", "image_hidden_states", "mm_encoder_outputs"})
_MEDIA = frozenset({"pixel_values", "input_features", "input_values", "pixel_values_videos"})


def example_inputs(model_type: str, model: nn.Module, seed: int) -> dict[str, Any]:
    """Keyword inputs for ``model``: what it requires, its main input and what goes with it."""
    context = Context(model, seed)
    parameters = inspect.signature(model.forward).parameters
    if model_type in special_inputs.REPLACED:
        makers = special_inputs.REPLACED[model_type]
    else:
        added = special_inputs.ADDED.get(model_type, {})
        names = [n for n in wanted_names(model, parameters) if n in MAKERS and n not in added]
        makers = {**{name: MAKERS[name] for name in names}, **added}
    inputs = {name: make(context) for name, make in makers.items()}
    if "use_cache" in parameters:
        inputs["use_cache"] = False
    return inputs


def wanted_names(model: nn.Module, parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """The inputs to give, in the order of the signature; images only where text is not enough."""
    named = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    required = {n for n, p in named.items() if p.default is p.empty}
    text = "input_ids" in named and "inputs_embeds" not in required
    generative = "input_ids" in named and bool(named.keys() & _GENERATIVE)
    wanted = set(required)
    if not generative or text:
        wanted.add(str(getattr(model, "main_input_name", "input_ids")))
    if text:
        wanted |= {"input_ids", "attention_mask"}
    if generative:
        wanted -= _MEDIA - required
    else:
        wanted.add("pixel_values")
    wanted |= {"decoder_input_ids", "bbox"}
    return [n for n in named if n in wanted]
