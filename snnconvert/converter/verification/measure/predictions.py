"""Predictions: which output has classes, along which of its dimensions, and labels that fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import ArgumentError, InputError
from snnconvert.wording import listed, received

Labels: TypeAlias = Tensor | Mapping[str | int, Tensor]
"""Right answers of all samples, or those of an output, by its name or number."""


@dataclass(frozen=True)
class Classes:
    """Where predictions are read.

    Attributes:
        output: number of the output tensor.
        dim: its dimension that holds the classes.
    """

    output: int
    dim: int


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


def find_classes(
    names: Sequence[str],
    outputs: Sequence[Tensor],
    labels: Tensor | None,
    output: str | int | None,
    classes: int | None,
) -> Classes | None:
    """Find the output and dimension that predictions are read from; None where there are none.

    Args:
        names: of the output tensors.
        outputs: of the source on one batch.
        labels: of that batch: they tell which output, and which dimension, they fit.
        output: the name or number of an output; None: the first of floating point named
            ``logits``, else the first with a dimension of classes.
        classes: the dimension; None: the last of ``[B, C]`` and ``[B, L, C]``, 1 of larger ones.

    Raises:
        InputError: there is no such output or dimension, or no classes that the labels fit.
    """
    if output is not None:
        among = [_numbered(names, outputs, output)]
    else:
        floating = [i for i, y in enumerate(outputs) if y.is_floating_point()]
        named = [i for i in floating if names[i].rpartition(".")[2] == "logits"]
        others = [i for i in floating if i not in named]
        among = named[:1] if named and labels is None else named + others
    found = [Classes(i, d) for i in among for d in _dims(outputs[i], classes)]
    if labels is None:
        return next((c for c in found if c.dim == _usual(outputs[c.output], classes)), None)
    found.sort(key=lambda c: c.dim != _usual(outputs[c.output], classes))
    for c in found:
        if predicted(outputs[c.output], c.dim).shape == labels.shape:
            return c
    shapes = [f"'{n}' {list(y.shape)}" for n, y in zip(names, outputs, strict=True)]
    raise InputError(
        f"labels of shape {list(labels.shape)} fit the predictions of no output that has classes: "
        f"{listed(shapes)}. Give one label for each prediction of one output (output=), which are "
        "along one of its dimensions (classes=), or leave the labels out"
    )


def predicted(logits: Tensor, dim: int) -> Tensor:
    """Return the number of the largest value along the classes."""
    return logits.argmax(dim)


def _numbered(names: Sequence[str], outputs: Sequence[Tensor], output: str | int) -> int:
    known = output in names if isinstance(output, str) else 0 <= output < len(names)
    if not known:
        raise ArgumentError(
            "output",
            output,
            f"there is no output of this name or number, allowed {listed(names)}, or a number from "
            f"0 to {len(names) - 1}",
        )
    number = names.index(output) if isinstance(output, str) else output
    if not outputs[number].is_floating_point():
        raise InputError(
            f"output '{names[number]}' is of {outputs[number].dtype}, of which no class is the "
            f"likeliest; choose another (output=) of {listed(names)}"
        )
    return number


def _usual(y: Tensor, classes: int | None) -> int:
    if classes is not None:
        return classes % max(y.dim(), 1)
    return y.dim() - 1 if y.dim() < 4 else 1


def _dims(y: Tensor, classes: int | None) -> list[int]:
    """Return the dimensions of an output that may hold classes."""
    if classes is not None and not -y.dim() <= classes < y.dim():
        raise ArgumentError(
            "classes",
            classes,
            f"is no dimension of the output, which is {list(y.shape)}, allowed "
            + (f"{-y.dim()} to {y.dim() - 1}" if y.dim() else "none"),
        )
    if classes is not None:
        return [classes % y.dim()]
    return [d for d in range(1, y.dim()) if y.shape[d] > 1]


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
