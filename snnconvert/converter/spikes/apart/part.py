"""What an operator becomes when it is taken apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import fx

from snnconvert.converter.graph.emitter import Emitter


@dataclass(frozen=True)
class Part:
    """A node that spikes may drive.

    Attributes:
        node: a linear map, a product, or a 1-D function that is a target.
        operands: arguments that are streams, each with what its neuron is called.
        shared: what nodes have in common that share their neurons; empty: none do.
    """

    node: fx.Node
    operands: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Apart:
    """The parts of an operator; all else that was emitted for it is linear, or a comparison.

    Attributes:
        maps: linear maps.
        products: of two streams, in which the operator's work lies.
        gates: products between functions: on spikes where these are.
        targets: 1-D functions, in whose place neurons may stand.
    """

    maps: tuple[Part, ...] = ()
    products: tuple[Part, ...] = ()
    gates: tuple[Part, ...] = ()
    targets: tuple[Part, ...] = ()


TakeApart: TypeAlias = Callable[[Emitter, fx.Node], Apart | None]
"""Replaces a node of the emitter's graph and returns what became of it; None where it stays."""
