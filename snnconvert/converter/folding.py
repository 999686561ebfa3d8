"""Folding: may the time steps of a run share one batch?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snnconvert.converter.comparison import relative_error
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Uniform

if TYPE_CHECKING:
    from snnconvert.converter.converted import ConvertedModule

_STEPS = 2
_ROUNDING = 1e4  # units in the last place; a mix-up of steps is off by the size of the values


def why_step_by_step(snn: ConvertedModule) -> str:
    """Return why a conversion must run its steps one by one; empty where they may be folded.

    A network that mixes the samples of a batch would mix time steps as well. So the folded run
    is compared with the run step by step, once, on the example inputs.
    """
    encoding = Uniform()
    leaves = [
        encoding.cumulative(g.example, 0, _STEPS, _STEPS, g.name)
        if g.role == "coded"
        else g.example
        for g in snn.conversion.source.inputs
    ]
    with torch.no_grad():
        one_by_one = snn.run_step_by_step(leaves, Clock(_STEPS, total=_STEPS, encoding=encoding))
        try:
            folded = snn.run_folded(leaves, Clock(_STEPS, total=_STEPS, encoding=encoding))
        except RuntimeError as error:
            return f"the network does not accept a folded batch: {str(error).splitlines()[0]}"
    for ours, theirs in zip(folded, one_by_one, strict=True):
        if isinstance(theirs, Tensor) and not _close(ours, theirs):
            return "the network mixes the samples of a batch"
    return ""


def _close(a: Tensor, b: Tensor) -> bool:
    precision = torch.finfo(b.dtype).eps if b.is_floating_point() or b.is_complex() else 0.0
    return relative_error(a, b)[1] <= _ROUNDING * precision
