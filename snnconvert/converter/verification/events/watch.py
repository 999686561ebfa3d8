"""Watching what runs: every ATen call on tensors that depend on a stream is judged as it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.verification.events.execution import Execution, NotOnSpikes
from snnconvert.converter.verification.events.labels import Content, Label, Ran
from snnconvert.converter.verification.events.violation import Violation
from snnconvert.ops.kinds import operator_name
from snnconvert.torch_private import OpOverload, TorchDispatchMode, pytree, schema_of


class Watch(TorchDispatchMode):
    """Judges all that runs for one node.

    What a tensor holds is known by its storage: views of it, and what is written into it, hold the
    same, however a module of a stranger's goes about it.

    Args:
        node, path: the source's node, and its module.
        judge: gives the label of a result, or raises `NotOnSpikes`.

    Attributes:
        violations: what was not allowed.
    """

    supports_higher_order_operators = True

    def __init__(self, node: str, path: str, judge: Callable[[Execution], Label | None]) -> None:
        super().__init__()
        self.node, self.path, self.judge = node, path, judge
        self.violations: list[Violation] = []
        # Tensors are kept, so that no other takes the place of their storage.
        self._known: dict[int, tuple[Tensor, Label]] = {}
        self._shapes: dict[int, Tensor] = {}

    def see(self, value: Any, label: Label | None) -> None:
        """Let all tensors of a value have a label; None: they are constants."""
        for x in pytree.tree_leaves(value):
            if not isinstance(x, Tensor):
                continue
            if label is None:
                self._known.pop(_storage(x), None)
            else:
                self._known[_storage(x)] = x, label

    def label_of(self, x: Tensor) -> Label | None:
        """Return the label of a tensor; None of constants."""
        known = self._known.get(_storage(x))
        return None if known is None else known[1]

    def is_shape(self, x: Tensor) -> bool:
        """Tell whether a tensor has nothing but the shape of one that has a label."""
        return not x.numel() or _storage(x) in self._shapes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        ran = Ran(self.node, self.path, str(func))
        given = [x for x in pytree.tree_leaves((args, named)) if isinstance(x, Tensor)]
        tracked = any(self.label_of(x) is not None for x in given)
        result = func(*args, **named)
        label = self._judged(func, ran, args, named, result) if tracked else None
        self.see(result, label)
        if tracked and label is None:
            made = [x for x in pytree.tree_leaves(result) if isinstance(x, Tensor)]
            self._shapes |= {_storage(x): x for x in made}
        return result

    def _judged(
        self, func: Any, ran: Ran, args: Any, kwargs: Mapping[str, Any], result: Any
    ) -> Label | None:
        name = operator_name(func)
        bare = name if name.endswith("__") else name.removesuffix("_")
        arguments = _by_name(func, args, kwargs)
        execution = Execution(
            ran, bare, arguments, self.label_of, result, getattr(func, "tags", ())
        )
        try:
            return self.judge(execution)
        except NotOnSpikes as refused:
            blamed = [f.ran for f in refused.factors] or [ran]
            self.violations += [Violation(x, str(refused)) for x in blamed]
            # What follows is not to blame for what it was given.
            return Label(Content.WEIGHED)


def _by_name(func: Any, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(func, OpOverload):  # a loop or a branch: of a graph of its own
        return {str(i): x for i, x in enumerate(args)} | dict(kwargs)
    names = [argument.name for argument in schema_of(func).arguments]
    return dict(zip(names, args, strict=False)) | dict(kwargs)


def _storage(x: Tensor) -> int:
    own = x.untyped_storage().data_ptr() if x.layout is torch.strided else 0
    return own or id(x)  # what is empty has no storage
