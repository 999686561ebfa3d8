"""Which operators are taken apart, by op kind: each by a function of a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import fx

from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.attention import take_attention_apart
from snnconvert.converter.spikes.apart.part import Apart
from snnconvert.converter.spikes.apart.recurrence import take_recurrence_apart

APART: Mapping[str, Callable[[Emitter, fx.Node], Apart]] = MappingProxyType(
    {
        "scaled_dot_product_attention": take_attention_apart,
        "lstm": take_recurrence_apart,
        "gru": take_recurrence_apart,
        "rnn": take_recurrence_apart,
    }
)
"""Each function replaces a node of the emitter's graph and returns what became of it."""
