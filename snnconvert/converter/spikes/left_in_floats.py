"""What spiking rules leave in floats: maps and products with an operand that is not spikes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.deciding.contractions import contractions
from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.deciding.shapes import has_size_of, sizes_of_streams
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import dtype_of, module_path, source_name
from snnconvert.converter.graph.spike_coded import is_neuron, is_spike_coded
from snnconvert.converter.spikes.apart.table import holds_maps
from snnconvert.converter.spikes.factors import WEIGHING_KINDS
from snnconvert.converter.spikes.site import Sited
from snnconvert.converter.spikes.without_place import has_no_place, is_linear
from snnconvert.ops.kinds import kind_of, multiplies, operands_of, operator_name
from snnconvert.rules import ACTIONS, SPIKING_ACTIONS, Decision, RuleSet
from snnconvert.torch_private import pytree
from snnconvert.wording import listed

LISTED = 20


def asks_for_spikes(rules: RuleSet) -> bool:
    """Tell whether any rule places neurons."""
    return any(rule.action in SPIKING_ACTIONS for rule in rules.rules)


def not_used(what: str) -> str:
    """Say that something for neurons ("the batches were") was given where no rule asks for any."""
    return f"{what} not used: no rule places a neuron"


def without_any_neuron(sited: Sited, rules: RuleSet) -> tuple[str, ...]:
    """Say that rules ask for spikes and place no neuron; nothing where they do not or it does."""
    if sited.sites or not asks_for_spikes(rules):
        return ()
    asking = [rule for rule in rules.rules if rule.action in SPIKING_ACTIONS]
    said = (
        f"no neuron was placed, though {listed(asking)} ask{'s' * (len(asking) == 1)} for spikes: "
        "the network computes in floats, as the source does. Match operators that it has ("
        "`snnconvert explain` lists them), or use other rules"
    )
    return (said,)


def without_spikes(sited: Sited) -> frozenset[str]:
    """Name the operations that a rule asks spikes for and that stay as they are: no operand is
    spikes, nor does a neuron stand behind them where that is asked for; and those that weigh no
    input, where that is what neurons would be for."""
    served = {site.consumer for site in sited.sites.values()}
    return frozenset(
        decision.operation.name
        for node, decision in sited.decisions.items()
        if decision.action in SPIKING_ACTIONS and not _has_spikes(node, decision, served)
    )


def _has_spikes(node: fx.Node, decision: Decision, served: Container[str]) -> bool:
    given, kind = arguments_of(node), kind_of(node.target)
    if decision.action == "spiking" and kind.name in WEIGHING_KINDS:
        return decision.operation.name in served
    if decision.action == "neuron" or not kind.operands:
        return any(map(is_neuron, node.users)) and decision.action != "spike_operands"
    operands = [given[name] for name in operands_of(kind, given)]
    return any(map(is_spike_coded, pytree.tree_leaves(operands)))


def left_in_floats(sited: Sited, decided: Decided, rules: RuleSet) -> list[str]:
    """Say for every linear map and product that is not on spikes where it is and why.

    Args:
        sited: the graph with its neurons.
        decided: what it was before them.
        rules: those that were decided by; where none asks for spikes, there is nothing to say.

    Returns:
        One line for each reason.
    """
    if not asks_for_spikes(rules):
        return []
    by_reason: dict[str, list[fx.Node]] = {}
    sizes = sizes_of_streams(sited.traced.graph, sited.streams.domains)
    for node, analog in analog_maps(sited, decided).items():
        by_reason.setdefault(_why(sited, node, analog, sizes), []).append(node)
    return [
        f"{len(found)} linear map{'s' * (len(found) != 1)} or product{'s' * (len(found) != 1)} "
        f"not on spikes, {reason}: {listed(places(found), LISTED)}"
        for reason, found in by_reason.items()
    ]


@dataclass(frozen=True)
class Analog:
    """What keeps a linear map or product in floats.

    Attributes:
        operands: its streams that are not spikes.
        without_place: whether no neuron has a place before it.
    """

    operands: Sequence[fx.Node]
    without_place: bool


def analog_maps(sited: Sited, decided: Decided) -> dict[fx.Node, Analog]:
    """Return the linear maps and products that have operands without spikes.

    Args:
        sited: the graph with its neurons.
        decided: what it was before them.
    """
    found, written_out = dict[fx.Node, Analog](), contractions(decided)
    domains, root = sited.streams.domains, sited.traced.root
    for node in sited.traced.graph.nodes:
        if node.op != "call_function" or domains.get(node) is not Domain.STREAM:
            continue
        placeless = has_no_place(
            node, root, lambda x: isinstance(x, fx.Node) and domains.get(x) is Domain.STREAM
        )
        operands = _operands(sited, node, placeless, source_name(node) in written_out)
        if not placeless or is_linear(node):
            operands = [x for x in operands if not is_spike_coded(x)]
        if operands:
            found[node] = Analog(operands, placeless)
    return found


def _operands(
    sited: Sited, node: fx.Node, without_place: bool, is_written_out: bool
) -> list[fx.Node]:
    """Return the streams that a node multiplies with weights or with each other."""
    given, kind = arguments_of(node), kind_of(node.target)
    if is_neuron(node) or (kind.operands and not multiplies(kind, dtype_of(node))):
        return []
    if without_place or holds_maps(node.target, given):
        return _streams(sited, list(given.values()))
    found = _streams(sited, [given[name] for name in operands_of(kind, given)])
    if kind.elementwise and len(found) == 1 and not is_written_out:
        return []  # by a constant, it is a scale
    return found


def _streams(sited: Sited, arguments: Any) -> list[fx.Node]:
    return [
        x
        for x in pytree.tree_leaves(arguments)
        if isinstance(x, fx.Node)
        and isinstance(x.meta.get("val"), Tensor)
        and sited.streams.domains.get(x) is Domain.STREAM
    ]


def _why(
    sited: Sited,
    node: fx.Node,
    analog: Analog,
    sizes: frozenset[Any],
) -> str:
    decision = sited.decisions.get(node)
    dtypes = [x.meta["val"].dtype for x in analog.operands]
    if decision is not None and decision.action not in ACTIONS:
        return f"as {decision.action} stands for them ({decision.reason})"
    if analog.without_place:
        return "as neurons have no place before these operators"
    if decision is not None and decision.action not in SPIKING_ACTIONS:
        how = "a rule leaves" if decision.rule else "rules leave"
        return f"as {how} them so ({by_whom(decision)})"
    if any(has_size_of(x, sizes) for x in analog.operands):
        return "as the number of values of an operand depends on what they are (a routing, a mask)"
    if any(dtype.is_complex for dtype in dtypes):
        return "as neurons are of real numbers and an operand is complex"
    if not all(dtype.is_floating_point for dtype in dtypes):
        return "as an operand is truth values or integers"
    if decision is None:
        return "as parts of an operator that was taken apart"
    if decision.action != "spike_operands" and decision.action != "spiking":
        return f"as neurons stand elsewhere ({decision.reason})"
    return "as an operand has no place for neurons"


def by_whom(decision: Decision) -> str:
    """Name the rule that took an operation, or say that none did, for all of its kind alike."""
    kind = decision.operation.kind
    return str(decision.rule) if decision.rule else f"no rule matches op kind '{kind}' there"


def places(nodes: list[fx.Node]) -> list[str]:
    """Name nodes of the source; count parts of what was taken apart, which have no name there."""
    named, parts = [], Counter[str]()
    for node in nodes:
        path = module_path(node)
        place = f"{operator_name(node.target)}{f' in {path}' if path else ''}"
        if name := source_name(node):
            named.append(f"'{name}' ({place})")
        else:
            parts[place] += 1
    return [*named, *(f"{count} {place}" for place, count in parts.items())]
