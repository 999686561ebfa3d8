"""Digits that increments lose: a value that was 1e30 leaves nothing of what comes after it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.leaves import leaf_errors
from snnconvert.converter.verification.runs import Run, cumulative_outputs


def said_of_lost_digits(
    snn: ConvertedModule, twin: ConvertedModule, run: Run, expected: list[Any], tolerance: float
) -> str:
    """Say that outputs out of tolerance are the source's, and only their increments are not.

    ``y_t = Y_t - Y_{t-1}`` is rounded to the digits of the larger of both: after a huge value, as
    one that stands for "none", the increments add up to another value than the source's.

    Args:
        snn: the conversion.
        twin: its copy in the dtype of the check.
        run: on which its outputs are out of tolerance.
        expected: the source's output leaves, ``[T, ...]``.
        tolerance: largest relative error that passes.

    Returns:
        A sentence, empty where the cumulative outputs are out of tolerance too.
    """
    errors = leaf_errors(snn, expected, cumulative_outputs(twin, run))
    worst = max((leaf.max_rel_error for leaf in errors), default=0.0)
    if worst > tolerance:
        return ""
    passed = max(map(_largest, expected))
    coded = {
        given.name: _largest(x)
        for given, x in zip(snn.conversion.source.inputs, run.leaves, strict=True)
        if given.role == "coded"
    }
    largest = max(coded, key=coded.__getitem__, default="")
    where = remedy = ""
    if coded.get(largest, 0.0) > passed:
        where, passed = f" of the input '{largest}'", coded[largest]
        remedy = f", declare '{largest}' held= where it is a mask, the same at every step"
    return (
        f"the cumulative outputs are the source's (worst relative error {worst:.1e}), but their "
        f"increments do not add up to them: values of up to {passed:.1e}{where} come and go, and "
        "the difference to one of those has no digits left for what follows. Read cumulative "
        f"outputs (simulate(), cumulative()){remedy}, or give the source a smaller number in its "
        "place"
    )


def _largest(y: Any) -> float:
    """Return the largest finite size of the numbers of a leaf, 0 where it has none."""
    if not isinstance(y, Tensor) or not y.numel() or y.dtype is torch.bool:
        return 0.0
    sizes = y.abs() if y.is_complex() else y.to(torch.float64).abs()
    return float(sizes[torch.isfinite(sizes)].max()) if bool(torch.isfinite(sizes).any()) else 0.0
