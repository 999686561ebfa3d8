"""Drives outside of the range of a look-up table: where they are many, or what errs most."""

from __future__ import annotations

from collections.abc import Iterator

from snnconvert.converter.reports.activity import SiteActivity
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.wording import listed

MANY = 5e-4
"""Share of a table's drives from which on those outside are said."""


def said_of_outside(spiking: SpikingReport) -> Iterator[str]:
    """Name the neurons whose tables do not reach far enough for held-out data, and the remedy.

    Calibration has seen the example inputs, or what is like them: nothing is said of those.
    """
    found = [site for site in spiking.sites if _is_short(site)]
    if spiking.on_example or not found:
        return
    yield (
        f"drives are outside of the range of {len(found)} table{'s' * (len(found) != 1)} on "
        f"{spiking.said_of_samples()}, and read the last entry: {listed(list(map(_said, found)))}. "
        "Ranges reach further with `neuron: {table: {margin: ...}}` of a rule for these alone "
        "(1.25 where none says more; a file's is of every table, and what rises fast has none "
        "that far), or with calibration on more data like these"
    )


def _is_short(site: SiteActivity) -> bool:
    """Tell whether many drives are outside, or what they add is more than spikes and entries do."""
    table = site.table
    if table is None or not table.outside:
        return False
    return table.outside > MANY or table.astray > max(site.residual, table.worst)


def _said(site: SiteActivity) -> str:
    table = site.table
    assert table is not None
    return (
        f"'{site.name}' ({table.function}, {100 * table.outside:.2g}% of its drives, which add a "
        f"relative error of {table.astray:.2g}; its spikes {site.residual:.2g})"
    )
