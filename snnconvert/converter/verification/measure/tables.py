"""The error of tables alone: a conversion with tables in the place of its neurons, on data."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx

from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.check_tensors import own_tensors
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.neuronless import tables_twin
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import AtOnce
from snnconvert.torch_private import pytree


class TablesAlone:
    """What tables answer without neurons, all at once, beside the source."""

    def __init__(self, snn: ConvertedModule) -> None:
        self.twin = tables_twin(snn, own_tensors(snn))
        self.closeness: Closeness | None = None

    def add(self, leaves: list[Any], expected: dict[str, Tensor]) -> None:
        """Run one batch, and compare it with the source's outputs, by name."""
        clock = Clock(1, total=1, encoding=AtOnce())
        outputs = fx.Interpreter(self.twin.tree, graph=self.twin.graph).run(clock, *leaves)
        if self.closeness is None:
            self.closeness = Closeness(1, list(expected))
        answer = [y for y in pytree.tree_leaves(outputs) if isinstance(y, Tensor)]
        self.closeness.add([answer], list(expected.values()), None)

    def rel_error(self, scale: float) -> float:
        """Return the relative error (scale as of `Closeness.relative_errors`)."""
        assert self.closeness is not None
        return self.closeness.relative_errors(scale)[0]
