"""What inputs and outputs are called: by the parameters of ``forward``, by keys and attributes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.graph.paths import named_leaves
from snnconvert.torch_private import pytree


def forward_names(model: nn.Module, count: int) -> list[str]:
    """Return the names that ``forward`` gives to its first ``count`` positional inputs."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):  # compiled code has no signature
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in kinds][:count]
    rest = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
    several = rest[0] if rest else "args"
    return names + [f"{several}[{i}]" for i in range(count - len(names))]


def program_names(program: ExportedProgram, count: int) -> list[str]:
    """Return the names of the first ``count`` positional inputs of an exported program."""
    calls = program.module_call_graph
    signature = calls[0].signature if calls else None
    known = list(getattr(signature, "forward_arg_names", None) or ())[:count]
    return known + [f"args[{i}]" for i in range(len(known), count)]


def leaf_names(
    positional: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[str]:
    """Return the name of each leaf of a call, in the order of its flattened form."""
    values = [*zip(positional, args, strict=True), *_as_flattened(kwargs)]
    return [f"{name}{path}" for name, value in values for path, _ in named_leaves(value)]


def _as_flattened(kwargs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return keyword inputs in the order in which pytree flattens a dict."""
    children, names = pytree.SUPPORTED_NODES[dict].flatten_fn(dict(kwargs))
    return list(zip(names, children, strict=True))
