"""Calibrate: run the source over data and give each neuron its threshold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from tqdm import tqdm

from snnconvert.converter.calibration.observe import Observed
from snnconvert.converter.calibration.thresholds import Candidate, Fitted, candidates, spend
from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.tracing.inputs import bind_inputs, check_dtype
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import CalibrationError, InputError
from snnconvert.ops.kinds import kind_of


@dataclass(frozen=True)
class Calibration:
    """The neurons of all sites, by their names, and what a reader of the report should know."""

    fitted: Mapping[str, Fitted]
    notes: tuple[str, ...] = ()


def calibrate(
    decided: Decided,
    tree: nn.Module,
    batches: Iterable[Any] | Calibration | None,
    *,
    time_steps: int,
    progress: bool = False,
) -> Calibration:
    """Choose the neuron of every site of a decided graph.

    Args:
        decided: the graph, with its sites.
        tree: the modules and tensors that the graph refers to.
        batches: inputs of the source, once over: tensors, tuples or dicts, a `DataLoader`. What
            a tuple has beyond the source's inputs (labels) is left out. None: the inputs that
            the source was traced with.
            A `Calibration` is taken as it is.
        time_steps: ``T`` of the simulated neurons.
        progress: show a progress bar.

    Raises:
        CalibrationError: there are no batches, a batch does not fit, or values are not finite.
    """
    if not decided.sites:
        return Calibration({})
    notes: list[str] = []
    if isinstance(batches, Calibration):
        return _matching(batches, decided)
    by_name = {site.name: Observed(site.name, site.axes) for site in decided.sites.values()}
    observed = {node: by_name[site.name] for node, site in decided.sites.items()}
    traced = decided.traced
    if batches is None:
        runs: Iterable[list[Any]] = [[given.example for given in traced.inputs]]
    else:
        runs = (leaves_of(traced, batch, index) for index, batch in enumerate(batches))
    count = 0
    with torch.no_grad():
        for leaves in tqdm(runs, "calibrating", disable=not progress, leave=False):
            _Recorder(traced.graph, tree, observed, count).run(*leaves)
            count += 1
    if not count:
        raise CalibrationError("calibration= holds no batches; give at least one batch of inputs")
    if batches is None:
        notes.append(_WITHOUT_DATA)
    fitted = _fit(decided, observed, time_steps, progress)
    return Calibration(fitted, (*notes, *_remarks(fitted)))


def _matching(found: Calibration, decided: Decided) -> Calibration:
    """Return thresholds that were found before, for the sites of this graph."""
    names = {site.name for site in decided.sites.values()}
    if missing := sorted(names - found.fitted.keys()):
        raise CalibrationError(
            f"the calibration has no thresholds for {len(missing)} of {len(names)} neurons "
            f"({', '.join(missing[:3])}); it belongs to another network or other rules. "
            "Calibrate again"
        )
    return Calibration({name: found.fitted[name] for name in sorted(names)}, found.notes)


def _fit(
    decided: Decided, observed: Mapping[fx.Node, Observed], time_steps: int, progress: bool
) -> dict[str, Fitted]:
    """Choose among the candidates of all sites; those with one allowance of spikes share it."""
    seen = {site.name: observed[node] for node, site in decided.sites.items()}
    choices: dict[float, dict[str, list[Candidate]]] = {}
    one_each = {site.name: node for node, site in decided.sites.items()}  # of shared neurons
    for name, node in tqdm(one_each.items(), "fitting", disable=not progress, leave=False):
        site = decided.sites[node]
        views = _views(decided, node, observed[node])
        found = candidates(site, observed[node], time_steps, views)
        choices.setdefault(site.settings.rate, {})[name] = found
    chosen: dict[str, Candidate] = {}
    for rate, options in choices.items():
        chosen |= spend(options, {name: seen[name].count for name in options}, rate)
    return {name: candidate.fitted(seen[name]) for name, candidate in chosen.items()}


def _views(decided: Decided, node: fx.Node, observed: Observed) -> dict[int, Tensor]:
    """Return the directions ``[C, P]`` along which a site's errors are measured.

    For linear maps and convolutions some of their weights; for products, whose other operand is a
    stream, random ones, and the sum of all features.
    """
    generator = torch.Generator().manual_seed(0)
    fractions = decided.sites[node].limits == (0.0, 1.0)
    views = {}
    for axis, rows in observed.whole().rows.items():
        features = rows.shape[1]
        found = [_weights(decided, user, features, generator) for user in node.users]
        known = [w for w in found if w is not None]
        if known and len(known) == len(found):
            views[axis] = torch.cat(known, 1)
        else:
            noise = torch.randn(features, _DIRECTIONS, generator=generator)
            # What fractions lose together is lost of a mean that all tokens share.
            share = _DIRECTIONS**0.5 if fractions else 1.0
            views[axis] = torch.cat([noise, torch.full((features, 1), share)], 1)
    return views


_DIRECTIONS = 32


def _weights(
    decided: Decided, user: fx.Node, features: int, generator: torch.Generator
) -> Tensor | None:
    """Return some rows of a map's weight as columns ``[C, P]``; None where it has no weight."""
    kind = kind_of(user.target)
    weight = arguments_of(user).get("weight") if kind.name in ("linear", "conv") else None
    if not isinstance(weight, fx.Node) or weight.target not in decided.traced.tensors:
        return None
    values = decided.traced.tensors[str(weight.target)].detach().float()
    groups, (outputs, inputs) = arguments_of(user).get("groups", 1), values.shape[:2]
    taps = values.reshape(outputs, inputs, -1)
    if groups * inputs != features:
        return None
    view = torch.zeros(features, _DIRECTIONS)
    for column in range(_DIRECTIONS):
        output, tap = (
            int(torch.randint(n, (1,), generator=generator)) for n in (outputs, taps.shape[2])
        )
        start = output // (outputs // groups) * inputs
        view[start : start + inputs, column] = taps[output, :, tap]
    return view


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
        self.observed, self.batch = observed, batch

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self.observed:
            self.observed[n].see(value, self.batch)
        return value


def _example(traced: TracedModel) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = pytree.tree_unflatten([given.example for given in traced.inputs], traced.in_spec)
    return args, kwargs


def leaves_of(traced: TracedModel, batch: Any, index: int) -> list[Any]:
    """Return the input leaves of one batch of data.

    Raises:
        CalibrationError: the batch does not fit the source.
    """
    args, kwargs = as_inputs(traced, batch)
    try:
        leaves, _ = bind_inputs(traced, args, kwargs, timed=False)
        for given, leaf in zip(traced.inputs, leaves, strict=True):
            check_dtype(given, leaf)
    except InputError as error:
        raise CalibrationError(f"batch {index} of the data does not fit: {error}") from error
    return leaves


def as_inputs(traced: TracedModel, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a batch of a data loader as positional and keyword inputs of the source."""
    if isinstance(batch, Mapping):
        known = _example(traced)[1].keys()
        if not known and len(batch) == 1:  # one tensor of a file is the input, whatever its name
            return tuple(batch.values()), {}
        return (), {name: x for name, x in batch.items() if name in known or not known}
    if isinstance(batch, Tensor):
        return (batch,), {}
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        positional = len(_example(traced)[0])
        return tuple(batch[:positional]), {}
    raise CalibrationError(
        "a batch is a tensor, a tuple of positional or a dict of keyword inputs, received "
        f"{type(batch).__name__}"
    )


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
