"""Fitting: one candidate for each site, within the spikes that sites share."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, fx

from snnconvert.converter.calibration.candidates import Candidate, candidates
from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.converter.calibration.observe import Observed
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.spike_coded import is_neuron, is_spike_coded
from snnconvert.converter.spikes.site import Sited, one_node_each
from snnconvert.ops.kinds import kind_of
from snnconvert.progress import bar


def fit(
    sited: Sited, observed: Mapping[fx.Node, Observed], time_steps: int, progress: bool
) -> dict[str, Fitted]:
    """Choose among the candidates of all sites; those with one allowance of spikes share it."""
    nodes = one_node_each(sited.sites)
    seen = {name: observed[node] for name, node in nodes.items()}
    choices: dict[float, dict[str, list[Candidate]]] = {}
    for name, node in bar(nodes.items(), "fitting", show=progress):
        site = sited.sites[node]
        views = _views(sited, node, observed[node])
        found = candidates(site, observed[node], time_steps, views)
        choices.setdefault(site.settings.rate, {})[name] = found
    chosen: dict[str, Candidate] = {}
    for rate, options in choices.items():
        chosen |= spend(options, {name: seen[name].count for name in options}, rate)
    return {name: candidate.fitted(seen[name]) for name, candidate in chosen.items()}


def _views(sited: Sited, node: fx.Node, observed: Observed) -> dict[int, Tensor]:
    """Return the directions ``[C, P]`` along which a site's errors are measured.

    For linear maps and convolutions some of their weights; for products, whose other operand is a
    stream, random ones, and the sum of all features.
    """
    generator = torch.Generator().manual_seed(0)
    fractions = sited.sites[node].target.limits == (0.0, 1.0)
    views = {}
    for axis, rows in observed.whole().rows.items():
        features = rows.shape[1]
        found = [_weights(sited, reader, features, generator) for reader in _readers(node)]
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


def _readers(node: fx.Node) -> list[fx.Node]:
    """Return what takes the spikes of a neuron, as they are or moved."""
    found, ahead = dict[fx.Node, None](), list(node.users)
    while ahead:
        user = ahead.pop(0)
        if user not in found and is_spike_coded(user) and not is_neuron(user):
            ahead += user.users
        found[user] = None
    return [n for n in found if is_neuron(n) or not is_spike_coded(n)]


def _weights(
    sited: Sited, user: fx.Node, features: int, generator: torch.Generator
) -> Tensor | None:
    """Return some rows of a map's weight as columns ``[C, P]``; None where it has no weight."""
    kind = kind_of(user.target)
    weight = arguments_of(user).get("weight") if kind.name in ("linear", "conv") else None
    if not isinstance(weight, fx.Node) or weight.target not in sited.traced.tensors:
        return None
    values = torch.atleast_2d(sited.traced.tensors[str(weight.target)].detach().float().cpu())
    if not values.numel():
        return None
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


def spend(
    choices: Mapping[str, list[Candidate]], sizes: Mapping[str, int], rate: float
) -> dict[str, Candidate]:
    """Choose one candidate for each site: least errors for at most that many spikes.

    The sum over sites of squared relative errors is made small under a bound on the spikes of
    all sites together (Everett, Generalized Lagrange Multiplier Method, Operations Research
    1963: the same price of a spike everywhere).

    Args:
        choices: the candidates of each site.
        sizes: number of values of each site.
        rate: spikes per value and step that all sites together may have. Where no choice has so
            few, the fewest.
    """
    total = sum(sizes.values())

    def chosen(price: float) -> dict[str, Candidate]:
        return {
            name: min(options, key=lambda c: c.error**2 + price * c.rate * sizes[name] / total)
            for name, options in choices.items()
        }

    def spent(found: Mapping[str, Candidate]) -> float:
        return sum(c.rate * sizes[name] for name, c in found.items()) / total

    low, high = 1e-9, 1e6
    if spent(chosen(low)) <= rate:
        return chosen(low)
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(chosen(middle)) <= rate else (middle, high)
    if spent(chosen(high)) <= rate:
        return chosen(high)
    # No price makes it so: what a small site spends weighs next to nothing.
    return {name: min(found, key=lambda c: (c.rate, c.error)) for name, found in choices.items()}


_BISECTIONS = 60
