"""Rules that ask for spiking recurrent cells, where a network has no recurrence for them."""

from __future__ import annotations

from snnconvert import ops
from snnconvert.converter.deciding.decide import Decided
from snnconvert.ops.recurrent.surrogates import SpikingGates
from snnconvert.rules import Rule, RuleSet
from snnconvert.wording import listed


def cells_in_vain(decided: Decided, rules: RuleSet) -> tuple[str, ...]:
    """Say that rules ask for spiking cells and place none; nothing where they do not or it does."""
    asking = [rule for rule in rules.rules if _places_a_cell(rule)]
    taken = {decision.action for decision in decided.plan.decisions}
    if not asking or any(rule.action in taken for rule in asking):
        return ()
    said = (
        f"no spiking cell was placed, though {listed(asking)} ask{'s' * (len(asking) == 1)} for "
        "them: the network has no recurrence that they match, and computes in floats, as the "
        "source does. Match operators that it has (`snnconvert explain` lists them), or use rules "
        "that place neurons (spiking, fully_spiking)"
    )
    return (said,)


def _places_a_cell(rule: Rule) -> bool:
    package, _, name = rule.action.rpartition(".")
    found = getattr(ops, name, None) if package.partition(".")[0] == "snnconvert" else None
    return isinstance(found, type) and issubclass(found, SpikingGates)
