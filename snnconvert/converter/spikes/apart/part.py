"""What an operator becomes when it is taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import fx


@dataclass(frozen=True)
class Part:
    """A node that spikes may drive.

    Attributes:
        node: a linear map, a product, or a 1-D function that is a target.
        operands: arguments that are streams, each with what its neuron is called.
        shared: what nodes have in common that share their neurons; empty: none do.
    """

    node: fx.Node
    operands: Mapping[str, str]
    shared: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Apart:
    """The parts of an operator; all else that was emitted for it is linear.

    Attributes:
        maps: linear maps.
        products: of two streams.
        targets: 1-D functions, in whose place neurons may stand.
    """

    maps: tuple[Part, ...] = ()
    products: tuple[Part, ...] = ()
    targets: tuple[Part, ...] = ()
