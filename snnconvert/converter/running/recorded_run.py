"""One run as it is recorded: what neurons do in it, by kind and site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.errors import ArgumentError, InputError
from snnconvert.ops.neurons import Neuron
from snnconvert.ops.neurons.recorded import recorded


@dataclass(frozen=True)
class Place:
    """Where a neuron stands in a graph.

    Attributes:
        path: of the neuron.
        site: the path, with a number where several sites share the neuron.
        neuron: the neuron.
        dim: the dimension of its drive that holds the batch.
        outer: how many values of other dimensions enclose the batch in that.
    """

    path: str
    site: str
    neuron: Neuron
    dim: int
    outer: int = 1

    def time_first(self, x: Tensor) -> int:
        """Return the dimension with the batch of what is kept, ``[T, ...]``."""
        return min(self.dim + 1, x.dim() - 1)  # a scalar is a batch of one sample

    def sample_of(self, size: int, samples: int) -> Tensor:
        """Return of which sample each of the ``size`` values along the dimension is."""
        own = size // (self.outer * samples)
        return torch.arange(size) // own % samples


def places_of(graph: fx.Graph, tree: nn.Module) -> dict[str, Place]:
    """Return where neurons stand, by their key in the state of a run.

    Raises:
        InputError: a neuron was replaced by a module that is none of this package.
    """
    nodes: list[tuple[str, Any]] = [
        (str(node.args[0].target), node.args) for node in graph.nodes if is_neuron(node)
    ]
    paths = [path for path, _ in nodes]
    places: dict[str, Place] = {}
    for n, (path, (_, _, _, key, dim, *outer)) in enumerate(nodes):
        neuron = tree.get_submodule(path)
        if not isinstance(neuron, Neuron):
            raise InputError(
                f"'{path}' was replaced by a {type(neuron).__name__}, which does not say what it "
                "does in a step; only those of snnconvert.ops.neurons can be recorded"
            )
        site = path if paths.count(path) == 1 else f"{path}[{paths[:n].count(path)}]"
        places[key] = Place(path, site, neuron, dim, *outer)
    return places


class RecordedRun:
    """A run that is recorded (a :class:`~snnconvert.ops.clock.Recorder`).

    Args:
        places: of the neurons that are recorded, by key.
        what: which kinds are.
        samples: ``B``; None where samples cannot be told apart.

    State: what was seen of calls that ended. What a call that raised showed is forgotten.

    Attributes:
        steps: number of steps.
    """

    def __init__(
        self, places: Mapping[str, Place], what: Sequence[str], samples: int | None
    ) -> None:
        self.places, self.what, self.samples = places, what, samples
        self.steps = 0
        self._kept: dict[str, dict[str, list[Tensor]]] = {kind: {} for kind in what}
        self._before: dict[str, Tensor] = {}  # X of the last step, by key
        self.forget()

    def forget(self) -> None:
        """Forget what was seen since the last end."""
        self._new: dict[str, list[dict[str, Tensor]]] = {}
        self._now: dict[str, Tensor] = {}

    def see(
        self, neuron: Any, key: str, drive: Tensor, state: dict[str, Tensor], start: int
    ) -> None:
        if key not in self.places:
            return
        before = self._now.get(key, self._before.get(key))
        found = recorded(neuron, drive, state, start, before, self.what)
        self._new.setdefault(key, []).append(found)
        if "drive" in self.what:
            self._now[key] = drive[-1].detach().clone()

    def end(self, steps: int, taken: Tensor | None = None) -> None:
        for key, calls in self._new.items():
            place = self.places[key]
            for kind in self.what:
                pieces = _filled(kind, [call[kind] for call in calls], steps)
                if taken is not None:
                    pieces = [_stopped(kind, torch.cat(pieces), place, taken)]
                self._kept[kind].setdefault(place.site, []).extend(pieces)
        self._before |= self._now
        self.steps += steps
        self.forget()

    def of(self, kind: str) -> dict[str, Tensor]:
        """Return what was kept of a kind, ``[T, B, ...]`` by site."""
        kept = self._kept[kind]
        for site, pieces in kept.items():
            if len(pieces) > 1:  # a run may have been moved to another device midway
                kept[site] = [torch.cat([x.to(pieces[-1].device) for x in pieces])]
        return {p.site: kept[p.site][0] for p in self.places.values() if p.site in kept}

    def of_sample(self, site: str, x: Tensor, sample: int) -> Tensor:
        """Return of what was kept at a site, ``[T, B, ...]``, that of one sample, ``[T, N]``.

        Raises:
            ArgumentError: there is no such sample.
        """
        samples = self.samples or 1  # all are one where they cannot be told apart
        if isinstance(sample, bool) or not isinstance(sample, int) or not 0 <= sample < samples:
            raise ArgumentError(
                "sample", sample, f"allowed is a whole number from 0 to {samples - 1}, of a sample"
            )
        place = next(place for place in self.places.values() if place.site == site)
        dim = place.time_first(x)
        own = place.sample_of(x.shape[dim], samples) == sample
        return x.index_select(dim, own.nonzero()[:, 0].to(x.device)).flatten(1)


def _filled(kind: str, pieces: list[Tensor], steps: int) -> list[Tensor]:
    """Return what was seen of some steps, with those in which nothing happened any more."""
    last = pieces[-1][-1:]
    left = steps - sum(map(len, pieces))
    if not left:
        return pieces
    rest = last if kind == "membrane" else torch.zeros_like(last)
    return [*pieces, rest.expand(left, *last.shape[1:])]


def _stopped(kind: str, x: Tensor, place: Place, taken: Tensor) -> Tensor:
    """Return what was seen of a run ``[T, B, ...]``, of each sample until it stopped."""
    dim = place.time_first(x)
    own = place.sample_of(x.shape[dim], len(taken)).to(taken.device)
    shape = [-1 if d == dim else 1 for d in range(x.dim())]
    last = (taken[own] - 1).reshape(shape).to(x.device)
    t = torch.arange(len(x), device=x.device).reshape(-1, *[1] * (x.dim() - 1))
    if kind == "membrane":
        return x.gather(0, torch.minimum(t, last).expand_as(x))
    return x.masked_fill(t > last, 0)
