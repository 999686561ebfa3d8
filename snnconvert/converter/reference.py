"""The reference: the source on cumulative inputs, as it was traced and as it is."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from snnconvert.converter.graph_code import with_literals
from snnconvert.converter.placement import build_tree
from snnconvert.converter.trace import TracedModel
from snnconvert.converter.wide import WIDE
from snnconvert.ops.encoding import Encoding

if TYPE_CHECKING:
    from snnconvert.converter.converted import Conversion


def floating_dtype(traced: TracedModel) -> torch.dtype:
    """Return the dtype of the source's first floating-point parameter, buffer or input."""
    examples = [given.example for given in traced.inputs]
    for value in [*traced.program.state_dict.values(), *examples]:
        if isinstance(value, Tensor) and value.is_floating_point():
            return value.dtype
    return torch.get_default_dtype()


class Reference:
    """The traced source in the dtype of a check, on copies of its tensors.

    Where ids are held, it is fed with the same partial embeddings as the conversion.
    """

    def __init__(self, conversion: Conversion, dtype: torch.dtype) -> None:
        traced = conversion.source
        self.given = traced.inputs
        self.encoded = frozenset(node.name for node in conversion.decided.encoded)
        self.graph = with_literals(traced.graph, {floating_dtype(traced): dtype}, None)
        self.tree = copy.deepcopy(build_tree(traced)).to(dtype)

    def values(
        self, leaves: list[Any], encoding: Encoding, t: int, total: int
    ) -> tuple[dict[str, Any], list[Any]]:
        """Return all node values by name, and the output leaves, at step ``t``."""
        interpreter = _Recorder(self, encoding, t, total)
        outputs = interpreter.run(*self._cumulative(leaves, encoding, t, total))
        return interpreter.recorded, list(pytree.tree_leaves(outputs))

    def _cumulative(self, leaves: list[Any], encoding: Encoding, t: int, total: int) -> list[Any]:
        return [
            encoding.cumulative(x, t, 1, total, given.name)[0] if given.role == "coded" else x
            for x, given in zip(leaves, self.given, strict=True)
        ]


class _Recorder(fx.Interpreter):
    """Runs the traced graph node by node, coding the outputs that start streams."""

    def __init__(self, reference: Reference, encoding: Encoding, t: int, total: int) -> None:
        super().__init__(reference.tree, graph=reference.graph)
        self.encoded, self.encoding, self.t, self.total = reference.encoded, encoding, t, total
        self.recorded: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.encoded:
            value = self.encoding.cumulative(value, self.t, 1, self.total, n.name)[0]
        self.recorded[n.name] = value
        return value


def source_outputs(
    model: nn.Module, traced: TracedModel, leaves: list[Any], dtype: torch.dtype
) -> list[Any]:
    """Return the output leaves of the source model itself, in the dtype of a check."""
    source = copy.deepcopy(model).to(dtype)
    args, kwargs = pytree.tree_unflatten(leaves, traced.in_spec)
    with _Pinned(floating_dtype(traced), dtype):
        return list(pytree.tree_leaves(source(*args, **kwargs)))


class _Pinned(TorchDispatchMode):
    """Computes in ``wanted`` what a model pins to its own dtype."""

    def __init__(self, own: torch.dtype, wanted: torch.dtype) -> None:
        super().__init__()
        self.own, self.wanted = own, wanted

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        args, kwargs = pytree.tree_map(self._literal, (args, dict(kwargs or {})))
        if self.wanted is torch.float64:
            func = WIDE.get(func, func)
        return pytree.tree_map(self._literal, func(*args, **kwargs))

    def _literal(self, value: Any) -> Any:
        if value is self.own:
            return self.wanted
        if isinstance(value, Tensor) and value.dtype is self.own:
            return value.to(self.wanted)
        return value
