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

import copy
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.graph.dtypes import cast, cast_module, literal_dtypes
from snnconvert.converter.graph.literals import with_literals
from snnconvert.converter.graph.masks import KEPT, is_mask
from snnconvert.converter.graph.meta import CLOCK, TIME_DIMS
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.errors import first_line
from snnconvert.ops.clock import Clock, hold
from snnconvert.ops.encoding import Constant
from snnconvert.torch_private import pytree

Layout = tuple[int, int]
"""The dimension that holds the folded time, and how many values of other dimensions enclose it."""

_STEPS = 2
_ROUNDING = 1e4  # units in the last place; a mix-up of steps is off by the size of the values
_LARGE = 1e3  # larger values than these are no activations of what is tried on, which is near 1


@dataclass(frozen=True)
class Folding:
    """Whether time may be folded into the batch.

    Attributes:
        graph: the graph, in which what is held lies as the streams that it meets.
        step_by_step: why steps must run one by one; empty where they may be folded.
    """

    graph: fx.Graph
    step_by_step: str


def try_folding(
    graph: fx.Graph, tree: nn.Module, inputs: Sequence[TracedInput], own: torch.dtype
) -> Folding:
    """Try whether the time steps of a graph may be folded.

    Tried in float32 at least, whatever the network's own dtype, on the example's batch and on one
    that is larger by a sample: what mixes samples may do nothing on a batch of some size.

    Args:
        graph: cumulative values; its first placeholder is the clock. It is not changed.
        tree: what its ``get_attr`` nodes refer to.
        inputs: of its other placeholders, in order.
        own: the network's floating-point dtype.
    """
    examples = [given.example for given in inputs]
    tried = graph
    if own in (torch.float16, torch.bfloat16):
        tried = with_literals(graph, literal_dtypes(own, torch.float32))
        tree = cast_module(copy.deepcopy(tree), torch.float32)
        examples = [cast(x, torch.float32) for x in examples]
    larger = [_with_one_more(given, x) for given, x in zip(inputs, examples, strict=True)]
    with torch.no_grad():
        trial = _Trial(tried, tree, inputs, examples)
        if reason := next(trial.reasons(), ""):
            return Folding(graph, reason)
        graph, tried = (_with_layouts(g, trial.held) for g in (graph, tried))
        other = _Trial(tried, tree, inputs, larger, trial.layouts)
        reason = next(other.reasons(), "")
        # The source itself may not take that batch.
        return Folding(graph, "" if other.refused else reason)


def _with_layouts(graph: fx.Graph, held: Mapping[tuple[str, str], int]) -> fx.Graph:
    """Return the graph with held values that lie as their consumers need them.

    Args:
        graph: the graph; it is not changed.
        held: by names of the consumer and of the `hold` node, how many values of other dimensions
            enclose the batch.
    """
    if not held:
        return graph
    new = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        arguments = ChainMap({}, copies)
        for given in node.all_input_nodes:
            if outer := held.get((node.name, given.name)):
                arguments[given] = new.node_copy(given, lambda n: copies[n])
                arguments[given].args = (*arguments[given].args[:3], outer)
        copies[node] = new.node_copy(node, arguments.__getitem__)
    new.eliminate_dead_code()
    return new


