"""The source itself beside its conversion, in the dtype of a check or in its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.graph.dtypes import cast, literal_dtypes, real_dtype
from snnconvert.converter.tracing.traced import number_dtypes
from snnconvert.converter.verification.check_tensors import CheckTensors
from snnconvert.converter.verification.leaves import worst_at_last
from snnconvert.converter.verification.reference import Reference, source_outputs
from snnconvert.converter.verification.runs import Run
from snnconvert.errors import VerificationError, first_line
from snnconvert.ops.encoding import AtOnce

_ROUNDINGS = 16
_DTYPES = (torch.float32, torch.float64)  # within the roundings of a half type, all is the same


def beside_source(
    model: nn.Module | ExportedProgram | None,
    conversion: Conversion,
    run: Run,
    actual: list[Any],
    tensors: CheckTensors,
) -> tuple[float | None, str]:
    """Return the worst error against the source model at the last step, or why there is none."""
    if not isinstance(model, nn.Module):
        return None, ""
    try:
        final = source_outputs(model, conversion.source, run.leaves, tensors)
    except Exception as error:  # a model may raise anything
        return _in_own_dtype_alone(model, conversion, run.leaves, error)
    return worst_at_last(actual, final), ""


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
    try:
        found = _error_in_own_dtype(model, conversion, leaves)
    except Exception:  # a model may raise anything; then nothing is known of its own dtype
        return ""
    if not found <= _ROUNDINGS * torch.finfo(own).eps:
        return ""
    return (
        f"the source computes a constant from its dtype (torch.finfo, a table): in {_short(dtype)} "
        f"it differs from its trace by {off:.1e}, in its own dtype, {_short(own)}, by {found:.1e}, "
        f"so that it was compared in {_short(own)}, and its trace in {_short(dtype)}"
    )


def _in_own_dtype_alone(
    model: nn.Module, conversion: Conversion, leaves: list[Any], why: Exception
) -> tuple[float | None, str]:
    """Compare a source that does not run in the dtype of a check with its trace in its own.

    Args:
        model, conversion, leaves: as of `agrees_in_own_dtype`.
        why: what it raised.

    Returns:
        The relative error, None where it is of roundings; and what is to be said.

    Raises:
        VerificationError: it does not run in its own dtype either, or it is another model.
    """
    own = conversion.source.dtype
    try:
        found = _error_in_own_dtype(model, conversion, leaves)
    except VerificationError:
        raise
    except Exception as error:  # a model may raise anything
        raise VerificationError(
            f"the source model does not run on the inputs of its conversion "
            f"({first_line(error)}), so they cannot be compared; pass the model that was "
            "converted, or None, to compare with its trace alone"
        ) from error
    said = (
        f"the source model does not run in the dtype of the check ({first_line(why)}); in its own, "
        f"{_short(own)}, it differs from its trace by {found:.1e}"
    )
    return (None if found <= _ROUNDINGS * torch.finfo(own).eps else found), said


def _error_in_own_dtype(model: nn.Module, conversion: Conversion, leaves: list[Any]) -> float:
    traced, own = conversion.source, conversion.source.dtype
    # The source's tensors are the conversion's, and cast with it.
    now = number_dtypes(traced.tensors.values())
    both = map(real_dtype, now | traced.dtypes)
    dtypes = literal_dtypes(dict.fromkeys(both, own)) if now != traced.dtypes else {}
    tensors = CheckTensors(own, dtypes)
    given = [
        cast(x.to(i.example.dtype), dtypes) if isinstance(x, torch.Tensor) else x
        for x, i in zip(leaves, traced.inputs, strict=True)
    ]
    with torch.no_grad():
        answers = source_outputs(model, traced, given, tensors)
        outputs = Reference(conversion, tensors).run(given, AtOnce(), 0, 1, frozenset()).finish()
    return worst_at_last(
        [x.unsqueeze(0) if isinstance(x, torch.Tensor) else x for x in outputs], answers
    )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
