"""Facts: what rules may ask of an operation under ``where``, by op kind.

They are the arguments of the ATen operator by schema name, the sizes that its weight says, the
shape of what it computes, and for an embedding what indexes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch

from snnconvert.ops.kinds import KINDS
from snnconvert.torch_private import schema_of

SHAPE = "shape"
"""Name of the fact that holds the sizes of an operation's result."""

INDEX = "index"
"""Name of the fact that says what indexes an embedding: ``held``, ``derived`` or ``static``."""


def weight_facts(operator: str, shape: Sequence[int]) -> dict[str, Any]:
    """Return the sizes that the weight of an operator says.

    Args:
        operator: bare name of the ATen operator.
        shape: sizes of its ``weight``.
    """
    if len(shape) < 2:
        return {}
    if operator.startswith("embedding"):
        return {"num_embeddings": shape[0], "embedding_dim": shape[1]}
    if operator.startswith("conv"):
        return {
            "out_channels": shape[0],
            "in_channels_per_group": shape[1],
            "kernel_size": list(shape[2:]),
        }
    return {"out_features": shape[0], "in_features": shape[1]}


def fact_names(kinds: Iterable[str]) -> frozenset[str] | None:
    """Name the facts that operations of some kinds can have; None where any may occur.

    Args:
        kinds: what a rule's ``op`` names; none, ``"*"`` and regions stand for any operator.
    """
    each = [_facts_of(kind) for kind in kinds]
    known = [names for names in each if names is not None]
    return frozenset().union(*known) if each and len(known) == len(each) else None


@cache
def _facts_of(kind: str) -> frozenset[str] | None:
    operators = tuple(KINDS[kind].operators) if kind in KINDS else (kind,)
    names = {SHAPE}
    for operator in operators:
        packet = getattr(torch.ops.aten, operator, None)
        if packet is None and kind in KINDS:  # of another library
            continue
        if packet is None:
            return None
        for overload in packet.overloads():
            schema = schema_of(getattr(packet, overload))
            arguments = {a.name for a in schema.arguments if not a.is_out}
            names |= arguments
            if "weight" in arguments:
                names |= weight_facts(operator, (1, 1)).keys()
        if operator.startswith("embedding"):
            names.add(INDEX)
    return frozenset(names) if operators else None
