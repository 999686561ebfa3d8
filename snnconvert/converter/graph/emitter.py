"""Emitting nodes: what stands for one node of a traced graph, with shapes and module paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.graph.meta import STANDS_FOR
from snnconvert.torch_private import pytree


class Emitter:
    """Adds nodes to a graph, with their shapes, in the place of one node.

    Attributes:
        emitted: the nodes, in their order.
    """

    def __init__(self, graph: fx.Graph, node: fx.Node) -> None:
        self.graph, self.node = graph, node
        self.emitted: list[fx.Node] = []
        self._values: dict[str, Any] = {}

    def __call__(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        new = self.graph.call_function(target, args, kwargs)
        values = fx.map_arg((args, kwargs), lambda n: n.meta["val"])
        # A recurrence repeats the same shapes at every position, and fake operators are slow.
        key = repr((target, pytree.tree_map_only(Tensor, _described, values)))
        if key not in self._values:
            self._values[key] = self._fake(target, *values[0], **values[1])
        new.meta = {
            "val": self._values[key],
            "nn_module_stack": self.node.meta.get("nn_module_stack"),
            STANDS_FOR: "",
        }
        self.emitted.append(new)
        return new

    def _fake(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what an operator gives, without its numbers."""
        fakes = [x for x in pytree.tree_leaves(self.node.meta["val"]) if isinstance(x, Tensor)]
        with fakes[0].fake_mode:  # type: ignore[attr-defined]
            return target(*args, **kwargs)


def _described(x: Tensor) -> str:
    return f"{tuple(x.shape)} {x.dtype} {x.device}"
