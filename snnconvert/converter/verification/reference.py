"""The reference: the source on cumulative inputs, as it was traced and as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.building.tree import build_tree
from snnconvert.converter.graph.literals import with_literals
from snnconvert.converter.graph.wide import WIDE
from snnconvert.converter.running.encoded import encoded_at
from snnconvert.converter.tracing.kept_parameters import unwritten
from snnconvert.converter.tracing.preparing import as_traced, unwrapped
from snnconvert.converter.tracing.source_runs import WithoutFastPaths, copies
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.converter.verification.check_tensors import CheckTensors
from snnconvert.ops.encoding import Encoding
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import TorchDispatchMode, _disable_current_modes, pytree


class Reference:
    """The traced source in the dtype of a check.

    Where ids are held, it is fed with the same partial embeddings as the conversion.
    """

    def __init__(self, conversion: Conversion, tensors: CheckTensors) -> None:
        traced = conversion.source
        self.given, self.dtype = traced.inputs, tensors.dtype
        self.encoded = frozenset(node.name for node in conversion.decided.encoded)
        self.graph = with_literals(traced.graph, tensors.dtypes)
        self.tree = tensors.copied(build_tree(traced))

    def run(
        self, leaves: list[Any], encoding: Encoding, t: int, total: int, wanted: frozenset[str]
    ) -> ReferenceRun:
        """Begin to compute step ``t``; the values of the nodes in ``wanted`` will be asked for."""
        now = encoded_at(t, encoding, leaves, self.given, total)
        return ReferenceRun(self, encoding, t, total, now, wanted)

    def steps(self, leaves: list[Any], encoding: Encoding, total: int) -> list[list[Any]]:
        """Return the output leaves at every step."""
        return [self.run(leaves, encoding, t, total, frozenset()).finish() for t in range(total)]


class ReferenceRun(fx.Interpreter):
    """One step of the source, node by node as its values are asked for; none is kept longer."""

    def __init__(
        self,
        reference: Reference,
        encoding: Encoding,
        t: int,
        total: int,
        inputs: list[Any],
        wanted: frozenset[str],
    ) -> None:
        super().__init__(reference.tree, graph=reference.graph)
        self.encoded, self.encoding, self.t, self.total = reference.encoded, encoding, t, total
        self.inputs = inputs
        self.args_iter = iter(inputs)
        self.wanted = wanted
        self.waiting: dict[str, Any] = {}
        self.outputs: list[Any] = []
        self.steps = self._steps()

    def value_of(self, name: str) -> Any:
        """Return a node's value; each may be asked for once."""
        while name not in self.waiting:
            computed, value = next(self.steps)
            if computed in self.wanted:
                self.waiting[computed] = value
        return self.waiting.pop(name)

    def finish(self) -> list[Any]:
        """Compute what was not asked for, and return the output leaves."""
        for _ in self.steps:
            pass
        return self.outputs

    def _steps(self) -> Iterator[tuple[str, Any]]:
        for node in self.graph.nodes:
            value = self.run_node(node)
            if node.op == "output":
                self.outputs = list(pytree.tree_leaves(value))
                return
            if node.name in self.encoded:
                value = pytree.tree_map(lambda x, name=node.name: self._coded(x, name), value)
            self.env[node] = value
            for dead in self.user_to_last_uses.get(node, ()):
                del self.env[dead]
            yield node.name, value

    def _coded(self, x: Any, name: str) -> Any:
        if not isinstance(x, Tensor) or not is_number(x):
            return x
        return self.encoding.cumulative(x, self.t, 1, self.total, name)[0]


def source_outputs(
    model: nn.Module, traced: TracedModel, leaves: list[Any], tensors: CheckTensors
) -> list[Any]:
    """Return the output leaves of the source model itself, in the dtype of a check.

    It is run on tensors that were cast, in the place of its own: a copy of a model need not be
    the same network. Of its buffers, which a model may write to, it has copies.
    """
    model, _ = unwrapped(model)
    # Modes keep compiled parts of a model (flex attention) from running, and are for other dtypes.
    same = all(before == after for before, after in tensors.dtypes.items())
    parameters = {name: tensors.of(x).detach() for name, x in model.named_parameters()}
    if same:
        parameters = {name: x.clone() for name, x in parameters.items()}
    buffers = {name: tensors.of(x).clone() for name, x in model.named_buffers()}
    args, kwargs = pytree.tree_unflatten(copies(leaves), traced.in_spec)
    with contextlib.ExitStack() as stack:
        stack.enter_context(as_traced(model))
        stack.enter_context(WithoutFastPaths())
        if same:
            stack.enter_context(_disable_current_modes())
        else:
            stack.enter_context(unwritten(parameters.values()))
            stack.enter_context(_Pinned(tensors.dtypes, _literals(traced)))
        answer = functional_call(model, parameters | buffers, args, kwargs)
    return list(pytree.tree_leaves(answer))


def _literals(traced: TracedModel) -> list[Tensor]:
    """Return the tensors that stand in the model's code (``torch.tensor(0.1)``), as traced."""
    constants = traced.program.constants.values()
    return [c for c in constants if isinstance(c, Tensor) and c.is_floating_point()]


class _Pinned(TorchDispatchMode):
    """Computes in the dtype of a check what a model pins to a dtype of its own, and what it keeps
    where casting does not reach.

    A literal tensor of the model's code is rounded as the trace, made in the model's own dtype,
    has it: in the dtype of the check it would be another number.
    """

    supports_higher_order_operators = True

    def __init__(
        self, dtypes: Mapping[torch.dtype, torch.dtype], literals: Sequence[Tensor]
    ) -> None:
        super().__init__()
        self.dtypes, self.literals = dtypes, literals

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        args, kwargs = pytree.tree_map(self._literal, (args, dict(kwargs or {})))
        if torch.float64 in self.dtypes.values():
            func = WIDE.get(func, func)
        if func is torch.ops.aten.lift_fresh.default:
            return self._rounded(args[0])
        return pytree.tree_map(self._literal, func(*args, **kwargs))

    def _rounded(self, made: Tensor) -> Tensor:
        for traced in self.literals:
            if traced.shape == made.shape and torch.equal(made.to(traced), traced):
                return made.copy_(traced)
        return made

    def _literal(self, value: Any) -> Any:
        if isinstance(value, torch.dtype):
            return self.dtypes.get(value, value)
        if isinstance(value, Tensor) and value.dtype in self.dtypes:
            return value.to(self.dtypes[value.dtype])
        return value
