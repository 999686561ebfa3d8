"""Errors per node: where along the graph a conversion leaves its source."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.graph.comparison import relative_error
from snnconvert.converter.graph.meta import ON_INCREMENTS, SOURCE
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.reference import Reference, ReferenceRun
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Encoding
from snnconvert.torch_private import pytree


class NodeRaised(Exception):
    """A node of the conversion raised; ``__cause__`` is what."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.node = node


@dataclass
class NodeErrors:
    """What became of each node of the conversion.

    Attributes:
        relative: the largest relative error of each over all steps, in the graph's order.
        raised: the node that raised, with which the comparison ended; None: all ran.
    """

    relative: dict[str, float] = field(default_factory=dict)
    raised: NodeRaised | None = None

    def first_above(self, tolerance: float) -> str | None:
        """Name the first node whose error is above the tolerance."""
        return next((name for name, error in self.relative.items() if error > tolerance), None)


def compare_nodes(
    twin: ConvertedModule,
    reference: Reference,
    leaves: list[Any],
    encoding: Encoding,
    time_steps: int,
) -> tuple[NodeErrors, list[list[Any]]]:
    """Run both sides step by step and compare the cumulative value of every node.

    Args:
        twin: the conversion, in the dtype of the check.
        reference: the source, in the same dtype.
        leaves: one step's inputs.
        encoding: how coded inputs and embeddings are spread over the steps.
        time_steps: number of steps.

    Returns:
        The errors, and for each step the source's output leaves. Where the conversion raises, the
        source runs on alone: it may not work on these inputs either.

    Raises:
        Exception: whatever the source raises.
    """
    errors = NodeErrors()
    reached: list[list[Any]] = []
    clock = Clock(1, total=time_steps, encoding=encoding)
    wanted = frozenset(filter(None, map(_compared, twin.graph.nodes)))
    for t in range(time_steps):
        clock.start = t
        expected = reference.run(leaves, encoding, t, time_steps, wanted)
        if errors.raised is None:
            try:
                _Comparison(twin, expected, errors).run(clock, *expected.inputs)
            except NodeRaised as raised:
                errors.raised = raised
        reached.append(expected.finish())
    return errors, reached


class _Comparison(fx.Interpreter):
    """Runs the converted graph for one step and compares each node with the source's."""

    def __init__(self, twin: ConvertedModule, expected: ReferenceRun, errors: NodeErrors) -> None:
        super().__init__(twin.tree, graph=twin.graph)
        self.expected, self.errors = expected, errors

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except Exception as error:  # a class of the user's own may raise anything
            raise NodeRaised(n.meta.get(SOURCE) or n.name) from error
        source = _compared(n)
        if source is not None:
            self._compare(source, value, self.expected.value_of(source))
        return value

    def _compare(self, name: str, actual: Any, expected: Any) -> None:
        own, wanted = pytree.tree_leaves(actual), pytree.tree_leaves(expected)
        worst = max(map(_error, own, wanted), default=0.0) if len(own) == len(wanted) else math.inf
        self.errors.relative[name] = max(worst, self.errors.relative.get(name, 0.0))


def _error(actual: Any, expected: Any) -> float:
    if not isinstance(expected, Tensor):
        return 0.0
    return relative_error(actual, expected)[1] if isinstance(actual, Tensor) else math.inf


def _compared(node: fx.Node) -> str | None:
    """Name the node of the source whose cumulative value a node holds, if it holds one."""
    return None if node.meta.get(ON_INCREMENTS) else node.meta.get(SOURCE) or None
