"""Tables of the functions that neurons follow, where rules ask for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import torch
from torch import fx

from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.converter.calibration.observe import Observed
from snnconvert.converter.spikes.site import Site, Sited, one_node_each
from snnconvert.errors import CalibrationError, InputError
from snnconvert.ops.layouts import Drives
from snnconvert.rules import RuleSet
from snnconvert.rules.neuron import NONE, asks_for_tables

_TRIED = 4097


def with_tables(
    sited: Sited,
    observed: Mapping[fx.Node, Observed],
    fitted: Mapping[str, Fitted],
    lenient: Collection[str] = (),
) -> tuple[dict[str, Fitted], tuple[str, ...]]:
    """Give each neuron whose rule asks for it a table for the drives that it was seen to have.

    Args:
        lenient: names of rules of which a neuron follows the function itself where no table is
            within the bound.

    Returns:
        The neurons, and what is to be said of those without a table.

    Raises:
        CalibrationError: no table is within the bound that a user gives, or a function that a rule
            names is not a number for some of these drives.
    """
    found, notes = dict(fitted), []
    for name, node in one_node_each(sited.sites).items():
        site = sited.sites[node]
        drives = observed[node].drives
        error = wanted_error(site)
        if site.target.own is not None:
            _refuse_undefined(site, drives, error)
        if error is None:
            continue
        target, margin = fitted[name].target, site.settings.table_margin
        try:
            target = target.tabulated(drives or Drives(0.0, 0.0), error, margin)
        except InputError as problem:
            said = f"the neuron '{name}' (rule '{site.rule}') follows {target.name}"
            if site.target.own is not None or site.rule not in lenient:
                raise CalibrationError(f"{said}: {problem}") from problem
            found[name] = replace(fitted[name], without_table=True)
            notes.append(f"{said} itself, without a table: {problem}")
            continue
        found[name] = replace(fitted[name], target=target)
    return found, tuple(notes)


def bounded_by_the_package(rules: RuleSet) -> frozenset[str]:
    """Return the names of the rules whose bound of tables comes with the package, for any network,
    and is not a user's own."""
    if rules.own_tables:
        return frozenset()
    return frozenset(rule.name for rule in rules.rules if not asks_for_tables(rule.neuron))


def _refuse_undefined(site: Site, drives: Drives | None, error: float | None) -> None:
    """Refuse a function of a user's own that has no value where it is driven, or a table of one
    that no finite value drives; of others, it is known where they have none, and a neuron rests
    there."""
    if drives is None:
        if error is None:
            return
        raise CalibrationError(
            f"the neuron '{site.name}' (rule '{site.rule}') follows {site.target.function}, and no "
            "finite drive of it was seen, for which a table could be made; calibrate on data on "
            "which it has some, or leave its table out (table: {error: none})"
        )
    share = torch.linspace(0.0, 1.0, _TRIED, dtype=torch.float64)
    # Not from low to high: the difference of both may be none that a float holds.
    seen = drives.low * (1 - share) + drives.high * share
    if bool((wrong := ~site.target.exact(seen).isfinite()).any()):
        raise CalibrationError(
            f"the neuron '{site.name}' (rule '{site.rule}') follows {site.target.function}, which "
            f"is not a finite number at {float(seen[wrong][0]):.4g}, among the drives that were "
            f"seen, {drives.low:.4g} to {drives.high:.4g}; the function has to have a value for "
            "all of them"
        )


def wanted_error(site: Site) -> float | None:
    """Return the bound on the error of a site's table; None where it is to have none, or what is
    followed has none."""
    return None if site.target.layout is None else site.settings.table_error


def table_misfit(fitted: Fitted, site: Site) -> str:
    """Say why a table is not the one that a site's rule asks for; empty: it is."""
    table, wanted = fitted.target.table, wanted_error(site)
    if fitted.without_table and table is None and wanted is not None:
        return ""
    has = _said(None, 0) if table is None else _said(table.error, table.margin)
    says = _said(wanted, site.settings.table_margin)
    return "" if has == says else f"it has a table with {has}, and the rule says {says}"


def _said(error: float | None, margin: float) -> str:
    return f"error={NONE}" if error is None else f"error={error:g} and margin={margin:g}"
