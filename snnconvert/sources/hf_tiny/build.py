"""Builds a tiny, randomly initialised model of a Hugging Face model type."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from snnconvert.errors import DependencyError, SourceError
from snnconvert.sources.hf_tiny.config import tiny_config
from snnconvert.sources.hf_tiny.inputs import example_inputs
from snnconvert.sources.hf_tiny.overrides import CLASSES
from snnconvert.sources.hf_tiny.weights import enliven
from snnconvert.sources.source import Source
from snnconvert.wording import shown, suggestion


def model_types() -> tuple[str, ...]:
    """All Hugging Face model types, in alphabetical order; some are parts without a model."""
    return tuple(sorted(_mapping()))


def tiny_model(model_type: str, seed: int = 0) -> Source:
    """Builds a tiny model of ``model_type`` with random weights, without a network.

    Args:
        model_type: a key of the library's configurations, e.g. ``"bert"``.
        seed: of the weights and of the example inputs.

    Errors:
        ``DependencyError`` without transformers; ``SourceError`` for a type that is unknown, that
        has no model, or for which no tiny configuration is known.
    """
    mapping = _mapping()
    if model_type not in mapping:
        close = suggestion(model_type, mapping)
        raise SourceError(f"hf-tiny:{shown(model_type)}: unknown Hugging Face model type{close}")
    try:
        return _build(model_type, mapping[model_type], seed)
    except SourceError:
        raise
    except Exception as error:  # the constructors of the library raise all kinds
        reason = " ".join(str(error).split())
        raise SourceError(
            f"hf-tiny:{model_type}: no tiny configuration of this type is known "
            f"({type(error).__name__}: {reason}); load a model of your own with hf:DIRECTORY"
        ) from error


def _build(model_type: str, config_class: type[Any], seed: int) -> Source:
    config = tiny_config(config_class)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(model_type, config_class)(config).float().eval()
    enliven(model, seed)
    inputs = example_inputs(model_type, model, seed)
    return Source(f"hf-tiny:{model_type}", model, kwargs=inputs, note="random weights")


def model_class(model_type: str, config_class: type[Any]) -> type[nn.Module]:
    """The class to build: the base model, else the first model of the type's own module."""
    from transformers.models.auto import modeling_auto

    module = importlib.import_module(config_class.__module__.replace("configuration_", "modeling_"))
    if model_type in CLASSES:
        return getattr(module, CLASSES[model_type])
    if model_type in modeling_auto.MODEL_MAPPING_NAMES:
        found = modeling_auto.MODEL_MAPPING[config_class]
        return found[0] if isinstance(found, tuple) else found
    for candidate in vars(module).values():
        if (
            isinstance(candidate, type)
            and issubclass(candidate, nn.Module)
            and candidate.__module__ == module.__name__
            and getattr(candidate, "config_class", None) is config_class
            and "forward" in vars(candidate)
        ):
            return candidate
    raise SourceError(f"hf-tiny:{model_type}: the library has no model of this configuration")


def _mapping() -> Any:
    try:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    except ImportError as error:
        raise DependencyError("transformers", "hf", "a tiny Hugging Face model") from error
    return CONFIG_MAPPING