class _Trial(fx.Interpreter):
    """Runs every node of a graph for all steps folded, and for each step.

    Args:
        known: layouts of the nodes on another batch.

    Attributes:
        refused: whether a node did not run on one step's batch.
        held: by names of a consumer and of the `hold` node, a layout that is not the usual one.
    """

    def __init__(
        self,
        graph: fx.Graph,
        tree: nn.Module,
        inputs: Sequence[TracedInput],
        examples: Sequence[Any],
        known: Mapping[str, list[Layout]] | None = None,
    ) -> None:
        super().__init__(tree, graph=graph)
        self.generator = torch.Generator().manual_seed(0)
        encoding = Constant()
        self.inputs = iter(zip(inputs, examples, strict=True))
        self.batch = _batch(inputs, examples)
        self.folded_clock = Clock(_STEPS, total=_STEPS, encoding=encoding)
        self.clock = Clock(1, total=_STEPS, encoding=encoding)
        self.known = known or {}
        self.refused = False
        self.held: dict[tuple[str, str], int] = {}
        # Of each node: its value with all steps folded, then its value at each step.
        self.values: dict[fx.Node, list[Any]] = {}
        self.layouts: dict[str, list[Layout]] = {}

    def reasons(self) -> Iterator[str]:
        """Yield why steps may not be folded, node by node."""
        for node in self.graph.nodes:
            if node.op == "output":
                yield from self._wrong_outputs(node)
                return
            try:
                known = self._known(node)
                runs = self._runs(node) if known is None else [self._run(node, -1)]
            except (RuntimeError, ValueError, IndexError) as error:
                yield f"'{node.name}' does not accept a folded batch: {first_line(error)}"
                return
            if TIME_DIMS in node.meta:
                layouts = known or self._layouts(node, runs) or self._relaid(node, runs)
                if layouts is None:
                    yield f"'{node.name}' mixes the samples of a batch"
                    return
                self.layouts[node.name] = layouts
                runs = self._varied(runs[0], layouts)
            elif node.target is hold:
                runs = self._held(node, runs[1])
            self.values[node] = runs
            for dead in self.user_to_last_uses.get(node, ()):
                self.values.pop(dead, None)

    def _known(self, node: fx.Node) -> list[Layout] | None:
        """Return the layouts of an operator module on another batch, which hold on any: linear
        maps, norms and functions mix samples on all sizes, or on none."""
        if node.op != "call_method" or node.target != "cumulative":
            return None
        return self.known.get(node.name)

    def _wrong_outputs(self, output: fx.Node) -> Iterator[str]:
        for node in output.all_input_nodes:
            if any(outer != 1 for _, outer in self.layouts.get(node.name, ())):
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
        try:
            steps = [self._run(node, t) for t in range(_STEPS)]
        except (RuntimeError, ValueError, IndexError):
            self.refused = True
            raise
        return [self._run(node, -1), *steps]

    def _run(self, node: fx.Node, t: int) -> Any:
        """Run one node, for all steps folded (``t = -1``) or for step ``t``."""
        self.clock.start = max(t, 0)
        self.env = {n: self.values[n][t + 1] for n in node.all_input_nodes}
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        return getattr(self, node.op)(node.target, args, kwargs)

    def _placeholder(self, node: fx.Node) -> list[Any]:
        if node.target == CLOCK:
            return [self.folded_clock, *[self.clock] * _STEPS]
        given, example = next(self.inputs)
        if given.role != "coded":
            return [example] * (1 + _STEPS)
        return [torch.cat([example] * _STEPS, given.batch_dim or 0)]

    def _relaid(self, node: fx.Node, runs: list[Any]) -> list[Layout] | None:
        """Try a node on held values that lie as the streams that they meet; return its layouts."""
        given = [n for n in node.all_input_nodes if n.target is hold]
        outers = {o for n in node.all_input_nodes for _, o in self.layouts.get(n.name, ()) if o > 1}
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
                self.held |= {(node.name, n.name): outer for n in given}
                runs[0] = folded
                return layouts
        return None

    def _varied(self, folded: Any, layouts: list[Layout]) -> list[Any]:
        """Return values to try the next operators on, folded and step by step."""
        leaves, spec = pytree.tree_flatten(folded)
        varied = [self._vary(x, layout) for x, layout in zip(leaves, layouts, strict=True)]
        parts = [_split(x, layout) for x, layout in zip(varied, layouts, strict=True)]
        steps = [[part[t] for part in parts] for t in range(_STEPS)]
        return [pytree.tree_unflatten(values, spec) for values in (varied, *steps)]

    def _held(self, node: fx.Node, value: Tensor) -> list[Any]:
        """Return a held value that differs from sample to sample, the same at every step: a mask
        of the example (all ones) would hide whose it is."""
        varied = self._other_values(value)
        dim: Any = node.args[2]
        outer: Any = node.args[3] if len(node.args) > 3 else 1
        return [hold(varied, self.folded_clock, dim, outer), *[varied] * _STEPS]

    def _vary(self, x: Tensor, layout: Layout) -> Tensor:
        """Make samples differ: by a factor each, or at random where they cannot."""
        if not x.is_floating_point() or not x.numel():
            return self._other_values(x)
        low, high = map(float, torch.aminmax(x))
        if low == high:
            return self._noise(x.shape, x)
        if not -_LARGE <= low <= high <= _LARGE:  # NaN is not either
            x = torch.where(x.abs() <= _LARGE, x, self._noise(x.shape, x))
        dim, _ = layout
        factors = self._noise([n if d == dim else 1 for d, n in enumerate(x.shape)], x)
        return x * factors

    def _other_values(self, x: Tensor) -> Tensor:
        """Return values of the same kind: integers, which may be ids, are those that are there."""
        if x.is_floating_point() or x.is_complex():
            return self._noise(x.shape, x)
        if x.dtype is torch.bool:
            return torch.rand(x.shape, generator=self.generator).to(x.device) < KEPT
        if is_mask(x):
            return torch.randint(2, x.shape, generator=self.generator).to(x)
        order = torch.randint(max(1, x.numel()), x.shape, generator=self.generator)
        return x.flatten()[order.to(x.device)] if x.numel() else x

    def _noise(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator).to(like) + 0.5


def _with_one_more(given: TracedInput, example: Any) -> Any:
    """Return an example whose batch is larger by a sample, the first once more."""
    if given.batch_dim is None:
        return example
    return torch.cat([example, example.narrow(given.batch_dim, 0, 1)], given.batch_dim)


def _batch(inputs: Sequence[TracedInput], examples: Sequence[Any]) -> int:
    pairs = zip(inputs, examples, strict=True)
    return next((x.shape[g.batch_dim] for g, x in pairs if g.batch_dim is not None), 1)


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
    """Tell whether two values are equal up to rounding, element by element.

    An element may be off by rounding of its own, or of the largest that is no mask's: beside
    -1e9 all others would be alike.
    """
    if torch.equal(a, b):
        return True
    if not (b.is_floating_point() or b.is_complex()):
        return False
    size = b.abs()
    scale = torch.where(size <= _LARGE, size, 0.0).max() if size.numel() else size.new_zeros(())
    allowed = _ROUNDING * torch.finfo(b.dtype).eps * (size + scale)
    same = (a == b) | (a.isnan() & b.isnan())
    return bool((same | ((a - b).abs() <= allowed)).all())
