"""Neurons as nodes of a graph: each stands between what drives it and what its spikes drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import STANDS_FOR, module_path, source_name
from snnconvert.converter.spikes.site import Site
from snnconvert.ops.targets import DRIVE, Target, follow
from snnconvert.rules import Decision

_PARTS = {"real": torch.ops.aten.real.default, "imaginary": torch.ops.aten.imag.default}


@dataclass(frozen=True)
class Spot:
    """Where a neuron is to stand.

    Attributes:
        consumer: the node that its spikes drive.
        label: what it is called, within the consumer's module.
        axes: dimensions of one step's drive along which thresholds may differ.
        shared: what neurons have in common that share their thresholds; empty: none do.
    """

    consumer: fx.Node
    label: str
    axes: tuple[int, ...]
    shared: tuple[Any, ...] = ()


class NeuronNodes:
    """Adds neurons to a graph.

    Args:
        emit: adds other nodes to it.
        seen: called with every neuron.

    Attributes:
        sites: what is known of each neuron.
    """

    def __init__(self, emit: Emitter, seen: Callable[[fx.Node], None]) -> None:
        self.emit, self.seen = emit, seen
        self.sites: dict[fx.Node, Site] = {}
        self._names: set[str] = set()
        self._shared: dict[tuple[Any, ...], str] = {}
        self._known: dict[tuple[Any, ...], fx.Node] = {}
        self._parts: dict[fx.Node, dict[str, fx.Node]] = {}  # of complex values
        self._pairs: dict[tuple[fx.Node, ...], fx.Node] = {}  # of spikes

    def of(
        self,
        drive: fx.Node,
        target: Target,
        spot: Spot,
        decision: Decision,
        before: fx.Node | None = None,
    ) -> fx.Node:
        """Return the neuron of a drive; what drives several operators has one.

        Args:
            drive: a stream of real numbers.
            target: what the neuron follows.
            spot: where it stands.
            decision: the rule that asks for it.
            before: the node that it is put before; None: the consumer.
        """
        assert decision.rule is not None
        settings = decision.rules.neuron_of(decision.rule)
        key = (drive, target, spot.axes, repr(settings))
        place = before or spot.consumer
        if key in self._known:
            if place < self._known[key]:
                place.prepend(self._known[key])
            return self._known[key]
        with self.emit.graph.inserting_before(place):
            node = self.emit.graph.call_function(follow, (drive, target))  # type: ignore[arg-type]
        node.meta = {
            "val": drive.meta["val"],
            "nn_module_stack": spot.consumer.meta.get("nn_module_stack"),
            STANDS_FOR: "",
        }
        self.seen(node)
        group = (*spot.shared, *key[1:])
        if not spot.shared or group not in self._shared:
            path = module_path(spot.consumer)
            self._shared[group] = self._free_name(".".join(filter(None, (path, spot.label))))
        self.sites[node] = Site(
            name=self._shared[group],
            settings=settings,
            target=target,
            axes=spot.axes,
            drive=source_name(drive) or drive.name,
            consumer=decision.operation.name,
            rule=decision.rule.name,
        )
        self._known[key] = node
        return node

    def of_pair(self, x: fx.Node, spot: Spot, label: str, decision: Decision) -> fx.Node:
        """Return a complex value of spikes: its real and its imaginary part have a neuron each."""
        with self.emit.at(spot.consumer):
            if x not in self._parts:
                self._parts[x] = {name: self.emit(part, x) for name, part in _PARTS.items()}
            spikes = tuple(
                self.of(drive, DRIVE, replace(spot, label=f"{label}_{name}_neuron"), decision)
                for name, drive in self._parts[x].items()
            )
            if spikes not in self._pairs:
                self._pairs[spikes] = self.emit(torch.ops.aten.complex.default, *spikes)
        return self._pairs[spikes]

    def _free_name(self, name: str) -> str:
        free, count = name, 0
        while free in self._names:
            count += 1
            free = f"{name}_{count}"
        self._names.add(free)
        return free
