"""Allowances of spikes that were exceeded: what was allowed, foreseen, and measured."""

from __future__ import annotations

from collections.abc import Iterator

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.reports.activity import SiteActivity
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.rules import leaves_open

_DIGITS = 3


def exceeded_rates(conversion: Conversion, spiking: SpikingReport) -> Iterator[str]:
    """Say for each allowance that calibration chose within whether neurons spiked more.

    Args:
        conversion: with the neurons that were chosen.
        spiking: how they ran.
    """
    shared: dict[float, set[str]] = {}
    for site in conversion.sited.sites.values():
        if leaves_open(site.settings):
            shared.setdefault(site.settings.rate, set()).add(site.name)
    paths = {conversion.neurons[n]: site.name for n, site in conversion.sited.sites.items()}
    foreseen = {name: fitted.rate for name, fitted in conversion.calibration.fitted.items()}
    for allowed, names in shared.items():
        found = [site for site in spiking.sites if paths.get(site.name) in names]
        measured = _mean(found, {site.name: site.rate for site in found})
        before = _mean(found, {site.name: foreseen[paths[site.name]] for site in found})
        if round(measured, _DIGITS) > allowed:
            where = spiking.said_of_samples()
            yield (
                f"the rate of {allowed:g} spikes per neuron and step is exceeded: calibration "
                f"foresaw {before:.3f} on its batches, and on {where} {measured:.3f} were "
                "measured; calibrate on more data like these, or set a lower rate"
            )


def _mean(sites: list[SiteActivity], rates: dict[str, float]) -> float:
    total = sum(site.values for site in sites)
    return sum(rates[site.name] * site.values for site in sites) / total if total else 0.0
