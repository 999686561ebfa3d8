"""Builds the tiny configuration of a Hugging Face model type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from snnconvert.sources.hf_tiny.overrides import CONFIG
from snnconvert.sources.hf_tiny.shrink import (
    HEAD_DIM,
    HEADS,
    LAYERS,
    PATCH,
    VOCABULARY,
    shrink_field,
)

_COMMON = frozenset(
    {
        "dtype",
        "id2label",
        "label2id",
        "architectures",
        "problem_type",
        "transformers_version",
        "per_layer_config",
        "return_dict",
        "output_hidden_states",
        "chunk_size_feed_forward",
    }
)
_LAYER_COUNTS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth")
_MOST_KINDS = 4
# Given even where the constructor would derive them: a parent may derive them otherwise, and some
# configurations leave them to the checkpoint.
_WHEN_NONE = {"head_dim": HEAD_DIM, "num_key_value_heads": HEADS, "vocab_size": VOCABULARY}


def tiny_config(config_class: type[Any]) -> Any:
    """An instance of ``config_class`` in which every size is as small as its constraints allow."""
    return config_class(**tiny_fields(config_class()))


def tiny_fields(full: Any) -> dict[str, Any]:
    """The constructor arguments of the tiny counterpart of the configuration ``full``."""
    overrides = CONFIG.get(full.model_type, {})
    fields = {f.name: f for f in dataclasses.fields(full) if f.name not in _COMMON}
    subconfigs = set(getattr(full, "sub_configs_defaults", {}))
    keep = layers_to_keep(full, fields)
    out: dict[str, Any] = {}
    for name, field in fields.items():
        stored = name if name in vars(full) else full.attribute_map.get(name, name)
        if stored != name and stored in fields:  # an alias of another field
            continue
        value = vars(full).get(stored)
        if is_config(value) and value.model_type == "timm_backbone":
            out[name] = convolutional_backbone(value)
        elif is_config(value):
            out[name] = {**tiny_fields(value), "model_type": value.model_type}
        elif name in subconfigs:
            continue
        elif keep and is_per_layer(full, value):
            out[name] = shrink_field(name, [value[i] for i in keep])
        elif name in _WHEN_NONE and value is None:
            out[name] = _WHEN_NONE[name]
        elif name in _WHEN_NONE or not is_derived(field):
            out[name] = shrink_field(name, value)
    count = layer_count_name(full, fields)
    if keep and count:
        out[count] = len(keep)
    patch = out.get("patch_size")
    if patch == PATCH and isinstance(out.get("image_size"), int):
        out["image_size"] = 4 * PATCH
    if full_indices := vars(full).get("_out_indices"):
        stages = len(full_indices)
        if "num_hidden_layers" in out:
            out["num_hidden_layers"] = max(LAYERS, stages)
            out["out_indices"] = list(range(1, stages + 1))
        else:
            out["out_indices"] = list(full_indices)
    return merged(out, overrides)


def convolutional_backbone(full: Any) -> dict[str, Any]:
    """A ResNet of the library itself in place of a backbone that timm would provide."""
    stages = len(full.out_indices or (0,))
    return {
        "model_type": "resnet",
        "embedding_size": 16,
        "hidden_sizes": [16, 16, 32, 32],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
        "out_features": [f"stage{i}" for i in range(5 - stages, 5)],
    }


def is_config(value: Any) -> bool:
    return hasattr(value, "model_type") and dataclasses.is_dataclass(value)


def is_derived(field: dataclasses.Field[Any]) -> bool:
    """Fields without a default of their own are computed from others by the constructor."""
    return field.default is None


def layer_count_name(full: Any, fields: Mapping[str, Any]) -> str | None:
    return next(
        (n for n in _LAYER_COUNTS if n in fields and isinstance(vars(full).get(n), int)), None
    )


def is_per_layer(full: Any, value: Any) -> bool:
    name = layer_count_name(full, {f.name: f for f in dataclasses.fields(full)})
    return (
        name is not None
        and isinstance(value, list | tuple)
        and len(value) == vars(full)[name] > LAYERS
    )


def layers_to_keep(full: Any, fields: Mapping[str, Any]) -> Sequence[int]:
    """The fewest layers that show every kind of layer once, where layers differ in kind."""
    lists = [
        vars(full)[n]
        for n in fields
        if is_per_layer(full, vars(full).get(n))
        and len({repr(v) for v in vars(full)[n]}) <= _MOST_KINDS
    ]
    if not lists:
        return ()
    keep: list[int] = []
    seen: set[tuple[int, str]] = set()
    for index, kinds in enumerate(zip(*lists, strict=True)):
        new = {(i, repr(kind)) for i, kind in enumerate(kinds)} - seen
        if new:
            keep.append(index)
            seen |= new
    if len(keep) < LAYERS:
        keep.append(next(i for i in range(len(lists[0])) if i not in keep))
    return sorted(keep)


def merged(base: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``extra`` laid over it, nested mappings merged."""
    out = dict(base)
    for key, value in extra.items():
        nested = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if nested else value
    return out
