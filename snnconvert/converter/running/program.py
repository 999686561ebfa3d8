"""A graph as it is run: what does not change in a run once, all else call by call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from snnconvert.converter.building.in_place import overwrite
from snnconvert.converter.graph.code import compile_graph
from snnconvert.converter.graph.meta import TIME_DIMS
from snnconvert.converter.running.calls import with_calls
from snnconvert.converter.running.online import RunGraph
from snnconvert.ops.clock import Clock
from snnconvert.torch_private import pytree


@dataclass(frozen=True)
class Program:
    """A compiled graph.

    Attributes:
        dims: the dimension of each output leaf that holds the batch, and so the folded time; None
            where it is the same at every step.
        moving: which of the input leaves change over time.
        once: computes of ``(tree, *leaves)`` what does not.
        each: computes the output leaves of ``(tree, clock, *moving leaves, *what is computed
            once)``.
    """

    dims: tuple[int | None, ...]
    moving: tuple[int, ...]
    once: Callable[..., Sequence[Any]]
    each: Callable[..., Sequence[Any]]

    @property
    def changes(self) -> bool:
        """Whether any output changes over time."""
        return any(dim is not None for dim in self.dims)

    def begin(self, tree: nn.Module, leaves: Sequence[Any]) -> RunGraph:
        """Begin a run: return what computes the output leaves of ``clock.steps`` folded steps.

        Args:
            tree: what the graph refers to.
            leaves: the input leaves, of which those that change over time are not read.
        """
        found = self.once(tree, *leaves)

        def run(leaves: Sequence[Any], clock: Clock) -> list[Any]:
            moving = [leaves[i] for i in self.moving]
            return list(self.each(tree, clock, *moving, *found))

        return run


def program_of(graph: fx.Graph, tree: nn.Module, dims: Sequence[int | None]) -> Program:
    """Compile a graph of cumulative values (see :class:`Program`); it is not changed."""
    once, each, moving = split(with_calls(overwrite(graph, tree)))
    return Program(tuple(dims), moving, compile_graph(once), compile_graph(each))


def split(graph: fx.Graph) -> tuple[fx.Graph, fx.Graph, tuple[int, ...]]:
    """Return a graph in two: of what depends on neither the clock nor an input that changes, and of
    all else, which takes that as its last inputs; and the numbers of the inputs that change.

    Args:
        graph: its first placeholder is the clock; it is not changed.
    """
    nodes = list(graph.nodes)
    clock, *inputs = (node for node in nodes if node.op == "placeholder")
    changing = {clock, *(node for node in inputs if TIME_DIMS in node.meta)}
    for node in nodes:
        if node.op == "output" or not changing.isdisjoint(node.all_input_nodes):
            changing.add(node)
    constant = [node for node in nodes if node not in changing]
    shared = [
        node for node in constant if node.op != "get_attr" and not changing.isdisjoint(node.users)
    ]
    once = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {node: once.placeholder(node.name) for node in inputs}
    _copy_to(once, [node for node in constant if node not in copies], copies)
    once.output(tuple(copies[node] for node in shared))
    each, moving = fx.Graph(), [i for i, node in enumerate(inputs) if node in changing]
    given = [clock, *(inputs[i] for i in moving), *shared]
    copies = {node: each.placeholder(node.name) for node in given}
    rest = [n for n in nodes if n not in copies and (n in changing or n.op == "get_attr")]
    *calls, output = rest
    _copy_to(each, calls, copies)
    leaves = pytree.tree_leaves(output.args[0])
    each.output(tuple(copies[x] if isinstance(x, fx.Node) else x for x in leaves))
    for part in (once, each):
        part.eliminate_dead_code()
    return once, each, tuple(moving)


def _copy_to(graph: fx.Graph, nodes: Sequence[fx.Node], copies: dict[fx.Node, fx.Node]) -> None:
    for node in nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
