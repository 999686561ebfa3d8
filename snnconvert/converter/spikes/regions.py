"""Regions: what a user's own function stands for, an operator or all of a module's call.

A rule that names op kinds means each operator. One that names modules alone means what it takes of
a call of such a module, as a whole: one stream comes in, one tensor goes out, and a neuron on the
one gives the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.graph.meta import module_calls
from snnconvert.converter.spikes.left_in_floats import places
from snnconvert.errors import ConversionError
from snnconvert.rules import Decision, Rule, is_module_of
from snnconvert.wording import listed

_LISTED = 8
_REMEDY = (
    "A target stands for what a rule takes of a module's call, or with 'op' for one operator, with "
    "one stream that comes in and one tensor of the same shape and dtype that goes out; match such "
    "a module or operator"
)


def regions(decisions: Mapping[fx.Node, Decision]) -> dict[fx.Node, list[fx.Node]]:
    """Return for each node that a rule with a function of its own takes all that it is one with,
    in the order of the graph (decisions: on each node that is a stream)."""
    found: dict[tuple[Any, ...], list[fx.Node]] = {}
    for node, decision in decisions.items():
        if decision.rule is not None and decision.rule.target is not None:
            found.setdefault(_key(node, decision.rule), []).append(node)
    return {node: members for members in found.values() for node in members}


def _key(node: fx.Node, rule: Rule) -> tuple[Any, ...]:
    """Return what the nodes of a region have in common."""
    if rule.match.op:
        return rule.name, node
    calls = module_calls(node)
    asked = [call for call, path, name in calls if is_module_of(rule.match, path, name)]
    own = [call for call, _, _ in calls[-1:]]
    return rule.name, *(asked or own)[:1]


def ends_of(
    members: list[fx.Node], decision: Decision, is_stream: Callable[[Any], bool]
) -> tuple[fx.Node, fx.Node]:
    """Return what drives a region, and the node whose value goes out of it.

    Args:
        members: of the region.
        decision: on one of them.
        is_stream: tells for a node whether it is a stream of floating point.

    Raises:
        ConversionError: not one stream comes in, or not one tensor of its form goes out.
    """
    inside = set(members)
    drives = {x: None for n in members for x in n.all_input_nodes if x not in inside}
    came = [x for x in drives if is_stream(x)]
    went = [n for n in members if set(n.users) - inside]
    if len(came) != 1 or len(went) != 1:
        raise ConversionError(
            f"{_of(decision)} {len(came)} streams come in and {len(went)} go out of what it takes "
            f"({listed(places(members), _LISTED)}). {_REMEDY}"
        )
    (drive,), (output,) = came, went
    given, value = drive.meta["val"], output.meta["val"]
    if not isinstance(value, Tensor) or _form(value) != _form(given):
        made = _form(value) if isinstance(value, Tensor) else "several values"
        raise ConversionError(
            f"{_of(decision)} {_form(given)} comes in and {made} goes out. {_REMEDY}"
        )
    return drive, output


def _of(decision: Decision) -> str:
    assert decision.rule is not None
    return f"{decision.rule}: target '{decision.rule.target}' at {decision.operation.place}:"


def _form(x: Tensor) -> str:
    return f"{x.dtype} of shape [{', '.join(map(str, x.shape))}]"
