"""The degree: how much of a network is on spikes, and what is not, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import fx

from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import PART_OF, tensors_in
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.spikes.apart.table import APART
from snnconvert.converter.spikes.left_in_floats import (
    LISTED,
    analog_maps,
    by_whom,
    left_in_floats,
    places,
)
from snnconvert.converter.spikes.places import has_place
from snnconvert.converter.spikes.site import Sited
from snnconvert.ops.comparisons import compares, is_of_indices
from snnconvert.ops.homogeneity import adds_up
from snnconvert.ops.kinds import KINDS, kind_of, operator_name
from snnconvert.ops.sequence import is_number
from snnconvert.rules import ACTIONS, SPIKING_ACTIONS, Decision, RuleSet
from snnconvert.wording import listed

_MAPS = frozenset(name for name, kind in KINDS.items() if kind.operands) | frozenset(
    name for name, taking in APART.items() if taking.into_maps is not None
)
SOME_MAPS = "some maps"
DEGREES = ("exact", SOME_MAPS, "maps", "all")
"""No spikes; spikes into some linear maps and products; into every one; nothing else between one
spike and the next than sums, comparisons and functions that neurons look up in tables."""


def degree_of(sited: Sited, decided: Decided) -> str:
    """Return the degree of a network, one of `DEGREES`."""
    if not sited.sites:
        return "exact"
    if analog_maps(sited, decided):
        return SOME_MAPS
    without_table = any(site.computes for site in sited.sites.values())
    return "maps" if without_table or any(functions_in_floats(sited)) else "all"


def what_is_left(sited: Sited, decided: Decided, rules: RuleSet) -> list[str]:
    """Say which maps, products and functions rules that ask for spikes leave in floats, and why."""
    return [
        *left_in_floats(sited, decided, rules),
        *_functions_left(sited, decided, rules),
        *_without_table(sited),
    ]


def _without_table(sited: Sited) -> Iterator[str]:
    """Name the neurons that compute their function, as they have no table of it."""
    by_function: dict[str, dict[str, None]] = {}  # the neurons, in order; some share a name
    for site in sited.sites.values():
        if site.computes:
            by_function.setdefault(site.target.name, {})[site.name] = None
    for function, names in by_function.items():
        yield (
            f"{len(names)} neuron{'s' * (len(names) != 1)} compute{'s' * (len(names) == 1)} "
            f"{function} in floats, as no table of it is asked for (neuron: {{table: {{error: "
            f"1.0e-3}}}}): {listed(names, LISTED)}"
        )


def _functions_left(sited: Sited, decided: Decided, rules: RuleSet) -> list[str]:
    if not any(site.target.function for site in sited.sites.values()) and not any(
        rule.action == "spiking" and not _MAPS.issuperset(rule.match.op) for rule in rules.rules
    ):
        return []
    by_reason: dict[str, list[fx.Node]] = {}
    maps = analog_maps(sited, decided)  # they are named as such
    for node in functions_in_floats(sited):
        if node in maps:
            continue
        by_reason.setdefault(_why(node, sited.decisions.get(node)), []).append(node)
    return [
        f"{len(found)} function{'s' * (len(found) != 1)} in floats, {reason}: "
        f"{listed(places(found), LISTED)}"
        for reason, found in by_reason.items()
    ]


def _why(node: fx.Node, decision: Decision | None) -> str:
    if decision is not None and decision.action not in SPIKING_ACTIONS:
        return f"as {decision.action} takes them ({by_whom(decision)})"
    if whole := node.meta.get(PART_OF):
        return f"as part of {whole}, which 'action: spiking' takes apart with them"
    if has_place(node.target):
        return "as their form has no counterpart on spikes"
    return "as no counterpart on spikes is known"


def functions_in_floats(sited: Sited) -> Iterator[fx.Node]:
    """Yield the streams that are computed in floats, besides maps and products."""

    def is_stream(x: Any) -> bool:
        return isinstance(x, fx.Node) and sited.streams.domains.get(x) is Domain.STREAM

    for node in sited.traced.graph.nodes:
        if node.op != "call_function" or not is_stream(node) or is_neuron(node):
            continue
        if node in sited.encoded:
            continue  # a stream starts here: nothing before it is on spikes
        decision = sited.decisions.get(node)
        of_a_stranger = decision is not None and decision.action not in ACTIONS
        if of_a_stranger or is_function(node, arguments_of(node), is_stream):
            yield node


def is_function(
    node: fx.Node, arguments: Mapping[str, Any], is_stream: Callable[[Any], bool]
) -> bool:
    """Tell whether a call computes on streams, and is neither a map or product, nor adds up,
    compares, chooses or makes indices of indices.

    Args:
        node: the call.
        arguments: its arguments by schema name.
        is_stream: tells for an argument whether it is a stream.
    """
    made = list(tensors_in(node.meta.get("val")))
    if not made or kind_of(node.target).operands:
        return False
    name = operator_name(node.target)
    if compares(name, arguments, made[0].dtype) or adds_up(name, arguments, is_stream):
        return False
    given = (x for n in node.all_input_nodes for x in tensors_in(n.meta.get("val")))
    of_floats = any(is_number(x) for x in (*made, *given))
    return of_floats or not is_of_indices(name, arguments, lambda x: not is_stream(x))
