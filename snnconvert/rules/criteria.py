"""What a rule asks of an operation, key by key, and in words what an operation lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from snnconvert.ops.kinds import region_kinds
from snnconvert.rules.conditions import Scalar, parse_condition
from snnconvert.rules.globs import compile_globs
from snnconvert.rules.schema import Match
from snnconvert.wording import either, listed, quoted, received, suggestion


@dataclass(frozen=True)
class Operation:
    """What a rule sees of one node of a traced network.

    Attributes:
        name: of the node.
        kind: op kind, such as ``linear``.
        path: module path, such as ``blocks.0.attn.qkv``; empty for the root.
        module: qualified class name of the node's own module.
        within: qualified class names of all enclosing modules, outermost first, its own included.
        facts: literal arguments by schema name, and sizes: numbers, booleans, text, None, or
            sequences of these; a size that changes with the batch is the text ``batch``.
    """

    name: str
    kind: str
    path: str
    module: str
    within: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The module path in quotes, or what the root is called."""
        return repr(self.path) if self.path else "the root"


@dataclass(frozen=True)
class Criterion:
    """One thing that a rule asks for.

    Attributes:
        holds: whether an operation meets it.
        lack: what one operation lacks, as ``path 'head' does not match 'blocks.*'``.
        lacks: the same of several operations none of which meets it.
    """

    holds: Callable[[Operation], bool]
    lack: Callable[[Operation], str]
    lacks: Callable[[Sequence[Operation]], str]


def classes(match: Match) -> tuple[Criterion, ...]:
    """What ``match`` asks of op kind and classes, of which a network has few."""
    candidates = (
        (match.op, _kind_criterion),
        (match.module, _module_criterion),
        (match.within, _within_criterion),
    )
    return tuple(criterion(wanted) for wanted, criterion in candidates if wanted)


def paths(match: Match) -> tuple[Criterion, ...]:
    """What ``match`` asks of the module path, of which a network has many."""
    return (_path_criterion(match.path),) if match.path else ()


def facts(match: Match) -> tuple[Criterion, ...]:
    """What ``match`` asks of each node's own facts."""
    return tuple(_fact_criterion(name, wanted) for name, wanted in match.where.items())


def _kind_criterion(kinds: tuple[str, ...]) -> Criterion:
    wanted = frozenset(kinds)

    def holds(operation: Operation) -> bool:
        # A node is of its own kind and of those of the regions that it stands in.
        return operation.kind in wanted or not wanted.isdisjoint(_regions(operation.within))

    def lacks(operations: Sequence[Operation]) -> str:
        there = {kind for op in operations for kind in (op.kind, *_regions(op.within))}
        return f"no operation is of op kind {either(kinds)}; there are {_sorted(there)}"

    if "*" in wanted:
        return Criterion(lambda operation: True, lambda operation: "", lambda operations: "")
    return Criterion(holds, lambda op: f"op kind {op.kind!r} is not {either(kinds)}", lacks)


def _path_criterion(globs: tuple[str, ...]) -> Criterion:
    matches = compile_globs(globs)
    return Criterion(
        lambda operation: matches(operation.path),
        lambda operation: f"path {quoted(operation.path)} does not match {either(globs)}",
        lambda operations: (
            f"no path matches {either(globs)}; there are "
            f"{_sorted({quoted(operation.path) for operation in operations})}"
        ),
    )


def _module_criterion(globs: tuple[str, ...]) -> Criterion:
    matches = any_class(globs)
    return Criterion(
        lambda operation: matches(operation.module),
        lambda operation: f"module {operation.module} does not match {either(globs)}",
        lambda operations: (
            f"no module matches {either(globs)}; there are "
            f"{_sorted({operation.module for operation in operations})}"
        ),
    )


def _within_criterion(globs: tuple[str, ...]) -> Criterion:
    matches = any_class(globs)

    @cache
    def any_matches(classes: tuple[str, ...]) -> bool:
        return any(matches(name) for name in classes)

    def lacks(operations: Sequence[Operation]) -> str:
        there = {name for operation in operations for name in operation.within}
        return f"no enclosing module matches {either(globs)}; there are {_sorted(there)}"

    return Criterion(
        lambda operation: any_matches(operation.within),
        lambda operation: (
            f"no enclosing module matches {either(globs)} "
            f"({' > '.join(operation.within) or 'none there'})"
        ),
        lacks,
    )


def _fact_criterion(fact: str, wanted: tuple[Scalar, ...]) -> Criterion:
    conditions = [parse_condition(value) for value in wanted]
    asked = either(wanted)

    def holds(operation: Operation) -> bool:
        if fact not in operation.facts:
            return False
        value = operation.facts[fact]
        return any(condition.holds(value) for condition in conditions)

    def lack(operation: Operation) -> str:
        if fact not in operation.facts:
            return f"it has no fact {quoted(fact)} (it has {_sorted(operation.facts)})"
        return f"{fact} is {_shown(operation.facts[fact])}, not {asked}"

    def lacks(operations: Sequence[Operation]) -> str:
        values = {_shown(op.facts[fact]) for op in operations if fact in op.facts}
        if values:
            return f"none has {fact} {asked}; there are {_sorted(values)}"
        known = {name for operation in operations for name in operation.facts}
        close = suggestion(fact, sorted(known), f"there are {_sorted(known)}")
        return f"none has a fact {quoted(fact)}{close}"

    return Criterion(holds, lack, lacks)


_regions = cache(region_kinds)


def any_class(globs: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a qualified class name matches; a glob without a dot is of the bare name."""
    tests = [(compile_globs((glob,)), "." in glob) for glob in globs]

    @cache
    def matches(name: str) -> bool:
        bare = name.rpartition(".")[2]
        return any(test(name if qualified else bare) for test, qualified in tests)

    return matches


def _sorted(words: Iterable[str]) -> str:
    return listed(sorted(words))


def _shown(value: Any) -> str:
    return repr(list(value)) if isinstance(value, list | tuple) else received(value)
