"""Tables that rules ask for and that neurons do not have, as none follows a function that has
tables."""

from __future__ import annotations

from collections.abc import Iterator

from snnconvert.converter.spikes.site import Sited
from snnconvert.rules import RuleSet
from snnconvert.rules.neuron import asks_for_tables
from snnconvert.wording import listed


def tables_in_vain(sited: Sited, rules: RuleSet) -> Iterator[str]:
    """Say which rules ask for tables of functions, and place neurons that follow none that has.

    What a file says of all rules is in vain where that is so of all; a file that comes with the
    package is written for any network, and is not told.
    """
    follow = {site.rule for site in sited.sites.values() if site.target.layout is not None}
    placing = {site.rule for site in sited.sites.values()}
    used = [rule for rule in rules.rules if rule.name in placing]
    asking = [rule for rule in used if asks_for_tables(rule.neuron)]
    if rules.own_tables and asks_for_tables(rules.neuron) and not follow:
        asking = used
    if vain := [rule for rule in asking if rule.name not in follow]:
        yield (
            f"'table' has no effect on the neurons of {listed(vain)}: none follows a 1-D function "
            "that has tables (gelu, exp, rsqrt, ...); leave it out, or place neurons on such "
            "functions ('action: spiking')"
        )
