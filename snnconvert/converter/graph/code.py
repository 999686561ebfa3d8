"""A converted graph as a function: its nodes one after the other, and no source text of it.

Names in a graph come from files. Python source that is made of them is only as harmless as each
name in it, so none is made: every node becomes a call and the numbers of the values that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any

from torch import fx

Read = Callable[[Sequence[Any]], tuple[Any, ...]]


@dataclass(frozen=True)
class _Instruction:
    """One call: what is called, on which values, where its result goes, and what nobody reads on.

    The values of a run and the constants of its calls stand in one list, by number.
    """

    call: Callable[..., Any]
    read: Read
    keywords: tuple[str, ...]
    read_keywords: Read
    result: int
    dead: tuple[int, ...]


@dataclass
class _Instructions:
    """The calls of a graph as they are put together.

    `made` are the numbers of containers that were made for the next call alone.
    """

    values: list[Any] = field(default_factory=list)
    instructions: list[_Instruction] = field(default_factory=list)
    numbers: dict[fx.Node, int] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)

    def constant(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def argument(self, value: Any) -> int:
        """The number of an argument; one that holds results of nodes is made by an instruction."""
        if isinstance(value, fx.Node):
            return self.numbers[value]
        parts = _parts(value)
        if parts is None or not _holds_nodes(value):
            return self.constant(value)
        make, inner = parts
        made = self.add(make, [self.argument(x) for x in inner], {}, ())
        self.made.append(made)
        return made

    def add(
        self,
        call: Callable[..., Any],
        args: Sequence[int],
        kwargs: Mapping[str, int],
        dead: Sequence[int],
    ) -> int:
        result = self.constant(None)
        self.instructions.append(
            _Instruction(
                call, _reader(args), tuple(kwargs), _reader([*kwargs.values()]), result, (*dead,)
            )
        )
        return result


def compile_graph(graph: fx.Graph) -> Callable[..., Any]:
    """Return the function ``(tree, clock, *inputs) -> outputs`` that a graph describes."""
    built = _Instructions()
    tree = built.constant(None)
    inputs = []
    last = _last_readers(graph)
    output = None
    for node in graph.nodes:
        if node.op == "placeholder":
            built.numbers[node] = built.constant(None)
            inputs.append(built.numbers[node])
            continue
        if node.op == "output":
            output = built.argument(node.args[0])
            continue
        call, first = _called(node)
        args = [tree] if first else []
        args += [built.argument(x) for x in node.args]
        kwargs = {name: built.argument(x) for name, x in node.kwargs.items()}
        dead = [*built.made, *(built.numbers[n] for n in last.get(node, ()))]
        built.made.clear()
        built.numbers[node] = built.add(call, args, kwargs, dead)
    assert output is not None
    return _function(built, tree, inputs, output)


def _function(
    built: _Instructions, tree: int, inputs: Sequence[int], output: int
) -> Callable[..., Any]:
    constants, instructions = tuple(built.values), tuple(built.instructions)

    def run(root: Any, *given: Any) -> Any:
        values = list(constants)
        values[tree] = root
        for number, value in zip(inputs, given, strict=True):
            values[number] = value
        for instruction in instructions:
            if instruction.keywords:
                kwargs = dict(
                    zip(instruction.keywords, instruction.read_keywords(values), strict=True)
                )
                values[instruction.result] = instruction.call(*instruction.read(values), **kwargs)
            else:
                values[instruction.result] = instruction.call(*instruction.read(values))
            for number in instruction.dead:
                values[number] = None
        return values[output]

    return run


def _called(node: fx.Node) -> tuple[Callable[..., Any], bool]:
    """What a node calls, and whether it takes the tree before its own arguments."""
    if node.op == "get_attr":
        return attrgetter(str(node.target)), True
    if node.op == "call_module":
        return _module(str(node.target)), True
    if node.op == "call_method":
        return _method(str(node.target)), False
    assert callable(node.target)
    return node.target, False


def _module(path: str) -> Callable[..., Any]:
    find = attrgetter(path)
    return lambda tree, *args, **kwargs: find(tree)(*args, **kwargs)


def _method(name: str) -> Callable[..., Any]:
    return lambda value, *args, **kwargs: getattr(value, name)(*args, **kwargs)


def _parts(value: Any) -> tuple[Callable[..., Any], Sequence[Any]] | None:
    """How a container is made of its members, and these; None for what is no container."""
    if isinstance(value, list):
        return (lambda *items: list(items)), value
    if isinstance(value, tuple):
        return (lambda *items: items), value
    if isinstance(value, slice):
        return slice, (value.start, value.stop, value.step)
    if isinstance(value, dict):
        keys = tuple(value)
        return (lambda *items: dict(zip(keys, items, strict=True))), [*value.values()]
    return None


def _holds_nodes(value: Any) -> bool:
    found: list[fx.Node] = []
    fx.node.map_arg(value, found.append)
    return bool(found)


def _reader(numbers: Sequence[int]) -> Read:
    """Return the function from all values to those of these numbers."""
    if len(numbers) > 1:
        return itemgetter(*numbers)
    if not numbers:
        return lambda values: ()
    number = numbers[0]
    return lambda values: (values[number],)


def _last_readers(graph: fx.Graph) -> dict[fx.Node, list[fx.Node]]:
    """Return which values each node is the last to read: their memory is free then."""
    seen: set[fx.Node] = set()
    last: dict[fx.Node, list[fx.Node]] = {}
    for node in reversed(graph.nodes):
        for value in node.all_input_nodes:
            if value not in seen:
                seen.add(value)
                if node.op != "output":
                    last.setdefault(node, []).append(value)
    return last
