"""Parts of a batch whose samples take the same number of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from snnconvert.converter.tracing.sizes import check_sizes
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import InputError


@dataclass(frozen=True)
class Part:
    """Samples that are run together.

    Attributes:
        leaves: their inputs.
        labels: of their predictions; None: not known.
        samples: how many there are.
        steps: that they take.
    """

    leaves: list[Any]
    labels: Tensor | None
    samples: int
    steps: int


def parts_of(traced: TracedModel, whole: Part, steps: Tensor) -> Iterator[Part]:
    """Yield the samples of a batch by the number of steps that they take.

    Args:
        traced: says which dimension of which input is the batch.
        whole: the batch.
        steps: that each of its samples takes, ``[B]``.

    Raises:
        InputError: the source does not take as few samples as there are in one of them.
    """
    for taken in steps.unique().tolist():
        index = (steps == taken).nonzero().flatten()
        leaves = [
            x if given.batch_dim is None else x.index_select(given.batch_dim, index.to(x.device))
            for x, given in zip(whole.leaves, traced.inputs, strict=True)
        ]
        shapes = [x.shape if isinstance(x, Tensor) else () for x in leaves]
        try:
            check_sizes(traced, shapes)
        except InputError as error:
            raise InputError(
                f"{len(index)} of {whole.samples} samples were done after {taken} steps and would "
                f"be counted together, which the model does not take: {error}. Leave until= out, "
                "or give other batches"
            ) from error
        labels = None if whole.labels is None else whole.labels[index.to(whole.labels.device)]
        yield Part(leaves, labels, len(index), taken)
