"""What a model computes from its dtype: a source beside its trace in the dtype of both."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.graph.dtypes import cast
from snnconvert.converter.verification.check_tensors import CheckTensors
from snnconvert.converter.verification.leaves import worst_at_last
from snnconvert.converter.verification.reference import Reference, source_outputs
from snnconvert.ops.encoding import AtOnce

_ROUNDINGS = 16
_DTYPES = (torch.float32, torch.float64)  # within the roundings of a half type, all is the same


def agrees_in_own_dtype(
    model: nn.Module, conversion: Conversion, leaves: list[Any], off: float, dtype: torch.dtype
) -> str:
    """Say that a source differs from its trace in the dtype of a check alone; empty: it does not.

    ``torch.finfo(x.dtype).eps`` is a number in the trace. Cast to float64, the source has another
    there, and the trace is right. In the dtype that it was traced in, both call the same kernels on
    the same numbers, so that no more than a few roundings may lie between them.

    Args:
        model: the source.
        conversion: of it.
        leaves: inputs, in the dtype of the check.
        off: relative error between both in that dtype.
        dtype: of the check.
    """
    own = conversion.source.dtype
    if own not in _DTYPES or own is dtype:
        return ""
    given, tensors = [cast(x, own) for x in leaves], CheckTensors(own)
    try:
        traced = Reference(conversion, tensors).run(given, AtOnce(), 0, 1, frozenset()).finish()
        with torch.no_grad():
            found = worst_at_last(
                [x.unsqueeze(0) if isinstance(x, torch.Tensor) else x for x in traced],
                source_outputs(model, conversion.source, given, tensors),
            )
    except Exception:  # a model may raise anything; then nothing is known of its own dtype
        return ""
    if not found <= _ROUNDINGS * torch.finfo(own).eps:
        return ""
    return (
        f"the source computes a constant from its dtype (torch.finfo, a table): in {_short(dtype)} "
        f"it differs from its trace by {off:.1e}, in its own dtype, {_short(own)}, by {found:.1e}, "
        f"so that it was compared in {_short(own)}, and its trace in {_short(dtype)}"
    )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
