"""The source's work, as PyTorch's own counter has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from snnconvert.converter.verification.reference import Reference
from snnconvert.ops.encoding import AtOnce
from snnconvert.torch_private import CPU_ATTENTION


def source_macs(reference: Reference, leaves: list[Any]) -> float:
    """Return the multiply-accumulates of a run of the source on some inputs: half of the
    operations that ``torch.utils.flop_counter`` counts (it counts no elementwise ones)."""
    counter = FlopCounterMode(display=False, custom_mapping=dict(_UNKNOWN))
    with torch.no_grad(), counter:
        reference.run(leaves, AtOnce(), 0, 1, frozenset()).finish()
    return counter.get_total_flops() / 2


def _layer_of_a_library(
    input_shape: Sequence[int],
    w_ih: Sequence[int],
    w_hh: Sequence[int],
    *args: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Return twice the multiply-accumulates of one recurrent layer in one direction."""
    positions = math.prod(input_shape[:-1])
    return 2 * positions * (math.prod(w_ih) + math.prod(w_hh))


def _attention_on_the_cpu(
    query: Sequence[int],
    key: Sequence[int],
    value: Sequence[int],
    *args: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Return twice the multiply-accumulates of both products of attention."""
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


# What stands on the CPU for recurrent layers and attention, and is unknown to the counter.
_UNKNOWN: Mapping[Any, Callable[..., int]] = {
    torch.ops.aten.mkldnn_rnn_layer: _layer_of_a_library,
    CPU_ATTENTION: _attention_on_the_cpu,
}
