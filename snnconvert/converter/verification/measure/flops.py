"""Counting the operations of all that runs, also in the graphs that operators are given to run.

PyTorch's own counter has the formulas, but of operators that take graphs it only knows
``torch.cond``, and fails at the others; and it takes a complex product for a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils.flop_counter import flop_registry, shape_wrapper

from snnconvert.ops.kinds import operator_name
from snnconvert.torch_private import HigherOrderOperator, TorchDispatchMode, pytree

Formula = Callable[..., int]


class CountFlops(TorchDispatchMode):
    """Counts while it is entered: of a branch what is taken, of a loop each turn.

    Args:
        known: formulas beside those of ``torch.utils.flop_counter``, of shapes.
        of_graphs: formulas of operators that take graphs, by name, where these are not what
            computes; also of shapes.
        of_reals: those of `known` whose formulas count real operations, of complex numbers too.

    Attributes:
        total: of operations so far.
    """

    supports_higher_order_operators = True

    def __init__(
        self,
        known: Mapping[Any, Formula],
        of_graphs: Mapping[str, Formula],
        of_reals: Collection[Any] = (),
    ) -> None:
        super().__init__()
        self.of_reals = of_reals
        own = {operator: shape_wrapper(formula) for operator, formula in known.items()}
        self.formulas = {**flop_registry, **own}
        self.of_graphs = {name: shape_wrapper(formula) for name, formula in of_graphs.items()}
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if isinstance(func, HigherOrderOperator):
            formula = self.of_graphs.get(operator_name(func))
            if formula is None:
                args, named = pytree.tree_map_only(fx.GraphModule, self._counted, (args, named))
            return self._add(func, formula, func(*args, **named), args, named)
        formula = self.formulas.get(func.overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:
                result = func.decompose(*args, **named)
            if result is not NotImplemented:
                return result
        return self._add(func, formula, func(*args, **named), args, named)

    def _add(
        self, func: Any, formula: Formula | None, result: Any, args: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        if formula is not None:
            counts_reals = getattr(func, "overloadpacket", None) in self.of_reals
            each = 1 if counts_reals else real_products(pytree.tree_leaves((args, kwargs)))
            self.total += each * formula(*args, **kwargs, out_val=result)
        return result

    def _counted(self, graph: fx.GraphModule) -> nn.Module:
        return _Counted(graph, self)


def real_products(factors: Iterable[Any]) -> int:
    """Return how many products of real numbers one of some factors is: four where two of them are
    complex, two where one is."""
    of_complex = sum(isinstance(x, Tensor) and x.is_complex() for x in factors)
    return int(2 ** min(of_complex, 2))


class _Counted(nn.Module):
    """A graph that is run under a counter: what an operator calls itself is not seen else."""

    def __init__(self, graph: fx.GraphModule, counter: CountFlops) -> None:
        super().__init__()
        self.graph, self.counter = graph, counter

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with self.counter:
            return self.graph(*args, **kwargs)
