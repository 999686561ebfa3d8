"""Classes: which output has them, and along which of its dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from snnconvert.errors import ArgumentError, InputError
from snnconvert.wording import listed


@dataclass(frozen=True)
class Classes:
    """Where predictions are read.

    Attributes:
        output: number of the output tensor.
        dim: its dimension that holds the classes.
    """

    output: int
    dim: int


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
