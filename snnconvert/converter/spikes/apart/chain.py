"""Chains of matrices taken apart: one node becomes a matrix product for each but the first.

``A B C = (A B) C``, and ``A B v = A (B v)`` for a vector ``v``, so that spikes drive every product,
not the first alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part


def take_chain_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.linalg_multi_dot`` or ``aten.chain_matmul``; its products are
    ``aten.matmul``."""
    (matrices,) = arguments_of(node).values()
    from_the_right = matrices[-1].meta["val"].dim() == 1
    product, *others = reversed(matrices) if from_the_right else matrices
    parts = []
    with emit.at(node):
        for other in others:
            factors = (other, product) if from_the_right else (product, other)
            product = emit(torch.ops.aten.matmul.default, *factors)
            parts.append(Part(product, {"self": "self", "other": "other"}))
    emit.replace(node, product)
    return Apart(products=tuple(parts))


def work_of_chain(given: Mapping[str, Any]) -> float:
    """Return the multiply-accumulates of a chain, from the left, or from a vector on the right."""
    (matrices,) = given.values()
    if matrices[-1].dim() == 1:
        return float(sum(matrix.numel() for matrix in matrices[:-1]))
    rows = matrices[0].shape[0] if matrices[0].dim() > 1 else 1
    return float(sum(rows * matrix.numel() for matrix in matrices[1:]))
