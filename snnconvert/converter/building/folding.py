"""Folding: may the time steps of a run share one batch?

They may where every operator treats the samples of its batch alike and apart. Whether a network
does so must not depend on its weights or inputs of today (a gate that is zero hides what it
gates), so each operator is tried on its own: on random values that differ from sample to sample,
once for all steps folded and once for each step.

A dimension may merge the batch with others. Time is folded in front of the batch, so a merged
dimension holds ``outer * T * inner`` values: ``outer`` is 1 but where another dimension was put
before the batch (as ``nn.MultiheadAttention`` does), which is right as long as it is taken apart
again before the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn

from snnconvert.converter.graph.comparison import relative_error
from snnconvert.converter.graph.meta import CLOCK, TIME_DIMS
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.errors import first_line
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Uniform

Layout = tuple[int, int]
"""The dimension that holds the folded time, and how many values of other dimensions enclose it."""

_STEPS = 2
_ROUNDING = 1e4  # units in the last place; a mix-up of steps is off by the size of the values


def why_step_by_step(graph: fx.Graph, tree: nn.Module, inputs: Sequence[TracedInput]) -> str:
    """Return why a graph must run its steps one by one; empty where they may be folded.

    Args:
        graph: cumulative values; its first placeholder is the clock.
        tree: what its ``get_attr`` nodes refer to.
        inputs: of its other placeholders, in order.
    """
    with torch.no_grad():
        return next(_Trial(graph, tree, inputs).reasons(), "")


class _Trial(fx.Interpreter):
    """Runs every node of a graph for all steps folded, and for each step."""

    def __init__(self, graph: fx.Graph, tree: nn.Module, inputs: Sequence[TracedInput]) -> None:
        super().__init__(tree, graph=graph)
        self.generator = torch.Generator().manual_seed(0)
        encoding = Uniform()
        self.inputs = iter(inputs)
        self.batch = _batch(inputs)
        self.folded_clock = Clock(_STEPS, total=_STEPS, encoding=encoding)
        self.clock = Clock(1, total=_STEPS, encoding=encoding)
        # Of each node: its value with all steps folded, then its value at each step.
        self.values: dict[fx.Node, list[Any]] = {}
        self.layouts: dict[fx.Node, list[Layout]] = {}

    def reasons(self) -> Iterator[str]:
        """Yield why steps may not be folded, node by node."""
        for node in self.graph.nodes:
            if node.op == "output":
                yield from self._wrong_outputs(node)
                return
            try:
                runs = self._runs(node)
            except (RuntimeError, ValueError, IndexError) as error:
                yield f"'{node.name}' does not accept a folded batch: {first_line(error)}"
                return
            if TIME_DIMS in node.meta:
                layouts = self._layouts(node, runs)
                if layouts is None:
                    yield f"'{node.name}' mixes the samples of a batch"
                    return
                self.layouts[node] = layouts
                runs = self._varied(runs[0], layouts)
            self.values[node] = runs
            for dead in self.user_to_last_uses.get(node, ()):
                self.values.pop(dead, None)

    def _wrong_outputs(self, output: fx.Node) -> Iterator[str]:
        for node in output.all_input_nodes:
            if any(outer != 1 for _, outer in self.layouts.get(node, ())):
                yield f"the output '{node.name}' has its steps inside another dimension"

    def _layouts(self, node: fx.Node, runs: list[Any]) -> list[Layout] | None:
        """Return where each tensor of a node has its steps; None where it mixes them."""
        dims = node.meta[TIME_DIMS]
        if node.op == "placeholder":
            return [(dims[0], 1)]
        folded, *steps = (pytree.tree_leaves(run) for run in runs)
        found = [
            _layout(x, [step[i] for step in steps], dim, self.batch)
            for i, (x, dim) in enumerate(zip(folded, dims, strict=True))
        ]
        layouts = [layout for layout in found if layout is not None]
        return layouts if len(layouts) == len(found) else None

    def _runs(self, node: fx.Node) -> list[Any]:
        if node.op == "placeholder":
            return self._placeholder(node)
        return [self._run(node, -1), *(self._run(node, t) for t in range(_STEPS))]

    def _run(self, node: fx.Node, t: int) -> Any:
        """Run one node, for all steps folded (``t = -1``) or for step ``t``."""
        self.clock.start = max(t, 0)
        self.env = {n: self.values[n][t + 1] for n in node.all_input_nodes}
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        return getattr(self, node.op)(node.target, args, kwargs)

    def _placeholder(self, node: fx.Node) -> list[Any]:
        if node.target == CLOCK:
            return [self.folded_clock, *[self.clock] * _STEPS]
        given = next(self.inputs)
        if given.role != "coded":
            return [given.example] * (1 + _STEPS)
        return [torch.cat([given.example] * _STEPS, given.batch_dim or 0)]

    def _varied(self, folded: Any, layouts: list[Layout]) -> list[Any]:
        """Return values to try the next operators on, folded and step by step."""
        leaves, spec = pytree.tree_flatten(folded)
        varied = [self._vary(x, layout) for x, layout in zip(leaves, layouts, strict=True)]
        parts = [_split(x, layout) for x, layout in zip(varied, layouts, strict=True)]
        steps = [[part[t] for part in parts] for t in range(_STEPS)]
        return [pytree.tree_unflatten(values, spec) for values in (varied, *steps)]

    def _vary(self, x: Tensor, layout: Layout) -> Tensor:
        """Make samples differ: by a factor each, or at random where a tensor is constant."""
        if not x.is_floating_point() or not x.numel():
            return x
        low, high = torch.aminmax(x)
        if not bool(torch.isfinite(high - low)):
            x = torch.where(torch.isfinite(x), x, self._noise(x.shape, x))
        elif bool(low == high):
            return self._noise(x.shape, x)
        dim, _ = layout
        factors = self._noise([n if d == dim else 1 for d, n in enumerate(x.shape)], x)
        return x * factors

    def _noise(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator).to(like) + 0.5


def _batch(inputs: Sequence[TracedInput]) -> int:
    with_batch = [g for g in inputs if g.batch_dim is not None]
    return next((g.example.shape[g.batch_dim] for g in with_batch), 1)


def _layout(folded: Tensor, steps: list[Tensor], dim: int, batch: int) -> Layout | None:
    """Return in which layout a folded value is that of the steps; None where in none."""
    if steps[0].dim() == 0 or folded.shape[dim] != _STEPS * steps[0].shape[dim]:
        return None
    merged = max(1, steps[0].shape[dim] // max(1, batch))
    for outer in (n for n in range(1, merged + 1) if merged % n == 0):
        parts = _split(folded, (dim, outer))
        if all(_close(part, step) for part, step in zip(parts, steps, strict=True)):
            return dim, outer
    return None


def _split(x: Tensor, layout: Layout) -> list[Tensor]:
    """Return the steps of a folded value."""
    dim, outer = layout
    inner = x.shape[dim] // (outer * _STEPS)
    steps = x.unflatten(dim, (outer, _STEPS, inner)).movedim(dim + 1, 0)
    return [step.flatten(dim, dim + 1) for step in steps]


def _close(a: Tensor, b: Tensor) -> bool:
    if torch.equal(a, b):
        return True
    precision = torch.finfo(b.dtype).eps if b.is_floating_point() or b.is_complex() else 0.0
    return relative_error(a, b)[1] <= _ROUNDING * precision
