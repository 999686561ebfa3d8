"""Which operators are taken apart, by name or op kind: each by a function of a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import fx

from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.attention import take_attention_apart
from snnconvert.converter.spikes.apart.chain import take_chain_apart
from snnconvert.converter.spikes.apart.part import Apart
from snnconvert.converter.spikes.apart.recurrence import take_recurrence_apart
from snnconvert.ops.kinds import kind_of, operator_name

TakeApart: TypeAlias = Callable[[Emitter, fx.Node], Apart]

APART: Mapping[str, TakeApart] = MappingProxyType(
    {
        "scaled_dot_product_attention": take_attention_apart,
        "lstm": take_recurrence_apart,
        "gru": take_recurrence_apart,
        "rnn": take_recurrence_apart,
        "linalg_multi_dot": take_chain_apart,
        "chain_matmul": take_chain_apart,
    }
)
"""Each function replaces a node of the emitter's graph and returns what became of it."""


def apart_of(target: Any) -> TakeApart | None:
    """Return what takes a graph node's target apart; None where it stays whole."""
    return APART.get(operator_name(target)) or APART.get(kind_of(target).name)
