"""Emitting nodes: what stands for nodes of a traced graph, with shapes and module paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.graph.meta import MADE_FOR, PART_OF, STANDS_FOR, source_name
from snnconvert.torch_private import enable_python_dispatcher, pytree


class Emitter:
    """Adds nodes to one graph, with their shapes.

    The shapes of what was emitted once are kept for the whole graph: a recurrence repeats the
    same at every position, a network at every layer, and fake operators are slow.

    Args:
        graph: what nodes are added to.
        seen: called with every new node, in their order.
        attribute: returns what a ``get_attr`` node of the graph refers to, by its name.

    Attributes:
        part_of: the op kind that is taken apart into what is emitted, for as far as a rule asks;
            empty: nothing is, or all of it.
    """

    def __init__(
        self,
        graph: fx.Graph,
        seen: Callable[[fx.Node], None],
        attribute: Callable[[str], Any],
    ) -> None:
        self.graph, self.seen, self.attribute = graph, seen, attribute
        self.part_of = ""
        self._place: fx.Node | None = None
        self._values: dict[str, Any] = {}

    @contextmanager
    def at(self, node: fx.Node) -> Iterator[None]:
        """Put what is emitted before a node, and into its module."""
        before = self._place
        self._place = node
        try:
            with self.graph.inserting_before(node):
                yield
        finally:
            self._place = before

    def __call__(self, operator: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """Emit a call; its arguments may be nodes, and lists of them."""
        assert self._place is not None
        new = self.graph.call_function(operator, args, kwargs)
        values = fx.map_arg((args, kwargs), lambda n: n.meta["val"])
        key = repr((operator, pytree.tree_map_only(Tensor, _described, values)))
        if key not in self._values:
            self._values[key] = self._fake(operator, *values[0], **values[1])
        new.meta = {
            "val": self._values[key],
            "nn_module_stack": self._place.meta.get("nn_module_stack"),
            STANDS_FOR: "",
            PART_OF: self.part_of,
            MADE_FOR: self._place.meta.get(MADE_FOR) or source_name(self._place),
        }
        self.seen(new)
        return new

    def replace(self, node: fx.Node, new: fx.Node) -> None:
        """Let one emitted node compute what a node of the graph did, which is removed."""
        new.meta[STANDS_FOR] = source_name(node)
        node.replace_all_uses_with(new)
        self.graph.erase_node(node)

    def _fake(self, operator: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what an operator gives, without its numbers."""
        assert self._place is not None
        fakes = [x for x in pytree.tree_leaves(self._place.meta["val"]) if isinstance(x, Tensor)]
        # As export does: in C++ some operators, such as padding, fix the sizes that they meet.
        with fakes[0].fake_mode, enable_python_dispatcher():  # type: ignore[attr-defined]
            return operator(*args, **kwargs)


def _described(x: Tensor) -> str:
    return f"{tuple(x.shape)} {x.dtype} {x.device}"
