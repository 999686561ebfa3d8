"""Counting the operations of all that runs, also in the graphs that operators are given to run.

PyTorch's own counter has the formulas, but of operators that take graphs it only knows
``torch.cond``, and fails at the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
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

    Attributes:
        total: of operations so far.
    """

    supports_higher_order_operators = True

    def __init__(self, known: Mapping[Any, Formula], of_graphs: Mapping[str, Formula]) -> None:
        super().__init__()
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
            return self._add(formula, func(*args, **named), args, named)
        formula = self.formulas.get(func.overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:
                result = func.decompose(*args, **named)
            if result is not NotImplemented:
                return result
        return self._add(formula, func(*args, **named), args, named)

    def _add(
        self, formula: Formula | None, result: Any, args: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result)
        return result

    def _counted(self, graph: fx.GraphModule) -> nn.Module:
        return _Counted(graph, self)


class _Counted(nn.Module):
    """A graph that is run under a counter: what an operator calls itself is not seen else."""

    def __init__(self, graph: fx.GraphModule, counter: CountFlops) -> None:
        super().__init__()
        self.graph, self.counter = graph, counter

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with self.counter:
            return self.graph(*args, **kwargs)
