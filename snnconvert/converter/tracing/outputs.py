"""Output classes that PyTorch was not told of: what is plainly a container is registered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from snnconvert.converter.tracing.exporting import ExampleCall
from snnconvert.converter.tracing.source_runs import run_source
from snnconvert.torch_private import pytree


def registered_output_classes(model: nn.Module, call: ExampleCall) -> str:
    """Register the unknown classes of a model's output with pytree; return a note on them.

    A dataclass is taken apart into its fields, a mapping into its items. Empty where all classes
    are known, or the model does not run.
    """
    names = []
    try:
        output = run_source(model, call.leaves, call.spec)
    except Exception:  # a model may raise anything, and this is not the place to say so
        return ""
    while unknown := next(_unknown(output), None):
        _register(unknown)
        names.append(unknown.__name__)
    if not names:
        return ""
    return (
        f"torch.export was told of the output class {', '.join(names)} "
        "(torch.utils._pytree.register_pytree_node)"
    )


def _unknown(output: Any) -> Iterator[type]:
    for leaf in pytree.tree_leaves(output):
        fields = dataclasses.is_dataclass(leaf) and not isinstance(leaf, type)
        if fields or isinstance(leaf, Mapping):
            yield type(leaf)


def _register(cls: type) -> None:
    flatten = _mapping if issubclass(cls, Mapping) else _dataclass

    def unflatten(children: Any, names: Any) -> Any:
        return cls(**dict(zip(names, children, strict=True)))

    pytree.register_pytree_node(
        cls, flatten, unflatten, serialized_type_name=f"{cls.__module__}.{cls.__qualname__}"
    )


def _mapping(value: Any) -> tuple[list[Any], Any]:
    return list(value.values()), list(value.keys())


def _dataclass(value: Any) -> tuple[list[Any], Any]:
    names = [f.name for f in dataclasses.fields(value) if f.init]
    return [getattr(value, name) for name in names], names
