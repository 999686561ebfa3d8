"""Where finite numbers end: which input, tensor or operation first gives NaN or an infinity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.meta import module_path
from snnconvert.converter.verification.reference import Reference
from snnconvert.ops.kinds import kind_of
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree


def where_finite_numbers_end(reference: Reference, leaves: list[Any]) -> str:
    """Say where the source's values, that depend on its coded inputs, are first not finite.

    Args:
        reference: the source; its weights may hold NaN too.
        leaves: inputs as the source takes them.

    Returns:
        A sentence, or nothing where all values are finite.
    """
    finder = _Finder(reference)
    finder.run(*leaves)
    found = [f"the first {what} is that of {place}" for what, place in finder.found.items()]
    return "; ".join(found)


def said_of_infinities(reference: Reference, leaves: list[Any], expected: list[Any]) -> str:
    """Say where infinite outputs come from; nothing where all are finite.

    Args:
        reference: the source.
        leaves: inputs as the source takes them.
        expected: its output leaves.
    """
    if not any(isinstance(y, Tensor) and bool(torch.isinf(y).any()) for y in expected):
        return ""
    ends = where_finite_numbers_end(reference, leaves)
    return f"outputs hold infinities, the same on both sides{'; ' * bool(ends)}{ends}"


class _Finder(fx.Interpreter):
    """Runs the source and remembers the first infinity and the first NaN."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference.tree, graph=reference.graph)
        self.inputs = iter(reference.given)
        self.streams: set[fx.Node] = set()
        self.found: dict[str, str] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.op == "placeholder":
            given = next(self.inputs)
            if given.role == "coded":
                self.streams.add(n)
                self._look(value, f"input '{given.name}'")
        elif n.op != "output" and self.streams.intersection(n.all_input_nodes):
            # What depends on no stream may be infinite on purpose, as masks are.
            self.streams.add(n)
            self._look(value, self._described(n))
        return value

    def _look(self, value: Any, place: str) -> None:
        for x in pytree.tree_leaves(value):
            if not isinstance(x, Tensor) or not is_number(x):
                continue
            if "infinity" not in self.found and bool(torch.isinf(x).any()):
                self.found["infinity"] = place
            if "NaN" not in self.found and bool(torch.isnan(x).any()):
                self.found["NaN"] = place

    def _described(self, node: fx.Node) -> str:
        name = kind_of(node.target).name if callable(node.target) else str(node.target)
        place = f"{name} at '{module_path(node) or 'the model itself'}'"
        for own in node.all_input_nodes:
            tensor = self.env[own] if own.op == "get_attr" else None
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                bad = tensor[~torch.isfinite(tensor)]
                if bad.numel():
                    place += f", whose '{own.target}' holds {float(bad[0])}"
        return place
