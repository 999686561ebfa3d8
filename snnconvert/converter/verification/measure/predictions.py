"""Labels of predictions: of which output they are, and of which samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import InputError
from snnconvert.wording import listed, received

Labels: TypeAlias = Tensor | Mapping[str | int, Tensor]
"""Right answers of all samples, or those of an output, by its name or number."""


def labels_of(
    labels: Labels | None, output: str | int | None
) -> tuple[Tensor | None, str | int | None]:
    """Return the labels of one output, and that output where the labels say it.

    Raises:
        InputError: they are no whole numbers, or of several outputs.
    """
    if isinstance(labels, Mapping):
        if output is None and len(labels) != 1:
            raise InputError(
                f"labels of {len(labels)} outputs ({listed(list(labels))}); predictions of one are "
                "compared: say which with output="
            )
        output = next(iter(labels)) if output is None else output
        if output not in labels:
            raise InputError(f"there are labels of {listed(list(labels))}, not of {output!r}")
        labels = labels[output]
    if labels is None:
        return None, output
    expected = "labels are whole numbers, one for each prediction, in a tensor [N, ...]"
    try:
        whole = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{expected}; received {received(labels)}. Those of batches are joined with torch.cat"
        ) from error
    if not whole.dim() or whole.is_complex() or bool((whole != whole.long()).any()):
        raise InputError(expected)
    return whole.long(), output


def check_labels(labels: Tensor, classes: int) -> Tensor:
    """Return where labels are known.

    Raises:
        InputError: a label is of a class that there is not.
    """
    known = labels >= 0
    if labels.numel() and int(labels.max()) >= classes:
        raise InputError(
            f"there is a label {int(labels.max())} of {classes} classes; labels are 0 to "
            f"{classes - 1}, and -1 where none is known"
        )
    return known


def labels_of_batch(
    traced: TracedModel, leaves: Sequence[Any], labels: Tensor | None, done: int
) -> tuple[int, Tensor | None]:
    """Return the number of samples of a batch, and their labels.

    Args:
        traced: says which dimension of which input is the batch.
        leaves: inputs of the batch.
        labels: of all samples.
        done: number of samples before.

    Raises:
        InputError: there are too few labels.
    """
    pairs = list(zip(leaves, traced.inputs, strict=True))
    sizes = [x.shape[given.batch_dim] for x, given in pairs if given.batch_dim is not None]
    # Where the batch is bound to the example's size, it is dimension 0, as far as anyone can tell.
    sizes += [len(x) for x, _ in pairs if isinstance(x, Tensor) and x.dim()]
    count = sizes[0] if sizes else 1
    own = None if labels is None else labels[done : done + count]
    if own is not None and len(own) < count:
        raise InputError(
            f"there are labels for {done + len(own)} samples, and more samples; give one "
            "label for each, -1 where none is known"
        )
    return count, own


def refuse_too_many(labels: Tensor | None, samples: int) -> None:
    """Refuse labels of more samples than there were."""
    if labels is not None and len(labels) > samples:
        raise InputError(
            f"there are labels for {len(labels)} samples, and {samples} samples; give one for each"
        )
