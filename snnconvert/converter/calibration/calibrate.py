"""Calibrate: run the source over data and give each neuron its threshold."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from snnconvert.converter.calibration.fit import fit
from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.converter.calibration.observe import Observed
from snnconvert.converter.calibration.tables import (
    bounded_by_the_package,
    table_misfit,
    with_tables,
)
from snnconvert.converter.spikes.site import Site, Sited, one_node_each
from snnconvert.converter.tracing.batches import leaves_of_batches
from snnconvert.errors import CalibrationError
from snnconvert.ops.neurons.options import AUTO
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target
from snnconvert.progress import bar
from snnconvert.rules import RuleSet

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """The neurons of all sites, by their names, and what a reader of the report should know."""

    fitted: Mapping[str, Fitted]
    notes: tuple[str, ...] = ()

    def to(self, device: torch.device) -> Calibration:
        """Return it with its thresholds on a device."""
        moved = {
            name: replace(one, v_threshold=one.v_threshold.to(device), rest=one.rest.to(device))
            for name, one in self.fitted.items()
        }
        return replace(self, fitted=moved)


def calibrate(
    sited: Sited,
    tree: nn.Module,
    batches: Iterable[Any] | Calibration | None,
    *,
    rules: RuleSet,
    progress: bool = False,
) -> Calibration:
    """Choose the neuron of every site of a graph.

    Args:
        sited: the graph, with its sites.
        tree: the modules and tensors that the graph refers to.
        batches: inputs of the source, once over: tensors, tuples or dicts, a `DataLoader`. What
            a tuple has beyond the source's inputs (labels) is left out. None: the inputs that
            the source was traced with.
            A `Calibration` is taken as it is, where it is of these neurons.
        rules: what placed the neurons, and ``T`` of the simulated ones.
        progress: show a progress bar.

    Raises:
        CalibrationError: there are no batches, a batch does not fit, values are not finite, no
            table is within its bound, or thresholds are those of other neurons.
    """
    if not sited.sites:
        return Calibration({})
    notes: list[str] = []
    if isinstance(batches, Calibration):
        return _matching(batches, sited)
    by_name = {
        name: Observed(name, sited.sites[node].axes)
        for name, node in one_node_each(sited.sites).items()
    }
    observed = {node: by_name[site.name] for node, site in sited.sites.items()}
    traced = sited.traced
    if batches is None:
        runs: Iterable[list[Any]] = [[given.example for given in traced.inputs]]
    else:
        runs = leaves_of_batches(traced, batches, "calibration")
    count = 0
    with torch.no_grad():
        for leaves in bar(runs, "calibrating", show=progress):
            _Recorder(traced.graph, tree, observed, count).run(*leaves)
            count += 1
    if not count:
        raise CalibrationError("calibration= holds no batches; give at least one batch of inputs")
    if batches is None:
        notes.append(_WITHOUT_DATA)
    _log.info("%d batches were observed at %d neurons", count, len(by_name))
    chosen = fit(sited, observed, rules.time_steps, progress)
    fitted, without = with_tables(sited, observed, chosen, bounded_by_the_package(rules))
    return Calibration(fitted, (*notes, *_remarks(fitted), *without))


def _matching(found: Calibration, sited: Sited) -> Calibration:
    """Return thresholds that were found before, for the sites of this graph."""
    names = one_node_each(sited.sites).keys()
    if missing := sorted(names - found.fitted.keys()):
        raise CalibrationError(
            f"the calibration has no thresholds for {len(missing)} of {len(names)} neurons "
            f"({', '.join(missing[:3])}); it belongs to another network or other rules. "
            "Calibrate again"
        )
    for node, site in sited.sites.items():
        if problem := _misfit(found.fitted[site.name], site, node.meta["val"].shape):
            raise CalibrationError(
                f"the calibration does not fit the neuron '{site.name}' (rule '{site.rule}'): "
                f"{problem}; it belongs to another network or other rules. Calibrate again"
            )
    return Calibration({name: found.fitted[name] for name in sorted(names)}, found.notes)


def _misfit(fitted: Fitted, site: Site, shape: Sequence[Any]) -> str:
    """Say why thresholds are not those of a site's neuron, whose drive has a shape; empty: they
    are."""
    settings, wanted, own = site.settings, site.target, fitted.target
    if fitted.type != settings.type:
        return f"it is of type {fitted.type}, and the rule says {settings.type}"
    # Limits that a drive has anyway need not be the neuron's.
    wide = wanted.name == DRIVE.name and own.limits == NO_LIMITS
    if own.function != wanted.function or not (wide or own.limits == wanted.limits):
        return (
            f"it follows {own.name} within {own.limits}, and what stands there is {wanted.name} "
            f"within {wanted.limits}"
        )
    if own.parameters != wanted.parameters:
        kept, called = (dict(target.parameters) for target in (own, wanted))
        return f"it follows {own.name} with {kept}, and what stands there is called with {called}"
    for name, value in settings.options:
        kept = fitted.arguments.get(name, value)
        if value not in (kept, AUTO):
            return f"it has {name}={kept}, and the rule says {value}"
    if problem := table_misfit(fitted, site):
        return problem
    count, axis = max(fitted.v_threshold.numel(), fitted.rest.numel()), fitted.axis
    if count > 1 and (axis not in site.axes or shape[axis] != count):
        sizes = {axis: int(shape[axis]) for axis in site.axes}
        return f"it has {count} thresholds along dimension {axis}, and the features are {sizes}"
    return ""


_WITHOUT_DATA = (
    "thresholds come from the example inputs alone: pass calibration= (--calibration) with data "
    "like that which the network will see"
)


class _Recorder(fx.Interpreter):
    """Runs the source on one batch and shows each site's drive to its observer."""

    def __init__(
        self, graph: fx.Graph, tree: nn.Module, observed: Mapping[fx.Node, Observed], batch: int
    ) -> None:
        super().__init__(tree, graph=graph)
        self.extra_traceback = False  # what is wrong is the data, not the graph
        self.observed, self.batch = observed, batch

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self.observed:
            drive, target = n.args
            if isinstance(target, Target) and target.function is not None:
                self.observed[n].see_drive(self.env[drive])
                # Where the function has no value (a logarithm that a mask hides), a neuron rests.
                self.observed[n].see(target.at_rest_without(value, self.env[drive]), self.batch)
            else:
                self.observed[n].see(value, self.batch)
        return value


def _remarks(fitted: Mapping[str, Fitted]) -> list[str]:
    """Say what is wrong with sites, without stopping at it."""
    dead = {name: f.dead for name, f in fitted.items() if f.dead}
    saturated = {name: f.saturated for name, f in fitted.items() if f.saturated > _SATURATED}
    remarks = []
    if dead:
        remarks.append(
            "features that were zero in all calibration data have the threshold of the largest: "
            + _named({name: str(count) for name, count in dead.items()})
        )
    if saturated:
        remarks.append(
            "values held back from calibration are above all that thresholds were fitted to: "
            + _named({name: f"{share:.1%}" for name, share in saturated.items()})
            + "; calibrate on more data"
        )
    return remarks


_SATURATED = 0.01
_MOST_NAMED = 5


def _named(sites: Mapping[str, str]) -> str:
    shown = [f"{name} ({what})" for name, what in list(sites.items())[:_MOST_NAMED]]
    more = len(sites) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
