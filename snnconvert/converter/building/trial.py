"""A trial: does every operator of a graph treat the samples of its batch alike and apart?

Whether it does must not depend on the weights or inputs of today (a gate that is zero hides what it
gates), so each operator is tried on its own: on random values that differ from sample to sample,
once for all steps folded and once for each step.

A node that is like one before, as those of a block that is there many times, is not tried again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.building.layouts import (
    STEPS,
    Layout,
    layout_of,
    split,
    with_one_more,
)
from snnconvert.converter.graph.comparison import LARGE
from snnconvert.converter.graph.masks import KEPT, is_mask
from snnconvert.converter.graph.meta import CLOCK, TIME_DIMS
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.errors import first_line
from snnconvert.ops.activation import TDGELU, TDReLU, TDSiLU, TDSoftmax
from snnconvert.ops.attention import TDScaledDotProductAttention
from snnconvert.ops.clock import Clock, hold
from snnconvert.ops.encoding import Constant
from snnconvert.ops.linear import TDConv1d, TDConv2d, TDConv3d, TDLinear
from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.normalization import TDBatchNorm, TDGroupNorm, TDLayerNorm, TDRMSNorm
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree

_KEPT_BYTES = 2**27  # of values that stand for those of nodes that are alike
_REFUSALS = (RuntimeError, ValueError, IndexError)


_SAID_IN_FULL = (
    *(TDConv1d, TDConv2d, TDConv3d, TDLinear),
    *(TDBatchNorm, TDGroupNorm, TDLayerNorm, TDRMSNorm),
    *(TDGELU, TDReLU, TDScaledDotProductAttention, TDSiLU, TDSoftmax),
)
"""Operators of which all but the weights is in ``extra_repr``."""


@dataclass(frozen=True)
class _Tried:
    """What is known of all nodes that are alike."""

    leaves: list[Tensor]
    spec: pytree.TreeSpec
    layouts: list[Layout]
    held: dict[str, int] | None


class Trial(fx.Interpreter):
    """Tries the nodes of a graph in their order.

    Attributes:
        refused: whether a node did not run on the batch of one step.
        held: by names of a consumer and of its `hold` nodes, how many values of other dimensions
            enclose their batch, where that is not the usual layout; of a neuron, that of its drive
            under its own name.
    """

    def __init__(
        self,
        graph: fx.Graph,
        tree: nn.Module,
        inputs: Sequence[TracedInput],
        examples: Sequence[Any],
    ) -> None:
        super().__init__(tree, graph=graph)
        self.generator = torch.Generator().manual_seed(0)
        encoding = Constant()
        self.inputs = iter(zip(inputs, examples, strict=True))
        self.batch = _batch(inputs, examples)
        self.folded_clock = Clock(STEPS, total=STEPS, encoding=encoding)
        self.clock = Clock(1, total=STEPS, encoding=encoding)
        self.refused = False
        self.held: dict[str, dict[str, int]] = {}
        # Of each node: its value with all steps folded, then its value at each step.
        self.values: dict[fx.Node, list[Any]] = {}
        self.layouts: dict[fx.Node, list[Layout]] = {}
        self.tried: dict[Hashable, _Tried] = {}
        self.room = _KEPT_BYTES

    def wrong(self, node: fx.Node, smaller: Trial | None = None) -> str:
        """Return why a node does not let steps be folded; empty where it does.

        Args:
            node: the next of the graph.
            smaller: the trial on a batch that lacks the last sample, where this node was right.
        """
        if node.op == "output":
            return self._wrong_outputs(node)
        try:
            known = self._as_in(smaller, node) or self._as_before(node)
            if not known and not self._tried(node):
                return f"'{node.name}' mixes the samples of a batch"
        except _REFUSALS as error:
            return f"'{node.name}' does not accept a folded batch: {first_line(error)}"
        if smaller and self.held.get(node.name) != smaller.held.get(node.name):
            return f"'{node.name}' lays out its samples otherwise in a batch of another size"
        for dead in self.user_to_last_uses.get(node, ()):
            self.values.pop(dead, None)
        return ""

    def _wrong_outputs(self, output: fx.Node) -> str:
        for node in output.all_input_nodes:
            if any(outer != 1 for _, outer in self.layouts.get(node, ())):
                return f"the output '{node.name}' has its steps inside another dimension"
        return ""

    def _as_in(self, smaller: Trial | None, node: fx.Node) -> bool:
        """Take an operator module as it was on a smaller batch: linear maps, norms and functions
        mix samples on all sizes, or on none."""
        if smaller is None or not _is_operator(node) or node not in smaller.layouts:
            return False
        leaves, spec = pytree.tree_flatten(smaller.values[node][0])
        layouts = smaller.layouts[node]
        pairs = list(zip(leaves, layouts, strict=True))
        if any(x.shape[dim] % (outer * STEPS * smaller.batch) for x, (dim, outer) in pairs):
            return False
        if node.name in smaller.held:
            self.held[node.name] = smaller.held[node.name]
        larger = [with_one_more(x, layout, smaller.batch) for x, layout in pairs]
        self._keep(node, larger, layouts, spec)
        return True

    def _as_before(self, node: fx.Node) -> bool:
        """Take a node as one like it was, as those of a block that is there many times."""
        before = self.tried.get(self._likeness(node))
        if before is None:
            return False
        if before.held is not None:
            # A neuron's layout is kept under its own name; of others, under those of what is held.
            own = node.target == "track"
            held = before.held.items()
            self.held[node.name] = {node.name if own else name: outer for name, outer in held}
        pairs = zip(before.leaves, before.layouts, strict=True)
        varied = [self._by_sample(x, dim) for x, (dim, _) in pairs]
        self._keep(node, varied, before.layouts, before.spec)
        return True

    def _likeness(self, node: fx.Node) -> Hashable | None:
        """Return what decides how a node treats its samples; None where its weights might, too."""
        if TIME_DIMS not in node.meta or node.op not in ("call_function", "call_method"):
            return None
        given = {n: i for i, n in enumerate(node.all_input_nodes)}

        def said_of(n: fx.Node) -> Any:
            if n in self.layouts:
                leaves = pytree.tree_leaves(self.values[n][0])
                shapes = [(x.shape, x.dtype) for x in leaves]
                return given[n], shapes, self.layouts[n]
            if n.op == "get_attr":
                module = self.fetch_attr(str(n.target))
                if type(module) in NEURONS.values():
                    return type(module)  # whatever its thresholds, it follows each value by itself
                is_known = type(module) in _SAID_IN_FULL
                return (type(module), module.extra_repr()) if is_known else n.name
            sizes = [x for x in self.values[n] if isinstance(x, int)]
            return sizes or n.name

        args = node.args
        if node.target == "track":
            neuron, drive, clock, _, dim = args  # by which name its state is kept does not matter
            args = (neuron, drive, clock, dim)
        said = repr(fx.map_arg((args, node.kwargs), said_of))
        return node.target, tuple(node.meta[TIME_DIMS]), said

    def _tried(self, node: fx.Node) -> bool:
        """Run a node for all steps folded and for each; tell whether the results agree."""
        if node.target == "track":
            drive: Any = node.args[1]
            ((_, outer),) = self.layouts[drive]
            self.held |= {node.name: {node.name: outer}} if outer > 1 else {}
        runs = self._runs(node)
        if TIME_DIMS not in node.meta:
            self.values[node] = self._held(node, runs[1]) if node.target is hold else runs
            return True
        layouts = self._layouts(node, runs) or self._relaid(node, runs)
        if layouts is None:
            return False
        leaves, spec = pytree.tree_flatten(runs[0])
        varied = [self._varied(x, dim) for x, (dim, _) in zip(leaves, layouts, strict=True)]
        self._remember(node, _Tried(varied, spec, layouts, self.held.get(node.name)))
        self._keep(node, varied, layouts, spec)
        return True

    def _remember(self, node: fx.Node, tried: _Tried) -> None:
        key, size = self._likeness(node), sum(x.nbytes for x in tried.leaves)
        if (
            key is not None
            and size <= self.room
            and all(map(torch.is_floating_point, tried.leaves))
        ):
            self.room -= size
            self.tried[key] = tried

    def _keep(
        self, node: fx.Node, leaves: list[Tensor], layouts: list[Layout], spec: pytree.TreeSpec
    ) -> None:
        """Keep a value to try the next operators on, folded and step by step."""
        parts = [split(x, layout) for x, layout in zip(leaves, layouts, strict=True)]
        steps = [[part[t] for part in parts] for t in range(STEPS)]
        self.values[node] = [pytree.tree_unflatten(run, spec) for run in (leaves, *steps)]
        self.layouts[node] = layouts

    def _layouts(self, node: fx.Node, runs: list[Any]) -> list[Layout] | None:
        """Return where each tensor of a node has its steps; None where it mixes them."""
        dims = node.meta[TIME_DIMS]
        if node.op == "placeholder":
            return [(dims[0], 1)]
        folded, *steps = (pytree.tree_leaves(run) for run in runs)
        outers = {outer for n in node.all_input_nodes for _, outer in self.layouts.get(n, ())}
        found = [
            layout_of(x, [step[i] for step in steps], dim, self.batch, outers)
            for i, (x, dim) in enumerate(zip(folded, dims, strict=True))
        ]
        layouts = [layout for layout in found if layout is not None]
        return layouts if len(layouts) == len(found) else None

    def _runs(self, node: fx.Node) -> list[Any]:
        if node.op == "placeholder":
            return self._placeholder(node)
        try:
            steps = [self._run(node, t) for t in range(STEPS)]
        except _REFUSALS:
            self.refused = True
            raise
        return [self._run(node, -1), *steps]

    def _run(self, node: fx.Node, t: int) -> Any:
        """Run one node, for all steps folded (``t = -1``) or for step ``t``."""
        self.clock.start = max(t, 0)
        self.env = {n: self.values[n][t + 1] for n in node.all_input_nodes}
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        if t < 0 and node.target == "track":
            args = (*args, self.held.get(node.name, {}).get(node.name, 1))
        return getattr(self, node.op)(node.target, args, kwargs)

    def _placeholder(self, node: fx.Node) -> list[Any]:
        if node.target == CLOCK:
            return [self.folded_clock, *[self.clock] * STEPS]
        given, example = next(self.inputs)
        if given.role != "coded":
            return [example] * (1 + STEPS)
        return [torch.cat([example] * STEPS, given.batch_dim or 0)]

    def _relaid(self, node: fx.Node, runs: list[Any]) -> list[Layout] | None:
        """Try a node on held values that lie as the streams that they meet; return its layouts."""
        given = [n for n in node.all_input_nodes if n.target is hold]
        outers = {o for n in node.all_input_nodes for _, o in self.layouts.get(n, ()) if o > 1}
        for outer in outers if given else ():
            usual = {n: self.values[n] for n in given}
            for n, values in usual.items():
                dim: Any = n.args[2]
                if values[1].shape[dim] % outer == 0:
                    relaid = hold(values[1], self.folded_clock, dim, outer)
                    self.values[n] = [relaid, *values[1:]]
            folded = self._run(node, -1)
            self.values.update(usual)
            layouts = self._layouts(node, [folded, *runs[1:]])
            if layouts is not None:
                self.held[node.name] = {n.name: outer for n in given}
                runs[0] = folded
                return layouts
        return None

    def _held(self, node: fx.Node, value: Tensor) -> list[Any]:
        """Return a held value that differs from sample to sample, the same at every step: a mask
        of the example (all ones) would hide whose it is."""
        varied = self._other_values(value)
        dim: Any = node.args[2]
        outer: Any = node.args[3] if len(node.args) > 3 else 1
        return [hold(varied, self.folded_clock, dim, outer), *[varied] * STEPS]

    def _varied(self, x: Tensor, dim: int) -> Tensor:
        """Make samples differ: by a factor each, or at random where they cannot."""
        if not x.is_floating_point() or not x.numel():
            return self._other_values(x)
        low, high = map(float, torch.aminmax(x))
        if low == high:
            return self._noise(x.shape, x)
        if not -LARGE <= low <= high <= LARGE:  # NaN is not either
            x = torch.where(x.abs() <= LARGE, x, self._noise(x.shape, x))
        return self._by_sample(x, dim)

    def _by_sample(self, x: Tensor, dim: int) -> Tensor:
        return x * self._noise([n if d == dim else 1 for d, n in enumerate(x.shape)], x)

    def _other_values(self, x: Tensor) -> Tensor:
        """Return values of the same kind: integers, which may be ids, are those that are there."""
        if is_number(x):
            return self._noise(x.shape, x)
        if x.dtype is torch.bool:
            return torch.rand(x.shape, generator=self.generator).to(x.device) < KEPT
        if is_mask(x):
            return torch.randint(2, x.shape, generator=self.generator).to(x)
        order = torch.randint(max(1, x.numel()), x.shape, generator=self.generator)
        return x.flatten()[order.to(x.device)] if x.numel() else x

    def _noise(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator).to(like) + 0.5


def _is_operator(node: fx.Node) -> bool:
    return node.op == "call_method" and node.target == "cumulative"


def _batch(inputs: Sequence[TracedInput], examples: Sequence[Any]) -> int:
    pairs = zip(inputs, examples, strict=True)
    return next((x.shape[g.batch_dim] for g, x in pairs if g.batch_dim is not None), 1)
