"""Measure an exact conversion on data: its answers at the last step, beside the source's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.reports.on_data import DataCloseness
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.tracing.batches import leaves_of_batches
from snnconvert.converter.verification.check_tensors import own_tensors
from snnconvert.converter.verification.leaves import named_tensors
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.measure.predictions import (
    Labels,
    labels_of,
    labels_of_batch,
    refuse_too_many,
)
from snnconvert.converter.verification.measure.squares import Squares
from snnconvert.converter.verification.reference import Reference
from snnconvert.errors import InputError
from snnconvert.ops.encoding import AtOnce
from snnconvert.torch_private import pytree


def measure_exact(
    snn: ConvertedModule,
    data: Iterable[Any],
    *,
    labels: Labels | None,
    output: str | int | None,
    classes: int | None,
    tolerance: float,
) -> DataCloseness:
    """Run a conversion without neurons on data and compare its last step with the source.

    Args:
        snn: the conversion; it is not changed.
        data, labels, output, classes: as of `measure_spiking`.
        tolerance: largest relative error that passes.

    Raises:
        InputError: there are no batches, or labels do not fit the outputs or the samples.
        VerificationError: the source answers zero alone.
    """
    labels, output = labels_of(labels, output)
    traced = snn.conversion.source
    reference = Reference(snn.conversion, own_tensors(snn))
    closeness: Closeness | None = None
    done, squares = 0, Squares()
    with torch.no_grad():
        for leaves in leaves_of_batches(traced, data, "data", snn.placed):
            args, kwargs = pytree.tree_unflatten(leaves, traced.in_spec)
            found = reference.run(leaves, AtOnce(), 0, 1, frozenset()).finish()
            outputs = named_tensors(snn, found)
            answers = pytree.tree_leaves(snn.simulate(*args, **kwargs))
            last = [y[-1] for y in answers if isinstance(y, Tensor)]
            closeness = closeness or Closeness(1, list(outputs), output, classes)
            count, own = labels_of_batch(traced, leaves, labels, done)
            closeness.add([last], list(outputs.values()), own)
            done += count
            squares.add(leaves)
    if closeness is None:
        raise InputError("the data to measure on holds no batches")
    refuse_too_many(labels, done)
    (step,) = closeness.steps([0.0], [0.0], math.sqrt(squares.mean))
    return DataCloseness(
        samples=done,
        time_steps=snn.time_steps,
        rel_error=step.rel_error,
        equal=step.equal,
        top1=step.top1,
        accuracy=step.accuracy,
        source_accuracy=closeness.source_accuracy(),
        tolerance=tolerance,
    )
