"""Example inputs for a module that came without any, where the module itself tells their shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

NO_EXAMPLE = "no example inputs are known for it: give them with example_inputs= (--input)"


def example_inputs(
    model: nn.Module, seed: int = 0
) -> tuple[tuple[Any, ...], Mapping[str, Any], str]:
    """Positional and keyword example inputs, and a note where none are known."""
    configuration = getattr(model, "pretrained_cfg", None)
    size = configuration.get("input_size") if isinstance(configuration, Mapping) else None
    if isinstance(size, tuple | list) and all(isinstance(n, int) and 0 < n < 4096 for n in size):
        generator = torch.Generator().manual_seed(seed)
        return (torch.randn(2, *size, generator=generator),), {}, ""
    if hasattr(getattr(model, "config", None), "model_type"):
        return (), hf_inputs(model, seed), ""
    return (), {}, NO_EXAMPLE


def hf_inputs(model: Any, seed: int = 0) -> Mapping[str, Any]:
    """Keyword example inputs of a Hugging Face model, from its configuration."""
    from snnconvert.sources.hf_tiny.inputs import example_inputs as from_configuration

    return from_configuration(model.config.model_type, model, seed)
