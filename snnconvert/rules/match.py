"""Which rule takes which operation: decides, changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from snnconvert.rules.criteria import Criterion, Operation, any_class, classes, facts, paths
from snnconvert.rules.globs import compile_globs
from snnconvert.rules.rule_set import Rule, RuleSet
from snnconvert.rules.schema import Match

__all__ = [
    "UNMATCHED_ACTION",
    "Decision",
    "Operation",
    "Plan",
    "is_module_of",
    "match",
    "plan_of",
]

UNMATCHED_ACTION = "td"
"""What becomes of an operation that no rule takes: TD, exact, as everything by default."""

_NEAR_MISSES = 3


@dataclass(frozen=True)
class Decision:
    """What the rules say of one operation; ``rule`` is None where none takes it."""

    operation: Operation
    rule: Rule | None
    rules: RuleSet = field(repr=False, compare=False)

    @property
    def action(self) -> str:
        """The rule's action, or :data:`UNMATCHED_ACTION`."""
        return self.rule.action if self.rule else UNMATCHED_ACTION

    @property
    def reason(self) -> str:
        """Which rule takes the operation, or why none does, for a person to read."""
        if self.rule:
            return str(self.rule)
        near = [
            f"{rule}: {lack}"
            for rule in self.rules.rules
            if (lack := _near_miss(rule, self.operation))
        ]
        more = f"; and {len(near) - _NEAR_MISSES} more" if len(near) > _NEAR_MISSES else ""
        why = f" ({'; '.join(near[:_NEAR_MISSES])}{more})" if near else ""
        return f"no rule matches op kind {self.operation.kind!r} at {self.operation.place}{why}"


@dataclass(frozen=True)
class Plan:
    """The decision on every operation, in their order, and the user's rules that took none."""

    decisions: tuple[Decision, ...]
    unused: tuple[Rule, ...]

    def explain_unused(self) -> tuple[str, ...]:
        """For each rule of ``unused``: that it matches nothing and why, or who was before it."""
        return tuple(_why_unused(rule, self.decisions) for rule in self.unused)


@dataclass(frozen=True)
class _Compiled:
    """A rule, ready to be tested: a network has few classes but many paths, so ``at`` is bare."""

    rule: Rule
    classes: tuple[Criterion, ...]
    at: Callable[[str], bool]
    facts: tuple[Criterion, ...]


def match(rules: RuleSet, operations: Sequence[Operation]) -> Plan:
    """The plan for ``operations``: each goes to the first of ``rules`` that matches it.

    Args:
        rules: in the order in which they apply.
        operations: of one network, in the order of its graph.
    """
    compiled = [
        _Compiled(
            rule, classes(rule.match), compile_globs(rule.match.path or ("*",)), facts(rule.match)
        )
        for rule in rules.rules
    ]
    of_classes: dict[tuple[object, ...], list[_Compiled]] = {}
    of_place: dict[tuple[object, ...], list[_Compiled]] = {}
    decisions = []
    for operation in operations:
        key = (operation.kind, operation.module, operation.within)
        place = (*key, operation.path)
        if place not in of_place:
            if key not in of_classes:
                of_classes[key] = [c for c in compiled if _meets(c.classes, operation)]
            of_place[place] = _at_path(of_classes[key], operation.path)
        taker = next((c.rule for c in of_place[place] if _meets(c.facts, operation)), None)
        decisions.append(Decision(operation, taker, rules))
    return plan_of(rules, decisions)


def is_module_of(match: Match, path: str, name: str) -> bool:
    """Tell whether a module is one that ``match`` asks for, by its path and its class's name."""
    of_class = all(any_class(globs)(name) for globs in (match.module, match.within) if globs)
    return of_class and compile_globs(match.path or ("*",))(path)


def plan_of(rules: RuleSet, decisions: Sequence[Decision]) -> Plan:
    """The plan that has these decisions, perhaps some of another's, and no others."""
    used = {decision.rule.name for decision in decisions if decision.rule}
    unused = (rule for rule in rules.rules if rule.name not in used and not rule.bundled)
    return Plan(tuple(decisions), tuple(unused))


def _at_path(candidates: list[_Compiled], path: str) -> list[_Compiled]:
    """Those that match the path, up to the first that asks for no facts and so wins."""
    found = []
    for entry in candidates:
        if entry.at(path):
            found.append(entry)
            if not entry.facts:
                break
    return found


def _meets(criteria: tuple[Criterion, ...], operation: Operation) -> bool:
    return all(criterion.holds(operation) for criterion in criteria)


def _criteria(rule: Rule) -> tuple[Criterion, ...]:
    return (*classes(rule.match), *paths(rule.match), *facts(rule.match))


def _near_miss(rule: Rule, operation: Operation) -> str:
    """What keeps a rule from an operation of a kind that it takes; nothing for other kinds."""
    criteria = _criteria(rule)
    lacking = next(c for c in criteria if not c.holds(operation))
    of_its_kind = not rule.match.op or lacking is not criteria[0]
    return lacking.lack(operation) if of_its_kind else ""


def _why_unused(rule: Rule, decisions: Sequence[Decision]) -> str:
    """Narrows the operations down by one criterion after the other until none is left."""
    left = list(decisions)
    if not left:
        return f"{rule} matches nothing: the network has no operations"
    for criterion in _criteria(rule):
        met = [decision for decision in left if criterion.holds(decision.operation)]
        if not met:
            lacks = criterion.lacks([decision.operation for decision in left])
            of = f"of {len(left)} that it could take, " if len(left) < len(decisions) else ""
            return f"{rule} matches nothing: {of}{lacks}"
        left = met
    takers = Counter(repr(decision.rule.name) for decision in left if decision.rule)
    by = ", ".join(f"{name} ({count})" for name, count in takers.items())
    what = "the one operation" if len(left) == 1 else f"all {len(left)} operations"
    return f"{rule} takes nothing: {what} that it matches went to earlier rules: {by}"
